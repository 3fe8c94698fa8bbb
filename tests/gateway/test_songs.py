"""A song from its creation to its end, as an account sees it."""

import asyncio
import hashlib
from uuid import UUID, uuid4

import grpc
import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.database import open_database
from services.gateway.models import Account
from services.gateway.store import Filter, Store
from tests.gateway.mesh import CALL_S, CREATOR, Gateway, Mesh, eventually
from tests.gateway.pods import LINES, Script, rendered

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]


async def test_a_song_is_made_streamed_and_kept(shared: Gateway) -> None:
    created = await shared.create(seed=7, title="Rain")
    assert (created.state, created.progress.stage) == (pb.SONG_STATE_QUEUED, "queued")
    streamed = await shared.audio(created.id)
    song = await shared.ended(created.id)
    assert song.state == pb.SONG_STATE_SUCCEEDED
    assert streamed == rendered(song.id, 7, 5.0).audio == await shared.audio(song.id)
    assert hashlib.sha256(streamed).hexdigest() == song.audio.sha256
    assert (song.audio.bytes, song.audio.duration_s) == (len(streamed), 5.0)
    assert (song.title, song.attempt, song.progress.stage) == ("Rain", 1, "done")
    assert (song.engine, song.music.genre, song.music.key) == ("sketch", "jazz hop", "A minor")
    times = [song.create_time, song.start_time, song.first_audio_time, song.end_time]
    assert times == sorted(times, key=lambda t: t.ToMicroseconds())


async def test_words_are_written_before_the_music_and_give_the_title(
    shared_pods: Mesh, shared: Gateway
) -> None:
    song = await shared.ended((await shared.create(instrumental=False, seed=7)).id)
    (request,), (spec,) = shared_pods.lyrics.requests, shared_pods.music.specs
    assert (request.theme, request.seed, request.duration_s) == (song.prompt, 7, 5.0)
    assert [line.text for line in song.lyrics.sections[0].lines] == list(LINES)
    assert (spec.lyrics, spec.title, spec.instrumental) == (song.lyrics, "Rain On Tin", False)
    assert song.title == "Rain On Tin"


async def test_given_words_are_sung_as_they_are(shared_pods: Mesh, shared: Gateway) -> None:
    song = await shared.create(instrumental=False, lyrics="my own line\r\nand another", language="de")
    song = await shared.ended(song.id)
    assert not shared_pods.lyrics.requests
    assert [line.text for line in song.lyrics.sections[0].lines] == ["my own line", "and another"]
    assert song.lyrics.language == "de"
    assert song.title == "my own line"


async def test_words_that_cannot_be_sung_are_refused_at_once(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.lyrics.gate = "LINE_TOO_LONG"
    request = pb.CreateSongRequest(request_id="too-long", prompt="rain", lyrics="x")
    error = await shared.refusal("CreateSong", request)
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LYRICS_REFUSED")
    assert error.metadata == {"rule": "LINE_TOO_LONG", "section_index": "0"}
    shared_pods.lyrics.gate = ""
    assert (await shared.ended((await shared.create(request_id="too-long")).id)).failure.reason == ""


async def test_a_drawn_seed_is_drawn_at_creation(shared_pods: Mesh, shared: Gateway) -> None:
    first, second = await shared.create(), await shared.create()
    assert first.seed != second.seed
    await asyncio.gather(shared.ended(first.id), shared.ended(second.id))
    assert {(spec.song_id, spec.seed) for spec in shared_pods.music.specs} == {
        (first.id, first.seed),
        (second.id, second.seed),
    }


async def test_a_repeated_request_is_the_same_song(shared: Gateway) -> None:
    first = await shared.create(request_id="abc-1", title="Rain")
    again = await shared.create(request_id="abc-1", title="  Rain ")  # the same, written otherwise
    assert again.id == first.id
    request = pb.CreateSongRequest(request_id="abc-1", prompt="another", instrumental=True)
    error = await shared.refusal("CreateSong", request)
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert error.metadata["song_id"] == first.id


async def test_repeats_at_the_same_time_make_one_song(shared: Gateway) -> None:
    songs = await asyncio.gather(*(shared.create(request_id="once") for _ in range(8)))
    assert len({song.id for song in songs}) == 1


async def test_a_request_id_belongs_to_its_account(shared_pods: Mesh, shared: Gateway) -> None:
    mine = await shared.create(request_id="mine", creator_address=CREATOR.lower())
    assert mine.creator_address == CREATOR
    async with open_database(shared_pods.environment["database_url"], connections=1) as database:
        stranger = Account(id=uuid4())
        assert await Store(database).get(stranger.id, UUID(mine.id)) is None
        assert await Store(database).page(stranger.id, Filter(), 10, None) == []


async def test_a_watcher_sees_every_stage_and_then_the_end(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.music.follow(Script(pause_after=2))
    song = await shared.create(instrumental=False)
    script, stages, revisions = shared_pods.music.scripts[0], [], []
    async for response in shared.grpc.WatchSong(pb.WatchSongRequest(song_id=song.id), timeout=CALL_S):
        stages.append(response.song.progress.stage)
        revisions.append(response.song.revision)
        if response.song.HasField("first_audio_time"):
            script.go_on.set()
    assert revisions == sorted(set(revisions))
    assert stages[-1] == "done"
    assert {"rendering", "storing"} & set(stages)
    resumed = pb.WatchSongRequest(song_id=song.id, after_revision=revisions[-1])
    assert [r async for r in shared.grpc.WatchSong(resumed, timeout=CALL_S)] == []
    earlier = pb.WatchSongRequest(song_id=song.id, after_revision=revisions[0])
    assert [r.song.revision async for r in shared.grpc.WatchSong(earlier, timeout=CALL_S)] == revisions[-1:]


async def test_cancelling_stops_the_engine_at_once(shared_pods: Mesh, shared: Gateway) -> None:
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    song = await shared.create()
    await script.paused.wait()
    await asyncio.sleep(0.2)  # all is written: the worker learns it from the guard or not at all
    request = pb.CancelSongRequest(song_id=song.id)
    asked = asyncio.get_running_loop().time()
    cancelled = (await shared.grpc.CancelSong(request, timeout=CALL_S)).song
    await asyncio.wait_for(script.ended.wait(), 2.0)
    assert asyncio.get_running_loop().time() - asked < 1.0
    assert cancelled.state == pb.SONG_STATE_CANCELLED
    again = (await shared.grpc.CancelSong(request, timeout=CALL_S)).song
    assert again == cancelled
    error = await shared.refusal("StreamAudio", pb.StreamAudioRequest(song_id=song.id))
    assert error.reason == "SONG_CANCELLED"


async def test_a_song_that_has_ended_cannot_be_cancelled(shared: Gateway) -> None:
    song = await shared.ended((await shared.create()).id)
    request = pb.CancelSongRequest(song_id=song.id)
    assert (await shared.grpc.CancelSong(request, timeout=CALL_S)).song == song


async def test_a_replica_is_ready_while_its_database_is(shared: Gateway) -> None:
    async def ready() -> bool:
        return shared.health.ready

    await eventually(ready)
    assert (await shared.http.get("/readyz")).status_code == 200
