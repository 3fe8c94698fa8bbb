"""What becomes of a song when its attempt does not go well."""

import asyncio
import signal
import time

import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.postgres import Postgres
from services.common.errors import InvalidField, ResourceExhausted, Unavailable
from tests.gateway.mesh import CALL_S, NOBODY, Gateway, Mesh
from tests.gateway.pods import Script, rendered


async def test_a_song_that_fails_too_often_is_failed_with_the_last_reason(pods: Mesh) -> None:
    gateway = await pods.open(max_failures=2, backoff_s=0.01)
    pods.music.follow(*(Script(error=Unavailable("ENGINE_DIED", "it died")) for _ in range(2)))
    song = await gateway.ended((await gateway.create()).id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_FAILED, 2)
    assert (song.failure.reason, song.failure.message) == ("ENGINE_DIED", "it died")
    error = await gateway.refusal("StreamAudio", pb.StreamAudioRequest(song_id=song.id))
    assert error.reason == "SONG_FAILED"


async def test_a_song_out_of_an_engines_limits_fails_at_once_and_says_the_limit(pods: Mesh) -> None:
    gateway = await pods.open()
    steps = InvalidField("OUT_OF_RANGE", "spec.sampling.steps", "steps is 201", limit="1 to 200")
    memory = ResourceExhausted("OUT_OF_MEMORY", "the song does not fit")
    pods.music.follow(Script(error=steps), Script(error=memory))
    for reason, message in (
        ("OUT_OF_RANGE", "steps is 201 (allowed: 1 to 200)"),
        ("OUT_OF_MEMORY", "the song does not fit"),
    ):
        song = await gateway.ended((await gateway.create()).id)
        assert (song.state, song.attempt) == (pb.SONG_STATE_FAILED, 1)
        assert (song.failure.reason, song.failure.message) == (reason, message)


async def test_a_busy_pod_is_no_failure_and_its_hint_is_kept(pods: Mesh) -> None:
    gateway = await pods.open(max_failures=1)
    busy = ResourceExhausted("POD_BUSY", "every slot is taken", retry_delay_s=0.3)
    starting = Unavailable("ENGINE_STARTING", "not up yet", retry_delay_s=0.3)
    pods.music.follow(*(Script(error=error) for error in (busy, starting, busy)))
    begun = time.monotonic()
    song = await gateway.ended((await gateway.create()).id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 4)
    assert time.monotonic() - begun > 0.9


async def test_a_silent_engine_loses_its_song(pods: Mesh) -> None:
    gateway = await pods.open(lease_s=0.3)
    silent = Script(pause_after=1)
    pods.music.follow(silent)
    song = await gateway.ended((await gateway.create()).id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 2)
    await asyncio.wait_for(silent.ended.wait(), 1.0)  # it was cancelled


async def test_a_pod_that_takes_no_more_of_a_source_is_silent_too(pods: Mesh) -> None:
    gateway = await pods.open(lease_s=1.0)
    source = await gateway.ended((await gateway.create(seed=7, duration_s=10.0)).id)
    deaf = Script(deaf=True)
    pods.music.follow(deaf)
    repaint = {"start_s": 1.0, "end_s": 2.0}
    asked = pb.CreateSongRequest(source_song_id=source.id, repaint=repaint)
    song = await gateway.ended((await gateway.grpc.CreateSong(asked, timeout=CALL_S)).song.id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 2)
    (sent,) = pods.music.sources
    assert sent.master == rendered(source.id, 7, 10.0).master
    await asyncio.wait_for(deaf.ended.wait(), 1.0)


async def test_without_a_music_service_songs_wait_and_none_fails(pods: Mesh) -> None:
    alone = await pods.open(music_target=NOBODY, max_failures=1)
    song = await alone.create()
    await asyncio.sleep(0.3)
    waiting = await alone.get(song.id)
    assert (waiting.state, waiting.attempt) == (pb.SONG_STATE_QUEUED, 0)
    await pods.open()
    assert (await alone.ended(song.id)).state == pb.SONG_STATE_SUCCEEDED


async def test_without_a_lyrics_service_only_songs_with_words_wait(
    pods: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.work.lyricist.READY_WITHIN_S", 0.05)
    monkeypatch.setattr("services.gateway.work.lyricist.AGAIN_IN_S", 0.1)
    wordless = await pods.open(lyrics_target=NOBODY, max_failures=1)
    sung = await wordless.create(instrumental=False)
    instrumental = await wordless.ended((await wordless.create()).id)
    assert instrumental.state == pb.SONG_STATE_SUCCEEDED
    waiting = await wordless.until(sung.id, state=pb.SONG_STATE_QUEUED)
    assert waiting.attempt >= 1
    await pods.open()
    assert (await wordless.ended(sung.id)).state == pb.SONG_STATE_SUCCEEDED


async def test_words_that_nobody_could_look_at_yet_fail_the_song_in_the_queue(pods: Mesh) -> None:
    alone = await pods.open(lyrics_target=NOBODY, workers=0)
    pods.lyrics.gate = "LINE_TOO_LONG"
    song = await alone.create(instrumental=False, lyrics="x")
    await pods.open()
    song = await alone.ended(song.id)
    assert (song.state, song.failure.reason, song.attempt) == (pb.SONG_STATE_FAILED, "LYRICS_REFUSED", 1)


async def test_a_drained_replica_gives_its_songs_back_uncounted(pods: Mesh) -> None:
    leaving = await pods.open(max_failures=1)
    script = Script(pause_after=2)
    pods.music.follow(script)
    song = await leaving.create()
    await script.paused.wait()
    staying = await pods.open(max_failures=1)
    leaving.health.draining.set()
    song = await staying.ended(song.id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 2)
    waiting = await staying.create()
    assert (await staying.ended(waiting.id)).attempt == 1  # the drained one took nothing more


async def test_a_drained_replica_finishes_what_it_can(pods: Mesh) -> None:
    gateway = await pods.open(drain_grace_s=5.0)
    script = Script(pause_after=2)
    pods.music.follow(script)
    song = await gateway.create()
    await script.paused.wait()
    gateway.health.draining.set()
    script.go_on.set()
    other = await pods.open(workers=0)
    song = await other.ended(song.id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 1)


async def test_a_crash_of_the_database_costs_an_attempt_and_no_song(
    pods: Mesh, gateway: Gateway, postgres: Postgres
) -> None:
    script = Script(pause_after=2)
    pods.music.follow(script)
    song = await gateway.create()
    heard = []

    async def listen() -> None:
        async for piece in gateway.listen(song.id):
            heard.append(piece)

    listening = asyncio.create_task(listen())
    await script.paused.wait()
    await gateway.until(song.id, state=pb.SONG_STATE_RUNNING)
    await asyncio.sleep(0.1)
    killed = postgres.kill(signal.SIGKILL)
    await asyncio.to_thread(postgres.wait_ready, killed)
    script.go_on.set()
    with pytest.raises(Exception, match="ATTEMPT_ENDED"):
        await listening
    assert heard
    song = await gateway.ended(song.id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 2)
    assert await gateway.audio(song.id) == rendered(song.id, song.seed, 5.0).audio
