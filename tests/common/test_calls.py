"""The interceptor, the server and the channel, over real gRPC with a servicer that misbehaves on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import REGISTRY

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2_grpc as rpc
from services.common import channels as channels_module
from services.common import deadline
from services.common import server as server_module
from services.common.channels import open_channel
from services.common.errors import (
    FailedPrecondition,
    InvalidField,
    ResourceExhausted,
    ServiceError,
    error_from_rpc,
)
from services.common.server import GrpcService, Health, start_server
from services.common.settings import ServiceSettings
from tests.common.certificates import Authority

NAME = pb.DESCRIPTOR.services_by_name["LyricsService"].full_name
SETTINGS = ServiceSettings()


class Misbehaving(rpc.LyricsServiceServicer):
    """Raises what it is given; streams until it is told to stop."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.seen_remaining_s: float | None = None
        self.silence_s = 0.01
        self.closed = asyncio.Event()

    async def ReviewLyrics(self, request: pb.ReviewLyricsRequest, context: Any) -> pb.ReviewLyricsResponse:
        self.seen_remaining_s = deadline.remaining_s()
        if self.error:
            raise self.error
        return pb.ReviewLyricsResponse()

    async def GenerateLyrics(
        self, request: pb.GenerateLyricsRequest, context: Any
    ) -> AsyncIterator[pb.GenerateLyricsResponse]:
        try:
            while True:
                yield pb.GenerateLyricsResponse(progress=pb.LyricsProgress(lines_done=1))
                if self.error:
                    raise self.error
                await asyncio.sleep(self.silence_s)
        finally:
            self.closed.set()


class Mesh:
    def __init__(
        self, servicer: Misbehaving, server: grpc.aio.Server, channel: grpc.aio.Channel, port: int
    ) -> None:
        self.servicer, self.server, self.channel, self.port = servicer, server, channel, port
        self.stub = rpc.LyricsServiceStub(channel)


async def open_mesh(stack: AsyncExitStack, server: ServiceSettings, client: ServiceSettings) -> Mesh:
    servicer, health = Misbehaving(), Health()
    port = _free_port()
    bound = server.model_copy(update={"grpc_port": port, "grpc_host": "localhost"})
    running = await start_server(
        bound, [GrpcService(NAME, lambda s: rpc.add_LyricsServiceServicer_to_server(servicer, s))], health
    )
    stack.push_async_callback(running.stop, 0)
    health.set_ready(True)
    await asyncio.sleep(0)
    channel = open_channel(f"localhost:{port}", client)
    stack.push_async_callback(channel.close)
    return Mesh(servicer, running, channel, port)


def _free_port() -> int:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with AsyncExitStack() as stack:
        yield await open_mesh(stack, SETTINGS, SETTINGS)


async def review(mesh: Mesh, timeout: float | None = 5) -> pb.ReviewLyricsResponse:
    return await mesh.stub.ReviewLyrics(pb.ReviewLyricsRequest(text="x"), timeout=timeout)


async def test_a_call_without_a_deadline_is_refused(mesh: Mesh) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await review(mesh, timeout=None)
    error = error_from_rpc(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "DEADLINE_REQUIRED")


async def test_health_and_reflection_need_no_deadline(mesh: Mesh) -> None:
    stub = health_pb2_grpc.HealthStub(mesh.channel)
    for name in ("", "liveness", "readiness", NAME):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    call = reflection_pb2_grpc.ServerReflectionStub(mesh.channel).ServerReflectionInfo(iter([asked]))
    async for answer in call:
        assert NAME in {service.name for service in answer.list_services_response.service}
        break
    call.cancel()


@pytest.mark.parametrize(
    "error",
    [
        InvalidField("OUT_OF_RANGE", "duration_s", "duration_s is 4, below 5", limit="5 to 240"),
        ResourceExhausted("POD_BUSY", "every slot is taken", retry_delay_s=1.5),
        FailedPrecondition("NOT_SAVED", "save the song first", metadata={"song_id": "7"}),
    ],
)
async def test_an_error_arrives_as_it_was_raised(mesh: Mesh, error: ServiceError) -> None:
    mesh.servicer.error = error
    for call in (review(mesh), _drain(mesh)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        arrived = error_from_rpc(caught.value)
        assert type(arrived) is type(error)
        assert vars(arrived) == vars(error)


@pytest.mark.parametrize("quoted", ["x", "ü", "\U0001f3b5"])
async def test_an_error_that_quotes_too_much_arrives_shortened(mesh: Mesh, quoted: str) -> None:
    mesh.servicer.error = error = InvalidField("MALFORMED", "theme", quoted * 50_000, limit="short")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await review(mesh)
    arrived = error_from_rpc(caught.value)
    assert (type(arrived), arrived.reason, arrived.metadata) == (InvalidField, "MALFORMED", error.metadata)
    assert arrived.message == quoted * (1024 // len(quoted.encode()))


async def _drain(mesh: Mesh) -> None:
    async for _ in mesh.stub.GenerateLyrics(pb.GenerateLyricsRequest(), timeout=5):
        pass


async def test_a_bad_field_is_also_a_bad_request_detail(mesh: Mesh) -> None:
    mesh.servicer.error = InvalidField("REQUIRED", "theme", "theme is empty")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await review(mesh)
    status = rpc_status.from_call(caught.value)  # it has what is read of a call
    assert status is not None
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    assert [v.field for v in bad.field_violations] == ["theme"]


async def test_a_defect_is_internal_and_tells_nothing(mesh: Mesh) -> None:
    mesh.servicer.error = RuntimeError("secret detail")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await review(mesh)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value.details())


async def test_cancelling_a_stream_closes_the_handler(mesh: Mesh) -> None:
    call = mesh.stub.GenerateLyrics(pb.GenerateLyricsRequest(), timeout=30)
    await call.read()
    call.cancel()
    await asyncio.wait_for(mesh.servicer.closed.wait(), 3)


async def test_a_deadline_ends_a_stream_on_both_sides(mesh: Mesh) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in mesh.stub.GenerateLyrics(pb.GenerateLyricsRequest(), timeout=0.2):
            pass
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(mesh.servicer.closed.wait(), 3)


async def test_what_is_left_of_a_deadline_travels_on_with_a_margin(mesh: Mesh) -> None:
    with deadline.deadline_in(2.0):
        await review(mesh, timeout=60)
    seen = mesh.servicer.seen_remaining_s
    assert seen is not None
    assert 1.0 < seen <= 2.0 - deadline.MARGIN_S


async def test_calls_are_counted_by_method_code_and_reason(mesh: Mesh) -> None:
    labels = {"service": NAME, "method": "ReviewLyrics", "code": "FAILED_PRECONDITION", "reason": "COUNTED"}
    mesh.servicer.error = FailedPrecondition("COUNTED", "for the count")
    with pytest.raises(grpc.aio.AioRpcError):
        await review(mesh)
    assert REGISTRY.get_sample_value("acesteps_grpc_handled_total", labels) == 1
    del labels["code"], labels["reason"]
    assert REGISTRY.get_sample_value("acesteps_grpc_in_flight", labels) == 0


async def test_an_idle_call_outlives_keepalive_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides' own settings, a hundred times as fast."""

    def hurried(options: Any) -> list[tuple[str, Any]]:
        pings = ("grpc.keepalive_time_ms", "grpc.http2.min_ping_interval_without_data_ms")
        return [(name, value // 100 if name in pings else value) for name, value in options]

    monkeypatch.setattr("services.common.server._OPTIONS", hurried(server_module._OPTIONS))
    # C core's clients send two pings without data, then one a minute: not for this one
    eager = ("grpc.http2.max_pings_without_data", 0)
    monkeypatch.setattr("services.common.channels._OPTIONS", [*hurried(channels_module._OPTIONS), eager])
    async with AsyncExitStack() as stack:
        mesh = await open_mesh(stack, SETTINGS, SETTINGS)
        mesh.servicer.silence_s = 4.0
        call = mesh.stub.GenerateLyrics(pb.GenerateLyricsRequest(), timeout=20)
        assert await call.read()
        assert await call.read()  # after a dozen pings in silence
        call.cancel()


async def test_a_message_that_is_too_long_is_not_taken_in() -> None:
    async with AsyncExitStack() as stack:
        short = SETTINGS.model_copy(update={"max_request_bytes": 2048})
        mesh = await open_mesh(stack, short, SETTINGS)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await mesh.stub.ReviewLyrics(pb.ReviewLyricsRequest(text="x" * 4096), timeout=5)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


class TestMutualTls:
    """Callers are known by the names on their certificates."""

    @pytest.fixture
    def authority(self, tmp_path: Any) -> Authority:
        return Authority(tmp_path)

    async def _call(self, server: ServiceSettings, client: ServiceSettings) -> None:
        async with AsyncExitStack() as stack:
            await review(await open_mesh(stack, server, client))

    async def test_a_listed_caller_is_let_in(self, authority: Authority) -> None:
        server = authority.settings("localhost", allowed_callers=("gateway.acesteps",))
        await self._call(server, authority.settings("gateway.acesteps"))

    async def test_a_caller_not_on_the_list_is_refused(self, authority: Authority) -> None:
        server = authority.settings("localhost", allowed_callers=("gateway.acesteps",))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self._call(server, authority.settings("lyrics.acesteps"))
        assert error_from_rpc(caught.value).reason == "CALLER_NOT_ALLOWED"

    async def test_a_caller_in_plaintext_or_of_another_authority_gets_no_connection(
        self, authority: Authority, tmp_path: Any
    ) -> None:
        server = authority.settings("localhost")
        (tmp_path / "other").mkdir()
        stranger = Authority(tmp_path / "other").settings("gateway.acesteps")
        trusting = stranger.model_copy(update={"tls_ca_file": server.tls_ca_file})
        for client in (SETTINGS, trusting):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await self._call(server, client)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
