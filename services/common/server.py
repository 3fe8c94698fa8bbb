"""How every service runs: gRPC with health, reflection and the interceptor; metrics; and a drain on SIGTERM.

Knows no service: each gives a `build` function that opens what it needs and returns its servicers.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from services.common.callers import AllowLists
from services.common.interceptor import CallInterceptor
from services.common.logs import setup_logs
from services.common.settings import ServiceSettings
from services.common.tls import server_credentials
from services.common.tracing import setup_tracing
from services.common.version import declare_build

_log = logging.getLogger(__name__)

S = TypeVar("S", bound=ServiceSettings)

_OPTIONS = (
    ("grpc.so_reuseport", 0),  # else two servers share a port and the second start shows no error
    ("grpc.keepalive_permit_without_calls", 1),
    # Below the 30 s at which our channels ping, or idle calls end in GOAWAY "too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    # Clients meet new replicas; calls that are running get the grace, longer than any song takes.
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 60 * 60_000),
    # Of one connection; a client that needs more opens another one.
    ("grpc.max_concurrent_streams", 1024),
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.absolute_max_metadata_size", 32 << 10),
)


@dataclass(frozen=True)
class GrpcService:
    """A servicer, ready to be added: `full_name` as in reflection, `add` binds it to a server.

    `callers`: the methods that are not for the service's allowed callers but for the names given here.
    """

    full_name: str
    add: Callable[[grpc.aio.Server], None]
    callers: Mapping[str, Collection[str]] = field(default_factory=dict)


class Health:
    """What probes see. "liveness" is up until `fail`; "" and "readiness" follow `set_ready`."""

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()
        # Set once SIGTERM has come: long streams end themselves, workers take nothing new.
        self.draining = asyncio.Event()
        self._ready = self._failed = False
        self._names: tuple[str, ...] = ("", "readiness")
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        return self._ready and not self.draining.is_set()

    def set_ready(self, ready: bool) -> None:
        """Call from the event loop."""
        self._ready = ready
        task = asyncio.get_running_loop().create_task(self._publish())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def fail(self) -> None:
        """The process cannot come right by itself and should be started anew. Call from the event loop."""
        self._failed = True
        self.set_ready(False)

    async def start(self, services: Sequence[str]) -> None:
        self._names = ("", "readiness", *services)
        await self._publish()

    async def drain(self) -> None:
        self.draining.set()
        await self.servicer.enter_graceful_shutdown()

    async def _publish(self) -> None:
        up = health_pb2.HealthCheckResponse.SERVING
        down = health_pb2.HealthCheckResponse.NOT_SERVING
        await self.servicer.set("liveness", down if self._failed else up)
        status = up if self._ready else down
        for name in self._names:
            await self.servicer.set(name, status)


Build = Callable[[S, AsyncExitStack, Health], Awaitable[Sequence[GrpcService]]]


def run_service(name: str, settings: S, build: Build[S]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A start that cannot succeed is one line and exit 2."""
    setup_logs(name, settings.log_level)
    provider = setup_tracing(name)
    declare_build(name)
    try:
        asyncio.run(_run(name, settings, build))
    except StartError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    finally:
        provider.shutdown()


class StartError(Exception):
    """Why a service cannot start, in one line that says what to do."""


async def _run(name: str, settings: S, build: Build[S]) -> None:
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    async with AsyncExitStack() as stack:
        health_ = Health()
        services = await build(settings, stack, health_)
        if settings.metrics_port:
            _start_metrics(settings)
        server = await start_server(settings, services, health_)
        if settings.health_port:
            probes = await start_health(settings, health_)
            stack.push_async_callback(probes.stop, 0)
        # What is loaded by now stays; going through it again would stop every call, for 50 ms each time.
        gc.freeze()
        await stopped.wait()
        _log.info("draining", extra={"grace_s": settings.drain_grace_s})
        await health_.drain()
        await asyncio.sleep(settings.drain_delay_s)
        await server.stop(settings.drain_grace_s)
    _log.info("stopped")


async def start_server(
    settings: ServiceSettings, services: Sequence[GrpcService], health_: Health
) -> grpc.aio.Server:
    server = grpc.aio.server(
        interceptors=[CallInterceptor(_allow_lists(settings, services))],
        options=(*_OPTIONS, ("grpc.max_receive_message_length", settings.max_request_bytes)),
    )
    for service in services:
        service.add(server)
    health_pb2_grpc.add_HealthServicer_to_server(health_.servicer, server)
    names = [service.full_name for service in services]
    reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    address = f"{settings.grpc_host}:{settings.grpc_port}"
    try:
        if settings.served_tls is not None:
            port = server.add_secure_port(address, server_credentials(settings.served_tls))
        else:
            port = server.add_insecure_port(address)
            if settings.tls is None:
                _log.warning("plaintext: fit for development only; no caller is known")
    except (OSError, ValueError) as error:
        raise StartError(f"TLS: {error}") from error
    except RuntimeError as error:
        raise StartError(f"cannot listen on {address} (is the port taken?)") from error
    await health_.start(names)
    await server.start()
    _log.info("serving", extra={"grpc": f"{settings.grpc_host}:{port}"})
    return server


def _allow_lists(settings: ServiceSettings, services: Sequence[GrpcService]) -> AllowLists:
    if settings.served_tls is None:  # nobody has a name
        return AllowLists()
    methods = {
        f"/{service.full_name}/{method}": frozenset(names)
        for service in services
        for method, names in service.callers.items()
    }
    return AllowLists(frozenset(settings.allowed_callers) or None, methods)


async def start_health(settings: ServiceSettings, health_: Health) -> grpc.aio.Server:
    """Health in plaintext on a port of its own."""
    server = grpc.aio.server(options=_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(health_.servicer, server)
    address = f"{settings.grpc_host}:{settings.health_port}"
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise StartError(f"cannot serve health on {address} (is the port taken?)") from error
    await server.start()
    return server


def _start_metrics(settings: ServiceSettings) -> None:
    try:
        start_http_server(settings.metrics_port, settings.metrics_host)
    except OSError as error:
        address = f"{settings.metrics_host}:{settings.metrics_port}"
        raise StartError(f"cannot serve metrics on {address}: {error.strerror}") from error
