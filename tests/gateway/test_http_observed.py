"""What is seen of an HTTP request, whatever becomes of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import Response, StreamingResponse
from prometheus_client import REGISTRY

from services.gateway.faces.http_observed import Observed
from services.gateway.faces.problems import answer_with_problems
from tests.common.spans import Spans, ids, parent_of

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = {"traceparent": f"00-{TRACE}-{CALLER}-01", "baggage": "secret=1"}
PIECES, PAUSE_S = 3, 0.1


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    return Spans(monkeypatch)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    answer_with_problems(app)

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            await asyncio.sleep(PAUSE_S)
            yield b"x"

    @app.get("/things/{thing}")
    async def thing(thing: str) -> str:
        return thing

    @app.get("/broken/{thing}")
    async def broken(thing: str) -> None:
        raise RuntimeError("a secret")

    @app.get("/slow/{kind}/{part}")
    async def slow(kind: str, part: str) -> Response:
        return StreamingResponse(slowly(), media_type=f"{kind}/{part}")

    @app.get("/readyz")
    async def ready() -> str:
        return "yes"

    @app.get("/never")
    async def never() -> None:
        await asyncio.Event().wait()

    transport = httpx.ASGITransport(Observed(app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def counted(route: str, status: int, method: str = "GET") -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("acesteps_gateway_http_requests_total", labels) or 0.0


def seconds(route: str) -> tuple[float, float]:
    """(how many, how long together)"""
    labels: Mapping[str, str] = {"method": "GET", "route": route}
    name = "acesteps_gateway_http_request_seconds"
    number, total = (REGISTRY.get_sample_value(f"{name}_{part}", dict(labels)) for part in ("count", "sum"))
    return number or 0.0, total or 0.0


async def test_a_request_is_a_span_named_by_its_route_in_its_callers_trace(
    http: httpx.AsyncClient, spans: Spans
) -> None:
    answer = await http.get("/things/a-secret?query=a-secret", headers=TRACED)
    span = spans.one("GET /things/{thing}")
    assert (ids(span)[0], parent_of(span)) == (TRACE, CALLER)
    assert answer.headers["traceresponse"].split("-")[1:3] == list(ids(span))
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/things/{thing}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
    }
    assert "secret" not in span.to_json()
    assert span.status.is_unset


async def test_a_defect_is_answered_with_its_trace_counted_and_marked(
    http: httpx.AsyncClient, spans: Spans
) -> None:
    before = counted("/broken/{thing}", 500)
    answer = await http.get("/broken/x", headers=TRACED)
    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert answer.headers["traceresponse"].split("-")[1] == TRACE
    assert counted("/broken/{thing}", 500) == before + 1
    span = spans.one("GET /broken/{thing}")
    assert not span.status.is_ok
    assert (span.attributes or {})["error.type"] == "RuntimeError"
    assert "secret" not in span.to_json()


async def test_what_is_not_found_is_no_fault_of_ours_and_no_label_of_its_own(
    http: httpx.AsyncClient, spans: Spans
) -> None:
    before = counted("none", 404), counted("none", 404, "other")
    assert (await http.get("/made/up/by/a/stranger")).status_code == 404
    assert (await http.request("BREW", "/made/up")).status_code == 404
    assert (counted("none", 404), counted("none", 404, "other")) == (before[0] + 1, before[1] + 1)
    assert spans.one("GET").status.is_unset
    assert (spans.one("GET").attributes or {})["acesteps.reason"] == "ROUTE_NOT_FOUND"
    assert (spans.one("HTTP").attributes or {})["http.request.method"] == "_OTHER"


@pytest.mark.parametrize(
    ("media_type", "whole"),
    [("application/json", True), ("image/png", True), ("audio/mpeg", False), ("text/event-stream", False)],
)
async def test_what_lasts_as_long_as_somebody_listens_is_timed_to_its_head(
    media_type: str, whole: bool, http: httpx.AsyncClient
) -> None:
    route = "/slow/{kind}/{part}"
    number, before_s = seconds(route)
    assert (await http.get(f"/slow/{media_type}")).content == b"x" * PIECES
    after, total_s = seconds(route)
    assert after == number + 1
    assert (total_s - before_s >= PIECES * PAUSE_S) == whole


async def test_a_client_that_leaves_before_its_answer_is_counted_as_such(
    http: httpx.AsyncClient, spans: Spans
) -> None:
    before = counted("/never", 499), seconds("/never")[0]
    asking = asyncio.create_task(http.get("/never"))
    await asyncio.sleep(0.05)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert (counted("/never", 499), seconds("/never")[0]) == (before[0] + 1, before[1] + 1)
    assert spans.one("GET /never").end_time


async def test_probes_are_counted_but_never_traced(http: httpx.AsyncClient, spans: Spans) -> None:
    before = counted("/readyz", 200)
    answer = await http.get("/readyz", headers=TRACED)
    assert counted("/readyz", 200) == before + 1
    assert "traceresponse" not in answer.headers
    assert spans.named("GET /readyz") == spans.named("GET") == []


async def test_two_requests_of_one_connection_are_two_traces(http: httpx.AsyncClient, spans: Spans) -> None:
    for _ in range(2):
        await http.get("/things/x")
    first, second = spans.named("GET /things/{thing}")
    assert ids(first)[0] != ids(second)[0]
    assert parent_of(first) == parent_of(second) == ""
