"""The real signer process, started with its own keystores, bundle and database."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from acesteps.signer.v1 import signer_service_pb2 as pb
from acesteps.signer.v1 import signer_service_pb2_grpc as rpc
from deploy.local.postgres import Database
from services.common.errors import error_from_rpc
from services.signer.keys.commands import main as keys_cli
from tests.signer.attested import CONTRACT, write_bundle

START_PATIENCE_S = 20.0
CALL_TIMEOUT_S = 10.0


def write_files(folder: Path) -> dict[str, str]:
    """Two keystores (scrypt as cheap as it goes), a trust bundle, and the settings that name them."""
    folder.mkdir(exist_ok=True)
    for name in ("eip712", "packed"):
        files = (
            "--keystore",
            str(folder / f"{name}.json"),
            "--password-file",
            str(folder / f"{name}.password"),
        )
        assert keys_cli(["new", *files, "--new-password", "--scrypt-n", "2"]) == 0
    write_bundle(folder / "bundle.json")
    return {
        "SIGNER_KEYSTORE_FILE": str(folder / "eip712.json"),
        "SIGNER_KEYSTORE_PASSWORD_FILE": str(folder / "eip712.password"),
        "SIGNER_PACKED_KEYSTORE_FILE": str(folder / "packed.json"),
        "SIGNER_PACKED_KEYSTORE_PASSWORD_FILE": str(folder / "packed.password"),
        "SIGNER_TRUST_BUNDLE_FILE": str(folder / "bundle.json"),
        "SIGNER_TRUST_STATE_FILE": str(folder / "bundle.state.json"),
        "SIGNER_CHAIN_ID": "31337",
        "SIGNER_CONTRACT": CONTRACT,
    }


@dataclass
class SignerProcess:
    """`settings` are the process's whole SIGNER_ environment but its ports."""

    settings: dict[str, str]
    log: Path
    port: int = field(default_factory=lambda: _free_port())
    health_port: int = field(default_factory=lambda: _free_port())
    metrics_port: int = field(default_factory=lambda: _free_port())
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns once readiness is up."""
        ports = {
            "SIGNER_GRPC_PORT": str(self.port),
            "SIGNER_HEALTH_PORT": str(self.health_port),
            "SIGNER_METRICS_PORT": str(self.metrics_port),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.signer"],
                env=plain_environment() | self.settings | ports,
                stderr=log,
            )
        self.wait_ready()

    def wait_ready(self, ready: bool = True) -> None:
        """Waits for readiness to be up, or down."""
        deadline = time.monotonic() + START_PATIENCE_S
        while self.ready() is not ready:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def ready(self) -> bool | None:
        """What the readiness probe says; None when nobody answers."""
        with grpc.insecure_channel(f"127.0.0.1:{self.health_port}") as channel:
            try:
                asked = health_pb2.HealthCheckRequest(service="readiness")
                answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=2.0)
            except grpc.RpcError:
                return None
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def kill(self) -> None:
        """SIGKILL, and the corpse is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=START_PATIENCE_S)

    @contextlib.contextmanager
    def running(self) -> Iterator["SignerProcess"]:
        try:
            self.start()
            yield self
        finally:
            if self._process is not None and self._process.poll() is None:
                self.kill()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator["Client"]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            yield Client(channel)


@dataclass(frozen=True)
class Served:
    """A running signer and its database."""

    process: SignerProcess
    database: Database

    async def rows(self, audio_hash: bytes) -> list[asyncpg.Record]:
        """What the ledger holds of a recording."""
        return await self.fetch("SELECT * FROM signer.permits WHERE audio_hash = $1", audio_hash)

    async def fetch(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """Rows as the superuser sees them."""
        connection = await asyncpg.connect(self.database.superuser_dsn)
        try:
            return list(await connection.fetch(sql, *values))
        finally:
            await connection.close()


class Client:
    """Asks as the gateway does; refusals come back as `ServiceError`s."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = rpc.SignerServiceStub(channel)

    async def permit(self, request: pb.SignMintPermitRequest) -> pb.SignMintPermitResponse:
        answer = await self._asked(self._stub.SignMintPermit, request)
        assert isinstance(answer, pb.SignMintPermitResponse)
        return answer

    async def list(self, **question: Any) -> pb.ListPermitsResponse:
        return await self._asked(self._stub.ListPermits, pb.ListPermitsRequest(**question))

    async def pause(self, reason: str) -> pb.PauseResponse:
        return await self._asked(self._stub.Pause, pb.PauseRequest(reason=reason))

    async def resume(self) -> pb.ResumeResponse:
        return await self._asked(self._stub.Resume, pb.ResumeRequest())

    async def _asked(self, method: Any, request: Any) -> Any:
        try:
            return await method(request, timeout=CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error

    async def describe(self) -> pb.DescribeSignerResponse:
        return await self._stub.DescribeSigner(pb.DescribeSignerRequest(), timeout=CALL_TIMEOUT_S)


def plain_environment() -> dict[str, str]:
    """This environment without settings of a signer that somebody runs here."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SIGNER_")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
