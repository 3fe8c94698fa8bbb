"""OpenTelemetry traces: W3C context in call metadata, spans sent by OTLP when an endpoint is configured.

Configured by the standard OTEL_* variables; without OTEL_EXPORTER_OTLP_ENDPOINT spans only give logs ids.
"""

import os
from collections.abc import Iterable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

tracer = trace.get_tracer("acesteps")


def setup_tracing(service: str) -> TracerProvider:
    """The process's provider; shut it down at the end, so that the last spans leave."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"acesteps-{service}"}))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def context_of(metadata: Iterable[tuple[str, str | bytes]]) -> Context:
    """The caller's trace context, from call metadata."""
    return extract({key: value for key, value in metadata if isinstance(value, str)})


def trace_metadata() -> list[tuple[str, str]]:
    """Call metadata that carries the current trace context on."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return list(carrier.items())
