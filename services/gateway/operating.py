"""What those who run the platform can do with songs: see which failed for good, and have them tried again.

The use cases behind both faces. Knows nothing of what a song is about.
"""

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import FailedPrecondition
from services.gateway.arranging import require_no_success
from services.gateway.lookup import id_of_song, song_not_found
from services.gateway.messages import timestamp
from services.gateway.models import Account, State
from services.gateway.pages import page_size_of, page_token, read_page_token
from services.gateway.shelf import Failed, Shelf

_LIST = b"failed"


class Operating:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and PermissionDenied (NOT_AN_OPERATOR)."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def failed(
        self, account: Account, request: pb.ListFailedSongsRequest
    ) -> pb.ListFailedSongsResponse:
        """Raises InvalidField: page_size, page_token."""
        account.require_operator()
        size = page_size_of(request.page_size)
        after = read_page_token(request.page_token, _LIST) if request.page_token else None
        songs = await self._shelf.failed(size + 1, after)
        page, more = songs[:size], len(songs) > size
        last = page[-1] if more else None
        return pb.ListFailedSongsResponse(
            songs=map(_message, page),
            next_page_token=page_token(last.ended_at, last.id, _LIST) if last and last.ended_at else "",
        )

    async def requeue(self, account: Account, request: pb.RequeueSongRequest) -> pb.RequeueSongResponse:
        """Raises NotFound; FailedPrecondition (SONG_SUCCEEDED, SONG_CANCELLED)."""
        account.require_operator()
        song = await self._shelf.requeue(id_of_song(request.song_id))
        if song is None:
            raise song_not_found(request.song_id)
        require_no_success(song.state)
        if song.state is State.CANCELLED:
            raise FailedPrecondition("SONG_CANCELLED", "the song was cancelled; its account can retry it")
        return pb.RequeueSongResponse(song=_message(song))


def _message(song: Failed) -> pb.FailedSong:
    return pb.FailedSong(
        song_id=str(song.id),
        account_id=str(song.account_id),
        failure=pb.SongFailure(reason=song.failure_reason, message=song.failure_message),
        attempt=song.attempt,
        failures=song.failures,
        create_time=timestamp(song.created_at),
        end_time=timestamp(song.ended_at),
    )
