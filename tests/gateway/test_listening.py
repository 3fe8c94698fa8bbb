"""Listeners to a song in the making: they hear it at once, and never a mixed file."""

import asyncio
import hashlib

import grpc
import httpx
import pytest
from prometheus_client import REGISTRY

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import ServiceError, Unavailable
from tests.gateway.mesh import Gateway, Mesh, heard_over_http, made, problem_of
from tests.gateway.pods import Script, rendered

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]


async def test_sound_comes_before_the_song_is_done(shared_pods: Mesh, shared: Gateway) -> None:
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    song = await shared.create()
    async with shared.http.stream("GET", f"/v1/songs/{song.id}/audio") as response:
        assert response.headers["content-type"] == "audio/mpeg"
        assert response.headers["acesteps-attempt"] == "1"
        assert response.headers["accept-ranges"] == "none"
        assert "content-length" not in response.headers
        assert await anext(response.aiter_raw())
    head = await shared.http.head(f"/v1/songs/{song.id}/audio")
    assert (head.status_code, head.headers["content-type"], head.content) == (200, "audio/mpeg", b"")
    assert "content-length" not in head.headers
    assert (await shared.get(song.id)).state == pb.SONG_STATE_RUNNING


async def test_a_new_attempt_ends_grpc_listeners_with_a_word(shared_pods: Mesh, shared: Gateway) -> None:
    script = Script(pause_after=2, error=Unavailable("ENGINE_DIED", "it died"))
    shared_pods.music.follow(script)
    song = await shared.create()
    listening = shared.listen(song.id)
    assert await anext(listening)
    script.go_on.set()
    with pytest.raises(ServiceError) as caught:
        async for _ in listening:
            pass
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.ABORTED, "ATTEMPT_ENDED")
    song = await shared.ended(song.id)
    with pytest.raises(ServiceError, match="ATTEMPT_ENDED"):
        await shared.audio(song.id, offset=10, attempt=1)
    assert await shared.audio(song.id, attempt=2) == rendered(song.id, song.seed, 5.0).audio


async def test_a_new_attempt_ends_http_bodies_abnormally(shared_pods: Mesh, shared: Gateway) -> None:
    script = Script(pause_after=2, error=Unavailable("ENGINE_DIED", "it died"))
    shared_pods.music.follow(script)
    song = await shared.create()
    async with shared.http.stream("GET", f"/v1/songs/{song.id}/audio") as response:
        pieces = response.aiter_raw()
        assert await anext(pieces)
        script.go_on.set()
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in pieces:
                pass
    song = await shared.ended(song.id)
    assert await heard_over_http(shared, song.id) == rendered(song.id, song.seed, 5.0).audio
    answer = await shared.http.get(f"/v1/songs/{song.id}/audio", params={"attempt": 1, "offset": 5})
    assert (answer.status_code, problem_of(answer)["reason"]) == (409, "ATTEMPT_ENDED")


async def test_a_cancelled_song_ends_its_listeners(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.music.follow(Script(pause_after=1))
    song = await shared.create()
    listening = shared.listen(song.id)
    assert await anext(listening)
    await shared.http.post(f"/v1/songs/{song.id}:cancel")
    with pytest.raises(ServiceError, match="SONG_CANCELLED"):
        await anext(listening)
    answer = await shared.http.get(f"/v1/songs/{song.id}/audio")
    assert (answer.status_code, problem_of(answer)["reason"]) == (409, "SONG_CANCELLED")


async def test_a_listener_who_leaves_is_noticed(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.music.follow(Script(pause_after=1))
    song = await shared.create()
    async with shared.http.stream("GET", f"/v1/songs/{song.id}/audio") as response:
        await anext(response.aiter_raw())
    async with asyncio.timeout(2.0):
        while listeners() != 0:  # noqa: ASYNC110  # a metric sets no event
            await asyncio.sleep(0.02)


def listeners() -> float | None:
    return REGISTRY.get_sample_value("acesteps_gateway_listeners", {"face": "http"})


async def test_a_reader_that_stops_reading_holds_nothing_up(shared_pods: Mesh, shared: Gateway) -> None:
    song = await shared.create(duration_s=60.0)  # 2.4 MB, far more than sockets take
    async with shared.http.stream("GET", f"/v1/songs/{song.id}/audio") as response:
        pieces = response.aiter_raw()
        first = await anext(pieces)
        song = await shared.ended(song.id)
        assert song.state == pb.SONG_STATE_SUCCEEDED
        whole = first + b"".join([piece async for piece in pieces])
    assert hashlib.sha256(whole).hexdigest() == song.audio.sha256


async def test_an_offset_past_the_end_is_refused_and_the_end_itself_is_empty(
    shared_pods: Mesh, shared: Gateway
) -> None:
    song, whole = await made(shared)
    assert await shared.audio(song.id, offset=len(whole)) == b""
    request = pb.StreamAudioRequest(song_id=song.id, offset=len(whole) + 1)
    error = await shared.refusal("StreamAudio", request)
    assert (error.code, error.metadata["field"]) == (grpc.StatusCode.OUT_OF_RANGE, "offset")
    answer = await shared.http.get(f"/v1/songs/{song.id}/audio", params={"offset": len(whole) + 1})
    assert (answer.status_code, problem_of(answer)["field"]) == (416, "offset")
    shared_pods.music.follow(Script(pause_after=1))
    live = await shared.create()
    for offset in (10**9, 2**64 - 1):
        request = pb.StreamAudioRequest(song_id=live.id, offset=offset)
        assert (await shared.refusal("StreamAudio", request)).reason == "OUT_OF_RANGE"
        answer = await shared.http.get(f"/v1/songs/{live.id}/audio", params={"offset": offset})
        assert (answer.status_code, problem_of(answer)["field"]) == (416, "offset")
