"""The real music service in its own process, and a client that keeps what a song's stream held."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from acesteps.music.v1 import music_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2_grpc as rpc
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.services import Readiness
from services.common.errors import ServiceError, error_from_rpc
from services.common.provenance import AttestationKey

START_PATIENCE_S = 20.0
CALL_TIMEOUT_S = 30.0


@dataclass
class Heard:
    """One song's stream, taken apart."""

    kinds: list[str] = field(default_factory=list)  # of messages, runs of one kind as one
    header: pb.StreamHeader = field(default_factory=pb.StreamHeader)
    audio: bytearray = field(default_factory=bytearray)
    master: bytearray = field(default_factory=bytearray)
    state: bytearray = field(default_factory=bytearray)
    timeline: bytearray = field(default_factory=bytearray)
    preview: bytearray = field(default_factory=bytearray)
    chunk_sizes: list[int] = field(default_factory=list)
    progress: list[pb.RenderProgress] = field(default_factory=list)
    result: pb.SongResult = field(default_factory=pb.SongResult)

    def take(self, response: pb.GenerateSongResponse) -> None:
        kind = response.WhichOneof("event")
        assert kind is not None
        if self.kinds[-1:] != [kind]:
            self.kinds.append(kind)
        match kind:
            case "header":
                self.header = response.header
            case "progress":
                self.progress.append(response.progress)
            case "audio":
                assert response.audio.offset == len(self.audio)
                self.audio += response.audio.data
                self.chunk_sizes.append(len(response.audio.data))
            case "master" | "state" | "timeline" | "preview":
                chunk, blob = {
                    "master": (response.master, self.master),
                    "state": (response.state, self.state),
                    "timeline": (response.timeline, self.timeline),
                    "preview": (response.preview, self.preview),
                }[kind]
                assert chunk.offset == len(blob)
                assert 0 < len(chunk.data) <= 65_536
                blob += chunk.data
            case "result":
                self.result = response.result

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.audio).digest()


@dataclass
class Pod:
    folder: Path
    slots: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)  # environment, besides what every pod gets
    start_patience_s: float = START_PATIENCE_S
    port: int = field(default_factory=lambda: free_ports(1)[0])
    health_port: int = field(default_factory=lambda: free_ports(1)[0])
    metrics_port: int = field(default_factory=lambda: free_ports(1)[0])

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.key = AttestationKey.new()
        self.key.save(self.folder / "pod.pem")
        self.log = self.folder / "log"
        self._readiness = Readiness(self.health_port)

    @contextlib.contextmanager
    def running(self) -> Iterator["Pod"]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MUSIC_")}
        environment |= {
            "MUSIC_GRPC_PORT": str(self.port),
            "MUSIC_HEALTH_PORT": str(self.health_port),
            "MUSIC_METRICS_PORT": str(self.metrics_port),
            "MUSIC_SLOTS": str(self.slots),
            "MUSIC_POD_ID": "pod-a",
            "MUSIC_ATTESTATION_KEY_FILE": str(self.folder / "pod.pem"),
            **self.settings,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.music"], env=environment, stderr=log, stdout=log
            )
        try:
            self.wait_ready()
            yield self
        finally:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def ready(self) -> bool:
        return self._readiness(self.process.pid)

    def wait_ready(self, ready: bool = True) -> None:
        began = time.monotonic()
        while self.ready() != ready:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - began < self.start_patience_s, self.log.read_text()
            time.sleep(0.05)

    def metric(self, name: str) -> float:
        """One sample as Prometheus would scrape it; 0 when it is not there yet."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.metrics_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " ")), 0.0)

    @property
    def engine_pid(self) -> int:
        """Of the engine process that runs now, from the service's log."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if '"engine_pid"' in line]
        return int(lines[-1]["engine_pid"])

    @contextlib.asynccontextmanager
    async def stub(self) -> AsyncIterator["rpc.MusicServiceAsyncStub"]:
        async with grpc.aio.insecure_channel(f"{LOOPBACK}:{self.port}") as channel:
            yield rpc.MusicServiceStub(channel)

    async def song(self, order: pb.SongSpec) -> Heard:
        """A whole song. Raises ServiceError as the service did."""
        heard = Heard()
        async for response in self.stream(order):
            heard.take(response)
        return heard

    async def stream(
        self, *orders: pb.SongSpec, timeout_s: float = CALL_TIMEOUT_S
    ) -> AsyncGenerator[pb.GenerateSongResponse, None]:
        """The stream of a call that sends these specs. Closing it cancels the call."""
        async with self.stub() as stub:
            requests = iter([pb.GenerateSongRequest(spec=order) for order in orders])
            call = stub.GenerateSong(requests, timeout=timeout_s)
            try:
                async for response in call:
                    yield response
            except grpc.aio.AioRpcError as error:
                raise error_from_rpc(error) from error
            finally:
                call.cancel()

    async def refusal(self, *orders: pb.SongSpec, timeout_s: float = CALL_TIMEOUT_S) -> ServiceError:
        """The error of a call that must not make a song."""
        return (await self.refused(*orders, timeout_s=timeout_s))[0]

    async def refused(
        self, *orders: pb.SongSpec, timeout_s: float = CALL_TIMEOUT_S
    ) -> tuple[ServiceError, list[str]]:
        """Such an error, and the kinds of all messages that came before it."""
        heard = Heard()
        try:
            async for response in self.stream(*orders, timeout_s=timeout_s):
                heard.take(response)
        except ServiceError as error:
            return error, heard.kinds
        raise AssertionError("the call was not refused")


def spec(**fields: object) -> pb.SongSpec:
    """A short and valid spec, but for what a test says."""
    usual: dict[str, object] = {
        "song_id": str(uuid.uuid4()),
        "prompt": "upbeat house, 124 BPM",
        "duration_s": 5.0,
        "seed": 7,
    }
    return pb.SongSpec(**{**usual, **fields})  # tests also give what does not fit


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_gone(pid: int, patience_s: float = 5.0) -> bool:
    """Whether a process ends in time."""
    began = time.monotonic()
    while alive(pid) and time.monotonic() - began < patience_s:
        time.sleep(0.02)
    return not alive(pid)
