"""Gateways inside the test's own loop: real PostgreSQL, real gRPC and HTTP, and pods that a test leads."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from acesteps.lyrics.v1.lyrics_service_pb2_grpc import add_LyricsServiceServicer_to_server
from acesteps.music.v1.music_service_pb2_grpc import add_MusicServiceServicer_to_server
from deploy.local.ports import free_ports
from deploy.local.postgres import Database
from services.common.channels import open_channel
from services.common.errors import ServiceError, error_from_rpc
from services.common.interceptor import CallInterceptor
from services.common.server import Health
from services.common.settings import ServiceSettings
from services.gateway.service import build
from services.gateway.settings import GatewaySettings
from tests.gateway.pods import LyricsPod, MusicPod, rendered

if TYPE_CHECKING:
    from acesteps.gateway.v1.gateway_service_pb2_grpc import GatewayServiceAsyncStub

CALL_S = 10.0
NOBODY = "127.0.0.1:9"
CREATOR = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@dataclass(frozen=True)
class Gateway:
    """A running replica. `grpc` and `http` are clients of its two faces."""

    settings: GatewaySettings
    health: Health
    grpc: "GatewayServiceAsyncStub"
    http: httpx.AsyncClient

    async def create(self, **fields: Any) -> pb.Song:
        """A short instrumental, unless the fields say otherwise."""
        asked: dict[str, Any] = {"prompt": "calm jazz hop, 84 bpm", "instrumental": True, "duration_s": 5.0}
        response = await self.grpc.CreateSong(pb.CreateSongRequest(**asked | fields), timeout=CALL_S)
        return response.song

    async def get(self, song_id: str) -> pb.Song:
        return (await self.grpc.GetSong(pb.GetSongRequest(song_id=song_id), timeout=CALL_S)).song

    async def ended(self, song_id: str) -> pb.Song:
        """The song, once it has ended."""
        song = pb.Song()
        async for response in self.grpc.WatchSong(pb.WatchSongRequest(song_id=song_id), timeout=CALL_S):
            song = response.song
        return song

    async def until(self, song_id: str, **fields: Any) -> pb.Song:
        """The song, once its fields are these."""
        async for response in self.grpc.WatchSong(pb.WatchSongRequest(song_id=song_id), timeout=CALL_S):
            if all(getattr(response.song, name) == value for name, value in fields.items()):
                return response.song
        raise AssertionError(f"song {song_id} never had {fields}")

    async def audio(self, song_id: str, **fields: Any) -> bytes:
        """All that StreamAudio gives. Raises ServiceError."""
        return b"".join([piece async for piece in self.listen(song_id, **fields)])

    async def listen(self, song_id: str, **fields: Any) -> AsyncIterator[bytes]:
        call = self.grpc.StreamAudio(pb.StreamAudioRequest(song_id=song_id, **fields), timeout=CALL_S)
        try:
            async for response in call:
                if response.HasField("data"):
                    yield response.data.data
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        finally:
            call.cancel()

    async def refusal(self, rpc: str, request: Any) -> ServiceError:
        """The error of a call that must fail."""
        try:
            answer = getattr(self.grpc, rpc)(request, timeout=CALL_S)
            if hasattr(answer, "__aiter__"):
                async for _ in answer:
                    pass
            else:
                await answer
        except grpc.aio.AioRpcError as error:
            return error_from_rpc(error)
        raise AssertionError(f"{rpc} was not refused")


@dataclass(frozen=True)
class Mesh:
    """Pods, and as many gateways on the same database and objects as a test opens."""

    music: MusicPod
    lyrics: LyricsPod
    environment: Mapping[str, Any]
    stack: AsyncExitStack

    async def open(self, **settings: Any) -> Gateway:
        return await self.stack.enter_async_context(gateway(**{**self.environment, **settings}))


@asynccontextmanager
async def gateway(**fields: Any) -> AsyncIterator[Gateway]:
    grpc_port, http_port = free_ports(2)
    settings = GatewaySettings(**{"grpc_port": grpc_port, "http_port": http_port} | fields)
    grpc_port, http_port = settings.grpc_port, settings.http_port
    async with AsyncExitStack() as stack:
        health = Health()
        services = await build(settings, stack, health)
        server = grpc.aio.server(interceptors=[CallInterceptor()])
        for service in services:
            service.add(server)
        server.add_insecure_port(f"127.0.0.1:{grpc_port}")
        await server.start()
        stack.push_async_callback(server.stop, 0)
        channel = await stack.enter_async_context(open_channel(f"127.0.0.1:{grpc_port}", ServiceSettings()))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", timeout=CALL_S, verify=False)
        )
        yield Gateway(settings, health, GatewayServiceStub(channel), http)


@asynccontextmanager
async def mesh(database: Database, folder: Path) -> AsyncIterator[Mesh]:
    music, lyrics = MusicPod(), LyricsPod()
    async with AsyncExitStack() as stack:
        server = grpc.aio.server(interceptors=[CallInterceptor()])
        add_MusicServiceServicer_to_server(music, server)
        add_LyricsServiceServicer_to_server(lyrics, server)
        (port,) = free_ports(1)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        stack.push_async_callback(server.stop, 0)
        environment = {
            "database_url": database.gateway_dsn,
            "objects_url": f"file://{folder / 'objects'}",
            "lyrics_target": f"127.0.0.1:{port}",
            "music_target": f"127.0.0.1:{port}",
            "signer_target": NOBODY,
            "lease_s": 5.0,
            "backoff_s": 0.05,
            "reap_every_s": 0.1,
            "drain_grace_s": 0.2,
        }
        yield Mesh(music, lyrics, environment, stack)


async def made(gateway: Gateway, **fields: Any) -> tuple[pb.Song, bytes]:
    """A finished song and its MP3."""
    song = await gateway.ended((await gateway.create(**fields)).id)
    return song, rendered(song.id, song.seed, song.duration_s).audio


async def heard_over_http(gateway: Gateway, song_id: str, **params: Any) -> bytes:
    """The whole body of the audio route."""
    async with gateway.http.stream("GET", f"/v1/songs/{song_id}/audio", params=params) as response:
        assert response.status_code == 200, await response.aread()
        return b"".join([piece async for piece in response.aiter_raw()])


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """The problem document of an error, which every error has to be."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document = json.loads(response.text)
    assert document["status"] == response.status_code
    assert document["type"] == f"urn:acesteps:problem:{document['reason']}"
    return dict(document)


async def eventually(check: Any, within_s: float = 5.0) -> None:
    """Waits until `check()` is true."""
    async with asyncio.timeout(within_s):
        while not await check():  # noqa: ASYNC110  # what it asks sets no event
            await asyncio.sleep(0.02)
