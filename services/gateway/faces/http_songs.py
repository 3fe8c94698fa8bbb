"""Routes of songs: make, read, list, watch, change, stop."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Query
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import InvalidField
from services.gateway.faces.proto_models import json_of, request_of
from services.gateway.faces.routing import answers, caller_of, proto_response, rate_limits
from services.gateway.faces.streaming import Event, EventStream, event_stream
from services.gateway.models import Account
from services.gateway.use_cases import UseCases

HEARTBEAT_S = 15.0


def add_songs(app: FastAPI, use_cases: UseCases) -> None:
    caller, songs = caller_of(use_cases.accounts), use_cases.songs
    allowances = use_cases.allowances

    @app.get("/v1/capabilities", responses=answers(pb.GetCapabilitiesResponse), tags=["prompts"])
    async def get_capabilities() -> Response:
        """Says what songs can be asked for here. For anyone."""
        return proto_response(await use_cases.capabilities.get(pb.GetCapabilitiesRequest()))

    @app.post("/v1/prompts:review", responses=answers(pb.ReviewPromptResponse), tags=["prompts"])
    async def review_prompt(
        account: Annotated[Account, caller],
        request: Annotated[pb.ReviewPromptRequest, Depends(request_of(pb.ReviewPromptRequest))],
    ) -> Response:
        """Says whether a prompt may be made into a song, and what would make it better."""
        return proto_response(await songs.review(account, request))

    @app.post("/v1/songs", status_code=201, responses=answers(pb.CreateSongResponse, 201), tags=["songs"])
    async def create_song(
        account: Annotated[Account, caller],
        request: Annotated[pb.CreateSongRequest, Depends(request_of(pb.CreateSongRequest))],
    ) -> Response:
        """Puts a song into the queue. Idempotent by `request_id`."""
        response = await songs.create(account, request)
        headers = {"Location": f"/v1/songs/{response.song.id}"}
        return proto_response(response, 201, headers | rate_limits(await allowances.left(account)))

    @app.get("/v1/songs", responses=answers(pb.ListSongsResponse), tags=["songs"])
    async def list_songs(
        account: Annotated[Account, caller],
        request: Annotated[pb.ListSongsRequest, Depends(request_of(pb.ListSongsRequest, query=True))],
    ) -> Response:
        """Lists the account's songs, newest first."""
        return proto_response(await songs.list(account, request))

    @app.get("/v1/songs/{song_id}", responses=answers(pb.GetSongResponse), tags=["songs"])
    async def get_song(account: Annotated[Account, caller], song_id: str) -> Response:
        """Reads a song."""
        return proto_response(await songs.get(account, pb.GetSongRequest(song_id=song_id)))

    @app.get("/v1/songs/{song_id}/events", tags=["songs"], response_class=EventStream)
    async def watch_song(
        account: Annotated[Account, caller],
        song_id: str,
        after_revision: Annotated[int, Query(ge=0, le=2**32 - 1)] = 0,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Server-sent events: the song after every change (`event: song`, `id:` its revision) until it ended.

        `Last-Event-ID` (or `after_revision`) resumes. A song that has ended and was seen so answers 204,
        which tells an EventSource to stop asking.
        """
        seen = after_revision if last_event_id is None else _revision(last_event_id)
        song = (await songs.get(account, pb.GetSongRequest(song_id=song_id))).song
        if song.revision == seen and song.state in _ENDED:
            return Response(status_code=204)
        watch = pb.WatchSongRequest(song_id=song_id, after_revision=seen)

        async def open_events() -> AsyncGenerator[Event]:
            return _events(songs.watch(account, watch))

        return event_stream(open_events, HEARTBEAT_S)

    @app.post("/v1/songs/{song_id}:cancel", responses=answers(pb.CancelSongResponse), tags=["songs"])
    async def cancel_song(
        account: Annotated[Account, caller],
        request: Annotated[
            pb.CancelSongRequest, Depends(request_of(pb.CancelSongRequest, path=("song_id",)))
        ],
    ) -> Response:
        """Stops a song. One that has ended is left as it is."""
        return proto_response(await songs.cancel(account, request))


_ENDED = (pb.SONG_STATE_SUCCEEDED, pb.SONG_STATE_FAILED, pb.SONG_STATE_CANCELLED)


def _revision(last_event_id: str) -> int:
    if not re.fullmatch(r"\d{1,9}", last_event_id, re.ASCII):
        raise InvalidField("MALFORMED", "Last-Event-ID", "Last-Event-ID is none of ours", limit="a revision")
    return int(last_event_id)


async def _events(changes: AsyncGenerator[pb.WatchSongResponse]) -> AsyncGenerator[Event]:
    async with aclosing(changes):
        async for change in changes:
            yield Event(str(change.song.revision), "song", json_of(change.song))
