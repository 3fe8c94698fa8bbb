"""What a process has used so far, from Linux's /proc. Knows no process of ours."""

import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """That a process has used so far; proc_pid_stat(5). On shared machines it is steadier than the clock."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Memory that a process holds now; proc_pid_statm(5)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
