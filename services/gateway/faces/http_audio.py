"""Routes of a song's audio. `answer_audio` is all that they do once it is known which song may be heard."""

import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import InvalidField
from services.gateway import metrics
from services.gateway.accounts import Accounts
from services.gateway.audio.listening import Listening
from services.gateway.audio.signed_urls import PARAMS
from services.gateway.faces.proto_models import request_of
from services.gateway.faces.routing import answers, caller_of, proto_response
from services.gateway.faces.streaming import Body, Headers, LaterResponse, StreamedResponse, file_response
from services.gateway.models import Account, AudioFormat, Song
from services.gateway.use_cases import UseCases

# Of a song's attempt that the body's bytes belong to; a listener that resumes gives it back.
ATTEMPT_HEADER = "Acesteps-Attempt"

FormatQuery = Annotated[
    str, Query(alias="format", json_schema_extra={"enum": [f.value for f in AudioFormat]})
]


class AudioResponse(Response):
    """What a route of audio answers, for its description."""

    media_type = "audio/mpeg"


@dataclass(frozen=True)
class AskedAudio:
    """What is wanted of a song, whichever route is asked for it."""

    format: AudioFormat
    offset: int
    attempt: int
    # to be saved, rather than to be played
    download: bool


def asked_audio(
    audio_format: Annotated[
        str, Query(alias="format", json_schema_extra={"enum": [f.value for f in AudioFormat]})
    ] = AudioFormat.MP3,
    offset: Annotated[int, Query(ge=0, le=2**64 - 1)] = 0,
    attempt: Annotated[int, Query(ge=0, le=2**32 - 1)] = 0,
    download: Annotated[bool, Query()] = False,
) -> AskedAudio:
    """A FastAPI dependency. Raises InvalidField."""
    if audio_format not in list(AudioFormat):
        raise InvalidField("UNKNOWN_VALUE", "format", "format is not known", limit="mp3, wav or flac")
    return AskedAudio(AudioFormat(audio_format), offset, attempt, download)


def add_audio(app: FastAPI, use_cases: UseCases) -> None:
    listening = use_cases.listening
    caller, listener = caller_of(use_cases.accounts), _listener_of(use_cases.accounts, listening)

    @app.head("/v1/songs/{song_id}/audio", include_in_schema=False)
    @app.get("/v1/songs/{song_id}/audio", tags=["audio"], response_class=AudioResponse)
    async def get_audio(
        request: Request,
        account: Annotated[Account, listener],
        song_id: str,
        asked: Annotated[AskedAudio, Depends(asked_audio)],
    ) -> Response:
        """The song's audio.

        When the song is done: the file, with Range, HEAD and ETag; `download=true` for a file to be saved.
        Before that, the body of an MP3 begins with the first sound and grows until the song is done; if the
        attempt that it belongs to ends without a song, the body breaks off, and what was received is to be
        dropped. `offset` with `attempt` (from the header `Acesteps-Attempt`) goes on where a broken
        connection stopped. WAV and FLAC wait until the song is done.

        Instead of credentials, `account`, `expires` and `signature` of a signed URL let in.
        """
        return await answer_audio(request, listening, await listening.song(account, song_id), asked)

    @app.post("/v1/songs/{song_id}/audio:sign", responses=answers(pb.SignAudioUrlResponse), tags=["audio"])
    async def sign_audio_url(
        account: Annotated[Account, caller],
        request: Annotated[
            pb.SignAudioUrlRequest, Depends(request_of(pb.SignAudioUrlRequest, path=("song_id",)))
        ],
    ) -> Response:
        """Gives a URL under which the audio can be heard for a while without credentials."""
        return proto_response(await listening.sign_url(account, request))


async def answer_audio(request: Request, listening: Listening, song: Song, asked: AskedAudio) -> Response:
    """The audio of a song that the caller may hear, as it is now or will be.

    Raises FailedPrecondition (SONG_FAILED, SONG_CANCELLED) for one that never will be.
    """

    async def answer_file(done: Song) -> Response:
        return file_response(
            request, await listening.download(done, asked.format), _file_headers(done, asked)
        )

    def answer_stream() -> Response:
        wanted = pb.StreamAudioRequest(
            format=_FORMATS[asked.format], offset=asked.offset, attempt=asked.attempt
        )
        return StreamedResponse(lambda: _open_audio(listening, song, wanted))

    from_the_start = not asked.offset and asked.attempt in (0, song.attempt)
    if song.state.ended:
        return await answer_file(song) if from_the_start else answer_stream()
    if request.method == "HEAD":
        head = Response(headers={"Content-Type": asked.format.media_type, "Accept-Ranges": "none"})
        del head.headers["Content-Length"]  # nobody knows it yet
        return head
    if asked.format is AudioFormat.MP3 or not from_the_start:
        return answer_stream()

    async def answer_later() -> Response:
        return await answer_file(await listening.done(song))

    return LaterResponse(answer_later)


def _listener_of(accounts: Accounts, listening: Listening) -> object:
    """The dependency that says who listens: the caller, or the bearer of a signed URL."""
    by_credentials = caller_of(accounts).dependency

    async def authenticate(
        request: Request, song_id: str, asked: Annotated[AskedAudio, Depends(asked_audio)]
    ) -> Account:
        params = {name: request.query_params[name] for name in PARAMS if name in request.query_params}
        if params:
            return listening.bearer(song_id, asked.format, params)
        account: Account = await by_credentials(request)
        return account

    return Depends(authenticate)


_FORMATS = {
    AudioFormat.MP3: pb.AUDIO_FORMAT_MP3,
    AudioFormat.WAV: pb.AUDIO_FORMAT_WAV,
    AudioFormat.FLAC: pb.AUDIO_FORMAT_FLAC,
}


def _file_headers(song: Song, asked: AskedAudio) -> dict[str, str]:
    return {
        "Content-Disposition": disposition(f"{song.title}.{asked.format}", download=asked.download),
        "Cache-Control": "private, no-cache",
        ATTEMPT_HEADER: str(song.attempt),
    }


def disposition(name: str, *, download: bool) -> str:
    """RFC 6266: a name for everyone, and the true one for those who read RFC 8187."""
    # A separator or a control character is nothing that a file's name can hold, in either.
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", name).encode("utf-8", "replace").decode()
    plain = re.sub(r"[^\w .,()!&+-]", "_", name, flags=re.ASCII)
    kind = "attachment" if download else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _open_audio(
    listening: Listening, song: Song, wanted: pb.StreamAudioRequest
) -> tuple[Headers, Body]:
    """Waits for the header of the stream: errors before it are answers, errors after it break the body."""
    audio = listening.stream(song, wanted)
    try:
        header = await anext(audio)
        assert isinstance(header, pb.AudioHeader)
    except BaseException:
        await audio.aclose()
        raise

    async def body() -> Body:
        with metrics.LISTENERS.labels("http").track_inprogress():
            async with aclosing(audio):
                async for part in audio:
                    if not isinstance(part, pb.AudioHeader):
                        yield part.data

    headers = {
        "Content-Type": header.media_type,
        "Accept-Ranges": "none",
        "Cache-Control": "no-store",
        ATTEMPT_HEADER: str(header.attempt),
    }
    return headers, body()
