"""A gateway under measurement, with PostgreSQL (fsync on) and an engine that only sends bytes.

Each is a process of its own below one folder, and gone after the `with`. Knows no measurement.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import cpu_seconds, cpu_seconds_with_children
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.postgres import Postgres
from deploy.local.processes import Child, Command
from deploy.local.services import Readiness, service_command

NOBODY = f"{LOOPBACK}:9"


@dataclass(frozen=True)
class Stack:
    """Where its parts listen, and which process is which."""

    grpc_target: str
    http_port: int
    engine_target: str
    engine_log: Path
    gateway_pid: int
    engine_pid: int
    postgres_pid: int

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU that each part, and we who measure, have used so far."""
        return {
            "gateway": cpu_seconds(self.gateway_pid),
            "PostgreSQL": cpu_seconds_with_children(self.postgres_pid),
            "engine": cpu_seconds(self.engine_pid),
            "clients": time.process_time(),
        }

    def sent(self) -> dict[str, list[float]]:
        """By song: the moments (monotonic seconds) at which the engine sent its progress events."""
        lines = (line for line in self.engine_log.read_text().splitlines() if line.startswith('{"song"'))
        return {told["song"]: told["sent"] for told in map(json.loads, lines)}


@contextmanager
def stack(
    postgres: Postgres,
    folder: Path,
    *,
    engine: Mapping[str, object] | None = None,
    gateway: Mapping[str, object] | None = None,
) -> Iterator[Stack]:
    """A fresh database, engine and gateway. `engine` and `gateway` are settings without their prefixes."""
    folder.mkdir()
    database = postgres.create_database(folder.name)
    engine_port, grpc_port, http_port = free_ports(3)
    engine_log = folder / "engine.log"
    settings = {
        "DATABASE_URL": database.gateway_dsn,
        "OBJECTS_URL": f"file://{folder / 'objects'}",
        "LYRICS_TARGET": NOBODY,
        "MUSIC_TARGET": f"{LOOPBACK}:{engine_port}",
        "SIGNER_TARGET": NOBODY,
        "HTTP_PORT": http_port,
        "LOG_LEVEL": "WARNING",
        # Nobody waits for what is still in the making at the end.
        "DRAIN_GRACE_S": 0.2,
        **(gateway or {}),
    }
    commands = (
        _engine_command(engine_port, engine_log, engine or {}),
        service_command("gateway", grpc_port, settings, folder / "gateway.log", ()),
    )
    with ExitStack() as started:
        pids = []
        for command in commands:
            child = Child(command, lambda line: print(line, file=sys.stderr))
            started.callback(child.stop)
            child.start()
            child.wait_ready()
            pids.append(_running(child.pid))
        engine_pid, gateway_pid = pids
        yield Stack(
            grpc_target=f"{LOOPBACK}:{grpc_port}",
            http_port=http_port,
            engine_target=f"{LOOPBACK}:{engine_port}",
            engine_log=engine_log,
            gateway_pid=gateway_pid,
            engine_pid=engine_pid,
            postgres_pid=_running(postgres.pid),
        )


def _running(pid: int | None) -> int:
    if pid is None:
        raise RuntimeError("a process ended as soon as it was ready")
    return pid


def _engine_command(port: int, log_file: Path, settings: Mapping[str, object]) -> Command:
    own = {"GRPC_PORT": port, "LOG_LEVEL": "WARNING", "DRAIN_GRACE_S": 0.2, **settings}
    return Command(
        name="engine",
        argv=[sys.executable, "-m", "bench.gateway_engine"],
        environment={
            **{key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ},
            **{f"ENGINE_{key}": str(value) for key, value in own.items()},
        },
        log_file=log_file,
        death_signal=signal.SIGKILL,
        is_ready=Readiness(port),
    )
