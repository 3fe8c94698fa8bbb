"""What goes with a song that is deleted, what stays, and what is never deleted."""

from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import error_from_rpc
from tests.gateway.mesh import CALL_S, CREATOR, Gateway, Mesh, made, problem_of
from tests.gateway.pods import Script

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]

REPAINT = {"repaint": music_pb.Repaint(start_s=0, end_s=1)}


async def delete(gateway: Gateway, song_id: str) -> None:
    await gateway.grpc.DeleteSong(pb.DeleteSongRequest(song_id=song_id), timeout=CALL_S)


async def to_the_end(call: Any) -> None:
    while await call.read():
        pass


async def row_of(mesh: Mesh, song_id: str) -> Any:
    connection = await asyncpg.connect(mesh.environment["database_url"])
    row = await connection.fetchrow("SELECT * FROM gateway.songs WHERE id = $1", UUID(song_id))
    await connection.close()
    return row


async def test_texts_go_and_the_envelope_stays(shared_pods: Mesh, shared: Gateway) -> None:
    song, _ = await made(shared, instrumental=False, title="Secret", creator_address=CREATOR)
    before = await row_of(shared_pods, song.id)
    await delete(shared, song.id)
    after = await row_of(shared_pods, song.id)
    assert (after["prompt"], after["title"], after["given_lyrics"], after["lyrics"]) == ("", "", "", None)
    for kept in (
        "envelope",
        "audio_sha256",
        "pcm_sha256",
        "creator_address",
        "created_at",
        "ended_at",
        "seed",
    ):
        assert after[kept] == before[kept], kept
    assert after["deleted_at"] is not None
    await delete(shared, song.id)  # again


async def test_a_deleted_song_is_nowhere(shared: Gateway) -> None:
    song, _ = await made(shared)
    answer = await shared.http.delete(f"/v1/songs/{song.id}")
    assert (answer.status_code, answer.content) == (204, b"")
    for rpc, request in (
        ("GetSong", pb.GetSongRequest(song_id=song.id)),
        ("WatchSong", pb.WatchSongRequest(song_id=song.id)),
        ("StreamAudio", pb.StreamAudioRequest(song_id=song.id)),
        ("StreamAudio", pb.StreamAudioRequest(song_id=song.id, format=pb.AUDIO_FORMAT_FLAC)),
        ("CancelSong", pb.CancelSongRequest(song_id=song.id)),
        ("RetrySong", pb.RetrySongRequest(song_id=song.id)),
        ("UpdateSong", pb.UpdateSongRequest(song_id=song.id, favourite=True)),
        ("ShareSong", pb.ShareSongRequest(song_id=song.id)),
        ("SaveSong", pb.SaveSongRequest(song_id=song.id)),
        ("GetMint", pb.GetMintRequest(song_id=song.id)),
        ("GetFamily", pb.GetFamilyRequest(song_id=song.id)),
        ("CreateSong", pb.CreateSongRequest(source_song_id=song.id, **REPAINT)),
    ):
        assert (await shared.refusal(rpc, request)).reason == "SONG_NOT_FOUND", rpc
    listed = await shared.grpc.ListSongs(pb.ListSongsRequest(page_size=100), timeout=CALL_S)
    assert song.id not in [s.id for s in listed.songs]


async def test_a_song_that_is_deleted_in_the_making_is_stopped(shared_pods: Mesh, shared: Gateway) -> None:
    script = Script(pause_after=2)
    shared_pods.music.follow(script)
    song = await shared.create()
    await script.paused.wait()
    await delete(shared, song.id)
    await script.ended.wait()  # the engine was told
    row = await row_of(shared_pods, song.id)
    assert (row["state"], row["lease_expires_at"]) == ("CANCELLED", None)
    connection = await asyncpg.connect(shared_pods.environment["database_url"])
    chunks = "SELECT count(*) FROM gateway.audio_chunks WHERE song_id = $1"
    assert await connection.fetchval(chunks, UUID(song.id)) == 0
    await connection.close()


async def test_who_listens_to_a_song_that_is_deleted_is_told(shared_pods: Mesh, shared: Gateway) -> None:
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    song = await shared.create()
    call = shared.grpc.StreamAudio(pb.StreamAudioRequest(song_id=song.id), timeout=CALL_S)
    await script.paused.wait()
    assert (await call.read()).HasField("header")
    await delete(shared, song.id)
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await to_the_end(call)
    assert error_from_rpc(told.value).reason == "SONG_NOT_FOUND"


async def test_what_was_made_from_a_deleted_song_stays_whole(shared_pods: Mesh, shared: Gateway) -> None:
    root, _ = await made(shared)
    request = pb.CreateSongRequest(source_song_id=root.id, **REPAINT)
    leaf = await shared.ended((await shared.grpc.CreateSong(request, timeout=CALL_S)).song.id)
    await delete(shared, root.id)
    family = await shared.grpc.GetFamily(pb.GetFamilyRequest(song_id=leaf.id), timeout=CALL_S)
    gone, still = family.members
    assert (gone.song_id, gone.deleted, gone.title, gone.task) == (root.id, True, "", "")
    assert (still.song_id, still.source_song_id, still.deleted) == (leaf.id, root.id, False)
    # and can be changed again: its chain still has the envelope of the song that is gone
    request = pb.CreateSongRequest(source_song_id=leaf.id, **REPAINT)
    again = await shared.ended((await shared.grpc.CreateSong(request, timeout=CALL_S)).song.id)
    assert again.state == pb.SONG_STATE_SUCCEEDED
    assert len(shared_pods.music.sources[-1].envelopes) == 2


async def test_an_edit_whose_source_is_deleted_meanwhile_says_so(shared_pods: Mesh, shared: Gateway) -> None:
    root, _ = await made(shared)
    scripts = [Script(pause_after=1) for _ in range(shared.settings.workers)]
    shared_pods.music.follow(*scripts)
    busy = [await shared.create() for _ in scripts]
    for script in scripts:
        await script.paused.wait()
    request = pb.CreateSongRequest(source_song_id=root.id, **REPAINT)
    edit = (await shared.grpc.CreateSong(request, timeout=CALL_S)).song
    await delete(shared, root.id)
    for script in scripts:
        script.go_on.set()
    ended = await shared.ended(edit.id)
    assert (ended.state, ended.failure.reason) == (pb.SONG_STATE_FAILED, "SOURCE_MISSING")
    for song in busy:
        await shared.ended(song.id)


async def test_the_request_id_of_a_deleted_song_makes_no_other(shared: Gateway) -> None:
    song = await shared.create(request_id="once-deleted")
    await delete(shared, song.id)
    request = pb.CreateSongRequest(
        request_id="once-deleted", prompt="calm jazz hop, 84 bpm", instrumental=True, duration_s=5.0
    )
    error = await shared.refusal("CreateSong", request)
    assert (error.reason, error.metadata["song_id"]) == ("SONG_DELETED", song.id)


async def test_a_song_that_may_have_a_permit_is_hidden_and_not_deleted(
    shared_pods: Mesh, shared: Gateway
) -> None:
    song, _ = await made(shared, creator_address=CREATOR)
    # The signer is away: nobody knows what it did with the request.
    error = await shared.refusal("SaveSong", pb.SaveSongRequest(song_id=song.id))
    assert error.code.name == "UNAVAILABLE"
    error = await shared.refusal("DeleteSong", pb.DeleteSongRequest(song_id=song.id))
    assert error.reason == "SONG_PERMITTED"
    answer = await shared.http.delete(f"/v1/songs/{song.id}")
    assert (answer.status_code, problem_of(answer)["reason"]) == (409, "SONG_PERMITTED")
    hidden = pb.UpdateSongRequest(song_id=song.id, hidden=True)
    assert (await shared.grpc.UpdateSong(hidden, timeout=CALL_S)).song.hidden
    assert (await row_of(shared_pods, song.id))["deleted_at"] is None
