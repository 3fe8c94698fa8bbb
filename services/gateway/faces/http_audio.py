"""Routes of a song's audio."""

import re
from contextlib import aclosing
from typing import Annotated
from urllib.parse import quote

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import FailedPrecondition, InvalidField
from services.gateway import metrics
from services.gateway.audio.listening import Listening
from services.gateway.faces.routing import caller_of
from services.gateway.faces.streaming import Body, Headers, StreamedResponse, file_response
from services.gateway.models import Account, AudioFormat, Song
from services.gateway.use_cases import UseCases

# Of a song's attempt that the body's bytes belong to; a listener that resumes gives it back.
ATTEMPT_HEADER = "Acesteps-Attempt"

FormatQuery = Annotated[
    str, Query(alias="format", json_schema_extra={"enum": [f.value for f in AudioFormat]})
]


def add_audio(app: FastAPI, use_cases: UseCases) -> None:
    caller, listening = caller_of(use_cases.accounts), use_cases.listening

    @app.head("/v1/songs/{song_id}/audio", include_in_schema=False)
    @app.get("/v1/songs/{song_id}/audio", tags=["audio"], response_class=_Audio)
    async def get_audio(
        request: Request,
        account: Annotated[Account, caller],
        song_id: str,
        audio_format: FormatQuery = AudioFormat.MP3,
        offset: Annotated[int, Query(ge=0, le=2**64 - 1)] = 0,
        attempt: Annotated[int, Query(ge=0, le=2**32 - 1)] = 0,
    ) -> Response:
        """The song's audio.

        When the song is done: the file, with Range, HEAD and ETag. Before that, MP3 only: the body begins
        with the first sound and grows until the song is done; if the attempt that it belongs to ends without
        a song, the body breaks off, and what was received is to be dropped. `offset` with `attempt` (from
        the header `Acesteps-Attempt`) goes on where a broken connection stopped.
        """
        wanted = audio_format_of(audio_format)
        try:
            song, download = await listening.download(account, song_id, wanted)
        except FailedPrecondition as error:
            if error.reason != "SONG_NOT_READY" or wanted is not AudioFormat.MP3:
                raise
            if request.method == "HEAD":
                head = Response(headers={"Content-Type": wanted.media_type, "Accept-Ranges": "none"})
                del head.headers["Content-Length"]  # nobody knows it yet
                return head
        else:
            if not offset and attempt in (0, song.attempt):
                return file_response(request, download, file_headers(song, wanted))
        asked = pb.StreamAudioRequest(
            song_id=song_id, format=_FORMATS[wanted], offset=offset, attempt=attempt
        )
        return StreamedResponse(lambda: _open_audio(listening, account, asked))


class _Audio(Response):
    media_type = "audio/mpeg"


_FORMATS = {
    AudioFormat.MP3: pb.AUDIO_FORMAT_MP3,
    AudioFormat.WAV: pb.AUDIO_FORMAT_WAV,
    AudioFormat.FLAC: pb.AUDIO_FORMAT_FLAC,
}


def audio_format_of(text: str) -> AudioFormat:
    """Raises InvalidField (UNKNOWN_VALUE)."""
    if text not in list(AudioFormat):
        raise InvalidField("UNKNOWN_VALUE", "format", "format is not known", limit="mp3, wav or flac")
    return AudioFormat(text)


def file_headers(song: Song, audio_format: AudioFormat) -> dict[str, str]:
    name = f"{song.title}.{audio_format}"
    plain = re.sub(r"[^\w .,()!&+-]", "_", name, flags=re.ASCII)
    return {
        "Content-Disposition": f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Cache-Control": "private, no-cache",
        ATTEMPT_HEADER: str(song.attempt),
    }


async def _open_audio(
    listening: Listening, account: Account, asked: pb.StreamAudioRequest
) -> tuple[Headers, Body]:
    """Waits for the header of the stream: errors before it are answers, errors after it break the body."""
    audio = listening.stream(account, asked)
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
