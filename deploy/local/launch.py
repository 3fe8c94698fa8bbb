"""Runs between fork and exec of a child: ties its life to its parent's and, where asked to, gives up root.

Called by path, `python -I -S launch.py PARENT_PID DEATH_SIGNAL [--user NAME] -- COMMAND...`, so that it
starts in milliseconds; needs only the standard library. Knows Linux and POSIX, nothing of the stack.
"""

import ctypes
import os
import pwd
import signal
import struct
import sys

# <linux/prctl.h>, <linux/capability.h>
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522

LINUX = sys.platform.startswith("linux")


def die_with_parent(parent_pid: int, death_signal: int) -> None:
    """Has the kernel send `death_signal` when the parent's thread ends. Does nothing but on Linux."""
    if not LINUX:
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before we asked
        os.kill(os.getpid(), death_signal)


def become(user: str) -> None:
    """Turns root into `user` for good, keeping on Linux the one right to pass folders closed to others.

    PostgreSQL refuses to run as root, yet a clone below /root or in a `mktemp -d` folder (mode 0700) must
    work without opening that folder to everyone. Without the capability, folder permissions decide.
    """
    account = pwd.getpwnam(user)
    libc = ctypes.CDLL(None)
    if LINUX:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    if LINUX:
        mask = 1 << CAP_DAC_OVERRIDE
        header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
        # effective, permitted, inheritable; the second triple is for capabilities 32 to 63
        if libc.capset(header, struct.pack("=6I", mask, mask, mask, 0, 0, 0)) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def main(arguments: list[str]) -> None:
    split = arguments.index("--")
    options, command = arguments[:split], arguments[split + 1 :]
    if options[2:3] == ["--user"]:
        become(options[3])
    # After setuid, which clears the death signal.
    die_with_parent(int(options[0]), int(options[1]))
    # Python ignores SIGPIPE, a shell's background job SIGINT, and what is ignored stays so across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
