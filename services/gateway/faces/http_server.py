"""uvicorn inside the service's own loop: its socket is bound by us, its signals are not its business.

Knows ASGI and sockets. Binding first means that a port that is taken stops the start with one clear line.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from services.common.server import StartError
from services.gateway.faces.http_guard import Connection, Patience

KEEP_ALIVE_S = 75


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the process has its own way to drain


def _unfinished_is_meant(record: logging.LogRecord) -> bool:
    """Bodies that end abnormally on purpose are no error worth a line."""
    return "without completing response" not in record.getMessage()


@asynccontextmanager
async def serve_http(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    patience: Patience,
    draining: asyncio.Event,
    drain_delay_s: float,
    grace_s: float,
) -> AsyncIterator[int]:
    """Serves `app` and gives the port. Stops taking connections `drain_delay_s` after `draining` is set, and
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
        http=type("_Connection", (Connection,), {"patience": patience}),
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
