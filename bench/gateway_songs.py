"""One song's way through the gateway against the music service alone, and how many songs can be asked for.

Knows both faces as a client does.
"""

import asyncio
import hashlib
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from acesteps.music.v1 import music_service_pb2 as music_pb
from acesteps.music.v1.music_service_pb2_grpc import MusicServiceStub
from bench.gateway_figures import Line, cpu_line, percentile
from bench.gateway_http import Connection, get, post
from bench.gateway_stack import Stack

if TYPE_CHECKING:
    from acesteps.gateway.v1.gateway_service_pb2_grpc import GatewayServiceAsyncStub
    from acesteps.music.v1.music_service_pb2_grpc import MusicServiceAsyncStub

ADDED_AT_MOST = 0.05
CREATIONS_PER_S = 300.0
CALL_S = 120.0
WARM_UP_S = 0.5

PROMPT = "calm jazz hop with dusty drums and a warm piano, 84 bpm"

Create = Callable[[], Awaitable[None]]


async def added_time(stack: Stack, repeats: int) -> list[Line]:
    """Seconds from asking for a song until it is received whole, each way in turn."""
    took: dict[str, list[float]] = {"music service alone": [], "gateway, gRPC": [], "gateway, HTTP": []}
    async with (
        grpc.aio.insecure_channel(stack.engine_target) as engine,
        grpc.aio.insecure_channel(stack.grpc_target) as gateway,
    ):
        ways: dict[str, Callable[[], Awaitable[bytes]]] = {
            "music service alone": lambda: _from_engine(MusicServiceStub(engine)),
            "gateway, gRPC": lambda: _over_grpc(GatewayServiceStub(gateway)),
            "gateway, HTTP": lambda: _over_http(stack.http_port),
        }
        for repeat in range(repeats + 1):
            for name, way in ways.items():
                begun = time.perf_counter()
                audio = await way()
                took_s = time.perf_counter() - begun
                assert audio
                if repeat:  # the first finds everything cold
                    took[name].append(took_s)
    alone_s = statistics.median(took["music service alone"])
    lines = [Line(f"song received whole: music service alone, median of {repeats}", f"{alone_s:.3f} s")]
    for name in ("gateway, gRPC", "gateway, HTTP"):
        median_s = statistics.median(took[name])
        added = median_s / alone_s - 1
        lines.append(
            Line(
                f"  {name}: added",
                f"{(median_s - alone_s) * 1e3:.0f} ms, {added:.1%}",
                f"under {ADDED_AT_MOST:.0%}",
                added < ADDED_AT_MOST,
            )
        )
    return lines


async def _from_engine(service: "MusicServiceAsyncStub") -> bytes:
    """The MP3, once its result has come."""
    spec = music_pb.SongSpec(
        song_id=str(uuid.uuid4()), prompt="jazz", instrumental=True, duration_s=60.0, seed=1
    )
    audio, result = bytearray(), music_pb.SongResult()
    call = service.GenerateSong(iter([music_pb.GenerateSongRequest(spec=spec)]), timeout=CALL_S)
    async for response in call:
        audio += response.audio.data
        if response.HasField("result"):
            result = response.result
    assert hashlib.sha256(audio).digest() == result.audio_sha256
    return bytes(audio)


async def _over_grpc(service: "GatewayServiceAsyncStub") -> bytes:
    asked = pb.CreateSongRequest(prompt=PROMPT, instrumental=True)
    song = (await service.CreateSong(asked, timeout=CALL_S)).song
    audio = bytearray()
    async for response in service.StreamAudio(pb.StreamAudioRequest(song_id=song.id), timeout=CALL_S):
        audio += response.data.data
    return bytes(audio)


async def _over_http(port: int) -> bytes:
    connection = await Connection.open(port)
    try:
        asked = post("/v1/songs", {"prompt": PROMPT, "instrumental": True})
        created = await connection.ask(asked)
        song_id = created.json()["song"]["id"]
        heard = await connection.ask(get(f"/v1/songs/{song_id}/audio"))
        assert (created.status, heard.status) == (201, 200)
        return heard.body
    finally:
        connection.close()


async def creations(stack: Stack, clients: int, seconds: float) -> list[Line]:
    """Songs that `clients` callers, each with one request in flight, put into the queue in a second."""
    lines = []
    for name, callers in (("HTTP", _http_callers), ("gRPC", _grpc_callers)):
        async with callers(stack, clients) as creates:
            await _ask(creates, time.perf_counter() + WARM_UP_S)
            begun, cpu = time.perf_counter(), stack.cpu()
            waits = sorted(await _ask(creates, begun + seconds))
            took_s, cpu_then = time.perf_counter() - begun, stack.cpu()
        rate, median_ms = len(waits) / took_s, statistics.median(waits) * 1e3
        lines += [
            Line(
                f"songs created over {name}, {clients} clients",
                f"{rate:,.0f} /s",
                f"{CREATIONS_PER_S:.0f} /s",
                rate >= CREATIONS_PER_S,
            ),
            Line(
                "  median, 99th percentile",
                f"{median_ms:.0f}, {percentile(waits, 0.99) * 1e3:.0f} ms",
            ),
            cpu_line("song", cpu, cpu_then, len(waits)),
        ]
    return lines


@asynccontextmanager
async def _http_callers(stack: Stack, clients: int) -> AsyncIterator[Sequence[Create]]:
    connections = [await Connection.open(stack.http_port) for _ in range(clients)]

    def caller(connection: Connection) -> Create:
        async def create() -> None:
            asked = {"request_id": uuid.uuid4().hex, "prompt": PROMPT, "instrumental": True}
            answer = await connection.ask(post("/v1/songs", asked))
            assert answer.status == 201, answer.body

        return create

    try:
        yield [caller(connection) for connection in connections]
    finally:
        for connection in connections:
            connection.close()


@asynccontextmanager
async def _grpc_callers(stack: Stack, clients: int) -> AsyncIterator[Sequence[Create]]:
    async with grpc.aio.insecure_channel(stack.grpc_target) as channel:
        service = GatewayServiceStub(channel)

        async def create() -> None:
            asked = pb.CreateSongRequest(request_id=uuid.uuid4().hex, prompt=PROMPT, instrumental=True)
            await service.CreateSong(asked, timeout=CALL_S)

        yield [create] * clients


async def _ask(creates: Sequence[Create], until: float) -> list[float]:
    """Seconds that each song took its caller."""
    waits: list[float] = []

    async def caller(create: Create) -> None:
        while (begun := time.perf_counter()) < until:
            await create()
            waits.append(time.perf_counter() - begun)

    await asyncio.gather(*map(caller, creates))
    return waits
