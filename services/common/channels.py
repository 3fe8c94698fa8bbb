"""Client channels as every caller in the mesh opens them: keepalive, balancing, TLS when configured.

Carries the deadline and the trace of the call being served on to the callee; every call is a span of its own,
so that the way there and the wait at the callee can be seen. Knows no service.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
from grpc.aio import ClientCallDetails, Metadata
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from services.common.deadline import timeout_for_callee
from services.common.interceptor import EXEMPT
from services.common.renewing import RenewingChannel
from services.common.settings import ServiceSettings
from services.common.tls import Identity, IdentityFiles, channel_credentials
from services.common.tracing import failed, reason_of, trace_metadata, tracer

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
    options, interceptors = _OPTIONS, _interceptors(target)
    if server_name:
        options += (("grpc.ssl_target_name_override", server_name), ("grpc.default_authority", server_name))
    if settings.tls is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)

    def secure(identity: Identity) -> grpc.aio.Channel:
        credentials = channel_credentials(identity)
        return grpc.aio.secure_channel(target, credentials, options=options, interceptors=interceptors)

    return RenewingChannel(IdentityFiles(settings.tls), secure)


def _carry_on(details: ClientCallDetails, span: Span) -> ClientCallDetails:
    return ClientCallDetails(
        details.method,
        timeout_for_callee(details.timeout),
        Metadata(*(details.metadata or ()), *trace_metadata(span)),
        details.credentials,
        details.wait_for_ready,
    )


class _Calls:
    """The calls of one channel."""

    def __init__(self, target: str) -> None:
        self._target = target

    async def _made(self, continuation: _Continue, details: Any, request: Any) -> Any:
        """The call, under a span that ends with it, however that is."""
        span = self._span(details.method)
        try:
            call = await continuation(_carry_on(details, span), request)
        except BaseException as error:
            failed(span, reason_of(error))
            span.end()
            raise
        if span.is_recording():
            call.add_done_callback(partial(_end, span))
        return call

    def _span(self, method: bytes | str) -> Span:
        path = method.decode() if isinstance(method, bytes) else method
        if path.startswith(EXEMPT):
            return trace.INVALID_SPAN
        _, service, name = path.split("/", 2)
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": name,
            "server.address": self._target,
        }
        return tracer.start_span(path[1:], kind=SpanKind.CLIENT, attributes=attributes)


def _end(span: Span, call: Any) -> None:
    code = _code_of(call)
    span.set_attribute("rpc.grpc.status_code", code.value[0])
    if code is not grpc.StatusCode.OK:
        failed(span, code.name)
    span.end()


def _code_of(call: Any) -> grpc.StatusCode:
    """Of a call that is done, which has its code at hand: the coroutine that gives it does not wait."""
    asked = call.code()
    try:
        asked.send(None)
    except StopIteration as given:
        code: grpc.StatusCode = given.value
        return code
    asked.close()
    return grpc.StatusCode.UNKNOWN


# gRPC wants one class per shape of call; what they do is the same.


class _UnaryUnary(_Calls, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: _Continue, details: Any, request: Any) -> Any:
        return await self._made(continuation, details, request)


class _UnaryStream(_Calls, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: _Continue, details: Any, request: Any) -> Any:
        return await self._made(continuation, details, request)


class _StreamStream(_Calls, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: _Continue, details: Any, requests: Any) -> Any:
        return await self._made(continuation, details, requests)


def _interceptors(target: str) -> list[grpc.aio.ClientInterceptor]:
    return [_UnaryUnary(target), _UnaryStream(target), _StreamStream(target)]
