"""What an account can do with songs: the use cases behind both faces, one method for each RPC.

Every method takes the account and sees that account's songs only. Knows no transport: requests come in as
the protos have them, errors go out as ServiceError.
"""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import AlreadyExists, InvalidField, Unavailable
from services.common.tracing import link
from services.gateway import song_traces
from services.gateway.creation import LONGEST_LYRICS
from services.gateway.database import patiently
from services.gateway.lookup import id_of_batch, id_of_song, song_of_account
from services.gateway.messages import finding_message, song_message
from services.gateway.models import Account, Scope, State
from services.gateway.notices import Notices
from services.gateway.ordering import Ordering
from services.gateway.pages import page_size_of, page_token, read_page_token
from services.gateway.review import LONGEST_PROMPT, admit, checked_text, read_prompt, review
from services.gateway.store import Filter, Store
from services.gateway.titles import LONGEST_TITLE
from services.gateway.waiting import WaitingRoom

LONGEST_QUERY = 200


class Songs:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and NotFound (SONG_NOT_FOUND) for a song."""

    def __init__(
        self,
        store: Store,
        notices: Notices,
        ordering: Ordering,
        waiting: WaitingRoom,
        draining: asyncio.Event,
    ) -> None:
        self._store, self._notices, self._ordering, self._waiting = store, notices, ordering, waiting
        self._draining = draining

    async def review(self, account: Account, request: pb.ReviewPromptRequest) -> pb.ReviewPromptResponse:
        account.require(Scope.READ)
        prompt = checked_text("prompt", request.prompt, LONGEST_PROMPT, required=True)
        title = checked_text("title", request.title, LONGEST_TITLE)
        lyrics = checked_text("lyrics", request.lyrics, LONGEST_LYRICS, lines=True)
        duration_s = request.duration_s if request.HasField("duration_s") else None
        # In a thread: long lyrics take milliseconds to judge, in which nothing else would be answered.
        judge = partial(review, prompt, title, lyrics, duration_s=duration_s, sung=bool(lyrics))
        findings = await asyncio.to_thread(judge) if lyrics else judge()
        return pb.ReviewPromptResponse(
            allowed=not any(f.refuses for f in findings),
            findings=map(finding_message, findings),
            reading=read_prompt(prompt),
        )

    async def create(self, account: Account, request: pb.CreateSongRequest) -> pb.CreateSongResponse:
        account.require(Scope.WRITE)
        source = await self._ordering.source(account, request)
        new = self._ordering.order(account, request, source)
        findings = admit(new.prompt, duration_s=new.duration_s, sung=not new.instrumental)
        await self._ordering.check_words(new)
        new, own_span = song_traces.begun(new)
        song = await self._store.create(new, per_day=self._ordering.per_day(account))
        if song.id == new.id:
            own_span.end()
        else:  # asked for again: what makes it is elsewhere
            link(song.traceparent)
        song_traces.concerns(song.id)
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
        return pb.CreateSongResponse(
            song=song_message(song),
            findings=map(finding_message, findings),
            reading=music_pb.MusicReading.FromString(song.reading or b""),
        )

    async def get(self, account: Account, request: pb.GetSongRequest) -> pb.GetSongResponse:
        account.require(Scope.READ)
        song = await song_of_account(self._store, account, request.song_id)
        places = await self._waiting.places([song])
        return pb.GetSongResponse(song=song_message(song, places.get(song.id)))

    async def list(self, account: Account, request: pb.ListSongsRequest) -> pb.ListSongsResponse:
        account.require(Scope.READ)
        size, wanted = page_size_of(request.page_size), _filter(request)
        of_list = repr(wanted).encode()
        after = read_page_token(request.page_token, of_list) if request.page_token else None
        songs = await self._store.page(account.id, wanted, size + 1, after)
        page, more = songs[:size], len(songs) > size
        places = await self._waiting.places(page)
        return pb.ListSongsResponse(
            songs=[song_message(song, places.get(song.id)) for song in page],
            next_page_token=page_token(page[-1].created_at, page[-1].id, of_list) if more else "",
        )

    async def watch(
        self, account: Account, request: pb.WatchSongRequest
    ) -> AsyncGenerator[pb.WatchSongResponse]:
        """The song now, unless its revision was seen already, then after every change until it has ended.
        While it waits, a new place is a change too.

        Raises:
            Unavailable: this replica is draining; ask another with the last revision seen.
        """
        account.require(Scope.READ)
        seen, told = request.after_revision, 0
        song_id = id_of_song(request.song_id)
        with self._notices.subscribe(song_id, *State) as news:
            while True:
                song = await patiently(lambda: song_of_account(self._store, account, request.song_id))
                places = await self._waiting.places([song])
                position = places[song.id].position if places else 0
                if song.revision != seen or position not in (0, told):
                    seen = song.revision
                    yield pb.WatchSongResponse(song=song_message(song, places.get(song.id)))
                told = position
                if song.state.ended:
                    return
                if self._draining.is_set():
                    raise Unavailable("DRAINING", "ask another replica", retry_delay_s=0.5)
                waits = song.state is State.QUEUED
                while moved := await self._waiting.moved(news, {song.id: told} if waits else {}):
                    told = moved[song.id].position
                    yield pb.WatchSongResponse(song=song_message(song, moved[song.id]))

    async def cancel(self, account: Account, request: pb.CancelSongRequest) -> pb.CancelSongResponse:
        account.require(Scope.WRITE)
        await self._store.cancel(account.id, id_of_song(request.song_id))
        return pb.CancelSongResponse(
            song=song_message(await song_of_account(self._store, account, request.song_id))
        )


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
        minted=request.minted if request.HasField("minted") else None,
    )
