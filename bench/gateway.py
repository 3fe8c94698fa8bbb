"""How fast the gateway is: `python -m bench.gateway [added progress listeners creations] [--strict]`.

The gateway, PostgreSQL with fsync on and an engine that only sends bytes, each a process of its own, and the
clients here, all on loopback. Prints a table with the targets; with --strict, status 1 when one is missed.
"""

import argparse
import asyncio
import resource
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.gateway_crowds import listeners, progress
from bench.gateway_figures import Line, missed, table
from bench.gateway_songs import added_time, creations
from bench.gateway_stack import stack
from deploy.local import postgres
from deploy.local.postgres import Postgres

Measure = Callable[[Postgres, Path, argparse.Namespace], list[Line]]
OPEN_FILES = 4096


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="measure", help=f"of {', '.join(MEASURES)}; none: all")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--song-s", type=float, default=60.0, help="of every song; 40 kB of MP3 each")
    parser.add_argument("--pace-s", type=float, default=3.0, help="added: how long the engine sends a song")
    parser.add_argument("--repeats", type=int, default=7, help="added: songs each way")
    parser.add_argument("--songs", type=int, default=50, help="progress: songs at once")
    parser.add_argument("--progress-s", type=float, default=15.0, help="progress: how long each is made")
    parser.add_argument("--listeners", type=int, default=1000, help="listeners: how many")
    parser.add_argument("--live-s", type=float, default=30.0, help="listeners: how long their song is made")
    parser.add_argument("--clients", type=int, default=32, help="creations: callers at once")
    parser.add_argument("--seconds", type=float, default=10.0, help="creations: how long they ask, each way")
    arguments = parser.parse_args()
    if unknown := set(arguments.measures) - set(MEASURES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))  # the gateway inherits it
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="acesteps-bench-") as folder:
        root = Path(folder)
        root.chmod(0o711)  # PostgreSQL runs as a user of its own and passes through
        with postgres.start(root / "postgres") as server:
            assert server.execute("SHOW fsync") == "on\n"
            for name in arguments.measures or MEASURES:
                measured = MEASURES[name](server, root / name, arguments)
                print(table(measured), flush=True)
                lines += measured
    if arguments.strict and (names := missed(lines)):
        sys.exit("missed: " + "; ".join(name.strip() for name in names))


def _added(server: Postgres, folder: Path, asked: argparse.Namespace) -> list[Line]:
    with stack(server, folder, engine={"PACE_S": asked.pace_s, "SONG_S": asked.song_s}) as running:
        return asyncio.run(added_time(running, asked.repeats))


def _progress(server: Postgres, folder: Path, asked: argparse.Namespace) -> list[Line]:
    engine = {"PACE_S": asked.progress_s, "SONG_S": asked.song_s}
    with stack(server, folder, engine=engine, gateway={"WORKERS": asked.songs}) as running:
        return asyncio.run(progress(running, asked.songs))


def _listeners(server: Postgres, folder: Path, asked: argparse.Namespace) -> list[Line]:
    with stack(server, folder, engine={"PACE_S": asked.live_s, "SONG_S": asked.song_s}) as running:
        return asyncio.run(listeners(running, asked.listeners))


def _creations(server: Postgres, folder: Path, asked: argparse.Namespace) -> list[Line]:
    # All workers are busy for as long as it takes: what is asked for waits, and its making is not measured.
    with stack(server, folder, engine={"PACE_S": 3600.0, "SONG_S": asked.song_s}) as running:
        return asyncio.run(creations(running, asked.clients, asked.seconds))


MEASURES: Mapping[str, Measure] = {
    "added": _added,
    "progress": _progress,
    "listeners": _listeners,
    "creations": _creations,
}


if __name__ == "__main__":
    main()
