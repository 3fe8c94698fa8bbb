"""Several songs in one request, watched as one: each prompt, each so many times.

The use cases behind both faces, one method for each RPC. Knows no transport.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import AlreadyExists, InvalidField, Unavailable, fields_within
from services.common.provenance import request_digest
from services.gateway import song_traces
from services.gateway.batch_store import BatchStore
from services.gateway.creation import again, checked_request_id
from services.gateway.cursors import cursor_of, read_cursor
from services.gateway.database import patiently
from services.gateway.lookup import batch_not_found, id_of_batch
from services.gateway.messages import finding_message, song_message, timestamp
from services.gateway.models import Account, Batch, NewBatch, NewSong, Scope, Song, State
from services.gateway.notices import Notices
from services.gateway.ordering import Ordering
from services.gateway.review import LONGEST_PROMPT, admit, checked_text
from services.gateway.waiting import WaitingRoom

MOST_PROMPTS, MOST_VARIATIONS, MOST_SONGS = 16, 8, 64
SEEDS = 1 << 32


class Batches:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and NotFound (BATCH_NOT_FOUND)."""

    def __init__(
        self,
        store: BatchStore,
        notices: Notices,
        ordering: Ordering,
        waiting: WaitingRoom,
        draining: asyncio.Event,
    ) -> None:
        self._store, self._notices, self._ordering, self._waiting = store, notices, ordering, waiting
        self._draining = draining

    async def create(self, account: Account, request: pb.CreateBatchRequest) -> pb.CreateBatchResponse:
        """Queues all of them or none. Raises as the proto's CreateBatch says."""
        account.require(Scope.WRITE)
        request_id = checked_request_id(request.request_id)
        _check_sizes(request)
        prompts = [
            checked_text(f"prompts[{index}]", prompt, LONGEST_PROMPT, required=True)
            for index, prompt in enumerate(request.prompts)
        ]
        asked = pb.CreateSongRequest()
        asked.CopyFrom(request.song)
        asked.prompt = prompts[0] if prompts else asked.prompt
        with fields_within("song."):
            source = await self._ordering.source(account, asked)
            first = self._ordering.order(account, asked, source)
        of_each = prompts or [first.prompt]
        findings = [
            admit(
                prompt,
                f"prompts[{index}]" if prompts else "song.prompt",
                duration_s=first.duration_s,
                sung=not first.instrumental,
            )
            for index, prompt in enumerate(of_each)
        ]
        with fields_within("song."):
            await self._ordering.check_words(first)
        each = max(1, request.variations)
        # `first` stands for all that they have in common, and for a given seed.
        digest = request_digest({"song": first.request_digest, "prompts": prompts, "variations": each})
        all_prompts = [prompt for prompt in of_each for _ in range(each)]
        begun = [song_traces.begun(song) for song in _songs(first, asked, all_prompts)]
        songs = [song for song, _ in begun]
        new = NewBatch(
            id=songs[0].batch_id or uuid4(),
            account_id=account.id,
            request_id=request_id,
            request_digest=digest,
            songs=songs,
        )
        batch = await self._store.create(new, per_day=self._ordering.per_day(account))
        if batch.id == new.id:
            for _, own_span in begun:
                own_span.end()
        if batch.request_digest != digest:
            raise AlreadyExists(
                "REQUEST_ID_REUSED",
                "request_id was used for another request",
                metadata={"field": "request_id", "batch_id": str(batch.id)},
            )
        return pb.CreateBatchResponse(
            batch=await self._message(account, batch),
            findings=[
                pb.PromptFindings(prompt=prompt, findings=map(finding_message, found))
                for prompt, found in zip(of_each, findings, strict=True)
            ],
        )

    async def get(self, account: Account, request: pb.GetBatchRequest) -> pb.GetBatchResponse:
        account.require(Scope.READ)
        batch = await self._batch(account, request.batch_id)
        return pb.GetBatchResponse(batch=await self._message(account, batch))

    async def cancel(self, account: Account, request: pb.CancelBatchRequest) -> pb.CancelBatchResponse:
        account.require(Scope.WRITE)
        batch = await self._batch(account, request.batch_id)
        await self._store.cancel(account.id, batch.id)
        return pb.CancelBatchResponse(batch=await self._message(account, batch))

    async def watch(
        self, account: Account, request: pb.WatchBatchRequest
    ) -> AsyncGenerator[pb.WatchBatchResponse]:
        """Every song that is not as the cursor has seen it, then each after every change until all ended.
        While one waits, a new place is a change too.

        Raises:
            InvalidField: MALFORMED, the cursor is not one of this batch.
            Unavailable: this replica is draining; ask another with the last cursor.
        """
        account.require(Scope.READ)
        batch = await patiently(lambda: self._batch(account, request.batch_id))
        seen, told = read_cursor(request.cursor, batch.id), dict[UUID, int]()
        songs = {song.id: song for song in await patiently(lambda: self._changed(account, batch, ()))}
        with self._notices.subscribe_to_all(songs, *State) as news:
            while True:
                for song in await patiently(lambda: self._changed(account, batch, songs.values())):
                    songs[song.id] = song
                there = [song for song in songs.values() if song.deleted_at is None]
                places = await self._waiting.places(there)
                for song in there:
                    place, index = places.get(song.id), song.batch_index or 0
                    position = place.position if place else 0
                    if song.revision != seen.get(index) or position not in (0, told.get(song.id)):
                        seen[index] = song.revision
                        cursor = cursor_of(seen, batch.id)
                        yield pb.WatchBatchResponse(song=song_message(song, place), cursor=cursor)
                    told[song.id] = position
                if all(song.state.ended for song in there):
                    return
                if self._draining.is_set():
                    raise Unavailable("DRAINING", "ask another replica", retry_delay_s=0.5)
                waits = [song.id for song in there if song.state is State.QUEUED]
                while moved := await self._waiting.moved(news, {id_: told[id_] for id_ in waits}):
                    for song_id, place in moved.items():
                        told[song_id] = place.position
                        message = song_message(songs[song_id], place)
                        yield pb.WatchBatchResponse(song=message, cursor=cursor_of(seen, batch.id))

    async def over(self, account: Account, request: pb.WatchBatchRequest) -> bool:
        """Whether all have ended and the cursor has seen it. Raises as `watch`."""
        account.require(Scope.READ)
        batch = await self._batch(account, request.batch_id)
        seen = read_cursor(request.cursor, batch.id)
        songs = await self._changed(account, batch, ())
        return all(
            song.state.ended and song.revision == seen.get(song.batch_index or 0)
            for song in songs
            if song.deleted_at is None
        )

    async def _batch(self, account: Account, batch_id: str) -> Batch:
        batch = await self._store.get(account.id, id_of_batch(batch_id))
        if batch is None:
            raise batch_not_found(batch_id)
        return batch

    async def _changed(self, account: Account, batch: Batch, known: Iterable[Song]) -> list[Song]:
        revisions = {song.batch_index or 0: song.revision for song in known}
        return await self._store.changed(account.id, batch.id, revisions)

    async def _message(self, account: Account, batch: Batch) -> pb.Batch:
        songs = await self._changed(account, batch, ())
        there = [song for song in songs if song.deleted_at is None]
        places = await self._waiting.places(there)
        return pb.Batch(
            id=str(batch.id),
            create_time=timestamp(batch.created_at),
            songs=[song_message(song, places.get(song.id)) for song in there],
        )


def _songs(first: NewSong, asked: pb.CreateSongRequest, prompts: Sequence[str]) -> list[NewSong]:
    """One of each prompt, in one batch; a given seed is that of the first, and each has the next."""
    batch_id = uuid4()

    def seed_of(index: int) -> int:
        return (asked.seed + index) % SEEDS if asked.HasField("seed") else secrets.randbelow(SEEDS)

    return [
        replace(again(first, asked, prompt, seed_of(index)), batch_id=batch_id, batch_index=index)
        for index, prompt in enumerate(prompts)
    ]


def _check_sizes(request: pb.CreateBatchRequest) -> None:
    """Raises InvalidField: too many of something, or one thing said twice or not at all."""
    each, songs = max(1, request.variations), max(1, len(request.prompts)) * max(1, request.variations)
    if len(request.prompts) > MOST_PROMPTS:
        message, limit = f"there are {len(request.prompts)} prompts", f"at most {MOST_PROMPTS} prompts"
        raise InvalidField("OUT_OF_RANGE", "prompts", message, limit=limit)
    if each > MOST_VARIATIONS or songs > MOST_SONGS:
        limit = f"at most {MOST_VARIATIONS}, and {MOST_SONGS} songs in all"
        message = f"{each} of each prompt are {songs} songs"
        raise InvalidField("OUT_OF_RANGE", "variations", message, limit=limit)
    if request.song.request_id:
        message, limit = "request_id is the batch's", "absent within a batch"
        raise InvalidField("CONFLICT", "song.request_id", message, limit=limit)
    if request.prompts and request.song.prompt:
        message = "song.prompt is given beside prompts"
        raise InvalidField("CONFLICT", "song.prompt", message, limit="absent with prompts")
    if not (request.prompts or request.song.prompt.strip() or request.song.source_song_id):
        limit = f"1 to {MOST_PROMPTS} prompts, or one in song"
        raise InvalidField("REQUIRED", "prompts", "there is nothing to make", limit=limit)
