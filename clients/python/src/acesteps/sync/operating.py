"""What operators of the platform can do, and what anyone may ask about it."""

from collections.abc import Generator

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.sync.calls import Calls


class Operating(Calls):
    """Every method raises AcestepsError."""

    def capabilities(self) -> pb.GetCapabilitiesResponse:
        """Genres, moods, instruments, languages, limits and engines. Needs no account."""
        return self._call(self._stub.GetCapabilities, pb.GetCapabilitiesRequest())

    def failed_songs(self) -> Generator[pb.FailedSong, None, None]:
        """For operators: songs of everybody that failed for good, the latest first, page by page."""
        token = ""
        while True:
            request = pb.ListFailedSongsRequest(page_size=100, page_token=token)
            page = self._call(self._operators.ListFailedSongs, request)
            yield from page.songs
            if not (token := page.next_page_token):
                return

    def requeue_song(self, song_id: str) -> pb.FailedSong:
        """For operators: have a failed song tried again."""
        request = pb.RequeueSongRequest(song_id=song_id)
        return (self._call(self._operators.RequeueSong, request)).song
