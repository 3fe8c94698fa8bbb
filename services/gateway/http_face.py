"""The HTTP face: REST, server-sent events and progressive audio over the use cases. OpenAPI at /docs.

Knows paths, headers and who is calling; messages are the protos' (`proto_models`), errors are `problems`.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, Response
from google.protobuf.message import Message

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import FailedPrecondition, InvalidField, NotFound, Unavailable
from services.common.server import Health
from services.gateway import metrics
from services.gateway.accounts import Accounts
from services.gateway.http_limits import BodyLimit, RequestCounter
from services.gateway.models import Account, AudioFormat, Song
from services.gateway.problems import Problem, answer_with_problems
from services.gateway.proto_models import json_of, model_of, request_of
from services.gateway.songs import Songs
from services.gateway.streaming import Body, Event, Headers, StreamedResponse, file_response, with_heartbeats

HEARTBEAT_S = 15.0
# Of a song's attempt that the body's bytes belong to; a listener that resumes gives it back.
ATTEMPT_HEADER = "Acesteps-Attempt"
_EXPOSED = ("Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Location", ATTEMPT_HEADER)
# Pinned files are shown by anyone: nothing in them may run.
_PINNED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=29030400, immutable",
}


def proto_response(
    message: Message, status_code: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(json_of(message), status_code, headers, "application/json")


def create_app(
    songs: Songs, accounts: Accounts, health: Health, *, cors_origins: Sequence[str], public_url: str = ""
) -> FastAPI:
    app = FastAPI(
        title="AceSteps",
        version="1",
        description=(
            "Turns a prompt into a song. The same use cases over gRPC: `acesteps.gateway.v1.GatewayService`. "
            "Messages are the proto3 JSON mapping of its protos; errors are RFC 9457 problem documents."
        ),
        servers=[{"url": public_url}] if public_url else None,
        docs_url=None,
        redirect_slashes=False,
        redoc_url=None,
        responses={"default": {"model": Problem, "description": "A problem document (RFC 9457)"}},
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(cors_origins),
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["*"],
        expose_headers=list(_EXPOSED),
    )
    app.add_middleware(RequestCounter)
    answer_with_problems(app)
    _add_songs(app, songs, accounts)
    _add_audio(app, songs, accounts)
    _add_public(app, songs, health)
    return app


def _caller(accounts: Accounts) -> Any:
    async def authenticate(request: Request) -> Account:
        return await accounts.authenticate(request.headers)

    return Depends(authenticate)


def _answers(message: type[Message], status: int = 200) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": model_of(message.DESCRIPTOR)}}


def _add_songs(app: FastAPI, songs: Songs, accounts: Accounts) -> None:
    caller = _caller(accounts)

    @app.post("/v1/prompts:review", responses=_answers(pb.ReviewPromptResponse), tags=["prompts"])
    async def review_prompt(
        account: Annotated[Account, caller],
        request: Annotated[pb.ReviewPromptRequest, Depends(request_of(pb.ReviewPromptRequest))],
    ) -> Response:
        """Says whether a prompt may be made into a song, and what would make it better."""
        return proto_response(await songs.review(account, request))

    @app.post("/v1/songs", status_code=201, responses=_answers(pb.CreateSongResponse, 201), tags=["songs"])
    async def create_song(
        account: Annotated[Account, caller],
        request: Annotated[pb.CreateSongRequest, Depends(request_of(pb.CreateSongRequest))],
    ) -> Response:
        """Puts a song into the queue. Idempotent by `request_id`."""
        response = await songs.create(account, request)
        return proto_response(response, 201, {"Location": f"/v1/songs/{response.song.id}"})

    @app.get("/v1/songs", responses=_answers(pb.ListSongsResponse), tags=["songs"])
    async def list_songs(
        account: Annotated[Account, caller],
        request: Annotated[pb.ListSongsRequest, Depends(request_of(pb.ListSongsRequest, query=True))],
    ) -> Response:
        """Lists the account's songs, newest first."""
        return proto_response(await songs.list(account, request))

    @app.get("/v1/songs/{song_id}", responses=_answers(pb.GetSongResponse), tags=["songs"])
    async def get_song(account: Annotated[Account, caller], song_id: str) -> Response:
        """Reads a song."""
        return proto_response(await songs.get(account, pb.GetSongRequest(song_id=song_id)))

    @app.get("/v1/songs/{song_id}/events", tags=["songs"], response_class=_EventStream)
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

        async def open_body() -> tuple[Headers, Body]:
            body = with_heartbeats(_events(songs.watch(account, watch)), HEARTBEAT_S)
            return {"Content-Type": _EventStream.media_type, "Cache-Control": "no-store"}, body

        return StreamedResponse(open_body)

    @app.post("/v1/songs/{song_id}:cancel", responses=_answers(pb.CancelSongResponse), tags=["songs"])
    async def cancel_song(
        account: Annotated[Account, caller],
        request: Annotated[
            pb.CancelSongRequest, Depends(request_of(pb.CancelSongRequest, path=("song_id",)))
        ],
    ) -> Response:
        """Stops a song. One that has ended is left as it is."""
        return proto_response(await songs.cancel(account, request))

    @app.post("/v1/songs/{song_id}:save", responses=_answers(pb.SaveSongResponse), tags=["mint"])
    async def save_song(
        account: Annotated[Account, caller],
        request: Annotated[pb.SaveSongRequest, Depends(request_of(pb.SaveSongRequest, path=("song_id",)))],
    ) -> Response:
        """Builds and pins the song's metadata and gets the permit to mint it. Repeatable."""
        return proto_response(await songs.save(account, request))

    @app.get("/v1/songs/{song_id}/mint", responses=_answers(pb.GetMintResponse), tags=["mint"])
    async def get_mint(account: Annotated[Account, caller], song_id: str) -> Response:
        """Gives the transaction that mints a saved song."""
        return proto_response(await songs.mint(account, pb.GetMintRequest(song_id=song_id)))


class _EventStream(Response):
    media_type = "text/event-stream"


_ENDED = (pb.SONG_STATE_SUCCEEDED, pb.SONG_STATE_FAILED, pb.SONG_STATE_CANCELLED)


def _revision(last_event_id: str) -> int:
    if not re.fullmatch(r"\d{1,9}", last_event_id, re.ASCII):
        raise InvalidField("MALFORMED", "Last-Event-ID", "Last-Event-ID is none of ours", limit="a revision")
    return int(last_event_id)


async def _events(changes: AsyncGenerator[pb.WatchSongResponse]) -> AsyncGenerator[Event]:
    async with aclosing(changes):
        async for change in changes:
            yield Event(str(change.song.revision), "song", json_of(change.song))


def _add_audio(app: FastAPI, songs: Songs, accounts: Accounts) -> None:
    caller = _caller(accounts)

    @app.head("/v1/songs/{song_id}/audio", include_in_schema=False)
    @app.get("/v1/songs/{song_id}/audio", tags=["audio"], response_class=_Audio)
    async def get_audio(
        request: Request,
        account: Annotated[Account, caller],
        song_id: str,
        audio_format: Annotated[
            str, Query(alias="format", json_schema_extra={"enum": [f.value for f in AudioFormat]})
        ] = AudioFormat.MP3,
        offset: Annotated[int, Query(ge=0, le=2**64 - 1)] = 0,
        attempt: Annotated[int, Query(ge=0, le=2**32 - 1)] = 0,
    ) -> Response:
        """The song's audio.

        When the song is done: the file, with Range, HEAD and ETag. Before that, MP3 only: the body begins
        with the first sound and grows until the song is done; if the attempt that it belongs to ends without
        a song, the body breaks off, and what was received is to be dropped. `offset` with `attempt` (from
        the header `Acesteps-Attempt`) goes on where a broken connection stopped.
        """
        if audio_format not in list(AudioFormat):
            raise InvalidField("UNKNOWN_VALUE", "format", "format is not known", limit="mp3, wav or flac")
        wanted = AudioFormat(audio_format)
        try:
            song, download = await songs.download(account, song_id, wanted)
        except FailedPrecondition as error:
            if error.reason != "SONG_NOT_READY" or wanted is not AudioFormat.MP3:
                raise
            if request.method == "HEAD":
                head = Response(headers={"Content-Type": wanted.media_type, "Accept-Ranges": "none"})
                del head.headers["Content-Length"]  # nobody knows it yet
                return head
        else:
            if not offset and attempt in (0, song.attempt):
                return file_response(request, download, _file_headers(song, wanted))
        asked = pb.StreamAudioRequest(
            song_id=song_id, format=_FORMATS[wanted], offset=offset, attempt=attempt
        )
        return StreamedResponse(lambda: _open_audio(songs, account, asked))


class _Audio(Response):
    media_type = "audio/mpeg"


_FORMATS = {
    AudioFormat.MP3: pb.AUDIO_FORMAT_MP3,
    AudioFormat.WAV: pb.AUDIO_FORMAT_WAV,
    AudioFormat.FLAC: pb.AUDIO_FORMAT_FLAC,
}


def _file_headers(song: Song, audio_format: AudioFormat) -> dict[str, str]:
    name = f"{song.title}.{audio_format}"
    plain = re.sub(r"[^\w .,()!&+-]", "_", name, flags=re.ASCII)
    return {
        "Content-Disposition": f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Cache-Control": "private, no-cache",
        ATTEMPT_HEADER: str(song.attempt),
    }


async def _open_audio(songs: Songs, account: Account, asked: pb.StreamAudioRequest) -> tuple[Headers, Body]:
    """Waits for the header of the stream: errors before it are answers, errors after it break the body."""
    audio = songs.stream(account, asked)
    try:
        header = (await anext(audio)).header
    except BaseException:
        await audio.aclose()
        raise

    async def body() -> Body:
        with metrics.LISTENERS.labels("http").track_inprogress():
            async with aclosing(audio):
                async for response in audio:
                    yield response.data.data

    headers = {
        "Content-Type": header.media_type,
        "Accept-Ranges": "none",
        "Cache-Control": "no-store",
        ATTEMPT_HEADER: str(header.attempt),
    }
    return headers, body()


def _add_public(app: FastAPI, songs: Songs, health: Health) -> None:
    """What needs no account."""
    docs = Path(__file__).with_name("docs.html").read_text("utf-8")

    @app.head("/ipfs/{cid}", include_in_schema=False)
    @app.get("/ipfs/{cid}", tags=["mint"], response_class=Response)
    async def get_pinned(request: Request, cid: str) -> Response:
        """A pinned file: audio, cover or metadata of a saved song."""
        download = await songs.pinned(cid)
        if download is None:
            raise NotFound(
                "NOT_PINNED",
                "nothing is pinned under this CID",
                metadata={"field": "cid", "limit": "the CID of a file of a saved song"},
            )
        return file_response(request, download, _PINNED_HEADERS)

    @app.get("/healthz", tags=["health"])
    async def alive() -> dict[str, str]:
        """Whether the process serves."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["health"])
    async def ready() -> dict[str, str]:
        """Whether it should be sent requests: 503 while the database is away or the process drains."""
        if not health.ready:
            raise Unavailable("NOT_READY", "not ready", retry_delay_s=1.0)
        return {"status": "ready"}

    @app.get("/docs", include_in_schema=False)
    async def show_docs() -> HTMLResponse:
        return HTMLResponse(docs)
