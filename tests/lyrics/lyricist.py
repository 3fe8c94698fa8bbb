"""The real lyrics service in its own process, and a client that takes its streams apart."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2_grpc as rpc
from deploy.local.ports import LOOPBACK, free_ports
from services.common.errors import ServiceError, error_from_rpc

START_PATIENCE_S = 20.0
CALL_TIMEOUT_S = 20.0


@dataclass
class Heard:
    """One stream: every `lines` entry is as sent, `kinds` has runs of one kind as one."""

    kinds: list[str] = field(default_factory=list)
    progress: list[pb.LyricsProgress] = field(default_factory=list)
    lines: list[pb.LyricsLine] = field(default_factory=list)
    sections: list[pb.SectionFinal] = field(default_factory=list)
    result: pb.LyricsResult = field(default_factory=pb.LyricsResult)

    def take(self, response: pb.GenerateLyricsResponse) -> None:
        kind = response.WhichOneof("event")
        assert kind is not None
        if self.kinds[-1:] != [kind]:
            self.kinds.append(kind)
        match kind:
            case "progress":
                self.progress.append(response.progress)
            case "line":
                self.lines.append(response.line)
            case "section":
                self.sections.append(response.section)
            case "result":
                self.result = response.result


@dataclass
class LyricsProcess:
    """`settings` are the process's LYRICS_ environment but its ports."""

    settings: dict[str, str]
    log: Path
    ports: list[int] = field(default_factory=lambda: free_ports(2))
    process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator["LyricsProcess"]:
        ports = {"LYRICS_GRPC_PORT": str(self.ports[0]), "LYRICS_METRICS_PORT": str(self.ports[1])}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("LYRICS_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.lyrics"], env=plain | self.settings | ports, stderr=log
            )
        try:
            self._wait_ready()
            yield self
        finally:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=START_PATIENCE_S)

    def metrics(self) -> dict[str, float]:
        """Samples by their full name with labels."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.ports[1]}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {n: float(v) for n, v in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator["Client"]:
        async with grpc.aio.insecure_channel(f"{LOOPBACK}:{self.ports[0]}") as channel:
            yield Client(rpc.LyricsServiceStub(channel), self)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_PATIENCE_S
        while not self._is_ready():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        asked = health_pb2.HealthCheckRequest(service="readiness")
        with grpc.insecure_channel(f"{LOOPBACK}:{self.ports[0]}") as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=2.0)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@dataclass
class Client:
    """Calls with a deadline; errors are the typed ones."""

    stub: "rpc.LyricsServiceAsyncStub"
    process: LyricsProcess

    async def write(self, theme: str = "rain on the sea", **fields: Any) -> Heard:
        heard = Heard()
        request = pb.GenerateLyricsRequest(theme=theme, **fields)
        try:
            async for response in self.stub.GenerateLyrics(request, timeout=CALL_TIMEOUT_S):
                heard.take(response)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        return heard

    async def review(self, **fields: Any) -> pb.ReviewLyricsResponse:
        try:
            return await self.stub.ReviewLyrics(pb.ReviewLyricsRequest(**fields), timeout=CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error

    async def refusal(self, **fields: Any) -> ServiceError:
        """The error that GenerateLyrics answers with."""
        try:
            await self.write(**fields)
        except ServiceError as error:
            return error
        raise AssertionError(f"not refused: {fields}")
