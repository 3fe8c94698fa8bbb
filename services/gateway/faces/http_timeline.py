"""Routes of a song's timeline: JSON, LRC and MIDI that a browser may keep."""

from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import InvalidField
from services.gateway.audio.download import Download
from services.gateway.faces.http_audio import disposition
from services.gateway.faces.proto_models import json_of
from services.gateway.faces.routing import answers, caller_of
from services.gateway.faces.streaming import file_response
from services.gateway.models import Account
from services.gateway.timeline.timelines import FORMAT_NAMES, FORMATS, TimelineFormat, Told
from services.gateway.use_cases import UseCases

# The title in it may change, and whether the caller may still see it is asked each time.
_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Accept"}
_NUMBERS = {
    TimelineFormat.JSON: pb.TIMELINE_FORMAT_UNSPECIFIED,
    TimelineFormat.LRC: pb.TIMELINE_FORMAT_LRC,
    TimelineFormat.MIDI: pb.TIMELINE_FORMAT_MIDI,
}
_SUFFIXES = {TimelineFormat.LRC: "lrc", TimelineFormat.MIDI: "mid"}
_ANSWERS = answers(music_pb.Timeline)
_ANSWERS[200]["content"] = {
    TimelineFormat.LRC.media_type: {"schema": {"type": "string"}},
    TimelineFormat.MIDI.media_type: {"schema": {"type": "string", "format": "binary"}},
}


def asked_timeline(
    request: Request,
    timeline_format: Annotated[
        str, Query(alias="format", json_schema_extra={"enum": [f.value for f in TimelineFormat]})
    ] = "",
    words: Annotated[bool, Query()] = False,
) -> pb.GetTimelineRequest:
    """A FastAPI dependency: all but whose timeline it is. Raises InvalidField."""
    wanted = timeline_format or _accepted(request.headers.get("accept", ""))
    if wanted not in list(TimelineFormat):
        raise InvalidField("UNKNOWN_VALUE", "format", "format is not known", limit=FORMAT_NAMES)
    return pb.GetTimelineRequest(format=_NUMBERS[TimelineFormat(wanted)], words=words)


def _accepted(accept: str) -> TimelineFormat:
    """The first format that the header names outright; JSON for everything else."""
    named = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    known = {one.media_type: one for one in TimelineFormat} | {"text/plain": TimelineFormat.LRC}
    return next((known[name] for name in named if name in known), TimelineFormat.JSON)


Asked = Annotated[pb.GetTimelineRequest, Depends(asked_timeline)]


def add_timeline(app: FastAPI, use_cases: UseCases) -> None:
    caller, timelines = caller_of(use_cases.accounts), use_cases.timelines

    @app.head("/v1/songs/{song_id}/timeline", include_in_schema=False)
    @app.get("/v1/songs/{song_id}/timeline", responses=_ANSWERS, tags=["audio"])
    async def get_timeline(
        request: Request, account: Annotated[Account, caller], song_id: str, asked: Asked
    ) -> Response:
        """When what is heard in a finished song: sections, chords, every line and syllable.

        As JSON, as LRC (`words=true`: with the times of words) or as a MIDI file of all parts, by `format`
        or `Accept`. A song whose engine knows nothing of its time answers 404, TIMELINE_UNKNOWN.
        """
        asked.song_id = song_id
        return _answer(request, await timelines.of_account(account, asked), asked)

    @app.head("/v1/shared/{share_token}/timeline", include_in_schema=False)
    @app.get("/v1/shared/{share_token}/timeline", responses=_ANSWERS, tags=["sharing"])
    async def get_shared_timeline(request: Request, share_token: str, asked: Asked) -> Response:
        """The timeline of a song that was shared, in the same formats."""
        asked.share_token = share_token
        return _answer(request, await timelines.of_anyone(asked), asked)


def _answer(request: Request, told: Told, asked: pb.GetTimelineRequest) -> Response:
    response, wanted = told.response, FORMATS[asked.format]
    if wanted is TimelineFormat.JSON:
        download = Download.of(wanted.media_type, json_of(response.timeline).encode())
        return file_response(request, download, _HEADERS)
    named = {"Content-Disposition": disposition(f"{told.title}.{_SUFFIXES[wanted]}", download=False)}
    return file_response(request, Download.of(response.media_type, response.file), _HEADERS | named)
