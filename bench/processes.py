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


def tree(pid: int) -> list[int]:
    """A process and all below it, as they are now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended since
                children.setdefault(int(_stat(entry / "stat")[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def tree_cpu_seconds(pid: int) -> float:
    """That a process and all below it have used, those that have ended too."""
    ticks = 0
    for one in tree(pid):
        with suppress(OSError):
            ticks += sum(map(int, _stat(Path(f"/proc/{one}/stat"))[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def tree_resident_bytes(pid: int) -> int:
    """Memory that a process and all below it would hold in a container of their own; proc_pid_status(5).

    What is private counts for each, files that are mapped and shared memory once: those of the largest.
    """
    private, files, shared = 0, 0, 0
    for one in tree(pid):
        with suppress(OSError):
            words = Path(f"/proc/{one}/status").read_text().split()
            held = {name: int(words[words.index(name) + 1]) for name in _HELD if name in words}
            private += held.get("RssAnon:", 0)
            files, shared = max(files, held.get("RssFile:", 0)), max(shared, held.get("RssShmem:", 0))
    return (private + files + shared) * 1024


_HELD = ("RssAnon:", "RssFile:", "RssShmem:")
