"""What operators of the platform can do, and what anyone may ask about it."""

from collections.abc import AsyncGenerator

from acesteps.aio.calls import AsyncCalls
from acesteps.gateway.v1 import gateway_service_pb2 as pb


class AsyncOperating(AsyncCalls):
    """Every method raises AcestepsError."""

    async def capabilities(self) -> pb.GetCapabilitiesResponse:
        """Genres, moods, instruments, languages, limits and engines. Needs no account."""
        return await self._call(self._stub.GetCapabilities, pb.GetCapabilitiesRequest())

    async def failed_songs(self) -> AsyncGenerator[pb.FailedSong, None]:
        """For operators: songs of everybody that failed for good, the latest first, page by page."""
        token = ""
        while True:
            request = pb.ListFailedSongsRequest(page_size=100, page_token=token)
            page = await self._call(self._operators.ListFailedSongs, request)
            for song in page.songs:
                yield song
            if not (token := page.next_page_token):
                return

    async def requeue_song(self, song_id: str) -> pb.FailedSong:
        """For operators: have a failed song tried again."""
        request = pb.RequeueSongRequest(song_id=song_id)
        return (await self._call(self._operators.RequeueSong, request)).song
