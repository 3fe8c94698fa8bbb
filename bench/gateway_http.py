"""HTTP/1.1 as cheap as can be: one request after the other on a kept connection, bodies heard as they come.

For load that shares the machine with what it measures. Knows what our own gateway answers, and no more.
"""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from deploy.local.ports import LOOPBACK

Hear = Callable[[bytes], None]

# A chunk's length (RFC 9112 section 7.1), with the end of the chunk before.
_CHUNK = re.compile(rb"(?:\r\n)?([0-9a-fA-F]+)\r\n")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection(asyncio.Protocol):
    """Raises ConnectionError where an answer breaks off."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._ended: asyncio.Future[int] | None = None
        self._hear: Hear = lambda data: None
        self._clear()

    def _clear(self) -> None:
        self._rest, self._status, self._chunked, self._left = b"", 0, False, 0

    @classmethod
    async def open(cls, port: int) -> Self:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, LOOPBACK, port)
        return connection

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: bytes) -> Answer:
        pieces: list[bytes] = []
        status = await self.listen(request, pieces.append)
        return Answer(status, b"".join(pieces))

    async def listen(self, request: bytes, hear: Hear) -> int:
        """The status, once the whole body was given to `hear`."""
        if self._transport is None or self._ended is not None:
            raise ConnectionError("closed, or busy with another request")
        self._clear()
        self._hear = hear
        self._ended = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._ended
        finally:
            self._ended = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(ConnectionError("the answer broke off"))

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        position = 0
        if not self._status:
            position = data.find(b"\r\n\r\n") + 4
            if position < 4:
                self._rest = data
                return
            self._read_head(data[:position].lower().lstrip())
            if not self._chunked and not self._left:
                return self._end()
        while position < len(data):
            if self._left:
                piece = data[position : position + self._left]
                self._hear(piece)
                self._left -= len(piece)
                position += len(piece)
                if not self._left and not self._chunked:
                    return self._end()
                continue
            match = _CHUNK.match(data, position)
            if match is None:
                self._rest = data[position:]
                return
            self._left, position = int(match[1], 16), match.end()
            if not self._left:
                return self._end()

    def _read_head(self, head: bytes) -> None:
        self._status = int(head[9:12])
        self._chunked = b"\r\ntransfer-encoding: chunked" in head
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        self._left = int(length[1]) if length else 0

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(self._status)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode()


def post(path: str, message: Any) -> bytes:
    body = json.dumps(message).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
