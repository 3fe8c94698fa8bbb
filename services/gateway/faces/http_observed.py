"""What is seen of every HTTP request: a span, a count, how long it took, and its trace's id in the answer.

Plain ASGI and outside of everything else, so that answers to defects of ours are seen too. A request is known
by its route's template only: paths hold the tokens of shared songs, queries signatures and search words.
"""

import time

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.tracing import context_of, exemplar, failed, reason_of, traceparent_of, tracer
from services.gateway import metrics

# Of the answer, as `traceparent` is of the request: what a person can quote when something went wrong.
TRACE_HEADER = "traceresponse"

_UNTRACED = frozenset({"/healthz", "/readyz"})
# Anyone can make up a method; a label's value lives as long as the process.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Answers that last as long as somebody listens.
_LASTING = ("audio/", "text/event-stream")
# No answer was begun: the client has gone, or a defect of ours was not even answered.
_LEFT, _BROKEN = 499, 500


class Observed:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        seen = _Seen(scope)

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.answered(message)
            await send(message)

        with trace.use_span(
            seen.span, end_on_exit=False, record_exception=False, set_status_on_exception=False
        ):
            try:
                await self._app(scope, receive, observed)
            except BaseException as error:
                seen.broke(error)
                raise
            finally:
                seen.ended()


class _Seen:
    """One request, from its arrival to the end of its answer."""

    def __init__(self, scope: Scope) -> None:
        self._scope, self._begun = scope, time.monotonic()
        self._method = scope["method"] if scope["method"] in _METHODS else "other"
        self._status: int | None = None
        self._timed = False
        self.span: Span = INVALID_SPAN
        if scope["path"] not in _UNTRACED:
            headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
            known = self._method != "other"
            self.span = tracer.start_span(
                self._method if known else "HTTP",
                context_of(headers),
                SpanKind.SERVER,
                {
                    "http.request.method": self._method if known else "_OTHER",
                    "url.scheme": scope["scheme"],
                    "network.protocol.version": scope["http_version"],
                },
            )

    @property
    def _route(self) -> str:
        return getattr(self._scope.get("route"), "path", "none")

    def answered(self, head: Message) -> None:
        """The answer begins."""
        headers = MutableHeaders(scope=head)
        if traceparent := traceparent_of(self.span):
            headers[TRACE_HEADER] = traceparent
        self._count(head["status"])
        if headers.get("content-type", "").startswith(_LASTING):
            self._time()

    def broke(self, error: BaseException) -> None:
        if self._status is None and isinstance(error, Exception):
            self._count(_BROKEN)
        failed(self.span, reason_of(error))

    def ended(self) -> None:
        if self._status is None:
            self._count(_LEFT)
        if not self._timed:
            self._time()
        self.span.end()

    def _count(self, status: int) -> None:
        self._status = status
        metrics.HTTP_REQUESTS.labels(self._method, self._route, str(status)).inc()
        if self.span.is_recording():
            self.span.set_attribute("http.response.status_code", status)
            if self._route != "none":
                self.span.set_attribute("http.route", self._route)
                self.span.update_name(f"{self._method} {self._route}")
            if status >= 500:
                failed(self.span, str(status))

    def _time(self) -> None:
        self._timed = True
        seconds = time.monotonic() - self._begun
        metrics.HTTP_SECONDS.labels(self._method, self._route).observe(seconds, exemplar(self.span))
