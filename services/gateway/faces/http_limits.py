"""What surrounds every HTTP request: limits on its body, and a header on its answer.

Plain ASGI, so that streamed answers pass untouched.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.faces.problems import body_too_large, http_problem

# 20,000 characters of lyrics, each as long as JSON can make it (two escapes, 12 bytes), and the rest.
LARGEST_BODY_BYTES = 256 << 10


class BodyLimit:
    """Refuses bodies that are too large (at once where the length is announced, else when too much has come),
    that take too long, or that are no plain JSON."""

    def __init__(self, app: ASGIApp, *, within_s: float) -> None:
        self._app, self._within_s = app, within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced[:20]) > LARGEST_BODY_BYTES:
            return await _refuse(body_too_large(LARGEST_BODY_BYTES), scope, receive, send)
        brings_body = announced != "0" or "transfer-encoding" in headers
        if brings_body and (refusal := _no_json(headers)) is not None:
            return await _refuse(refusal, scope, receive, send)
        taken, whole, until = 0, False, asyncio.get_running_loop().time() + self._within_s

        async def counted() -> Message:
            nonlocal taken, whole
            try:
                async with asyncio.timeout_at(None if whole else until):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408, f"a body has to come within {self._within_s:g} seconds") from error
            taken += len(message.get("body", b""))
            whole = whole or not message.get("more_body", False)
            if taken > LARGEST_BODY_BYTES:
                raise body_too_large(LARGEST_BODY_BYTES)
            return message

        await self._app(scope, counted, send)


async def _refuse(error: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    """Without reading the body, so that the connection is of no more use."""
    answer = http_problem(error)
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


def _no_json(headers: Headers) -> HTTPException | None:
    """What is wrong with a body by what its headers say of it."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return HTTPException(415, "bodies are not compressed: send no content-encoding")
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        return HTTPException(415, "a body is JSON: send content-type: application/json")
    return None


class PlainAnswers:
    """Says on every answer that it is what its content type says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        await self._app(scope, receive, told)
