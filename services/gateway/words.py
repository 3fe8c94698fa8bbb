"""Words without a song: written and judged by the lyrics service for whoever asks.

The use cases behind both faces. Knows nothing of rhyme or meter; errors are the lyrics service's own.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

import grpc

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.lyrics.v1.lyrics_service_pb2_grpc import LyricsServiceStub
from services.common.errors import Internal, Unavailable, error_from_rpc, fields_within
from services.gateway.models import Account, Scope
from services.gateway.review import LONGEST_PROMPT, require_allowed
from services.gateway.work.readiness import no_pod_ready, require_ready

WRITE_TIMEOUT_S, REVIEW_TIMEOUT_S = 120.0, 30.0
READY_WITHIN_S, AGAIN_IN_S = 1.0, 2.0


class Words:
    """Every method may raise Unavailable (NO_POD_READY), and the lyrics service's own errors."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._service = LyricsServiceStub(channel)

    async def write(
        self, account: Account, request: pb.WriteLyricsRequest
    ) -> AsyncGenerator[pb.WriteLyricsResponse]:
        """What the lyrics service tells, as it comes. Whoever leaves early stops it.

        Raises:
            FailedPrecondition: PROMPT_REFUSED.
        """
        account.require(Scope.WRITE)
        require_allowed("prompt", request.brief.theme[:LONGEST_PROMPT], called="brief.theme")
        await self._ready()
        call = self._service.GenerateLyrics(request.brief, timeout=WRITE_TIMEOUT_S)
        try:
            with _its_errors("brief."):
                async for lyrics in call:
                    yield pb.WriteLyricsResponse(lyrics=lyrics)
        finally:
            call.cancel()  # a call that is left early would run on

    async def written(self, account: Account, request: pb.WriteLyricsRequest) -> pb.WriteLyricsResponse:
        """The last of it: the document and its review."""
        written = [response async for response in self.write(account, request)]
        if not written or not written[-1].lyrics.HasField("result"):
            raise Internal("STREAM_MALFORMED", "the lyrics service ended without a result")
        return written[-1]

    async def review(self, account: Account, request: pb.ReviewLyricsRequest) -> pb.ReviewLyricsResponse:
        account.require(Scope.READ)
        await self._ready()
        with _its_errors("lyrics."):
            answer = await self._service.ReviewLyrics(request.lyrics, timeout=REVIEW_TIMEOUT_S)
        return pb.ReviewLyricsResponse(review=answer)

    async def _ready(self) -> None:
        await require_ready(self._channel, "lyrics", within_s=READY_WITHIN_S, again_in_s=AGAIN_IN_S)


@contextmanager
def _its_errors(path: str) -> Iterator[None]:
    """The service's errors as ours, with fields as our request has them."""
    try:
        yield
    except grpc.aio.AioRpcError as rpc_error:
        error = error_from_rpc(rpc_error)
        if isinstance(error, Unavailable) and error.reason == grpc.StatusCode.UNAVAILABLE.name:
            # Not its word: it went away.
            raise no_pod_ready("lyrics", AGAIN_IN_S) from rpc_error
        with fields_within(path):
            raise error from rpc_error
