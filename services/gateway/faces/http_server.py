"""uvicorn inside the service's own loop: its socket is bound by us, its signals are not its business.

Knows ASGI and sockets. Binding first means that a port that is taken stops the start with one clear line.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.common.server import StartError

_log = logging.getLogger(__name__)

KEEP_ALIVE_S = 75


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the process has its own way to drain


class _Connection(H11Protocol):
    """One that is cut when its client stops reading.

    uvicorn's `send` waits while more than 64 KiB are not taken, for ever if need be, and an orderly close
    waits for the client to take what is left. So that and one piece are held at most, and for so long.
    """

    patience_s: float

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        app = self.app

        async def patient(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            async def taken(message: ASGISendEvent) -> None:
                try:
                    async with asyncio.timeout(self.patience_s):
                        await send(message)
                except TimeoutError as error:
                    _log.info("client takes nothing", extra={"path": scope.get("path", "")})
                    self.transport.abort()
                    raise ConnectionAbortedError("the client takes nothing") from error

            try:
                await app(scope, receive, taken)
            finally:
                self.loop.call_soon(self._cut_later)  # once uvicorn has closed, if it does

        self.app = patient
        self._cutting: asyncio.TimerHandle | None = None

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._cut_later()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._cutting is not None:
            self._cutting.cancel()

    def _cut_later(self) -> None:
        """For a client that does not take the end of its answer either."""
        if self._cutting is None and self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._cutting = self.loop.call_later(self.patience_s, self.transport.abort)


def _unfinished_is_meant(record: logging.LogRecord) -> bool:
    """Bodies that end abnormally on purpose are no error worth a line."""
    return "without completing response" not in record.getMessage()


@asynccontextmanager
async def serve_http(
    app: FastAPI,
    host: str,
    port: int,
    *,
    client_patience_s: float,
    draining: asyncio.Event,
    drain_delay_s: float,
    grace_s: float,
) -> AsyncIterator[int]:
    """Serves `app` and gives the port. A client that takes nothing of its answer for `client_patience_s` is
    hung up on. Stops taking connections `drain_delay_s` after `draining` is set, and
    gives running requests `grace_s` more.

    Raises:
        StartError: the address cannot be bound.
    """
    try:
        listener = socket.create_server((host, port), family=_family(host), backlog=2048)
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port} (is the port taken?): {error.strerror}") from error
    # Connections inherit it; asyncio sets it only where it made the listener. With Nagle's algorithm a body
    # waits for the acknowledgement of its head, which clients delay by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        # h11 bounds the size of headers, which the faster parser does not
        http=type("_PatientConnection", (_Connection,), {"patience_s": client_patience_s}),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(grace_s)),
    )
    logging.getLogger("uvicorn.error").addFilter(_unfinished_is_meant)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))

    async def stop_when_draining() -> None:
        await draining.wait()
        await asyncio.sleep(drain_delay_s)
        server.should_exit = True

    stopping = asyncio.create_task(stop_when_draining())
    try:
        yield listener.getsockname()[1]
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving
        listener.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
