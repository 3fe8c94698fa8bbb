"""Words: written from a theme, or judged."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acesteps.aio.calls import AsyncCalls
from acesteps.errors import Unavailable
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb


class AsyncWords(AsyncCalls):
    """Every method raises AcestepsError."""

    async def write_lyrics(
        self, brief: lyrics_pb.GenerateLyricsRequest
    ) -> AsyncGenerator[lyrics_pb.GenerateLyricsResponse, None]:
        """Lines as they are found, then the document (`result`). Nothing is stored.

        Without a seed other words come every time, so a stream that breaks between its lines is not
        asked for again.
        """
        begun = False

        def request() -> pb.WriteLyricsRequest:
            if begun:
                raise Unavailable("INTERRUPTED", "the gateway went away between two lines: ask again")
            return pb.WriteLyricsRequest(brief=brief)

        answers = self._follow(self._stub.WriteLyrics, request, mend=lambda error: False)
        async with aclosing(answers):
            async for answer in answers:
                begun = True
                yield answer.lyrics

    async def review_lyrics(self, lyrics: lyrics_pb.ReviewLyricsRequest) -> lyrics_pb.ReviewLyricsResponse:
        """What is good and what is bad about words, by score and by finding."""
        request = pb.ReviewLyricsRequest(lyrics=lyrics)
        return (await self._call(self._stub.ReviewLyrics, request)).review
