"""A real OTLP collector over gRPC that keeps every span it is sent, by trace."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from deploy.local.ports import LOOPBACK

# Spans leave in batches; a test does not wait five seconds for one.
BATCH_EVERY_MS = 100
PATIENCE_S = 15.0


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    start_s: float
    end_s: float
    attributes: Mapping[str, object]
    # trace ids
    links: Sequence[str]
    # of its status; None: no error
    error: str | None
    # all that it holds, as it came
    text: str

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s


class Trace:
    """The spans of one trace, as far as they have come."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = spans
        self._by_id = {span.span_id: span for span in spans}

    @property
    def missing(self) -> int:
        """Parents that are not here: yet to come, dead, or of a caller who sends none."""
        return len({span.parent_id for span in self.spans} - {"", *self._by_id})

    def named(self, name: str, service: str = "") -> list[Span]:
        found = [s for s in self.spans if s.name == name and s.service.endswith(service)]
        return sorted(found, key=lambda span: span.start_s)

    def one(self, name: str, service: str = "") -> Span:
        (span,) = self.named(name, service)
        return span

    def path(self, span: Span) -> list[str]:
        """Names from the first span on down to this one."""
        above = self._by_id.get(span.parent_id)
        return [*(self.path(above) if above else []), span.name]


class Collector(rpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.port = 0
        self._spans: list[Span] = []
        self._news = threading.Condition()

    @property
    def environment(self) -> Mapping[str, str]:
        """What has a service send its spans here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:{self.port}",
            "OTEL_BSP_SCHEDULE_DELAY": str(BATCH_EVERY_MS),
        }

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:
        with self._news:
            self._spans += _spans(request)
            self._news.notify_all()
        return pb.ExportTraceServiceResponse()

    @property
    def spans(self) -> Sequence[Span]:
        with self._news:
            return tuple(self._spans)

    def trace(self, trace_id: str, whole: Callable[[Trace], object]) -> Trace:
        """The trace, once it has all that `whole` looks for. Blocks."""
        until = time.monotonic() + PATIENCE_S
        with self._news:
            while not whole(found := Trace([s for s in self._spans if s.trace_id == trace_id])):
                names = [f"{span.service}: {span.name}" for span in found.spans]
                assert self._news.wait(until - time.monotonic()), names
            return found


@contextmanager
def collecting() -> Iterator[Collector]:
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(4))
    rpc.add_TraceServiceServicer_to_server(collector, server)
    collector.port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()


def _spans(request: pb.ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = str(_values(resource.resource.attributes)["service.name"])
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    service=service,
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    kind=span.kind,
                    start_s=span.start_time_unix_nano / 1e9,
                    end_s=span.end_time_unix_nano / 1e9,
                    attributes=_values(span.attributes),
                    links=[link.trace_id.hex() for link in span.links],
                    error=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
                    text=str(span),
                )


def _values(attributes: Any) -> Mapping[str, object]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}
