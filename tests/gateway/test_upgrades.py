"""A gateway of a newer version on the data of an older one."""

from pathlib import Path
from uuid import uuid4

import asyncpg

from deploy.local.postgres import Database
from services.common.migrations import migrate
from services.gateway.database import SCHEMA, open_database
from services.gateway.service import MIGRATIONS
from services.gateway.store import Store


async def test_songs_of_the_version_before_edits_are_there_after_it(
    database: Database, tmp_path: Path
) -> None:
    first = next(MIGRATIONS.glob("0001_*.sql"))
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / first.name).write_bytes(first.read_bytes())
    dsn = database.gateway_dsn
    assert await migrate(dsn, SCHEMA, tmp_path / "first") == [first.name]
    old, account = uuid4(), uuid4()
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO gateway.songs (id, account_id, request_digest, prompt, title, given_lyrics, language,"
        " instrumental, duration_s, seed, creator_address, reveal_prompt)"
        " VALUES ($1, $2, '', 'calm', 'Rain', '', '', true, 5, 7, '', false)",
        old, account,
    )  # fmt: skip
    await connection.close()
    assert "0002_edits.sql" in await migrate(dsn, SCHEMA, MIGRATIONS)
    async with open_database(dsn, connections=1) as opened:
        song = await Store(opened).get(account, old)
    assert song is not None
    assert (song.title, song.source_song_id, song.edit, song.sampling) == ("Rain", None, None, None)
