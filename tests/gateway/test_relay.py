"""Audio as it is made and after: from any offset, at any replica, over both faces, and never a mixed file."""

import asyncio
import hashlib
from typing import Any

import grpc
import httpx
import pytest
from prometheus_client import REGISTRY

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import ServiceError, Unavailable
from tests.gateway.mesh import CALL_S, Gateway, Mesh, made, problem_of
from tests.gateway.pods import PIECE, Script, rendered

FORMATS = {"wav": pb.AUDIO_FORMAT_WAV, "flac": pb.AUDIO_FORMAT_FLAC}


async def heard_over_http(gateway: Gateway, song_id: str, **params: Any) -> bytes:
    async with gateway.http.stream("GET", f"/v1/songs/{song_id}/audio", params=params) as response:
        assert response.status_code == 200, await response.aread()
        return b"".join([piece async for piece in response.aiter_raw()])


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


async def test_sound_comes_before_the_song_is_done(pods: Mesh, gateway: Gateway) -> None:
    script = Script(pause_after=1)
    pods.music.follow(script)
    song = await gateway.create()
    async with gateway.http.stream("GET", f"/v1/songs/{song.id}/audio") as response:
        assert response.headers["content-type"] == "audio/mpeg"
        assert response.headers["acesteps-attempt"] == "1"
        assert response.headers["accept-ranges"] == "none"
        assert "content-length" not in response.headers
        assert await anext(response.aiter_raw())
    assert (await gateway.get(song.id)).state == pb.SONG_STATE_RUNNING


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


async def test_a_new_attempt_ends_grpc_listeners_with_a_word(pods: Mesh, gateway: Gateway) -> None:
    script = Script(pause_after=2, error=Unavailable("ENGINE_DIED", "it died"))
    pods.music.follow(script)
    song = await gateway.create()
    listening = gateway.listen(song.id)
    assert await anext(listening)
    script.go_on.set()
    with pytest.raises(ServiceError) as caught:
        async for _ in listening:
            pass
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.ABORTED, "ATTEMPT_ENDED")
    song = await gateway.ended(song.id)
    with pytest.raises(ServiceError, match="ATTEMPT_ENDED"):
        await gateway.audio(song.id, offset=10, attempt=1)
    assert await gateway.audio(song.id, attempt=2) == rendered(song.id, song.seed, 5.0).audio


async def test_a_new_attempt_ends_http_bodies_abnormally(pods: Mesh, gateway: Gateway) -> None:
    script = Script(pause_after=2, error=Unavailable("ENGINE_DIED", "it died"))
    pods.music.follow(script)
    song = await gateway.create()
    async with gateway.http.stream("GET", f"/v1/songs/{song.id}/audio") as response:
        pieces = response.aiter_raw()
        assert await anext(pieces)
        script.go_on.set()
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in pieces:
                pass
    song = await gateway.ended(song.id)
    assert await heard_over_http(gateway, song.id) == rendered(song.id, song.seed, 5.0).audio
    answer = await gateway.http.get(f"/v1/songs/{song.id}/audio", params={"attempt": 1, "offset": 5})
    assert (answer.status_code, problem_of(answer)["reason"]) == (409, "ATTEMPT_ENDED")


async def test_a_cancelled_song_ends_its_listeners(pods: Mesh, gateway: Gateway) -> None:
    pods.music.follow(Script(pause_after=1))
    song = await gateway.create()
    listening = gateway.listen(song.id)
    assert await anext(listening)
    await gateway.http.post(f"/v1/songs/{song.id}:cancel")
    with pytest.raises(ServiceError, match="SONG_CANCELLED"):
        await anext(listening)
    answer = await gateway.http.get(f"/v1/songs/{song.id}/audio")
    assert (answer.status_code, problem_of(answer)["reason"]) == (409, "SONG_CANCELLED")


async def test_a_listener_who_leaves_is_noticed(pods: Mesh, gateway: Gateway) -> None:
    pods.music.follow(Script(pause_after=1))
    song = await gateway.create()
    async with gateway.http.stream("GET", f"/v1/songs/{song.id}/audio") as response:
        await anext(response.aiter_raw())
    async with asyncio.timeout(2.0):
        while listeners() != 0:  # noqa: ASYNC110  # a metric sets no event
            await asyncio.sleep(0.02)


def listeners() -> float | None:
    return REGISTRY.get_sample_value("acesteps_gateway_listeners", {"face": "http"})


async def test_a_reader_that_stops_reading_holds_nothing_up(pods: Mesh, gateway: Gateway) -> None:
    song = await gateway.create(duration_s=60.0)  # 2.4 MB, far more than sockets take
    async with gateway.http.stream("GET", f"/v1/songs/{song.id}/audio") as response:
        pieces = response.aiter_raw()
        first = await anext(pieces)
        song = await gateway.ended(song.id)
        assert song.state == pb.SONG_STATE_SUCCEEDED
        whole = first + b"".join([piece async for piece in pieces])
    assert hashlib.sha256(whole).hexdigest() == song.audio.sha256


async def test_wav_and_flac_are_for_songs_that_are_done(pods: Mesh) -> None:
    gateway = await pods.open(workers=0)
    song = await gateway.create()
    for suffix, audio_format in FORMATS.items():
        answer = await gateway.http.get(f"/v1/songs/{song.id}/audio", params={"format": suffix})
        assert (answer.status_code, problem_of(answer)["reason"]) == (409, "SONG_NOT_READY")
        request = pb.StreamAudioRequest(song_id=song.id, format=audio_format)
        assert (await gateway.refusal("StreamAudio", request)).reason == "SONG_NOT_READY"


async def test_an_offset_past_the_end_is_refused_and_the_end_itself_is_empty(
    pods: Mesh, gateway: Gateway
) -> None:
    song, whole = await made(gateway)
    assert await gateway.audio(song.id, offset=len(whole)) == b""
    request = pb.StreamAudioRequest(song_id=song.id, offset=len(whole) + 1)
    error = await gateway.refusal("StreamAudio", request)
    assert (error.code, error.metadata["field"]) == (grpc.StatusCode.OUT_OF_RANGE, "offset")
    answer = await gateway.http.get(f"/v1/songs/{song.id}/audio", params={"offset": len(whole) + 1})
    assert (answer.status_code, problem_of(answer)["field"]) == (416, "offset")
    pods.music.follow(Script(pause_after=1))
    live = await gateway.create()
    for offset in (10**9, 2**64 - 1):
        request = pb.StreamAudioRequest(song_id=live.id, offset=offset)
        assert (await gateway.refusal("StreamAudio", request)).reason == "OUT_OF_RANGE"
        answer = await gateway.http.get(f"/v1/songs/{live.id}/audio", params={"offset": offset})
        assert (answer.status_code, problem_of(answer)["field"]) == (416, "offset")


async def test_a_drained_replica_sends_those_who_wait_elsewhere(pods: Mesh) -> None:
    leaving = await pods.open(workers=0, drain_delay_s=5.0)
    song = await leaving.create()
    listening = asyncio.create_task(leaving.refusal("StreamAudio", pb.StreamAudioRequest(song_id=song.id)))
    watching = asyncio.create_task(leaving.refusal("WatchSong", pb.WatchSongRequest(song_id=song.id)))
    await asyncio.sleep(0.2)
    leaving.health.draining.set()
    for error in await asyncio.gather(listening, watching):
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
