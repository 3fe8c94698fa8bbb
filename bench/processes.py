"""What a process has used so far, from Linux's /proc. Knows no process of ours."""

import os
from contextlib import suppress
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """That a process has used so far; proc_pid_stat(5). On shared machines it is steadier than the clock."""
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_with_children(pid: int) -> float:
    """The same, with what its children have used, those that have ended too."""
    ended = sum(map(int, _stat(Path(f"/proc/{pid}/stat"))[13:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    used = cpu_seconds(pid) + ended
    for child in children:
        with suppress(FileNotFoundError):  # it has ended since
            used += cpu_seconds(int(child))
    return used


def _stat(path: Path) -> list[str]:
    """The fields behind the name, of which the first is the third of proc_pid_stat(5)."""
    return path.read_text().rpartition(")")[2].split()


def resident_bytes(pid: int) -> int:
    """Memory that a process holds now; proc_pid_statm(5)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
