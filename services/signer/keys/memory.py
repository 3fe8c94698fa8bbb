"""Keeps the memory of a process that holds a key to that process. Knows the operating system, and no key."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def forbid_core_dumps() -> None:
    """Keep the memory of this process, and the key in it, from core files and from its user's debuggers.

    To be called before a key is read. Raises OSError when the system does not obey.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Not dumpable: /proc/PID/mem and ptrace are root's alone, and a core handler of the kernel gets nothing.
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_DUMPABLE) failed")
