"""What is sampled, and how calls are seen from the side that makes them."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from services.common import tracing
from services.common.errors import InvalidField
from tests.common.spans import Spans, ids, parent_of
from tests.common.test_calls import NAME, SETTINGS, Mesh, open_mesh, review

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with AsyncExitStack() as stack:
        yield await open_mesh(stack, SETTINGS, SETTINGS)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    return Spans(monkeypatch)


@pytest.mark.parametrize(
    ("environment", "sampled"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_TRACES_SAMPLER": "always_off"}, False),
        (ENDPOINT | {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, False),
        (
            ENDPOINT | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1"},
            True,
        ),
    ],
)
def test_the_environment_says_what_is_sampled(
    environment: dict[str, str], sampled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    provider = tracing.provider_of("gateway")
    context = provider.get_tracer("test").start_span("never ended, never sent").get_span_context()
    provider.shutdown()
    assert context.is_valid  # for the logs
    assert context.trace_flags.sampled == sampled
    assert provider.resource.attributes["service.name"] == "acesteps-gateway"


async def test_a_call_is_a_span_of_its_caller_and_one_of_its_callee(mesh: Mesh, spans: Spans) -> None:
    with tracing.span("above"):
        await review(mesh)
    name = f"{NAME}/ReviewLyrics"
    async with asyncio.timeout(5):
        while len(spans.named(name)) < 2:  # noqa: ASYNC110  # it sets no event
            await asyncio.sleep(0.01)
    client, server = spans.named(name)
    above = spans.one("above")
    assert (parent_of(client), parent_of(server)) == (ids(above)[1], ids(client)[1])
    assert {ids(span)[0] for span in (client, server)} == {ids(above)[0]}
    assert (client.attributes or {})["rpc.grpc.status_code"] == 0
    assert (client.attributes or {})["server.address"] == f"localhost:{mesh.port}"


async def test_a_refused_call_is_marked_on_both_sides_without_its_text(mesh: Mesh, spans: Spans) -> None:
    mesh.servicer.error = InvalidField("OUT_OF_RANGE", "theme", "a quoted secret", limit="short")
    with pytest.raises(grpc.aio.AioRpcError):
        await review(mesh)
    client, server = spans.named(f"{NAME}/ReviewLyrics")
    assert (client.status.description, server.status.description) == ("INVALID_ARGUMENT", "OUT_OF_RANGE")
    assert "secret" not in client.to_json() + server.to_json()


async def test_a_stream_that_is_cancelled_ends_its_span(mesh: Mesh, spans: Spans) -> None:
    call = mesh.stub.GenerateLyrics(pb.GenerateLyricsRequest(theme="x"), timeout=5)
    async for _ in call:
        break
    call.cancel()
    await asyncio.wait_for(mesh.servicer.closed.wait(), 5)
    async with asyncio.timeout(5):
        while len(spans.named(f"{NAME}/GenerateLyrics")) < 2:  # noqa: ASYNC110  # it sets no event
            await asyncio.sleep(0.01)
    assert {s.status.description for s in spans.named(f"{NAME}/GenerateLyrics")} == {"CANCELLED"}


async def test_a_stream_that_outlives_its_deadline_says_so(mesh: Mesh, spans: Spans) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        async for _ in mesh.stub.GenerateLyrics(pb.GenerateLyricsRequest(theme="x"), timeout=0.2):
            pass
    client = spans.named(f"{NAME}/GenerateLyrics")[0]
    assert client.status.description == "DEADLINE_EXCEEDED"


async def test_health_is_never_traced(mesh: Mesh, spans: Spans) -> None:
    stub = health_pb2_grpc.HealthStub(mesh.channel)
    await stub.Check(health_pb2.HealthCheckRequest(service="liveness"))
    await review(mesh)
    assert spans.named("grpc.health.v1.Health/Check") == []


def test_an_error_leaves_its_reason_and_not_its_text(spans: Spans) -> None:
    for error, told in (
        (InvalidField("MALFORMED", "theme", "a secret", limit="short"), "MALFORMED"),
        (ValueError("a secret"), "ValueError"),
        (asyncio.CancelledError("a secret"), "CANCELLED"),
    ):
        with pytest.raises(type(error)), tracing.span(told):
            raise error
        span = spans.one(told)
        assert (span.status.description, (span.attributes or {})["error.type"]) == (told, told)
        assert "secret" not in span.to_json()


@pytest.mark.parametrize(
    "traceparent", ["", "00-zz-zz-zz", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "\udcff"]
)
def test_what_is_no_trace_is_no_parent(traceparent: str, spans: Spans) -> None:
    with tracing.span("root", tracing.context_of([("traceparent", traceparent)])):
        tracing.link(traceparent)
    assert (parent_of(spans.one("root")), spans.one("root").links) == ("", ())
