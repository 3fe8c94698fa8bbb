"""From a request to a song that may be queued: its source, its fields, what the account may, its words.

What one song and each song of a batch go through alike. Queues nothing.
"""

import asyncio

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import FailedPrecondition
from services.common.tracing import link
from services.gateway.allowances import Allowances
from services.gateway.audio.download import require_done
from services.gateway.creation import new_song
from services.gateway.edits import LONGEST_CHAIN
from services.gateway.lookup import song_of_account
from services.gateway.models import Account, NewSong, Song
from services.gateway.review import require_allowed
from services.gateway.store import Store
from services.gateway.work.lyricist import Lyricist


class Ordering:
    def __init__(self, store: Store, lyricist: Lyricist, allowances: Allowances) -> None:
        self._store, self._lyricist, self._allowances = store, lyricist, allowances

    async def source(self, account: Account, request: pb.CreateSongRequest) -> Song | None:
        """The song that is to be changed; None for a song from nothing.

        Raises:
            NotFound: SONG_NOT_FOUND.
            FailedPrecondition: as `require_done`; CHAIN_TOO_LONG.
        """
        if not request.source_song_id:
            return None
        source = await song_of_account(self._store, account, request.source_song_id, "source_song_id")
        link(source.traceparent)
        require_done(source)
        if len(await self._store.chain(source.id)) > LONGEST_CHAIN:
            limit = f"at most {LONGEST_CHAIN} songs, of which each was made from the next"
            raise FailedPrecondition(
                "CHAIN_TOO_LONG",
                "the song has been changed too often to be changed again",
                metadata={"field": "source_song_id", "limit": limit},
            )
        return source

    def order(self, account: Account, request: pb.CreateSongRequest, source: Song | None) -> NewSong:
        """The song to queue; its prompt is still to be admitted (`review.admit`).

        Raises:
            InvalidField: the first field that is missing or out of its limits.
        """
        return self._allowances.allowed(account, new_song(account, request, source))

    def per_day(self, account: Account) -> int:
        """Songs that the account may ask for within 24 hours; 0: any number."""
        return self._allowances.per_day(account)

    async def check_words(self, new: NewSong) -> None:
        """Raises FailedPrecondition: TITLE_REFUSED; LYRICS_REFUSED, also for words that cannot be sung."""
        require_allowed("title", new.title)
        if new.given_lyrics:
            # In a thread: long ones take milliseconds, in which nothing else would be answered.
            await asyncio.to_thread(require_allowed, "lyrics", new.given_lyrics)
            await self._lyricist.check(new.given_lyrics, new.duration_s)
