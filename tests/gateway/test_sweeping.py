"""Objects that nothing names are taken away, and never one that something names, or is about to."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.database import Database, open_database
from services.gateway.objects import Objects, key_of
from services.gateway.work.sweeping import Sweeper
from tests.gateway.mesh import CALL_S, Gateway, Mesh, eventually, made
from tests.gateway.pods import Script


def files(pods: Mesh) -> set[str]:
    folder = Path(str(pods.environment["objects_url"]).removeprefix("file://"))
    return {path.name for path in folder.rglob("*") if path.is_file()}


async def hashes(database: Database, song_id: str) -> set[str]:
    row = await database.row(
        "SELECT audio_sha256, master_sha256, state_sha256 FROM songs WHERE id = $1", UUID(song_id)
    )
    assert row is not None
    return {value.hex() for value in row.values()}


async def test_the_files_of_a_deleted_song_go_and_no_other(pods: Mesh) -> None:
    gateway = await pods.open(sweep_every_s=0.05)
    song, _ = await made(gateway, seed=1)
    other, audio = await made(gateway, seed=2)
    async with open_database(pods.environment["database_url"], connections=1) as database:
        mine, others = await hashes(database, song.id), await hashes(database, other.id)
        assert files(pods) == mine | others
        await gateway.grpc.DeleteSong(pb.DeleteSongRequest(song_id=song.id), timeout=CALL_S)

        async def only_the_others() -> bool:
            return files(pods) == others

        await eventually(only_the_others)
        assert {row["sha256"].hex() for row in await database.rows("SELECT sha256 FROM objects")} == others
    assert await gateway.audio(other.id) == audio


async def test_a_master_that_two_songs_share_stays_until_both_are_gone(pods: Mesh) -> None:
    gateway = await pods.open(sweep_every_s=0.05)
    first, _ = await made(gateway, seed=1)
    twin, _ = await made(gateway, seed=1)  # the same samples, so the same master
    async with open_database(pods.environment["database_url"], connections=1) as database:
        left = await hashes(database, twin.id)
        shared = left & await hashes(database, first.id)
        assert len(shared) == 1
        await gateway.grpc.DeleteSong(pb.DeleteSongRequest(song_id=first.id), timeout=CALL_S)

        async def twins_only() -> bool:
            return files(pods) == left

        await eventually(twins_only)
        await gateway.grpc.DeleteSong(pb.DeleteSongRequest(song_id=twin.id), timeout=CALL_S)

        async def nothing() -> bool:
            return not files(pods)

        await eventually(nothing)


@pytest.fixture
async def room(gateway: Gateway, pods: Mesh) -> Any:
    async with open_database(pods.environment["database_url"], connections=4) as database:
        objects = Objects.open(str(pods.environment["objects_url"]), database, grace_s=0.0)
        yield database, objects


def put(objects: Objects, data: bytes) -> Any:
    return objects.put(data, hashlib.sha256(data).digest())


async def test_what_an_attempt_stored_that_lost_its_song_goes_after_the_grace(room: Any) -> None:
    database, objects = room
    patient = Objects(objects._store, database, grace_s=60.0)
    key, kept = await put(objects, b"lost"), await put(patient, b"being stored")
    assert await Sweeper(database, objects).sweep() == 1
    with pytest.raises(Exception, match="missing"):
        await objects.size(key)
    assert await objects.size(kept) == len(b"being stored")


async def test_an_object_that_is_written_while_it_is_swept_is_there_afterwards(
    room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, objects = room
    data = b"again"
    await put(objects, data)
    deleting, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Objects):
        async def remove(self, key: str) -> None:
            deleting.set()
            await go_on.wait()
            await super().remove(key)

    sweeping = asyncio.create_task(Sweeper(database, Slow(objects._store, database, grace_s=0.0)).sweep())
    await deleting.wait()
    writing = asyncio.create_task(put(Objects(objects._store, database, grace_s=60.0), data))
    await asyncio.sleep(0.2)
    assert not writing.done()  # it waits for the old one to be gone
    go_on.set()
    key = await writing
    assert await sweeping == 1
    assert await objects.read_all(key, 0, len(data)) == data
    assert await Sweeper(database, objects).sweep() == 0


async def test_a_sweep_that_breaks_in_the_middle_forgets_nothing(room: Any) -> None:
    database, objects = room

    class Broken(Objects):
        async def remove(self, key: str) -> None:
            raise RuntimeError("the power is gone")

    key = await put(objects, b"left")
    with pytest.raises(RuntimeError):
        await Sweeper(database, Broken(objects._store, database, grace_s=0.0)).sweep()
    assert await objects.size(key) == 4
    assert await Sweeper(database, objects).sweep() == 1


async def test_audio_of_attempts_that_are_over_is_taken_away(pods: Mesh, gateway: Gateway, room: Any) -> None:
    database, objects = room
    script = Script(pause_after=2)
    pods.music.follow(script)
    song = await gateway.create()
    await script.paused.wait()
    await gateway.until(song.id, state=pb.SONG_STATE_RUNNING)
    orphan = 'INSERT INTO audio_chunks (song_id, attempt, "offset", data) VALUES ($1, $2, 0, $3)'
    await database.value(orphan, UUID(song.id), 99, b"x")
    await database.value(orphan, UUID(int=7), 1, b"x")

    async def counted() -> bool:
        return await database.value("SELECT count(*) FROM audio_chunks") > 3

    await eventually(counted)
    await Sweeper(database, objects).sweep()
    rows = await database.rows("SELECT DISTINCT song_id, attempt FROM audio_chunks")
    assert [(str(row["song_id"]), row["attempt"]) for row in rows] == [(song.id, 1)]
    script.go_on.set()
    assert (await gateway.ended(song.id)).state == pb.SONG_STATE_SUCCEEDED


def test_keys_end_in_their_hash() -> None:
    assert key_of(b"\x01" * 32).endswith("01" * 32)
