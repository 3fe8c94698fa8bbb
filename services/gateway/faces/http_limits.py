"""What surrounds every HTTP request: a limit on its body, and a count of it.

Plain ASGI, so that streamed answers pass untouched.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import metrics
from services.gateway.faces.problems import body_too_large, http_problem

# 20,000 characters of lyrics, each as long as JSON can make it (two escapes, 12 bytes), and the rest.
LARGEST_BODY_BYTES = 256 << 10


class BodyLimit:
    """Refuses larger bodies: at once where the length is announced, else when too much has come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced[:20]) > LARGEST_BODY_BYTES:
            return await http_problem(body_too_large(LARGEST_BODY_BYTES))(scope, receive, send)
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY_BYTES:
                raise body_too_large(LARGEST_BODY_BYTES)
            return message

        await self._app(scope, counted, send)


class RequestCounter:
    """Counts answers by method, route and status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                # Anyone can make up a method; a label value lives as long as the process.
                method = scope["method"] if scope["method"] in _METHODS else "other"
                metrics.HTTP_REQUESTS.labels(method, route, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
