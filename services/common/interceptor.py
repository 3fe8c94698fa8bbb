"""The one server interceptor: caller, deadline, trace span, metrics and error mapping of every call.

Knows no service. Health and reflection pass untouched: probes send no deadline.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status
from opentelemetry import context as otel_context
from opentelemetry import trace
from prometheus_client import Counter, Gauge, Histogram

from services.common import deadline
from services.common.callers import AllowLists, names_of, shown
from services.common.errors import (
    Internal,
    InvalidField,
    InvalidRequest,
    PermissionDenied,
    ServiceError,
    status_of,
)
from services.common.tracing import context_of, exemplar, failed, tracer

_log = logging.getLogger(__name__)

EXEMPT = ("/grpc.health.v1.", "/grpc.reflection.")

_LABELS = ("service", "method")
STARTED = Counter("acesteps_grpc_started_total", "Calls begun.", _LABELS)
HANDLED = Counter(
    "acesteps_grpc_handled_total", "Calls ended, by status code and reason.", (*_LABELS, "code", "reason")
)
IN_FLIGHT = Gauge("acesteps_grpc_in_flight", "Calls being served.", _LABELS)
SECONDS = Histogram(
    "acesteps_grpc_handling_seconds",
    "From a call's arrival to its end.",
    _LABELS,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)

Context = grpc.aio.ServicerContext[Any, Any]


class CallInterceptor(grpc.aio.ServerInterceptor):
    def __init__(self, allow_lists: AllowLists | None = None) -> None:
        """Without lists, every caller may call that the transport let in."""
        self._allow_lists = allow_lists or AllowLists()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(EXEMPT):
            return handler
        call = _Call(handler_call_details, self._allow_lists)
        coders = handler.request_deserializer, handler.response_serializer
        told = _telling(handler.request_deserializer), handler.response_serializer
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(call.unary(handler.unary_unary), *told)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(call.streaming(handler.unary_stream), *told)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(call.unary(handler.stream_unary), *coders)
        return grpc.stream_stream_rpc_method_handler(call.streaming(handler.stream_stream), *coders)


class _Unreadable:
    """In place of a request whose bytes are no message of its type."""


def _telling(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """The same reader for one request; what cannot be read is told by us: gRPC's own error has no type."""

    def read_or_tell(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return _Unreadable()

    return read_or_tell


def _readable(request: Any) -> Any:
    """Raises InvalidField (MALFORMED)."""
    if isinstance(request, _Unreadable):
        limit = "a serialised message of the method's request type"
        raise InvalidField("MALFORMED", "request", "the request is no message of its type", limit=limit)
    return request


class _Call:
    """What surrounds one call."""

    def __init__(self, details: grpc.HandlerCallDetails, allow_lists: AllowLists) -> None:
        self._metadata = tuple(details.invocation_metadata or ())
        _, self._service, self._method = details.method.split("/", 2)
        self._path, self._allow_lists = details.method, allow_lists

    def unary(
        self, inner: Callable[[Any, Context], Awaitable[Any]]
    ) -> Callable[[Any, Context], Awaitable[Any]]:
        async def behaviour(request: Any, context: Context) -> Any:
            async with self._around(context):
                return await inner(_readable(request), context)

        return behaviour

    def streaming(
        self, inner: Callable[[Any, Context], AsyncGenerator[Any]]
    ) -> Callable[[Any, Context], AsyncIterator[Any]]:
        async def behaviour(request: Any, context: Context) -> AsyncIterator[Any]:
            async with self._around(context), aclosing(inner(_readable(request), context)) as responses:
                async for response in responses:
                    yield response

        return behaviour

    @asynccontextmanager
    async def _around(self, context: Context) -> AsyncIterator[None]:
        labels, begun = (self._service, self._method), time.monotonic()
        span = tracer.start_span(
            f"{self._service}/{self._method}",
            context_of(self._metadata),
            kind=trace.SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": self._service, "rpc.method": self._method},
        )
        # Every call runs in a task of its own, whose context ends with it: nothing to detach.
        otel_context.attach(trace.set_span_in_context(span))
        STARTED.labels(*labels).inc()
        IN_FLIGHT.labels(*labels).inc()
        code, reason = grpc.StatusCode.OK, ""
        try:
            self._admit(context)
            yield
        except ServiceError as error:
            code, reason = error.code, error.reason
            await context.abort_with_status(rpc_status.to_status(status_of(error)))
        except (asyncio.CancelledError, GeneratorExit):
            left = context.time_remaining()
            expired = left is not None and left <= 0
            code = grpc.StatusCode.DEADLINE_EXCEEDED if expired else grpc.StatusCode.CANCELLED
            raise
        except Exception:
            code, reason = grpc.StatusCode.INTERNAL, "INTERNAL"
            _log.exception("call failed", extra={"method": f"{self._service}/{self._method}"})
            internal = Internal(reason, "internal error; the log of the service has the details")
            await context.abort_with_status(rpc_status.to_status(status_of(internal)))
        finally:
            HANDLED.labels(*labels, code.name, reason).inc()
            IN_FLIGHT.labels(*labels).dec()
            SECONDS.labels(*labels).observe(time.monotonic() - begun, exemplar(span))
            span.set_attribute("rpc.grpc.status_code", code.value[0])
            if code is not grpc.StatusCode.OK:
                failed(span, reason or code.name)
            span.end()

    def _admit(self, context: Context) -> None:
        """Raises PermissionDenied for a caller not on the list, InvalidRequest without a deadline."""
        if not self._allow_lists.admits(self._path, names := names_of(context)):
            _log.warning("caller not allowed", extra={"method": self._path, "caller": shown(names)})
            raise PermissionDenied(
                "CALLER_NOT_ALLOWED", "the caller's certificate is not on the allow-list of this method"
            )
        left = context.time_remaining()
        if left is None:
            raise InvalidRequest("DEADLINE_REQUIRED", "the call has no deadline; set one")
        deadline.enter(left)
