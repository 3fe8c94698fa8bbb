"""Audio as it is made and after: from any offset, at any replica, over both faces, and never a mixed file."""

import asyncio
import hashlib
import io

import grpc
import soundfile

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from tests.gateway.mesh import CALL_S, Mesh, heard_over_http, problem_of
from tests.gateway.pods import PIECE, Script, rendered

FORMATS = {"wav": pb.AUDIO_FORMAT_WAV, "flac": pb.AUDIO_FORMAT_FLAC}


async def test_listeners_cross_the_moment_when_chunks_become_a_file_byte_for_byte(pods: Mesh) -> None:
    maker, other = await pods.open(), await pods.open(workers=0)
    script = Script(pause_after=2)
    pods.music.follow(script)
    song = await maker.create()
    whole = rendered(song.id, song.seed, 5.0).audio
    listening = [
        asyncio.create_task(heard)
        for gateway in (maker, other)
        for heard in (
            heard_over_http(gateway, song.id),
            heard_over_http(gateway, song.id, offset=PIECE + 1),
            gateway.audio(song.id),
            gateway.audio(song.id, offset=PIECE + 1),
        )
    ]
    await script.paused.wait()
    await maker.until(song.id, state=pb.SONG_STATE_RUNNING)
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in listening)
    script.go_on.set()
    heard = await asyncio.gather(*listening)
    assert heard[0::2] == [whole] * 4
    assert heard[1::2] == [whole[PIECE + 1 :]] * 4


async def test_a_listener_goes_on_at_another_replica_where_it_was(pods: Mesh) -> None:
    maker, other = await pods.open(), await pods.open(workers=0)
    script = Script(pause_after=3)
    pods.music.follow(script)
    song = await maker.create()
    call = maker.grpc.StreamAudio(pb.StreamAudioRequest(song_id=song.id), timeout=CALL_S)
    first = b""
    attempt = 0
    async for response in call:
        attempt = attempt or response.header.attempt
        first += response.data.data
        if len(first) > PIECE:
            break
    call.cancel()
    rest = asyncio.create_task(other.audio(song.id, offset=len(first), attempt=attempt))
    script.go_on.set()
    assert first + await rest == rendered(song.id, song.seed, 5.0).audio


async def test_wav_and_flac_wait_for_the_master_and_are_whole_then(pods: Mesh) -> None:
    maker, other = await pods.open(), await pods.open(workers=0)
    for suffix, audio_format in FORMATS.items():
        script = Script(pause_after=2)
        pods.music.follow(script)
        song = await maker.create()
        url = f"/v1/songs/{song.id}/audio"
        over_http = asyncio.create_task(other.http.get(url, params={"format": suffix}))
        over_grpc = asyncio.create_task(other.audio(song.id, format=audio_format))
        part = asyncio.create_task(
            other.http.get(url, params={"format": suffix}, headers={"Range": "bytes=5-9"})
        )
        await script.paused.wait()
        head = await other.http.head(url, params={"format": suffix})
        assert (head.status_code, head.headers["content-type"]) == (200, f"audio/{suffix}")
        await asyncio.sleep(0.1)
        assert not over_http.done()
        assert not over_grpc.done()
        script.go_on.set()
        answer = await over_http
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        assert answer.headers["content-length"] == str(len(answer.content))
        assert await over_grpc == answer.content
        assert ((await part).status_code, (await part).content) == (206, answer.content[5:10])
        samples, _ = soundfile.read(io.BytesIO(answer.content), dtype="int16")
        assert samples.astype("<i2").tobytes() == rendered(song.id, song.seed, 5.0).pcm


async def test_a_song_that_is_never_made_ends_those_who_wait_for_its_master(pods: Mesh) -> None:
    gateway = await pods.open(workers=0)
    for wanted in FORMATS.values():
        song = await gateway.create()
        request = pb.StreamAudioRequest(song_id=song.id, format=wanted)
        over_grpc = asyncio.create_task(gateway.refusal("StreamAudio", request))
        url = f"/v1/songs/{song.id}/audio"
        over_http = asyncio.create_task(gateway.http.get(url, params={"format": "wav"}))
        await asyncio.sleep(0.1)
        await gateway.http.post(f"/v1/songs/{song.id}:cancel")
        assert (await over_grpc).reason == "SONG_CANCELLED"
        assert ((await over_http).status_code, problem_of(await over_http)["reason"]) == (
            409,
            "SONG_CANCELLED",
        )


async def test_a_drained_replica_sends_those_who_wait_elsewhere(pods: Mesh) -> None:
    leaving = await pods.open(workers=0, drain_delay_s=5.0)
    song = await leaving.create()
    listening = asyncio.create_task(leaving.refusal("StreamAudio", pb.StreamAudioRequest(song_id=song.id)))
    watching = asyncio.create_task(leaving.refusal("WatchSong", pb.WatchSongRequest(song_id=song.id)))
    await asyncio.sleep(0.2)
    leaving.health.draining.set()
    for error in await asyncio.gather(listening, watching):
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
