"""Saving a song, and the order to mint it."""

from acesteps.aio.calls import AsyncCalls
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.orders import PERMIT_FORMATS, PermitFormat


class AsyncMinting(AsyncCalls):
    """Every method raises AcestepsError."""

    async def save(self, song_id: str, *, permit_format: PermitFormat = "eip712") -> pb.SaveSongResponse:
        """Build and pin the song's metadata and get the permit to mint it; an expired one is renewed."""
        request = pb.SaveSongRequest(song_id=song_id, format=PERMIT_FORMATS[permit_format])
        return await self._call(self._stub.SaveSong, request)

    async def mint_order(self, song_id: str) -> pb.GetMintResponse:
        """The transaction that mints a saved song. Whoever sends it needs no gateway."""
        return await self._call(self._stub.GetMint, pb.GetMintRequest(song_id=song_id))
