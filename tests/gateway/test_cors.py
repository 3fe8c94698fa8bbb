"""Which pages may call the HTTP face from a browser, and what they may read of its answers."""

import httpx
import pytest
import pytest_asyncio

from tests.gateway.mesh import Gateway, Mesh

pytestmark = pytest.mark.asyncio(loop_scope="module")

STUDIO = "https://studio.example"
# What a page needs to go on listening, to download, to know what it has and when to ask again.
NEEDED = {"accept-ranges", "acesteps-attempt", "content-disposition", "content-range", "etag", "retry-after"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(shared_pods: Mesh) -> Gateway:
    return await shared_pods.open(workers=0, cors_origins=(STUDIO, "http://localhost:5173"))


async def preflight(gateway: Gateway, origin: str, method: str) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, content-type, last-event-id, range",
    }
    return await gateway.http.options("/v1/songs/x", headers=headers)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE"])
async def test_a_page_of_an_allowed_origin_may_use_every_method(gateway: Gateway, method: str) -> None:
    for origin in (STUDIO, "http://localhost:5173"):
        answer = await preflight(gateway, origin, method)
        assert answer.status_code == 200, answer.text
        assert answer.headers["access-control-allow-origin"] == origin
        assert method in answer.headers["access-control-allow-methods"].split(", ")
        allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "content-type", "last-event-id", "range"} <= set(allowed)


@pytest.mark.parametrize(
    ("origin", "method"),
    [
        ("https://evil.example", "GET"), ("https://studio.example.evil.example", "GET"),
        ("http://studio.example", "POST"), ("https://studio.example:8443", "POST"), ("null", "GET"),
        (STUDIO, "PUT"), (STUDIO, "TRACE"),
    ],
)  # fmt: skip
async def test_every_other_page_and_method_is_refused(gateway: Gateway, origin: str, method: str) -> None:
    answer = await preflight(gateway, origin, method)
    assert answer.status_code == 400
    if origin != STUDIO:
        assert "access-control-allow-origin" not in answer.headers


async def test_a_page_may_read_the_headers_that_it_needs_of_errors_too(gateway: Gateway) -> None:
    for path, status in (("/v1/songs", 200), ("/v1/songs/x/audio", 404)):
        answer = await gateway.http.get(path, headers={"Origin": STUDIO})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == STUDIO
        exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
        assert set(exposed) >= NEEDED
        assert answer.headers["vary"] == "Origin"
        stranger = await gateway.http.get(path, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_without_a_setting_no_page_of_another_origin_may_call(shared_pods: Mesh) -> None:
    closed = await shared_pods.open(workers=0)
    assert (await preflight(closed, STUDIO, "GET")).status_code == 400
