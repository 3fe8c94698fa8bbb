"""The queue's statements on a real database: fencing, leases, order, and what is told of every change."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.postgres import Database as Server
from services.common.migrations import migrate
from services.gateway.accounts import DEVELOPMENT_ACCOUNT
from services.gateway.audio.chunks import Chunks
from services.gateway.database import SCHEMA, Database, open_database
from services.gateway.models import Chunk, NewSong, Progress, Result, Song, State
from services.gateway.notices import CHANNEL
from services.gateway.resources import MIGRATIONS
from services.gateway.store import Store
from services.gateway.tiers import Tier, Tiers
from services.gateway.work.journal import PENDING_BYTES, Journal
from services.gateway.work.queue import ChunksLost, LeaseLost, Limits, Queue

ACCOUNT = DEVELOPMENT_ACCOUNT.id
RENDERING = Progress(stage="rendering", step=1, steps=4, eta_s=2.0, media_type="audio/mpeg", stream_bytes=9)
RESULT = Result(
    media_type="audio/mpeg", engine="sketch", audio_sha256=b"a" * 32, audio_cid="bafy", audio_bytes=9,
    audio_duration_s=5.0, pcm_sha256=b"p" * 32, master_sha256=b"m" * 32, master_bytes=3,
    state_sha256=b"s" * 32, envelope=b"{}", genre="jazz", mood="calm", tempo_bpm=84.0,
    musical_key="C major", instruments=("piano",),
)  # fmt: skip


# One account has all of them in the making.
LIMITS = Limits(
    lease_s=30.0,
    max_failures=3,
    backoff_s=0.01,
    tiers=Tiers({"any": Tier(priority=0, concurrency=100, longest_s=240, songs_per_day=0)}),
)


@dataclass(frozen=True)
class Room:
    database: Database
    store: Store
    queue: Queue

    async def create(self, **fields: Any) -> Song:
        asked: dict[str, Any] = {
            "id": uuid4(), "account_id": ACCOUNT, "request_id": None, "request_digest": "", "prompt": "x",
            "title": "", "given_lyrics": "", "language": "", "instrumental": True, "duration_s": 5.0,
            "seed": 7, "creator_address": "", "reveal_prompt": False,
        }  # fmt: skip
        await self.store.enter_account(asked["account_id"], "")
        return await self.store.create(NewSong(**asked | fields))

    async def claimed(self) -> Song:
        song = await self.queue.claim()
        assert song is not None
        return song

    async def read(self, song: Song) -> Song:
        found = await self.store.get(ACCOUNT, song.id)
        assert found is not None
        return found

    async def chunks(self, song: Song) -> int:
        return int(await self.database.value("SELECT count(*) FROM audio_chunks WHERE song_id = $1", song.id))


@pytest.fixture(scope="module")
def server(new_database: Callable[[], Server]) -> Server:
    made = new_database()
    asyncio.run(migrate(made.gateway_dsn, SCHEMA, MIGRATIONS))
    return made


@pytest.fixture
async def room(server: Server) -> AsyncIterator[Room]:
    """The queue, empty."""
    async with open_database(server.gateway_dsn, connections=8) as opened:
        await opened.value("TRUNCATE songs, audio_chunks, accounts CASCADE")
        yield Room(opened, Store(opened), Queue(opened, LIMITS))


async def record(room: Room, song: Song, *chunks: Chunk, previous: int | None = None) -> None:
    await room.queue.record(song.id, song.attempt, RENDERING, chunks, previous, changed=True)


async def expire(room: Room, song: Song) -> None:
    await room.database.value(
        "UPDATE songs SET lease_expires_at = now() - interval '1 s' WHERE id = $1", song.id
    )


async def test_many_workers_never_claim_one_song_twice(room: Room) -> None:
    songs = {(await room.create()).id for _ in range(30)}

    async def work() -> list[Any]:
        claimed = []
        while (song := await room.queue.claim()) is not None:
            claimed.append(song.id)
        return claimed

    claims = Counter(id_ for taken in await asyncio.gather(*(work() for _ in range(8))) for id_ in taken)
    assert claims == dict.fromkeys(songs, 1)


async def test_the_queue_is_first_in_first_out_within_a_priority(room: Room) -> None:
    first, second, urgent = [await room.create() for _ in range(3)]
    await room.database.value("UPDATE songs SET priority = 1 WHERE id = $1", urgent.id)
    assert [(await room.claimed()).id for _ in range(3)] == [urgent.id, first.id, second.id]


@pytest.mark.parametrize(
    "late",
    [
        lambda q, key: q.record(*key, RENDERING, [Chunk(0, b"x")], None, changed=True),
        lambda q, key: q.write_lyrics(*key, b"", "t"),
        lambda q, key: q.finish(*key, RESULT),
        lambda q, key: q.give_back(*key, 0.0),
        lambda q, key: q.fail_attempt(*key, "R", "m"),
        lambda q, key: q.fail_song(*key, "R", "m"),
    ],
    ids=["record", "write_lyrics", "finish", "give_back", "fail_attempt", "fail_song"],
)
async def test_a_stalled_workers_late_word_changes_nothing(room: Room, late: Any) -> None:
    await room.create()
    stalled = await room.claimed()
    await expire(room, stalled)
    assert await room.queue.reap() == [stalled.id]
    await asyncio.sleep(0.02)
    begun_again = await room.claimed()
    assert begun_again.attempt == stalled.attempt + 1
    await record(room, begun_again, Chunk(0, b"new"))
    before = await room.read(begun_again)
    with pytest.raises(LeaseLost):
        await late(room.queue, (stalled.id, stalled.attempt))
    assert await room.read(begun_again) == before
    assert await room.chunks(begun_again) == 1


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.CANCELLED, State.QUEUED])
async def test_a_worker_whose_song_has_moved_on_learns_it(room: Room, state: State) -> None:
    await room.create()
    song = await room.claimed()
    match state:
        case State.SUCCEEDED:
            await room.queue.finish(song.id, song.attempt, RESULT)
        case State.CANCELLED:
            await room.store.cancel(ACCOUNT, song.id)
        case _:
            await room.queue.give_back(song.id, song.attempt, 0.0)
    assert not await room.queue.holds(song.id, song.attempt)
    with pytest.raises(LeaseLost):
        await record(room, song, Chunk(0, b"late"))
    assert (await room.read(song)).state is state
    assert await room.chunks(song) == 0


async def test_a_live_lease_is_not_reaped_and_progress_renews_it(room: Room) -> None:
    await room.create()
    song = await room.claimed()
    await expire(room, song)
    await record(room, song)
    assert await room.queue.reap() == []
    assert (await room.read(song)).state is State.RUNNING


async def test_a_song_whose_leases_run_out_waits_longer_each_time_and_then_fails(room: Room) -> None:
    song = await room.create()
    delays = []
    for attempt in range(1, 4):
        claimed = await room.claimed()
        assert (claimed.attempt, claimed.failures) == (attempt, attempt - 1)
        await expire(room, claimed)
        await room.queue.reap()
        delays.append(
            await room.database.value(
                "SELECT extract(epoch FROM run_at - now())::float8 FROM songs WHERE id = $1", song.id
            )
        )
        await asyncio.sleep(0.03)
    song = await room.read(song)
    assert (song.state, song.failure_reason, song.failures) == (State.FAILED, "LEASE_EXPIRED", 3)
    assert song.ended_at is not None
    assert delays == sorted(delays)
    assert await room.queue.claim() is None


async def test_a_song_in_backoff_is_not_claimed_before_its_time(room: Room) -> None:
    await room.create()
    song = await room.claimed()
    await room.queue.give_back(song.id, song.attempt, 0.2)
    assert await room.queue.claim() is None
    await asyncio.sleep(0.25)
    assert (await room.claimed()).failures == 0


async def test_an_attempt_taken_back_leaves_nothing_of_itself(room: Room) -> None:
    song = await room.create()
    claimed = await room.claimed()
    await record(room, claimed, Chunk(0, b"abc"))
    assert (await room.read(song)).first_audio_at is not None
    await room.queue.fail_attempt(song.id, claimed.attempt, "ENGINE_DIED", "it died")
    again = await room.read(song)
    assert (again.state, again.stage, again.step, again.eta_s) == (State.QUEUED, "queued", 0, 0.0)
    assert again.first_audio_at is again.started_at is None
    assert await room.chunks(song) == 0


async def test_chunks_are_read_back_by_any_offset_within_them(room: Room) -> None:
    await room.create()
    song = await room.claimed()
    await record(room, song, Chunk(0, b"abc"), Chunk(3, b"defg"))
    await record(room, song, Chunk(7, b"hi"), previous=3)
    chunks = Chunks(room.database)
    for start, end in combinations(range(11), 2):
        found = await chunks.piece(song.id, song.attempt, start, end)
        assert found == Chunk(start, b"abcdefghi"[start:end])
    for heard in (3, 7, 9):
        news = await chunks.hear(song.id, song.attempt, heard, 100)
        assert news is not None
        assert (b"".join(chunk.data for chunk in news.chunks), news.total_bytes) == (b"abcdefghi"[heard:], 9)


async def test_a_reader_far_behind_is_given_the_last_of_it(room: Room) -> None:
    await room.create()
    song = await room.claimed()
    await record(room, song, *[Chunk(offset, b"x" * 10) for offset in range(0, 100, 10)])
    chunks = Chunks(room.database)
    for attempt, heard in ((0, 0), (song.attempt, 20)):
        news = await chunks.hear(song.id, attempt, heard, 35)
        assert news is not None
        assert [chunk.offset for chunk in news.chunks] == [70, 80, 90]


async def test_audio_after_lost_audio_is_refused(room: Room) -> None:
    await room.create()
    song = await room.claimed()
    await record(room, song, Chunk(0, b"abc"))
    await room.database.value("TRUNCATE audio_chunks")  # as a crash of the server does
    with pytest.raises(ChunksLost):
        await record(room, song, Chunk(3, b"def"), previous=0)
    assert await room.chunks(song) == 0


async def test_a_repeated_write_is_written_once(room: Room) -> None:
    await room.create()
    song = await room.claimed()
    for _ in range(2):  # the first answer was lost with its connection
        await record(room, song, Chunk(0, b"abc"))
    assert await room.chunks(song) == 1


async def test_a_finished_songs_chunks_are_gone(room: Room) -> None:
    await room.create()
    song = await room.claimed()
    await record(room, song, Chunk(0, b"abcdefghi"))
    await room.queue.finish(song.id, song.attempt, RESULT)
    done = await room.read(song)
    assert (done.state, done.stage, done.instruments) == (State.SUCCEEDED, "done", ("piano",))
    assert await room.chunks(song) == 0


async def test_every_change_is_a_revision_and_is_told(room: Room, server: Server) -> None:
    told: list[str] = []
    listener = await asyncpg.connect(server.gateway_dsn)
    try:
        await listener.add_listener(CHANNEL, lambda *notice: told.append(notice[-1]))
        song = await room.create()
        claimed = await room.claimed()
        await record(room, claimed, Chunk(0, b"abc"))
        await room.queue.record(song.id, 1, RENDERING, [Chunk(3, b"d")], 0, changed=False)  # nothing to see
        await room.queue.give_back(song.id, 1, 0.0)
        await room.store.cancel(ACCOUNT, song.id)
        await listener.execute("SELECT 1")  # notices come before answers
    finally:
        await listener.close()
    kinds = [line.removesuffix(f" {song.id}") for line in told]
    assert sorted(kinds) == sorted(["QUEUED", "RUNNING", "AUDIO", "RUNNING", "AUDIO", "QUEUED", "CANCELLED"])
    assert (await room.read(song)).revision == 5


async def test_an_engine_waits_while_the_database_takes_nothing(room: Room, server: Server) -> None:
    await room.create()
    song = await room.claimed()
    journal = Journal(room.queue, song.id, song.attempt)
    writing = asyncio.create_task(journal.run())

    async def play() -> None:
        for offset in range(0, 3 * PENDING_BYTES, 65_536):
            await journal.hear(Chunk(offset, b"x" * 65_536))

    blocker = await asyncpg.connect(server.gateway_dsn)
    try:
        await blocker.execute("BEGIN")
        await blocker.execute("SELECT FROM songs FOR UPDATE")
        playing = asyncio.create_task(play())
        await asyncio.sleep(0.2)
        assert not playing.done()
    finally:
        await blocker.close()
    await playing
    journal.close()
    await writing
    assert await room.chunks(song) == 3 * PENDING_BYTES // 65_536


async def test_songs_that_are_written_together_keep_fences_and_audio_of_their_own(room: Room) -> None:
    for _ in range(4):
        await room.create()
    well, reaped, holed, other = [await room.claimed() for _ in range(4)]
    await record(room, holed, Chunk(0, b"abc"))
    await room.database.value("DELETE FROM audio_chunks")
    await expire(room, reaped)
    assert await room.queue.reap() == [reaped.id]
    outcomes = await asyncio.gather(
        record(room, well, Chunk(0, b"abc"), Chunk(3, b"def")),
        record(room, reaped, Chunk(0, b"abc")),
        record(room, holed, Chunk(3, b"def"), previous=0),
        record(room, other),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), LeaseLost, ChunksLost, type(None)]
    assert [await room.chunks(song) for song in (well, reaped, holed, other)] == [2, 0, 0, 0]
    heard = [(await room.read(song)).first_audio_at is not None for song in (well, other)]
    assert heard == [True, False]
    ids = [well.id, other.id]
    transactions = await room.database.rows("SELECT DISTINCT xmin FROM songs WHERE id = ANY ($1)", ids)
    assert len(transactions) == 1, "they were not written together"


async def test_songs_that_are_read_together_are_shown_to_their_own_accounts_only(room: Room) -> None:
    other = uuid4()
    await room.store.enter_account(other, "")
    mine, theirs = await room.create(), await room.create(account_id=other)
    asked = [(ACCOUNT, mine.id), (ACCOUNT, theirs.id), (other, theirs.id), (ACCOUNT, mine.id)]
    found = await asyncio.gather(*(room.store.get(account, song) for account, song in asked))
    assert [song and song.id for song in found] == [mine.id, None, theirs.id, mine.id]
