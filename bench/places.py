"""What places in the queue cost: `python -m bench.places [--songs 10000] [--accounts 500] [--watchers 1000]`.

A real PostgreSQL with a long queue beside many songs that are done. Tells how long one look takes, how long
the event loop stood still meanwhile, and how often all watchers together had the queue read: a line of JSON.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from deploy.local import postgres
from services.common.migrations import migrate
from services.gateway.database import MIGRATIONS, SCHEMA, Database, open_database
from services.gateway.models import State
from services.gateway.notices import Notices
from services.gateway.tiers import Tier, Tiers
from services.gateway.waiting import WaitingRoom

SETTLED_S, WATCHED_S = 3.0, 10.0
TIERS = Tiers({"free": Tier(priority=0, concurrency=2, longest_s=240, songs_per_day=0)})
_FILL = (
    "INSERT INTO songs (id, account_id, request_digest, prompt, title, given_lyrics, language, instrumental,"
    " duration_s, seed, creator_address, reveal_prompt, state, run_at, started_at, ended_at,"
    " lease_expires_at, audio_sha256, master_sha256, envelope, audio_duration_s)"
    " SELECT gen_random_uuid(), (SELECT id FROM accounts OFFSET n % $3 LIMIT 1), '', 'x', '', '', '', true,"
    "  60, 7, '', false, $1, now() - make_interval(secs => n), now() - interval '40 s', now(),"
    "  CASE WHEN $1 = 'RUNNING' THEN now() + interval '1 hour' END, '', '', '', 60"
    " FROM generate_series(1, $2::int) n"
)


class Counted(Database):
    """A database that counts what it is asked."""

    asked = 0

    async def rows(self, sql: str, *arguments: object) -> list[Any]:
        self.asked += 1
        return await super().rows(sql, *arguments)


async def measure(dsn: str, songs: int, accounts: int, done: int, watchers: int) -> dict[str, float]:
    await migrate(dsn, SCHEMA, MIGRATIONS)
    async with open_database(dsn, connections=4) as database:
        await database.rows(
            "INSERT INTO accounts (id) SELECT gen_random_uuid() FROM generate_series(1, $1)", accounts
        )
        for state, number in ((State.SUCCEEDED, done), (State.RUNNING, 8), (State.QUEUED, songs)):
            await database.rows(_FILL, state, number, accounts)
        await database.rows("ANALYZE songs")
        counted = Counted(database._pool)
        room, notices = WaitingRoom(counted, TIERS), Notices(dsn, poll_s=1.0)
        waiting = [row["id"] for row in await database.rows("SELECT id FROM songs WHERE state = 'QUEUED'")]
        stalls: list[float] = []
        ticking = asyncio.create_task(_tick(stalls))
        listening = asyncio.create_task(notices.run())
        await room._look()  # opens connections
        stalls.clear()
        began = time.monotonic()
        await room._look()
        look_s = time.monotonic() - began
        stall_s = max(stalls)

        async def watch(song_id: UUID) -> None:
            with notices.subscribe(song_id) as news:
                while True:
                    await room.moved(news, {song_id: 1})

        watching = [asyncio.create_task(watch(waiting[n % songs])) for n in range(watchers)]
        await asyncio.sleep(SETTLED_S)
        stalls.clear()
        counted.asked, cpu = 0, time.process_time()
        await asyncio.sleep(WATCHED_S)
        cpu_share = (time.process_time() - cpu) / WATCHED_S
        for task in (*watching, ticking, listening):
            task.cancel()
        await asyncio.gather(*watching, ticking, listening, return_exceptions=True)
        return {
            "look_ms": round(look_s * 1000, 1),
            "look_stall_ms": round(stall_s * 1000, 1),
            "looks_per_s": round(counted.asked / 2 / WATCHED_S, 2),
            "watchers_cpu_share": round(cpu_share, 3),
            "watchers_stall_ms": round(max(stalls) * 1000, 1),
        }


async def _tick(stalls: list[float]) -> None:
    """Notes how much later than asked for the loop comes back."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.005)
        stalls.append(time.monotonic() - began - 0.005)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.places", description=__doc__)
    parser.add_argument("--songs", type=int, default=10_000, help="that wait")
    parser.add_argument("--accounts", type=int, default=500, help="whose they are")
    parser.add_argument("--done", type=int, default=100_000, help="songs that are done")
    parser.add_argument("--watchers", type=int, default=1000, help="who wait for another place")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgres.start(Path(folder) / "data") as server:
        database = server.create_database("places")
        figures = asyncio.run(
            measure(database.gateway_dsn, asked.songs, asked.accounts, asked.done, asked.watchers)
        )
    print(json.dumps({**vars(asked), **figures}))


if __name__ == "__main__":
    main()
