"""Long HTTP answers: bodies that are made as they are read, byte ranges, and server-sent events.

A body whose source breaks ends abnormally, so that no client takes the part for the whole; one whose client
has gone is given up at once. Knows no song.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from services.common.errors import OutOfRange, ServiceError
from services.gateway.audio.download import Download
from services.gateway.faces.problems import problem

_log = logging.getLogger(__name__)

Headers = Mapping[str, str]
Body = AsyncGenerator[bytes]
# Says what the answer's headers are, once that can be known, and gives its body.
Open = Callable[[], Awaitable[tuple[Headers, Body]]]


class StreamedResponse(Response):
    """An answer that is opened and sent while its client is there."""

    def __init__(self, open_body: Open, *, status_code: int = 200) -> None:
        self._open = open_body
        self.status_code = status_code
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(scope, receive, send))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        try:
            headers, body = await self._open()
            async with aclosing(body):
                self.init_headers(headers)
                await send(
                    {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                )
                started = True
                async for piece in body:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ServiceError as error:
            # Once begun, all that can be said is said by not ending well: the server closes the connection.
            if not started:
                await problem(error)(scope, receive, send)
        except OSError:
            pass  # the client has gone
        except Exception:
            _log.exception("body broke")


class LaterResponse(Response):
    """An answer that takes a while to be found, for a client that may go meanwhile."""

    def __init__(self, find: Callable[[], Awaitable[Response]]) -> None:
        self._find = find
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        finding = asyncio.ensure_future(self._find())
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({finding, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not finding.done():
                return
        finally:
            finding.cancel()
            leaving.cancel()
            await asyncio.gather(finding, leaving, return_exceptions=True)
        try:
            response = finding.result()
        except ServiceError as error:
            response = problem(error)
        await response(scope, receive, send)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(frozen=True)
class _Range:
    start: int
    end: int


def _requested_range(header: str | None, size: int) -> _Range | None:
    """The one byte range asked for, or None for the whole (also for what RFC 9110 lets us ignore).

    Raises:
        OutOfRange: no byte of it exists.
    """
    match = re.fullmatch(r"bytes=\s*(\d*)\s*-\s*(\d*)\s*", header or "", re.ASCII)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:  # the last so many bytes
        start, end = max(0, size - int(last[:20])), size
    else:
        start, end = int(first[:20]), min(int(last[:20]) + 1, size) if last else size
    if first and last and int(last[:20]) < int(first[:20]):
        return None
    if start >= end:
        raise OutOfRange(
            "OUT_OF_RANGE",
            "no byte of that range exists",
            metadata={"field": "Range", "limit": f"0 to {size}"},
        )
    return _Range(start, end)


def file_response(request: Request, download: Download, headers: Headers) -> Response:
    """A file whole, in part (Range, If-Range) or not at all (HEAD, If-None-Match). See RFC 9110."""
    etag = f'"{download.etag}"'
    headers = {
        **headers,
        "Content-Type": download.media_type,
        "Accept-Ranges": "bytes",
        "ETag": etag,
    }
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=dict(headers))
    wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    try:
        part = _requested_range(wanted, download.size) if request.method == "GET" else None
    except OutOfRange as error:
        refusal = problem(error)
        refusal.headers["Content-Range"] = f"bytes */{download.size}"
        return refusal
    start, end = (part.start, part.end) if part else (0, download.size)
    headers["Content-Length"] = str(end - start)
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{download.size}"
    if request.method == "HEAD":
        return Response(status_code=200, headers=dict(headers))

    async def body() -> Body:
        async for piece in download.read(start, end):
            yield piece

    async def open_body() -> tuple[Headers, Body]:
        return headers, body()

    return StreamedResponse(open_body, status_code=206 if part else 200)


@dataclass(frozen=True)
class Event:
    """One server-sent event. `data` has no line breaks; `id` is empty where nothing can be resumed."""

    id: str
    name: str
    data: str

    def encode(self) -> bytes:
        resumable = f"id: {self.id}\n" if self.id else ""
        return f"{resumable}event: {self.name}\ndata: {self.data}\n\n".encode()


class EventStream(Response):
    """What a route of server-sent events answers, for its description."""

    media_type = "text/event-stream"


def event_stream(open_events: Callable[[], Awaitable[AsyncGenerator[Event]]], heartbeat_s: float) -> Response:
    """The events as they come. Errors of `open_events` are answers; later ones break the body."""

    async def open_body() -> tuple[Headers, Body]:
        body = with_heartbeats(await open_events(), heartbeat_s)
        return {"Content-Type": EventStream.media_type, "Cache-Control": "no-store"}, body

    return StreamedResponse(open_body)


async def with_heartbeats(events: AsyncGenerator[Event], every_s: float) -> Body:
    """The events as bytes, and a comment after every while of silence: proxies hang up on the silent."""
    yield b"retry: 1000\n\n"
    coming: asyncio.Task[Event] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(events))
            await asyncio.wait({coming}, timeout=every_s)
            if not coming.done():
                yield b": still here\n\n"
                continue
            try:
                event, coming = coming.result(), None
            except StopAsyncIteration:
                return
            yield event.encode()
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await events.aclose()
