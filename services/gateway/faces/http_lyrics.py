"""Routes of words without a song: write, review."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import Depends, FastAPI, Header
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.faces import http_songs
from services.gateway.faces.proto_models import json_of, request_of
from services.gateway.faces.routing import answers, caller_of, proto_response
from services.gateway.faces.streaming import Body, Event, EventStream, Headers, StreamedResponse, event_stream
from services.gateway.models import Account
from services.gateway.use_cases import UseCases


def add_lyrics(app: FastAPI, use_cases: UseCases) -> None:
    caller, words = caller_of(use_cases.accounts), use_cases.words

    written = answers(pb.WriteLyricsResponse)
    written[200]["content"] = {EventStream.media_type: {"schema": {"type": "string"}}}

    @app.post("/v1/lyrics", responses=written, tags=["lyrics"])
    async def write_lyrics(
        account: Annotated[Account, caller],
        request: Annotated[pb.WriteLyricsRequest, Depends(request_of(pb.WriteLyricsRequest))],
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """Writes words: the `result`, a document and its review.

        With `Accept: text/event-stream` as they are found: server-sent events `progress`, `line`, `section`,
        at last `result`, each with such a message. Whoever hangs up stops the writing.
        """
        if EventStream.media_type in accept:

            async def open_events() -> AsyncGenerator[Event]:
                return await _begun(words.write(account, request))

            return event_stream(open_events, http_songs.HEARTBEAT_S)

        async def open_body() -> tuple[Headers, Body]:
            # Made while the client is there, which a plain answer would not look at.
            response = await words.written(account, request)
            return {"Content-Type": "application/json"}, _whole(json_of(response))

        return StreamedResponse(open_body)

    @app.post("/v1/lyrics:review", responses=answers(pb.ReviewLyricsResponse), tags=["lyrics"])
    async def review_lyrics(
        account: Annotated[Account, caller],
        request: Annotated[pb.ReviewLyricsRequest, Depends(request_of(pb.ReviewLyricsRequest))],
    ) -> Response:
        """Judges words: what cannot be sung, scores, advice."""
        return proto_response(await words.review(account, request))


async def _whole(text: str) -> Body:
    yield text.encode()


async def _begun(written: AsyncGenerator[pb.WriteLyricsResponse]) -> AsyncGenerator[Event]:
    """The events, once there is a first: errors before it are answers, errors after it break the body."""
    try:
        first = await anext(written)
    except BaseException:
        await written.aclose()
        raise

    async def events() -> AsyncGenerator[Event]:
        async with aclosing(written):
            yield _event(first)
            async for response in written:
                yield _event(response)

    return events()


def _event(response: pb.WriteLyricsResponse) -> Event:
    return Event("", response.lyrics.WhichOneof("event") or "", json_of(response))
