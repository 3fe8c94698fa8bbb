"""The gRPC face: the generated servicer over the use cases.

Knows how a call says who makes it, and nothing else.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import (
    GatewayServiceServicer,
    add_GatewayServiceServicer_to_server,
)
from services.common.errors import ResourceExhausted
from services.common.server import GrpcService
from services.gateway import metrics
from services.gateway.faces.calls import Context, credentials_of
from services.gateway.models import Account
from services.gateway.use_cases import UseCases


class GatewayServicer(GatewayServiceServicer):
    def __init__(self, use_cases: UseCases, listener_patience_s: float = 60.0) -> None:
        self._accounts, self._songs = use_cases.accounts, use_cases.songs
        self._capabilities = use_cases.capabilities
        self._listening, self._minting = use_cases.listening, use_cases.minting
        self._arranging, self._sharing = use_cases.arranging, use_cases.sharing
        self._batches, self._words = use_cases.batches, use_cases.words
        self._pictures, self._timelines = use_cases.pictures, use_cases.timelines
        self._patience_s = listener_patience_s

    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Context
    ) -> pb.GetCapabilitiesResponse:
        return await self._capabilities.get(request)

    async def ReviewPrompt(
        self, request: pb.ReviewPromptRequest, context: Context
    ) -> pb.ReviewPromptResponse:
        return await self._songs.review(await self._account(context), request)

    async def CreateSong(self, request: pb.CreateSongRequest, context: Context) -> pb.CreateSongResponse:
        return await self._songs.create(await self._account(context), request)

    async def GetSong(self, request: pb.GetSongRequest, context: Context) -> pb.GetSongResponse:
        return await self._songs.get(await self._account(context), request)

    async def ListSongs(self, request: pb.ListSongsRequest, context: Context) -> pb.ListSongsResponse:
        return await self._songs.list(await self._account(context), request)

    async def WatchSong(
        self, request: pb.WatchSongRequest, context: Context
    ) -> AsyncGenerator[pb.WatchSongResponse]:
        async with aclosing(self._songs.watch(await self._account(context), request)) as songs:
            async for response in songs:
                yield response

    async def CreateBatch(self, request: pb.CreateBatchRequest, context: Context) -> pb.CreateBatchResponse:
        return await self._batches.create(await self._account(context), request)

    async def GetBatch(self, request: pb.GetBatchRequest, context: Context) -> pb.GetBatchResponse:
        return await self._batches.get(await self._account(context), request)

    async def WatchBatch(
        self, request: pb.WatchBatchRequest, context: Context
    ) -> AsyncGenerator[pb.WatchBatchResponse]:
        async with aclosing(self._batches.watch(await self._account(context), request)) as songs:
            async for response in songs:
                yield response

    async def CancelBatch(self, request: pb.CancelBatchRequest, context: Context) -> pb.CancelBatchResponse:
        return await self._batches.cancel(await self._account(context), request)

    async def WriteLyrics(
        self, request: pb.WriteLyricsRequest, context: Context
    ) -> AsyncGenerator[pb.WriteLyricsResponse]:
        async with aclosing(self._words.write(await self._account(context), request)) as words:
            async for response in words:
                yield response

    async def ReviewLyrics(
        self, request: pb.ReviewLyricsRequest, context: Context
    ) -> pb.ReviewLyricsResponse:
        return await self._words.review(await self._account(context), request)

    async def StreamAudio(
        self, request: pb.StreamAudioRequest, context: Context
    ) -> AsyncGenerator[pb.StreamAudioResponse]:
        if request.share_token:
            song = await self._sharing.song(request.share_token)
        else:
            song = await self._listening.song(await self._account(context), request.song_id)
        with metrics.LISTENERS.labels("grpc").track_inprogress():
            async with aclosing(self._listening.stream(song, request)) as audio:
                async for part in audio:
                    if isinstance(part, pb.AudioHeader):
                        yield pb.StreamAudioResponse(header=part)
                    else:
                        await self._given(context, pb.AudioData(offset=part.offset, data=part.data))

    async def SignAudioUrl(
        self, request: pb.SignAudioUrlRequest, context: Context
    ) -> pb.SignAudioUrlResponse:
        return await self._listening.sign_url(await self._account(context), request)

    async def GetPeaks(self, request: pb.GetPeaksRequest, context: Context) -> pb.GetPeaksResponse:
        return await self._pictures.peaks(await self._account(context), request)

    async def GetSpectrogram(
        self, request: pb.GetSpectrogramRequest, context: Context
    ) -> pb.GetSpectrogramResponse:
        return await self._pictures.spectrogram(await self._account(context), request)

    async def GetTimeline(self, request: pb.GetTimelineRequest, context: Context) -> pb.GetTimelineResponse:
        if request.share_token:
            return (await self._timelines.of_anyone(request)).response
        return (await self._timelines.of_account(await self._account(context), request)).response

    async def CancelSong(self, request: pb.CancelSongRequest, context: Context) -> pb.CancelSongResponse:
        return await self._songs.cancel(await self._account(context), request)

    async def UpdateSong(self, request: pb.UpdateSongRequest, context: Context) -> pb.UpdateSongResponse:
        return await self._arranging.update(await self._account(context), request)

    async def RetrySong(self, request: pb.RetrySongRequest, context: Context) -> pb.RetrySongResponse:
        return await self._arranging.retry(await self._account(context), request)

    async def DeleteSong(self, request: pb.DeleteSongRequest, context: Context) -> pb.DeleteSongResponse:
        return await self._arranging.delete(await self._account(context), request)

    async def ShareSong(self, request: pb.ShareSongRequest, context: Context) -> pb.ShareSongResponse:
        return await self._arranging.share(await self._account(context), request)

    async def UnshareSong(self, request: pb.UnshareSongRequest, context: Context) -> pb.UnshareSongResponse:
        return await self._arranging.unshare(await self._account(context), request)

    async def GetFamily(self, request: pb.GetFamilyRequest, context: Context) -> pb.GetFamilyResponse:
        return await self._arranging.family(await self._account(context), request)

    async def GetSharedSong(
        self, request: pb.GetSharedSongRequest, context: Context
    ) -> pb.GetSharedSongResponse:
        return await self._sharing.get(request)

    async def SaveSong(self, request: pb.SaveSongRequest, context: Context) -> pb.SaveSongResponse:
        return await self._minting.save(await self._account(context), request)

    async def GetMint(self, request: pb.GetMintRequest, context: Context) -> pb.GetMintResponse:
        return await self._minting.mint(await self._account(context), request)

    async def _given(self, context: Context, data: pb.AudioData) -> None:
        """Written rather than yielded, so that it is seen how long the listener takes to take it.

        Raises:
            ResourceExhausted: LISTENER_TOO_SLOW.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                await context.write(pb.StreamAudioResponse(data=data))
        except TimeoutError as error:
            raise ResourceExhausted(
                "LISTENER_TOO_SLOW",
                f"nothing was taken for {self._patience_s:g} s: ask again from the offset reached",
                metadata={"offset": str(data.offset)},
            ) from error

    async def _account(self, context: Context) -> Account:
        return await self._accounts.authenticate(credentials_of(context))


def grpc_service(use_cases: UseCases, *, listener_patience_s: float) -> GrpcService:
    """`listener_patience_s`: how long a listener may take nothing of what there is."""
    servicer = GatewayServicer(use_cases, listener_patience_s)
    name = pb.DESCRIPTOR.services_by_name["GatewayService"].full_name
    return GrpcService(name, lambda server: add_GatewayServiceServicer_to_server(servicer, server))
