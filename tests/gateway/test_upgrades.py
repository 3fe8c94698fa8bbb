"""A gateway of a newer version on the data of an older one."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.postgres import Database
from services.common.migrations import migrate
from services.gateway.accounts import DEVELOPMENT_ACCOUNT
from services.gateway.database import MIGRATIONS, SCHEMA, open_database
from services.gateway.models import State
from services.gateway.store import Store
from tests.gateway.mesh import CALL_S, Mesh, eventually


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


async def test_songs_of_every_state_are_there_and_work_after_all_upgrades(
    pods: Mesh, database: Database, tmp_path: Path
) -> None:
    first = next(MIGRATIONS.glob("0001_*.sql"))
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / first.name).write_bytes(first.read_bytes())
    await migrate(database.gateway_dsn, SCHEMA, tmp_path / "first")
    connection = await asyncpg.connect(database.gateway_dsn, server_settings={"search_path": SCHEMA})
    ids = {state: uuid4() for state in State}
    for state, song_id in ids.items():
        done = state is State.SUCCEEDED
        await connection.execute(
            "INSERT INTO songs (id, account_id, request_digest, prompt, title, given_lyrics, language,"
            " instrumental, duration_s, seed, creator_address, reveal_prompt, state, attempt,"
            " lease_expires_at, ended_at, audio_sha256, master_sha256, state_sha256, pcm_sha256, envelope)"
            " VALUES ($1, $2, '', 'calm', 'Rain', '', '', true, 5, 7, '', false, $3, 1,"
            "  $4, $5, $6, $7, $8, $9, $10)",
            song_id, DEVELOPMENT_ACCOUNT.id, state, *(
                (datetime.now(UTC) if state is State.RUNNING else None),
                (datetime.now(UTC) if state.ended else None),
                *((bytes([n]) * 32 if done else None) for n in range(4)),
                (b"{}" if done else None),
            ),
        )  # fmt: skip
    await connection.execute(
        "INSERT INTO pins (cid, object_key, media_type, bytes) VALUES ('bafy', $1, 'image/svg+xml', 3)",
        f"sha256/09/{'09' * 32}",
    )
    # two replicas of the new version at once
    gateways = await asyncio.gather(pods.open(sweep_every_s=0.05, sweep_grace_s=0.1), pods.open())
    listed = [s["hash"] for s in await connection.fetch("SELECT sha256 AS hash FROM objects ORDER BY sha256")]
    assert listed == sorted([b"\x00" * 32, b"\x01" * 32, b"\x02" * 32, b"\x09" * 32])
    for state in (State.QUEUED, State.RUNNING):
        assert (await gateways[0].ended(str(ids[state]))).state == pb.SONG_STATE_SUCCEEDED
    for state in (State.FAILED, State.CANCELLED):
        request = pb.RetrySongRequest(song_id=str(ids[state]))
        await gateways[1].grpc.RetrySong(request, timeout=CALL_S)
        assert (await gateways[1].ended(str(ids[state]))).state == pb.SONG_STATE_SUCCEEDED
    listing = await gateways[0].grpc.ListSongs(pb.ListSongsRequest(), timeout=CALL_S)
    assert {song.id for song in listing.songs} == set(map(str, ids.values()))

    async def looked_at() -> bool:
        due = "SELECT count(*) FROM objects WHERE look_at < 'infinity' AND look_at < now()"
        return await connection.fetchval(due) == 0

    await eventually(looked_at)
    kept = {row["sha256"] for row in await connection.fetch("SELECT sha256 FROM objects")}
    assert set(listed) <= kept  # what songs and pins name is still on the list
    await connection.close()
