"""OpenTelemetry traces: W3C context in calls, requests and rows; spans sent by OTLP where an endpoint is set.

Configured by the standard OTEL_* variables; without an endpoint nothing is recorded and spans only give logs
their ids. Spans carry ids, never prompts, lyrics or keys: an error leaves its reason, never its text.
"""

import asyncio
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.common.version import VERSION

tracer = trace.get_tracer("acesteps")

# Nothing but traceparent and tracestate: a stranger's baggage is not carried through the mesh.
_W3C = TraceContextTextMapPropagator()
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def setup_tracing(service: str) -> TracerProvider:
    """The process's provider; shut it down at the end, so that the last spans leave."""
    provider = provider_of(service)
    trace.set_tracer_provider(provider)
    return provider


def provider_of(service: str) -> TracerProvider:
    """As the environment says."""
    sends = any(map(os.environ.get, _ENDPOINTS)) and os.environ.get("OTEL_TRACES_EXPORTER") != "none"
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or f"acesteps-{service}",
            "service.version": VERSION,
            "service.instance.id": socket.gethostname(),
        }
    )
    # No sampler given: OTEL_TRACES_SAMPLER's.
    provider = TracerProvider(None if sends else ALWAYS_OFF, resource)
    if sends:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def context_of(fields: Iterable[tuple[str, str | bytes]]) -> Context:
    """The caller's trace context, from call metadata or HTTP headers (names in lower case)."""
    # From an empty context: what the task was begun in is another request's.
    return _W3C.extract({name: value for name, value in fields if isinstance(value, str)}, Context())


def trace_metadata(span: Span | None = None) -> list[tuple[str, str]]:
    """Call metadata that carries the trace on, from `span` or else from the current one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, None if span is None else trace.set_span_in_context(span, Context()))
    return list(carrier.items())


def traceparent_of(span: Span) -> str:
    """The W3C `traceparent` of what is done beneath `span`; "" where there is no trace."""
    return dict(trace_metadata(span)).get("traceparent", "")


def link(traceparent: str) -> None:
    """Has the current span point to another one, mostly of another trace. "" names none."""
    context = trace.get_current_span(context_of([("traceparent", traceparent)])).get_span_context()
    if context.is_valid:
        trace.get_current_span().add_link(context)


@contextmanager
def span(
    name: str,
    parent: Context | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, str | int | float] | None = None,
) -> Iterator[Span]:
    """A current span around what is done within; an error that leaves it is marked by its reason."""
    opened = tracer.start_span(name, parent, kind, attributes)
    with trace.use_span(opened, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield opened
        except BaseException as error:
            failed(opened, reason_of(error))
            raise


def failed(span: Span, reason: str) -> None:
    span.set_attribute("error.type", reason)
    span.set_status(trace.StatusCode.ERROR, reason)


def reason_of(error: BaseException) -> str:
    """What may be told of an error: a reason of ours, or its kind. Its text may quote what was asked for."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "CANCELLED"
    return str(getattr(error, "reason", "")) or type(error).__name__


def exemplar(span: Span | None = None) -> dict[str, str] | None:
    """What leads from a measurement to its trace; None where that is not sampled."""
    context = (span or trace.get_current_span()).get_span_context()
    return {"trace_id": trace.format_trace_id(context.trace_id)} if context.trace_flags.sampled else None
