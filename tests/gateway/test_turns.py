"""Whose turn it is: priorities, limits and fairness, held to a second implementation on a real database."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.local.postgres import Database as Server
from services.common.migrations import migrate
from services.gateway.database import MIGRATIONS, SCHEMA, open_database
from services.gateway.models import NewSong, Song
from services.gateway.store import Store
from services.gateway.tiers import Tier, Tiers
from services.gateway.work.queue import Limits, Queue

TIERS = Tiers(
    {
        "free": Tier(priority=0, concurrency=1, longest_s=240, songs_per_day=0),
        "paid": Tier(priority=5, concurrency=3, longest_s=240, songs_per_day=0),
        "bulk": Tier(priority=0, concurrency=50, longest_s=240, songs_per_day=0),
    }
)


@dataclass(frozen=True)
class Room:
    database: Any
    store: Store
    queue: Queue

    async def account(self, tier: str) -> UUID:
        await self.store.enter_account(account := uuid4(), tier)
        return account

    async def create(self, account: UUID, tier: str) -> UUID:
        song = NewSong(
            id=uuid4(), account_id=account, request_id=None, request_digest="", prompt="x", title="",
            given_lyrics="", language="", instrumental=True, duration_s=5.0, seed=7, creator_address="",
            reveal_prompt=False, priority=TIERS.of(tier).priority,
        )  # fmt: skip
        return (await self.store.create(song)).id

    async def give_back(self, song: Song) -> None:
        await self.queue.give_back(song.id, song.attempt, 0.0)


@pytest.fixture(scope="module")
def server(new_database: Callable[[], Server]) -> Server:
    made = new_database()
    asyncio.run(migrate(made.gateway_dsn, SCHEMA, MIGRATIONS))
    return made


@pytest.fixture
async def room(server: Server) -> AsyncIterator[Room]:
    async with open_database(server.gateway_dsn, connections=8) as opened:
        await opened.value("TRUNCATE songs, accounts CASCADE")
        limits = Limits(lease_s=30.0, max_failures=3, backoff_s=0.01, tiers=TIERS)
        yield Room(opened, Store(opened), Queue(opened, limits))


@dataclass
class Model:
    """What claim_song says of itself, written again."""

    tiers: dict[UUID, str] = field(default_factory=dict)
    waiting: dict[UUID, list[UUID]] = field(default_factory=dict)
    running: Counter[UUID] = field(default_factory=Counter)
    served: dict[UUID, int] = field(default_factory=dict)
    turn: int = 0

    def claim(self) -> UUID | None:
        able = [
            account
            for account, songs in self.waiting.items()
            if songs and self.running[account] < TIERS.of(self.tiers[account]).concurrency
        ]
        if not able:
            return None
        chosen = min(
            able,
            key=lambda a: (-TIERS.of(self.tiers[a]).priority, self.running[a], self.served.get(a, -1)),
        )
        self.turn += 1
        self.served[chosen] = self.turn
        self.running[chosen] += 1
        return self.waiting[chosen].pop(0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.integers(0, 4)),
        st.tuples(st.just("claim"), st.just(0)),
        st.tuples(st.just("end"), st.integers(0, 20)),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tiers=st.lists(st.sampled_from(["free", "paid", "bulk", "gone"]), min_size=1, max_size=5), steps=STEPS)
async def test_every_claim_is_the_one_that_a_second_implementation_makes(
    room: Room, tiers: list[str], steps: list[tuple[str, int]]
) -> None:
    await room.database.value("TRUNCATE songs, accounts CASCADE")
    model, making = Model(), []
    accounts = [await room.account(tier) for tier in tiers]
    model.tiers = dict(zip(accounts, tiers, strict=True))
    for step, number in steps:
        match step:
            case "create":
                account = accounts[number % len(accounts)]
                song_id = await room.create(account, model.tiers[account])
                model.waiting.setdefault(account, []).append(song_id)
            case "claim":
                song = await room.queue.claim()
                expected = model.claim()
                # Of accounts that were never served the older song decides, which the model leaves open.
                if song is None or expected is None or song.id == expected:
                    assert (song.id if song else None) == expected
                else:
                    assert await _as_good(room, model, song, expected)
                if song is not None:
                    making.append(song)
            case "end" if making:
                song = making.pop(number % len(making))
                await room.queue.fail_song(song.id, song.attempt, "R", "m")
                model.running[song.account_id] -= 1


async def _as_good(room: Room, model: Model, song: Song, expected: UUID) -> bool:
    """Whether the two differ only in who was never served; the model follows what was claimed."""
    other = await room.database.value("SELECT account_id FROM songs WHERE id = $1", expected)
    priority = [TIERS.of(model.tiers[a]).priority for a in (song.account_id, other)]
    model.running[other] -= 1
    same = (
        priority[0] == priority[1]
        and model.running[other] == model.running[song.account_id]
        and song.account_id not in model.served
    )
    model.waiting[other].insert(0, expected)
    del model.served[other]
    model.waiting[song.account_id].remove(song.id)
    model.running[song.account_id] += 1
    model.served[song.account_id] = model.turn
    return same


async def test_no_account_has_more_in_the_making_than_its_tier_allows_however_many_claim(room: Room) -> None:
    accounts = {await room.account(tier): tier for tier in ("free", "paid", "free", "bulk")}
    for account, tier in accounts.items():
        for _ in range(8):
            await room.create(account, tier)

    async def work() -> list[Song]:
        taken = []
        while (song := await room.queue.claim()) is not None:
            taken.append(song)
        return taken

    songs = [song for taken in await asyncio.gather(*(work() for _ in range(8))) for song in taken]
    made = Counter(accounts[song.account_id] for song in songs)
    assert made == {"free": 2, "paid": 3, "bulk": 8}
    assert len({song.id for song in songs}) == len(songs)


async def test_accounts_of_a_tier_take_turns_whoever_asked_first(room: Room) -> None:
    many, few = await room.account("bulk"), await room.account("bulk")
    for _ in range(10):
        await room.create(many, "bulk")
    for _ in range(3):
        await room.create(few, "bulk")
    order = [song.account_id for _ in range(6) if (song := await room.queue.claim()) is not None]
    assert order == [many, few] * 3


async def test_an_account_at_its_limit_does_not_make_anyone_look_again_and_again(room: Room) -> None:
    account = await room.account("free")
    await room.create(account, "free")
    await room.create(account, "free")
    song = await room.queue.claim()
    assert song is not None
    assert await room.queue.claim() is None
    assert await room.queue.next_due_s() is None
    await room.queue.fail_song(song.id, song.attempt, "R", "m")
    assert await room.queue.claim() is not None


async def test_a_song_that_is_given_back_keeps_its_place(room: Room) -> None:
    account = await room.account("bulk")
    first = await room.create(account, "bulk")
    await room.create(account, "bulk")
    claimed = await room.queue.claim()
    assert claimed is not None
    assert claimed.id == first
    await room.give_back(claimed)
    again = await room.queue.claim()
    assert again is not None
    assert again.id == first
