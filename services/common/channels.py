"""Client channels as every caller in the mesh opens them: keepalive, balancing, TLS when configured.

Carries the deadline and the trace of the call being served on to the callee. Knows no service.
"""

import json
from collections.abc import Callable
from typing import Any

import grpc
from grpc.aio import ClientCallDetails, Metadata

from services.common.deadline import timeout_for_callee
from services.common.renewing import RenewingChannel
from services.common.settings import ServiceSettings
from services.common.tls import Identity, IdentityFiles, channel_credentials
from services.common.tracing import trace_metadata

_Continue = Callable[..., Any]

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "readiness"},
}

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # A peer that comes back after a restart is found within a second, not after minutes of backoff.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


def open_channel(target: str, settings: ServiceSettings, *, server_name: str = "") -> grpc.aio.Channel:
    """A channel to `target` ("host:port" or "dns:///name:port"); close it when done.

    `server_name`: the name that the server's certificate has to have, where it is not the target's.

    Raises:
        OSError, ValueError: the TLS files cannot be used.
    """
    options = _OPTIONS
    if server_name:
        options += (("grpc.ssl_target_name_override", server_name), ("grpc.default_authority", server_name))
    if settings.tls is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=_interceptors())

    def secure(identity: Identity) -> grpc.aio.Channel:
        credentials = channel_credentials(identity)
        return grpc.aio.secure_channel(target, credentials, options=options, interceptors=_interceptors())

    return RenewingChannel(IdentityFiles(settings.tls), secure)


def _carry_on(details: ClientCallDetails) -> ClientCallDetails:
    return ClientCallDetails(
        details.method,
        timeout_for_callee(details.timeout),
        Metadata(*(details.metadata or ()), *trace_metadata()),
        details.credentials,
        details.wait_for_ready,
    )


# gRPC wants one class per shape of call; what they do is the same.


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: _Continue, details: Any, request: Any) -> Any:
        return await continuation(_carry_on(details), request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: _Continue, details: Any, request: Any) -> Any:
        return await continuation(_carry_on(details), request)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: _Continue, details: Any, requests: Any) -> Any:
        return await continuation(_carry_on(details), requests)


def _interceptors() -> list[grpc.aio.ClientInterceptor]:
    return [_UnaryUnary(), _UnaryStream(), _StreamStream()]
