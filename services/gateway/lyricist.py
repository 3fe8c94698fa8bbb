"""The words of a song: written from its prompt, or read from what the account gave.

Knows the lyrics service's interface and nothing of rhyme or meter.
"""

from collections.abc import Callable

import grpc

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.lyrics.v1.lyrics_service_pb2_grpc import LyricsServiceStub
from services.common.errors import FailedPrecondition, Internal, error_from_rpc
from services.gateway.models import Progress, Song
from services.gateway.readiness import require_ready

LONGEST_THEME = 500
TIMEOUT_S = 120.0
# A service that is away is waited for this long, and then by the song in the queue, for so long.
READY_WITHIN_S, AGAIN_IN_S = 1.0, 2.0


class Lyricist:
    """Raises the lyrics service's own errors."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._service = LyricsServiceStub(channel)

    async def words_for(self, song: Song, tell: Callable[[Progress], None]) -> lyrics_pb.LyricDocument:
        """The document of a song that has words. `tell` hears of every line.

        Raises:
            FailedPrecondition: LYRICS_REFUSED, the given lyrics cannot be sung as they are.
            Unavailable: NO_POD_READY.
        """
        tell(Progress(stage="lyrics"))
        await require_ready(self._channel, "lyrics", within_s=READY_WITHIN_S, again_in_s=AGAIN_IN_S)
        try:
            return await (self._read(song) if song.given_lyrics else self._write(song, tell))
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error

    async def _read(self, song: Song) -> lyrics_pb.LyricDocument:
        request = lyrics_pb.ReviewLyricsRequest(text=song.given_lyrics, duration_s=song.duration_s)
        response = await self._service.ReviewLyrics(request, timeout=TIMEOUT_S)
        gates = [finding for finding in response.review.findings if finding.gate]
        if gates:
            raise FailedPrecondition("LYRICS_REFUSED", gates[0].message, metadata={"rule": gates[0].code})
        document = lyrics_pb.LyricDocument()
        document.CopyFrom(response.document)
        if song.language:
            document.language = song.language
        return document

    async def _write(self, song: Song, tell: Callable[[Progress], None]) -> lyrics_pb.LyricDocument:
        request = lyrics_pb.GenerateLyricsRequest(
            theme=_theme(song.prompt),
            language=song.language,
            seed=song.seed,
            duration_s=song.duration_s,
        )
        call = self._service.GenerateLyrics(request, timeout=TIMEOUT_S)
        done, total, document = 0, 0, None
        try:
            async for response in call:
                match response.WhichOneof("event"):
                    case "progress":
                        done, total = response.progress.lines_done, response.progress.lines_total
                        tell(Progress(stage="lyrics", step=done, steps=total))
                    case "line":
                        done += 1
                        tell(Progress(stage="lyrics", step=min(done, total), steps=total))
                    case "result":
                        document = response.result.document
        finally:
            call.cancel()  # a call that is left early would run on
        if document is None:
            raise Internal("STREAM_MALFORMED", "the lyrics service ended without a result")
        return document


def _theme(prompt: str) -> str:
    """As much of the prompt as a theme may be, cut between words."""
    if len(prompt) <= LONGEST_THEME:
        return prompt
    return prompt[: LONGEST_THEME + 1].rsplit(" ", 1)[0][:LONGEST_THEME]
