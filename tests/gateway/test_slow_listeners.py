"""Listeners who stop reading: they are dropped after a while, and nobody else notices."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import psutil
import pytest
import pytest_asyncio

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.postgres import Database
from services.common.errors import Unavailable, error_from_rpc
from tests.gateway.mesh import Gateway, Mesh, eventually, heard_over_http, made, mesh
from tests.gateway.pods import Script, rendered
from tests.gateway.test_listening import listeners

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_S = 0.5
# 9.6 MB: more than the sockets of both sides and gRPC's windows take.
LONG_S = 240.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(
    new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Mesh, Gateway]]:
    async with mesh(new_database(), tmp_path_factory.mktemp("slow")) as pods:
        yield pods, await pods.open(listener_patience_s=PATIENCE_S)


def deaf(gateway: Gateway, path: str) -> socket.socket:
    """A client that asks and never reads. Its own buffer takes little."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", gateway.settings.http_port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def all_that_came(client: socket.socket) -> bytes:
    """What the sockets had taken, up to the end of the connection, whatever that is like."""
    client.settimeout(5.0)
    came = b""
    try:
        while piece := client.recv(1 << 20):
            came += piece
    except ConnectionError:
        pass
    return came


async def test_a_client_that_stops_reading_is_hung_up_on_and_others_hear_on(
    impatient: tuple[Mesh, Gateway],
) -> None:
    pods, gateway = impatient
    script = Script(pause_after=150)
    pods.music.follow(script)
    song = await gateway.create(duration_s=LONG_S)
    clients = [deaf(gateway, f"/v1/songs/{song.id}/audio") for _ in range(20)]
    hearing = asyncio.create_task(heard_over_http(gateway, song.id))
    await script.paused.wait()
    # The song still runs: those who keep up wait for more, and only the others are gone.
    await eventually(lambda: _only(1))
    assert not hearing.done()
    script.go_on.set()
    whole = rendered(song.id, song.seed, LONG_S).audio
    assert await hearing == whole
    for client in clients:
        came = await asyncio.to_thread(all_that_came, client)
        assert came.startswith(b"HTTP/1.1 200")
        assert not came.endswith(b"0\r\n\r\n")  # nobody takes it for the whole
        assert len(came) < len(whole)


async def _take_all(call: Any, came: bytearray) -> None:
    while response := await call.read():
        came += response.data.data


async def _only(number: int) -> bool:
    return listeners() == number


async def test_a_file_that_nobody_takes_is_let_go_of(impatient: tuple[Mesh, Gateway]) -> None:
    _, gateway = impatient
    song, whole = await made(gateway, duration_s=LONG_S)
    before = set(asyncio.all_tasks())
    clients = [deaf(gateway, f"/v1/songs/{song.id}/audio") for _ in range(20)]
    await eventually(lambda: _answering(before, 20))
    await eventually(lambda: _answering(before, 0))
    for client in clients:
        assert len(await asyncio.to_thread(all_that_came, client)) < len(whole)


async def _answering(before: set["asyncio.Task[object]"], number: int) -> bool:
    """Whether so many requests more than before are being answered."""
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks() - before]
    return names.count("RequestResponseCycle.run_asgi") == number


async def test_nothing_is_kept_for_those_who_were_hung_up_on(impatient: tuple[Mesh, Gateway]) -> None:
    pods, gateway = impatient
    song, _ = await made(gateway, duration_s=LONG_S)
    broken = Script(pause_after=150, error=Unavailable("ENGINE_DIED", "it died"))
    pods.music.follow(broken)
    live = await gateway.create(duration_s=LONG_S)
    await broken.paused.wait()
    before = open_connections(gateway)
    clients = [deaf(gateway, f"/v1/songs/{song_id}/audio") for song_id in (song.id, live.id) * 10]
    await eventually(lambda: _connected(gateway, before + 20))
    # Half of them are listening to an attempt that ends: an orderly close would wait for them for ever.
    broken.go_on.set()
    await eventually(lambda: _connected(gateway, before))
    for client in clients:
        client.close()


def open_connections(gateway: Gateway) -> int:
    """Of the HTTP face's side, which this process is too."""
    return sum(
        connection.laddr.port == gateway.settings.http_port and connection.status != psutil.CONN_LISTEN
        for connection in psutil.Process().net_connections("tcp4")
    )


async def _connected(gateway: Gateway, number: int) -> bool:
    return open_connections(gateway) == number


async def test_grpc_says_that_a_listener_is_too_slow(impatient: tuple[Mesh, Gateway]) -> None:
    _, gateway = impatient
    song, whole = await made(gateway, duration_s=LONG_S)
    call = gateway.grpc.StreamAudio(pb.StreamAudioRequest(song_id=song.id), timeout=30.0)
    first = await call.read()
    assert first.HasField("header")
    await asyncio.sleep(PATIENCE_S * 3)
    came = bytearray()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _take_all(call, came)
    error = error_from_rpc(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LISTENER_TOO_SLOW")
    assert whole.startswith(came)
    # What was sent was not lost, and the rest is there from its end on.
    assert came + await gateway.audio(song.id, offset=len(came)) == whole
