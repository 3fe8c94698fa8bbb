"""Songs that are there: renamed, hidden, tried again, and seen among their family, over both faces."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import ResourceExhausted
from tests.gateway.mesh import CALL_S, Gateway, Mesh, made, problem_of
from tests.gateway.pods import Script

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]


async def updated(gateway: Gateway, song_id: str, **fields: Any) -> pb.Song:
    request = pb.UpdateSongRequest(song_id=song_id, **fields)
    return (await gateway.grpc.UpdateSong(request, timeout=CALL_S)).song


async def test_a_song_is_renamed_and_what_is_absent_stays(shared: Gateway) -> None:
    song, _ = await made(shared, title="First")
    renamed = await updated(shared, song.id, title="  Second   name ")
    assert (renamed.title, renamed.favourite, renamed.revision) == ("Second name", False, song.revision + 1)
    starred = await updated(shared, song.id, favourite=True)
    assert (starred.title, starred.favourite, starred.hidden) == ("Second name", True, False)
    assert await updated(shared, song.id, favourite=True) == starred  # nothing new, no revision


async def test_rest_changes_a_song_as_grpc_does(shared: Gateway) -> None:
    song, _ = await made(shared)
    answer = await shared.http.patch(f"/v1/songs/{song.id}", json={"title": "Other", "hidden": True})
    assert answer.status_code == 200
    assert answer.json()["song"]["title"] == "Other"
    assert (await shared.get(song.id)).hidden


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "REQUIRED"),
        ({"title": " "}, "REQUIRED"),
        ({"title": "x" * 121}, "TOO_LONG"),
        ({"title": "a\u0000b"}, "MALFORMED"),
    ],
)
async def test_a_change_that_is_none_is_refused(shared: Gateway, change: Any, reason: str) -> None:
    song, _ = await made(shared)
    error = await shared.refusal("UpdateSong", pb.UpdateSongRequest(song_id=song.id, **change))
    assert (error.reason, error.metadata["field"]) == (reason, "title")
    problem = problem_of(await shared.http.patch(f"/v1/songs/{song.id}", json=change))
    assert (problem["reason"], problem["field"]) == (reason, "title")


async def test_a_name_given_while_the_words_are_written_stays(shared_pods: Mesh, shared: Gateway) -> None:
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    busy = [await shared.create() for _ in range(1)]
    await script.paused.wait()
    song = await shared.create(instrumental=False)
    await updated(shared, song.id, title="Mine")
    script.go_on.set()
    assert (await shared.ended(song.id)).title == "Mine"
    await shared.ended(busy[0].id)


async def test_a_cancelled_song_is_tried_again_as_the_same_song(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.music.follow(Script(pause_after=1))
    song = await shared.create()
    await shared_pods.music.scripts[0].paused.wait() if shared_pods.music.scripts else None
    await shared.grpc.CancelSong(pb.CancelSongRequest(song_id=song.id), timeout=CALL_S)
    first = await shared.ended(song.id)
    assert first.state == pb.SONG_STATE_CANCELLED
    again = await shared.grpc.RetrySong(pb.RetrySongRequest(song_id=song.id), timeout=CALL_S)
    assert again.song.state in (pb.SONG_STATE_QUEUED, pb.SONG_STATE_RUNNING)
    done = await shared.ended(song.id)
    assert (done.state, done.seed) == (pb.SONG_STATE_SUCCEEDED, song.seed)
    error = await shared.refusal("RetrySong", pb.RetrySongRequest(song_id=song.id))
    assert error.reason == "SONG_SUCCEEDED"
    answer = await shared.http.post(f"/v1/songs/{song.id}:retry")
    assert (answer.status_code, problem_of(answer)["reason"]) == (409, "SONG_SUCCEEDED")


async def test_a_failed_song_has_all_its_failures_before_it_again(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.music.follow(Script(error=ResourceExhausted("OUT_OF_MEMORY", "too long")))
    song = await shared.ended((await shared.create()).id)
    assert (song.state, song.failure.reason) == (pb.SONG_STATE_FAILED, "OUT_OF_MEMORY")
    await shared.grpc.RetrySong(pb.RetrySongRequest(song_id=song.id), timeout=CALL_S)
    done = await shared.ended(song.id)
    assert done.state == pb.SONG_STATE_SUCCEEDED
    assert done.attempt == song.attempt + 1
    assert not done.HasField("failure")
    connection = await asyncpg.connect(shared_pods.environment["database_url"])
    assert await connection.fetchval("SELECT failures FROM gateway.songs WHERE id = $1", UUID(song.id)) == 0
    await connection.close()


async def changed(gateway: Gateway, source: pb.Song, **fields: Any) -> pb.Song:
    request = pb.CreateSongRequest(source_song_id=source.id, **fields)
    song = (await gateway.grpc.CreateSong(request, timeout=CALL_S)).song
    return await gateway.ended(song.id)


async def test_a_family_is_the_same_whichever_member_is_asked(shared: Gateway) -> None:
    root, _ = await made(shared)
    left = await changed(shared, root, variation=music_pb.Variation(variance=0.2))
    right = await changed(shared, root, extend=music_pb.Extend(right_s=1))
    leaf = await changed(shared, right, repaint=music_pb.Repaint(start_s=0, end_s=1))
    stranger, _ = await made(shared)
    families = []
    for member in (root, left, right, leaf):
        request = pb.GetFamilyRequest(song_id=member.id)
        families.append(await shared.grpc.GetFamily(request, timeout=CALL_S))
    assert all(family == families[0] for family in families)
    told = [(m.song_id, m.source_song_id, m.task) for m in families[0].members]
    assert told == [
        (root.id, "", "text2music"),
        (left.id, root.id, "variation"),
        (right.id, root.id, "extend"),
        (leaf.id, right.id, "repaint"),
    ]
    assert not families[0].truncated
    assert (await shared.http.get(f"/v1/songs/{leaf.id}/family")).json()["members"][3]["task"] == "repaint"
    alone = await shared.grpc.GetFamily(pb.GetFamilyRequest(song_id=stranger.id), timeout=CALL_S)
    assert [m.song_id for m in alone.members] == [stranger.id]


async def test_a_large_family_is_cut_but_never_its_line(shared_pods: Mesh, shared: Gateway) -> None:
    root, _ = await made(shared)
    leaf = await changed(shared, root, repaint=music_pb.Repaint(start_s=0, end_s=1))
    connection = await asyncpg.connect(shared_pods.environment["database_url"])
    await connection.execute("SET search_path TO gateway")
    await connection.execute(
        "INSERT INTO songs (id, state, account_id, request_digest, prompt, title, given_lyrics, language,"
        " instrumental, duration_s, seed, creator_address, reveal_prompt, source_song_id, edit, created_at)"
        " SELECT gen_random_uuid(), 'CANCELLED', account_id, '', '', '', '', '', true, 5, 1, '', false,"
        " source_song_id, edit, created_at - interval '1 s' FROM songs, generate_series(1, 1100)"
        " WHERE id = $1",
        UUID(leaf.id),
    )
    family = await shared.grpc.GetFamily(pb.GetFamilyRequest(song_id=leaf.id), timeout=CALL_S)
    assert family.truncated
    assert len(family.members) == 1000
    assert {root.id, leaf.id} <= {m.song_id for m in family.members}
    await connection.execute("DELETE FROM songs WHERE request_digest = ''")
    await connection.close()


@pytest.mark.parametrize(
    ("rpc", "request_type", "route"),
    [
        ("UpdateSong", pb.UpdateSongRequest, ("PATCH", "")),
        ("RetrySong", pb.RetrySongRequest, ("POST", ":retry")),
        ("DeleteSong", pb.DeleteSongRequest, ("DELETE", "")),
        ("ShareSong", pb.ShareSongRequest, ("POST", ":share")),
        ("UnshareSong", pb.UnshareSongRequest, ("POST", ":unshare")),
        ("GetFamily", pb.GetFamilyRequest, ("GET", "/family")),
    ],
)
async def test_anothers_song_is_not_there(
    shared_pods: Mesh, shared: Gateway, rpc: str, request_type: Any, route: tuple[str, str]
) -> None:
    song, _ = await made(shared)
    connection = await asyncpg.connect(shared_pods.environment["database_url"])
    await connection.execute("SET search_path TO gateway")
    stranger = uuid4()
    await connection.execute("INSERT INTO accounts (id) VALUES ($1)", stranger)
    await connection.execute("UPDATE songs SET account_id = $2 WHERE id = $1", UUID(song.id), stranger)
    before = await connection.fetchrow("SELECT * FROM songs WHERE id = $1", UUID(song.id))
    fields = {"favourite": True} if rpc == "UpdateSong" else {}
    for song_id in (song.id, str(uuid4()), "nonsense"):
        error = await shared.refusal(rpc, request_type(song_id=song_id, **fields))
        assert error.reason == "SONG_NOT_FOUND"
        method, suffix = route
        body = {"json": fields} if fields else {}
        answer = await shared.http.request(method, f"/v1/songs/{song_id}{suffix}", **body)
        assert (answer.status_code, problem_of(answer)["reason"]) == (404, "SONG_NOT_FOUND")
    assert await connection.fetchrow("SELECT * FROM songs WHERE id = $1", UUID(song.id)) == before
    await connection.close()
