"""What an account can do with songs: the use cases behind both faces, one method for each RPC.

Every method takes the account and sees that account's songs only. Knows no transport: requests come in as
the protos have them, errors go out as ServiceError.
"""

import asyncio
from collections.abc import AsyncGenerator

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import AlreadyExists, FailedPrecondition, InvalidField, Unavailable
from services.gateway.audio.download import require_done
from services.gateway.creation import new_song
from services.gateway.database import patiently
from services.gateway.edits import LONGEST_CHAIN
from services.gateway.lookup import id_of_batch, id_of_song, song_of_account
from services.gateway.messages import finding_message, song_message
from services.gateway.models import Account, Scope, Song, State
from services.gateway.notices import Notices
from services.gateway.pages import page_size_of, page_token, read_page_token
from services.gateway.review import LONGEST_PROMPT, admit, checked_text, review
from services.gateway.store import Filter, Store
from services.gateway.tiers import Tiers
from services.gateway.work.lyricist import Lyricist

LONGEST_QUERY = 200


class Songs:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and NotFound (SONG_NOT_FOUND) for a song."""

    def __init__(
        self, store: Store, notices: Notices, lyricist: Lyricist, tiers: Tiers, draining: asyncio.Event
    ) -> None:
        self._store, self._notices, self._lyricist, self._tiers = store, notices, lyricist, tiers
        self._draining = draining

    async def review(self, account: Account, request: pb.ReviewPromptRequest) -> pb.ReviewPromptResponse:
        account.require(Scope.READ)
        findings = review(checked_text("prompt", request.prompt, LONGEST_PROMPT, required=True))
        return pb.ReviewPromptResponse(
            allowed=not any(f.refuses for f in findings), findings=map(finding_message, findings)
        )

    async def create(self, account: Account, request: pb.CreateSongRequest) -> pb.CreateSongResponse:
        account.require(Scope.WRITE)
        source = await self._source(account, request) if request.source_song_id else None
        new = new_song(account, request, source, priority=self._tiers.of(account.tier).priority)
        findings = admit(new.prompt)
        if request.lyrics:
            await self._lyricist.check(new.given_lyrics, new.duration_s)
        song = await self._store.create(new)
        if song.deleted_at is not None:
            raise AlreadyExists(
                "SONG_DELETED",
                "request_id was used for a song that is deleted",
                metadata={"field": "request_id", "song_id": str(song.id)},
            )
        if song.request_digest != new.request_digest:
            raise AlreadyExists(
                "REQUEST_ID_REUSED",
                "request_id was used for another request",
                metadata={"field": "request_id", "song_id": str(song.id)},
            )
        return pb.CreateSongResponse(song=song_message(song), findings=map(finding_message, findings))

    async def get(self, account: Account, request: pb.GetSongRequest) -> pb.GetSongResponse:
        account.require(Scope.READ)
        return pb.GetSongResponse(
            song=song_message(await song_of_account(self._store, account, request.song_id))
        )

    async def list(self, account: Account, request: pb.ListSongsRequest) -> pb.ListSongsResponse:
        account.require(Scope.READ)
        size, wanted = page_size_of(request.page_size), _filter(request)
        of_list = repr(wanted).encode()
        after = read_page_token(request.page_token, of_list) if request.page_token else None
        songs = await self._store.page(account.id, wanted, size + 1, after)
        page, more = songs[:size], len(songs) > size
        return pb.ListSongsResponse(
            songs=map(song_message, page),
            next_page_token=page_token(page[-1].created_at, page[-1].id, of_list) if more else "",
        )

    async def watch(
        self, account: Account, request: pb.WatchSongRequest
    ) -> AsyncGenerator[pb.WatchSongResponse]:
        """The song now, unless its revision was seen already, then after every change until it has ended.

        Raises:
            Unavailable: this replica is draining; ask another with the last revision seen.
        """
        account.require(Scope.READ)
        seen = request.after_revision
        song_id = id_of_song(request.song_id)
        with self._notices.subscribe(song_id, *State) as news:
            while True:
                song = await patiently(lambda: song_of_account(self._store, account, request.song_id))
                if song.revision != seen:
                    seen = song.revision
                    yield pb.WatchSongResponse(song=song_message(song))
                if song.state.ended:
                    return
                if self._draining.is_set():
                    raise Unavailable("DRAINING", "ask another replica", retry_delay_s=0.5)
                await news.wait()

    async def cancel(self, account: Account, request: pb.CancelSongRequest) -> pb.CancelSongResponse:
        account.require(Scope.WRITE)
        await self._store.cancel(account.id, id_of_song(request.song_id))
        return pb.CancelSongResponse(
            song=song_message(await song_of_account(self._store, account, request.song_id))
        )

    async def _source(self, account: Account, request: pb.CreateSongRequest) -> Song:
        """The song that is to be changed.

        Raises:
            NotFound: SONG_NOT_FOUND.
            FailedPrecondition: as `require_done`; CHAIN_TOO_LONG.
        """
        source = await song_of_account(self._store, account, request.source_song_id, "source_song_id")
        require_done(source)
        if len(await self._store.chain(source.id)) > LONGEST_CHAIN:
            limit = f"at most {LONGEST_CHAIN} songs, of which each was made from the next"
            raise FailedPrecondition(
                "CHAIN_TOO_LONG",
                "the song has been changed too often to be changed again",
                metadata={"field": "source_song_id", "limit": limit},
            )
        return source


def _filter(request: pb.ListSongsRequest) -> Filter:
    """Raises InvalidField: states, query; NotFound: batch_id."""
    known = {pb.SongState.Value(f"SONG_STATE_{state}"): state for state in State}
    for index, number in enumerate(request.states):
        if number not in known:
            raise InvalidField(
                "UNKNOWN_VALUE",
                f"states[{index}]",
                f"state {number} is not one that songs have",
                limit=", ".join(f"SONG_STATE_{state}" for state in State),
            )
    query = checked_text("query", request.query, LONGEST_QUERY)
    return Filter(
        states=tuple(sorted({known[number] for number in request.states})),
        words=tuple(query.split()),
        favourite=request.favourite if request.HasField("favourite") else None,
        hidden=request.hidden,
        batch_id=id_of_batch(request.batch_id) if request.batch_id else None,
    )
