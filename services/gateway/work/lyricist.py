"""The words of a song: written from its prompt, or read from what the account gave.

Knows the lyrics service's interface and nothing of rhyme or meter.
"""

import logging
from collections.abc import Callable

import grpc

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.lyrics.v1.lyrics_service_pb2_grpc import LyricsServiceStub
from services.common.errors import FailedPrecondition, Internal, Unavailable, error_from_rpc
from services.gateway.models import Progress, Song
from services.gateway.work.readiness import require_ready

_log = logging.getLogger(__name__)

LONGEST_THEME = 500
TIMEOUT_S = 120.0
# A service that is away is waited for this long, and then by the song in the queue, for so long.
READY_WITHIN_S, AGAIN_IN_S = 1.0, 2.0
# Whoever asks for a song waits no longer for its words to be read; the queue reads them in any case.
CHECK_READY_WITHIN_S, CHECK_TIMEOUT_S = 0.25, 5.0


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

    async def check(self, lyrics: str, duration_s: float) -> None:
        """Refuses given lyrics as early as can be. Says nothing where the service is away: the song's turn
        in the queue will tell.

        Raises:
            FailedPrecondition: LYRICS_REFUSED, with "rule", and "section_index" and "line_index" where the
                review knows them.
        """
        try:
            await require_ready(self._channel, "lyrics", within_s=CHECK_READY_WITHIN_S, again_in_s=AGAIN_IN_S)
            await self._review(lyrics, duration_s, CHECK_TIMEOUT_S)
        except (Unavailable, grpc.aio.AioRpcError) as error:
            _log.info("given lyrics are left to the queue", extra={"error": type(error).__name__})

    async def _review(self, lyrics: str, duration_s: float, timeout_s: float) -> lyrics_pb.LyricDocument:
        """Given lyrics as they are read. Raises FailedPrecondition (LYRICS_REFUSED), AioRpcError."""
        request = lyrics_pb.ReviewLyricsRequest(text=lyrics, duration_s=duration_s)
        response = await self._service.ReviewLyrics(request, timeout=timeout_s)
        gate = next((finding for finding in response.review.findings if finding.gate), None)
        if gate is None:
            return response.document
        places = {"section_index": gate.section_index, "line_index": gate.line_index}
        where = {name: str(index) for name, index in places.items() if index >= 0}
        raise FailedPrecondition("LYRICS_REFUSED", gate.message, metadata={"rule": gate.code, **where})

    async def _read(self, song: Song) -> lyrics_pb.LyricDocument:
        document = lyrics_pb.LyricDocument()
        document.CopyFrom(await self._review(song.given_lyrics, song.duration_s, TIMEOUT_S))
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
