"""The queue as those who wait in it see it: each song's place, and when it will be done.

Reads the whole queue at once, for all who ask at this process, and no more often than it is worth. Knows no
account's rights.
"""

import asyncio
import random
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.gateway.database import Database, DatabaseUnavailable
from services.gateway.forecast import Made, Making, Speed, Turns, Waiting, forecast, speed_of
from services.gateway.models import Place, Song, State
from services.gateway.notices import Subscription
from services.gateway.tiers import Tiers

# A view that is no older will do; for songs that are not in it, one much younger.
FRESH_S, FRESH_FOR_NEW_S = 1.0, 0.05
# Looking takes at most this part of the time, however long the queue is; but never is a view older than this.
SHARE, OLDEST_S = 0.05, 60.0
# Songs from whose making the speed is told.
MEASURED = 50

_COLUMNS = "id, account_id, state, priority, run_at, duration_s, eta_s, started_at"


@dataclass(frozen=True)
class _View:
    places: Mapping[UUID, Place] = field(default_factory=dict)
    # by the monotonic clock
    began_s: float = float("-inf")
    took_s: float = 0.0


class WaitingRoom:
    """Never fails: while the database is away, places are as they were seen last."""

    def __init__(self, database: Database, tiers: Tiers) -> None:
        self._database, self._tiers = database, tiers
        self._view = _View()
        self._looking: asyncio.Task[None] | None = None

    async def places(self, songs: Iterable[Song]) -> Mapping[UUID, Place]:
        """Of those of them that wait; without those that came or went at this moment."""
        waiting = [song.id for song in songs if song.state is State.QUEUED]
        if not waiting:
            return {}
        seen = (await self._seen(waiting)).places
        return {song_id: seen[song_id] for song_id in waiting if song_id in seen}

    async def moved(self, news: Subscription, told: Mapping[UUID, int]) -> Mapping[UUID, Place]:
        """Waits until songs have moved from the positions that were `told` (0: none), and gives the places of
        these. Empty: there is news of one of the songs, or it is time to look at them anyway."""
        until = time.monotonic() + news.patience_s
        while told and (left_s := until - time.monotonic()) > FRESH_S:
            # Not all at the same moment, however they came.
            if await news.wait(FRESH_S * random.uniform(0.5, 1.0)):
                return {}
            seen = (await self._seen(())).places
            if any(position and song_id not in seen for song_id, position in told.items()):
                return {}  # one has left the queue, and nobody said so
            moved = {
                song_id: seen[song_id]
                for song_id, position in told.items()
                if song_id in seen and seen[song_id].position != position
            }
            if moved:
                return moved
        await news.wait(max(0.0, left_s) if told else None)
        return {}

    async def _seen(self, wanted: Collection[UUID]) -> _View:
        known = all(song_id in self._view.places for song_id in wanted)
        fresh_s = max(FRESH_S if known else FRESH_FOR_NEW_S, min(OLDEST_S, self._view.took_s / SHARE))
        if time.monotonic() - self._view.began_s > fresh_s:
            if self._looking is None:
                self._looking = asyncio.create_task(self._look())
            await asyncio.shield(self._looking)
        return self._view

    async def _look(self) -> None:
        began_s = time.monotonic()
        try:
            places = await self._forecast()
            self._view = _View(places, began_s, time.monotonic() - began_s)
        except DatabaseUnavailable:
            self._view = _View(self._view.places, began_s)
        finally:
            self._looking = None

    async def _forecast(self) -> dict[UUID, Place]:
        rows = await self._database.rows(
            "SELECT s.id, s.account_id, s.state, s.priority, s.duration_s, s.eta_s, a.tier,"
            " extract(epoch FROM s.run_at - now())::float8 AS due_in_s,"
            " extract(epoch FROM now() - s.started_at)::float8 AS elapsed_s,"
            " extract(epoch FROM a.last_claimed_at)::float8 AS served_s"
            # Apart, so that each finds its index.
            f" FROM (SELECT {_COLUMNS} FROM songs WHERE state = 'QUEUED'"
            f"   UNION ALL SELECT {_COLUMNS} FROM songs WHERE state = 'RUNNING') s"
            " JOIN accounts a ON a.id = s.account_id"
        )
        if not any(row["state"] == State.QUEUED for row in rows):
            return {}
        running = sum(row["state"] == State.RUNNING for row in rows)
        speed = speed_of(await self._made(), running)
        # Off the loop: a long queue takes a while.
        return await asyncio.to_thread(self._played_through, rows, speed)

    async def _made(self) -> list[Made]:
        rows = await self._database.rows(
            "SELECT extract(epoch FROM ended_at - started_at)::float8 AS making_s,"
            " audio_duration_s AS audio_s, extract(epoch FROM now() - ended_at)::float8 AS ago_s"
            " FROM songs WHERE state = 'SUCCEEDED' AND started_at IS NOT NULL"
            " ORDER BY ended_at DESC LIMIT $1",
            MEASURED,
        )
        return [Made(**row) for row in rows]

    def _played_through(self, rows: list[Any], speed: Speed) -> dict[UUID, Place]:
        waiting = [
            Waiting(row["id"], row["account_id"], row["priority"], row["due_in_s"], row["duration_s"])
            for row in rows
            if row["state"] == State.QUEUED
        ]
        making = [
            Making(row["account_id"], row["duration_s"], row["elapsed_s"], row["eta_s"])
            for row in rows
            if row["state"] == State.RUNNING
        ]
        turns = {
            row["account_id"]: Turns(self._tiers.of(row["tier"]).concurrency, row["served_s"]) for row in rows
        }
        return forecast(waiting, making, turns, speed)
