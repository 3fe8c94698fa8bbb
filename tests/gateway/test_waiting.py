"""Places in the queue: as claims are really made, told to whoever waits, and cheap however many ask."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.postgres import Database as Server
from services.common.migrations import migrate
from services.gateway.database import MIGRATIONS, SCHEMA, Database, open_database
from services.gateway.models import NewSong, Song
from services.gateway.store import Store
from services.gateway.tiers import Tier, Tiers
from services.gateway.waiting import WaitingRoom
from services.gateway.work.queue import Limits, Queue
from tests.gateway.mesh import CALL_S, Gateway, Mesh, eventually
from tests.gateway.pods import Script

TIERS = Tiers(
    {
        "free": Tier(priority=0, concurrency=1, longest_s=240, songs_per_day=0),
        "paid": Tier(priority=5, concurrency=3, longest_s=240, songs_per_day=0),
        "bulk": Tier(priority=0, concurrency=50, longest_s=240, songs_per_day=0),
    }
)


class Counted(Database):
    """A database that counts what it is asked."""

    asked = 0

    async def rows(self, sql: str, *arguments: object) -> list[Any]:
        self.asked += 1
        return await super().rows(sql, *arguments)


@dataclass
class Room:
    database: Database
    store: Store
    queue: Queue
    tiers: dict[UUID, str] = field(default_factory=dict)

    async def account(self, tier: str) -> UUID:
        await self.store.enter_account(account := uuid4(), tier)
        self.tiers[account] = tier
        return account

    async def create(self, account: UUID) -> Song:
        priority = TIERS.of(self.tiers[account]).priority
        return await self.store.create(
            NewSong(
                id=uuid4(), account_id=account, request_id=None, request_digest="", prompt="x", title="",
                given_lyrics="", language="", instrumental=True, duration_s=5.0, seed=7, creator_address="",
                reveal_prompt=False, priority=priority,
            )
        )  # fmt: skip

    async def places(self, songs: list[Song]) -> dict[UUID, int]:
        seen = await WaitingRoom(self.database, TIERS).places(songs)
        return {song_id: place.position for song_id, place in seen.items()}


@pytest.fixture(scope="module")
def server(new_database: Callable[[], Server]) -> Server:
    made = new_database()
    asyncio.run(migrate(made.gateway_dsn, SCHEMA, MIGRATIONS))
    return made


@pytest.fixture
async def room(server: Server) -> AsyncIterator[Room]:
    async with open_database(server.gateway_dsn, connections=4) as opened:
        await opened.value("TRUNCATE songs, accounts CASCADE")
        yield Room(
            opened,
            Store(opened),
            Queue(opened, Limits(lease_s=30.0, max_failures=3, backoff_s=0.01, tiers=TIERS)),
        )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tiers=st.lists(st.sampled_from(["free", "paid", "bulk", "gone"]), min_size=1, max_size=4),
    asked=st.lists(st.integers(0, 3), min_size=1, max_size=14),
    begun=st.integers(0, 3),
)
async def test_songs_are_claimed_in_the_order_of_their_places(
    room: Room, tiers: list[str], asked: list[int], begun: int
) -> None:
    await room.database.value("TRUNCATE songs, accounts CASCADE")
    accounts = [await room.account(tier) for tier in tiers]
    songs = {s.id: s for s in [await room.create(accounts[number % len(accounts)]) for number in asked]}
    making = [song for _ in range(begun) if (song := await room.queue.claim()) is not None]
    waiting = [songs[id_] for id_ in songs.keys() - {song.id for song in making}]
    places = await room.places(waiting)
    assert sorted(places.values()) == list(range(1, len(waiting) + 1))
    slots, claimed = max(1, len(making)), []
    while len(claimed) < len(waiting):
        song = await room.queue.claim() if len(making) < slots else None
        if song is not None:
            claimed.append(song.id)
            making.append(song)
        else:  # the one that was begun first ends
            ended = making.pop(0)
            await room.queue.fail_song(ended.id, ended.attempt, "R", "m")
    assert claimed == sorted(places, key=places.__getitem__)


async def test_however_many_ask_the_queue_is_read_once(room: Room, server: Server) -> None:
    account = await room.account("bulk")
    songs = [await room.create(account) for _ in range(100)]
    counted = Counted(room.database._pool)
    waiting = WaitingRoom(counted, TIERS)
    seen = await asyncio.gather(*(waiting.places(songs) for _ in range(1000)))
    assert counted.asked == 2  # what waits, and how fast songs were made
    assert all(places == seen[0] and len(places) == 100 for places in seen)
    assert await waiting.places([]) == {}


async def test_what_has_just_come_is_looked_for(room: Room) -> None:
    waiting, account = WaitingRoom(room.database, TIERS), await room.account("bulk")
    first = await room.create(account)
    assert [place.position for place in (await waiting.places([first])).values()] == [1]
    second = await room.create(account)

    async def found() -> bool:
        return second.id in await waiting.places([second])

    await eventually(found)
    seen = await waiting.places([first, second])
    assert [seen[song.id].position for song in (first, second)] == [1, 2]


async def test_the_end_is_told_from_the_songs_made_lately(room: Room) -> None:
    account = await room.account("free")
    for _ in range(3):
        song = await room.create(account)
        await room.database.value(
            "UPDATE songs SET state = 'SUCCEEDED', audio_sha256 = '', master_sha256 = '', envelope = '',"
            " audio_duration_s = 5, started_at = now() - interval '20 s', ended_at = now() - interval '10 s'"
            " WHERE id = $1",
            song.id,
        )
    songs = [await room.create(account) for _ in range(2)]
    seen = await WaitingRoom(room.database, TIERS).places(songs)
    # Two seconds for one of audio; three were made at once, but of this account only one may be.
    assert [seen[song.id].eta_s for song in songs] == [10.0, 20.0]


async def watched(gateway: Gateway, song_id: str, told: "asyncio.Queue[pb.Song]") -> None:
    async for response in gateway.grpc.WatchSong(pb.WatchSongRequest(song_id=song_id), timeout=CALL_S):
        told.put_nowait(response.song)


@pytest.mark.parametrize("listen", [True, False])
async def test_whoever_waits_is_told_the_place_and_when_it_is_another(pods: Mesh, listen: bool) -> None:
    gateway = await pods.open(workers=1, listen=listen)
    script = Script(pause_after=1)
    pods.music.follow(script)
    running = await gateway.create()
    await script.paused.wait()
    second, third = await gateway.create(), await gateway.create()
    listed = await gateway.grpc.ListSongs(pb.ListSongsRequest(), timeout=CALL_S)
    assert {song.id: song.progress.queue_position for song in listed.songs} == {
        running.id: 0, second.id: 1, third.id: 2,
    }  # fmt: skip
    assert (await gateway.get(third.id)).progress.queue_position == 2
    over_http = (await gateway.http.get(f"/v1/songs/{third.id}")).json()["song"]
    assert over_http["progress"]["queue_position"] == 2
    told: asyncio.Queue[pb.Song] = asyncio.Queue()
    watching = asyncio.create_task(watched(gateway, third.id, told))
    song = await told.get()
    assert (song.progress.queue_position, song.revision) == (2, third.revision)
    await gateway.grpc.CancelSong(pb.CancelSongRequest(song_id=second.id), timeout=CALL_S)
    async with asyncio.timeout(CALL_S):
        song = await told.get()
    assert (song.progress.queue_position, song.revision) == (1, third.revision)
    script.go_on.set()
    await watching
    states = [told.get_nowait() for _ in range(told.qsize())]
    assert states[-1].state == pb.SONG_STATE_SUCCEEDED
    assert not any(song.progress.queue_position for song in states if song.state != pb.SONG_STATE_QUEUED)


async def test_a_batch_is_told_its_places(pods: Mesh) -> None:
    gateway = await pods.open(workers=1)
    script = Script(pause_after=1)
    pods.music.follow(script)
    await gateway.create()
    await script.paused.wait()
    before = await gateway.create()
    request = pb.CreateBatchRequest(
        variations=3, song=pb.CreateSongRequest(prompt="calm", instrumental=True, duration_s=5.0)
    )
    batch = (await gateway.grpc.CreateBatch(request, timeout=CALL_S)).batch
    read = (await gateway.grpc.GetBatch(pb.GetBatchRequest(batch_id=batch.id), timeout=CALL_S)).batch
    assert [song.progress.queue_position for song in read.songs] == [2, 3, 4]
    told: list[int] = []
    watch = gateway.grpc.WatchBatch(pb.WatchBatchRequest(batch_id=batch.id), timeout=CALL_S)
    async for event in watch:
        told.append(event.song.progress.queue_position)
        if told == [2, 3, 4]:
            await gateway.grpc.CancelSong(pb.CancelSongRequest(song_id=before.id), timeout=CALL_S)
        if len(told) == 6:
            break
    watch.cancel()
    assert told == [2, 3, 4, 1, 2, 3]
    script.go_on.set()
