"""Has the code under test record its spans, in this process and for one test."""

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

from services.common import tracing


class Spans:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        # A provider of the whole process could be set but once, and no test could undo it.
        monkeypatch.setattr(tracing.tracer, "_real_tracer", provider.get_tracer("test"))

    def named(self, name: str) -> list[ReadableSpan]:
        """Of those that have ended, in the order of their beginnings."""
        found = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return sorted(found, key=lambda span: span.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


def ids(span: ReadableSpan) -> tuple[str, str]:
    """Trace and span."""
    context = span.get_span_context()
    assert context is not None
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def parent_of(span: ReadableSpan) -> str:
    return format_span_id(span.parent.span_id) if span.parent is not None else ""
