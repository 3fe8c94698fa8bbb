"""A connection whose client is too slow to say what it wants, to send it, or to take the answer is closed.

Subclasses uvicorn's protocol, which waits for all three without end and answers nonsense in plain text. Knows
bytes and time, and no request.
"""

import asyncio
import logging
from asyncio import transports
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.gateway.faces.problems import MEDIA_TYPE, nonsense

_log = logging.getLogger(__name__)

# After the body's own time, in which a polite answer is given.
BODY_LEEWAY_S = 2.0


@dataclass(frozen=True)
class Patience:
    """How long clients may take."""

    # for a request's head, from the connection or from the head's first byte
    head_s: float
    # then for its body
    body_s: float
    # until they take something of their answer
    answer_s: float
    # connections at once; more are closed
    connections: int


class Connection(H11Protocol):
    """Its `patience` is a subclass's."""

    patience: Patience

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.app = self._patient(self.app)
        self._deadline: asyncio.TimerHandle | None = None
        # h11's state of the client that the deadline is for
        self._awaited: object = None
        self._cutting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: transports.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if len(self.connections) >= self.patience.connections:
            transport.abort()
        super().connection_made(transport)
        self._await(h11.IDLE, self.patience.head_s)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        match self.conn.their_state:
            case h11.IDLE:
                self._await(h11.IDLE, self.patience.head_s)
            case h11.SEND_BODY:
                self._await(h11.SEND_BODY, self.patience.body_s + BODY_LEEWAY_S)
            case _:
                self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)
        if self._cutting is not None:
            self._cutting.cancel()

    def send_400_response(self, msg: str) -> None:
        document = nonsense(msg)
        head = h11.Response(
            status_code=400,
            headers=[
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", str(len(document)).encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"connection", b"close"),
            ],
            reason=b"Bad Request",
        )
        for event in (head, h11.Data(data=document), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._cut_later()

    def _await(self, part: object, within_s: float) -> None:
        """What is awaited already goes on being awaited: a byte now and then buys no time."""
        if self._awaited is part:
            return
        self._stop_waiting()
        self._awaited = part
        # An orderly close would wait for a client that reads nothing either.
        self._deadline = self.loop.call_later(within_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._awaited = None

    def _patient(self, app: Any) -> Any:
        """uvicorn's `send` waits while more than 64 KiB are not taken, for ever if need be, and an orderly
        close waits for the client to take what is left. So that and a piece are held at most, and so long."""

        async def patient(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            async def taken(message: ASGISendEvent) -> None:
                try:
                    async with asyncio.timeout(self.patience.answer_s):
                        await send(message)
                except TimeoutError as error:
                    _log.info("client takes nothing", extra={"path": scope.get("path", "")})
                    self.transport.abort()
                    raise ConnectionAbortedError("the client takes nothing") from error

            try:
                await app(scope, receive, taken)
            finally:
                self.loop.call_soon(self._cut_later)  # once uvicorn has closed, if it does

        return patient

    def _cut_later(self) -> None:
        """For a client that does not take the end of its answer either."""
        if self._cutting is None and self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._cutting = self.loop.call_later(self.patience.answer_s, self.transport.abort)
