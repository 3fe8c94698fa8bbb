"""Clients that are slow, endless or no HTTP at all are dropped or told, and others are served meanwhile."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import pytest_asyncio

from deploy.local.postgres import Database
from tests.gateway.mesh import Gateway, mesh

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = b"Content-Type: application/json\r\n"
HEAD_S, BODY_S, CONNECTIONS = 0.6, 0.6, 30


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    async with mesh(new_database(), tmp_path_factory.mktemp("hostile")) as opened:
        yield await opened.open(http_head_s=HEAD_S, http_body_s=BODY_S, http_connections=CONNECTIONS)


class Raw:
    """A client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, gateway: Gateway) -> "Raw":
        return cls(*await asyncio.open_connection("127.0.0.1", gateway.settings.http_port))

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, within_s: float = 5.0) -> bytes:
        """All that comes until the connection is closed."""
        async with asyncio.timeout(within_s):
            return await self._rest()

    async def said(self) -> bytes:
        """All that comes before the server has been silent for a second."""
        return await self._rest(1.0)

    async def _rest(self, silence_s: float | None = None) -> bytes:
        got = b""
        with suppress(ConnectionError, TimeoutError):
            while piece := await asyncio.wait_for(self.reader.read(65_536), silence_s):
                got += piece
        self.writer.close()
        return got

    async def drip(self, piece: bytes, every_s: float, times: int) -> None:
        """Byte by byte, until it is hung up on."""
        try:
            for _ in range(times):
                await self.say(piece)
                await asyncio.sleep(every_s)
        except ConnectionError:
            pass


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def document_of(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    assert b"nosniff" in head
    return dict(json.loads(body))


async def served(gateway: Gateway) -> None:
    answer = await gateway.http.post("/v1/prompts:review", json={"prompt": "calm piano"})
    assert answer.status_code == 200


async def test_a_head_that_drips_is_cut_off_and_others_are_served(guarded: Gateway) -> None:
    slow = [await Raw.connect(guarded) for _ in range(12)]
    for raw in slow:
        await raw.say(b"GET /v1/songs HTTP/1.1\r\nHost: x\r\n")
    dripping = [asyncio.create_task(raw.drip(b"X-A: b\r\n", 0.1, 50)) for raw in slow]
    begun = time.monotonic()
    await served(guarded)
    answers = await asyncio.gather(*(raw.answer() for raw in slow))
    assert set(answers) == {b""}
    assert time.monotonic() - begun < 5
    await asyncio.gather(*dripping)


async def test_who_connects_and_says_nothing_is_hung_up_on(guarded: Gateway) -> None:
    raw = await Raw.connect(guarded)
    assert await raw.answer() == b""


async def test_a_second_head_on_a_kept_connection_has_its_time_too(guarded: Gateway) -> None:
    raw = await Raw.connect(guarded)
    await raw.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in await raw.reader.readuntil(b'alive"}')
    await raw.say(b"GET /healthz HT")
    assert await raw.answer() == b""


async def test_a_body_that_drips_is_told_and_cut_off(guarded: Gateway) -> None:
    raw = await Raw.connect(guarded)
    await raw.say(b"POST /v1/songs HTTP/1.1\r\nHost: x\r\n" + JSON + b"Content-Length: 1000\r\n\r\n{")
    dripping = asyncio.create_task(raw.drip(b" ", 0.1, 60))
    await served(guarded)
    answer = await raw.answer()
    assert document_of(answer)["reason"] == "BODY_TOO_SLOW"
    await dripping


async def test_a_body_that_nobody_reads_cannot_be_dripped_for_ever(guarded: Gateway) -> None:
    raw = await Raw.connect(guarded)
    await raw.say(b"POST /nowhere HTTP/1.1\r\nHost: x\r\n" + JSON + b"Content-Length: 1000\r\n\r\n{")
    dripping = asyncio.create_task(raw.drip(b" ", 0.1, 60))
    assert document_of(await raw.answer(8.0))["reason"] == "ROUTE_NOT_FOUND"
    await dripping


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        (b"Content-Type: text/plain\r\nContent-Length: 2", 415, "NOT_JSON"),
        (b"Content-Length: 2", 415, "NOT_JSON"),
        (b"Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2", 415, "NOT_JSON"),
        (b"Content-Type: application/json\r\nContent-Length: 300000", 413, "BODY_TOO_LARGE"),
        (b"Content-Type: application/json\r\nContent-Length: 99999999999999999999", 413, "BODY_TOO_LARGE"),
    ],
)
async def test_a_body_is_refused_by_its_headers(
    guarded: Gateway, headers: bytes, status: int, reason: str
) -> None:
    raw = await Raw.connect(guarded)
    await raw.say(b"POST /v1/songs HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n{}")
    answer = await raw.answer()
    assert (status_of(answer), document_of(answer)["reason"]) == (status, reason)


async def test_a_chunked_body_without_end_is_cut_off_at_the_limit(guarded: Gateway) -> None:
    raw = await Raw.connect(guarded)
    await raw.say(
        b"POST /v1/songs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    filling = asyncio.create_task(raw.drip(b"4000\r\n" + b" " * 0x4000 + b"\r\n", 0.0, 200))
    answer = await raw.answer()
    assert document_of(answer)["reason"] == "BODY_TOO_LARGE"
    await filling


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\x00B: c\r\n\r\n",
        b"POST /v1/songs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/songs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"POST /v1/songs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=[
        "bytes",
        "verb",
        "version",
        "header",
        "negative",
        "two lengths",
        "coding",
        "long header",
        "long path",
    ],
)
async def test_what_is_no_request_is_told_so_or_hung_up_on(guarded: Gateway, nonsense: bytes) -> None:
    raw = await Raw.connect(guarded)
    with suppress(ConnectionError):
        await raw.say(nonsense)
    answer = await raw.said()
    if answer:
        assert document_of(answer)["reason"] in ("MALFORMED", "ROUTE_NOT_FOUND")
    await served(guarded)


async def test_a_length_beside_chunks_hides_no_second_request(guarded: Gateway) -> None:
    """The shape of request smuggling. Nobody is before the gateway here who could read it otherwise: what
    counts is that it is no defect."""
    raw = await Raw.connect(guarded)
    await raw.say(
        b"POST /v1/prompts:review HTTP/1.1\r\nHost: x\r\n" + JSON + b"Content-Length: 6\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/songs HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    answer = await raw.said()
    assert answer.count(b"HTTP/1.1 ") <= 2
    assert b" 500 " not in answer


async def test_pipelined_requests_are_answered_in_order(guarded: Gateway) -> None:
    raw = await Raw.connect(guarded)
    await raw.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await raw.said()
    assert [int(a[:3]) for a in answer.split(b"HTTP/1.1 ")[1:]] == [200, 200, 200, 404]


async def test_more_connections_than_there_may_be_are_closed_and_the_others_work(guarded: Gateway) -> None:
    await served(guarded)  # its connection is kept
    crowd = [await Raw.connect(guarded) for _ in range(CONNECTIONS + 10)]
    closed = await asyncio.gather(*(raw.answer() for raw in crowd))
    assert set(closed) == {b""}
    await served(guarded)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" * 50_000, "MALFORMED"),
        (b'{"prompt":' * 20_000, "MALFORMED"),
        (b'{"prompt": "\xff\xfe"}', "MALFORMED"),
        (b"\xef\xbb\xbf{}", "REQUIRED"),
        (b'{"duration_s": 1' + b"0" * 5000 + b"}", None),
        (b'{"seed": 1e999, "prompt": "x"}', None),
        (b'{"prompt": "\\ud800"}', None),
        (b'{"prompt": NaN}', None),
        (b"null", None),
        (b'"x"', None),
        (b"", None),
    ],
)
async def test_json_that_was_made_to_hurt_is_refused(
    guarded: Gateway, body: bytes, reason: str | None
) -> None:
    answer = await guarded.http.post("/v1/songs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    document = answer.json()
    assert document["field"]
    assert document["limit"]
    assert reason in (None, document["reason"])
