"""One pod under pressure: cancelled songs, taken slots, engines that die, fronts that go."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest

from acesteps.music.v1 import music_service_pb2 as pb
from services.common.errors import ServiceError
from tests.music.pod import Pod, spec, wait_gone

LONG_S = 240.0


@pytest.fixture(scope="module")
def own_pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A pod with one slot whose engine a test may kill or starve."""
    with Pod(tmp_path_factory.mktemp("own") / "pod", slots=1).running() as pod:
        yield pod


@pytest.fixture
def doomed_pod(tmp_path: Path) -> Iterator[Pod]:
    """A pod that a test may end."""
    with Pod(tmp_path / "pod", slots=1).running() as pod:
        yield pod


async def test_a_song_beyond_the_slots_is_refused_with_a_time_to_come_back(pod: Pod) -> None:
    async with aclosing(await _begun(pod)), aclosing(await _begun(pod)):
        error = await pod.refusal(spec())
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "POD_BUSY")
    assert error.retry_delay_s is not None
    assert 0 < error.retry_delay_s <= 60


async def test_a_cancelled_song_frees_its_slot_at_once(pod: Pod) -> None:
    streams = [await _begun(pod) for _ in range(2)]
    left_s = [await _time_left(stream) for stream in streams]
    began = time.monotonic()
    for stream in streams:
        await stream.aclose()
    for stream in [await _begun(pod) for _ in range(2)]:  # both slots are free again
        await stream.aclose()
    assert time.monotonic() - began < min(left_s) / 2


async def test_songs_and_slots_are_counted(pod: Pod) -> None:
    counted = 'acesteps_music_songs_total{outcome="%s"}'
    before = {outcome: pod.metric(counted % outcome) for outcome in ("ok", "cancelled")}
    await (await _begun(pod)).aclose()
    async with aclosing(await _begun(pod)):
        assert pod.metric("acesteps_music_slots_busy") >= 1
    await pod.song(spec())
    assert pod.metric(counted % "ok") == before["ok"] + 1
    assert pod.metric(counted % "cancelled") == before["cancelled"] + 2
    assert pod.metric("acesteps_music_first_audio_seconds_count") >= 3


async def test_a_deadline_ends_the_song_too(pod: Pod) -> None:
    await (await _begun(pod)).aclose()
    error = await pod.refusal(spec(duration_s=LONG_S), timeout_s=0.6)
    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
    for stream in [await _begun(pod) for _ in range(2)]:
        await stream.aclose()


async def test_a_slow_reader_holds_the_engine_back_instead_of_filling_memory(own_pod: Pod) -> None:
    async with aclosing(own_pod.stream(spec(duration_s=LONG_S))) as stream:
        await anext(stream)
        await asyncio.sleep(1.0)  # long enough to render a fifth of it, were nothing held back
        ahead = 0
        began = time.monotonic()
        async for response in stream:
            if time.monotonic() - began > 0.05:
                break
            ahead += len(response.audio.data)
    # gRPC itself lets about 6 MiB pile up (facts: mesh); the engine none
    assert ahead < 7 << 20


async def test_a_dead_engine_fails_its_song_and_is_replaced(own_pod: Pod) -> None:
    dead, stream = own_pod.engine_pid, await _begun(own_pod)
    os.kill(dead, signal.SIGKILL)
    own_pod.wait_ready(False)
    with pytest.raises(ServiceError) as caught:
        await _to_the_end(stream)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "ENGINE_DIED")
    own_pod.wait_ready()
    assert own_pod.engine_pid != dead
    assert own_pod.metric("acesteps_music_engine_restarts_total") == 1
    assert (await own_pod.song(spec())).result.audio_bytes


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux takes memory from a process")
async def test_a_song_too_large_for_memory_fails_alone(own_pod: Pod) -> None:
    used = int(Path(f"/proc/{own_pod.engine_pid}/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.prlimit(own_pod.engine_pid, resource.RLIMIT_AS)
    resource.prlimit(own_pod.engine_pid, resource.RLIMIT_AS, (used + (1 << 20), before[1]))
    error = await own_pod.refusal(spec(duration_s=LONG_S))
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OUT_OF_MEMORY")
    resource.prlimit(own_pod.engine_pid, resource.RLIMIT_AS, before)
    pid = own_pod.engine_pid
    assert (await own_pod.song(spec())).result.audio_bytes
    assert own_pod.engine_pid == pid


async def test_a_drain_lets_the_running_song_end_and_leaves_no_process(doomed_pod: Pod) -> None:
    engine, heard = doomed_pod.engine_pid, 0
    async for response in doomed_pod.stream(spec(duration_s=30.0)):
        if not heard and response.WhichOneof("event") == "audio":
            doomed_pod.process.terminate()
        heard += len(response.audio.data)
        last = response
    assert last.result.audio_bytes == heard
    assert doomed_pod.process.wait(10) == 0
    assert wait_gone(engine)


async def test_a_killed_front_takes_its_engine_with_it(doomed_pod: Pod) -> None:
    async with aclosing(doomed_pod.stream(spec(duration_s=LONG_S))) as stream:
        await anext(stream)
        engine = doomed_pod.engine_pid
        doomed_pod.process.kill()
        doomed_pod.process.wait()
        assert wait_gone(engine)


async def _begun(pod: Pod) -> AsyncGenerator[pb.GenerateSongResponse, None]:
    """The stream of a long song of which the first sound has come; asked for until a slot is free."""
    while True:
        stream = pod.stream(spec(duration_s=LONG_S))
        try:
            async for response in stream:
                if response.WhichOneof("event") == "audio":
                    return stream
        except ServiceError as error:
            if error.reason != "POD_BUSY":
                raise
            await asyncio.sleep(0.02)


async def _to_the_end(stream: AsyncGenerator[pb.GenerateSongResponse, None]) -> None:
    async for _ in stream:
        pass


async def _time_left(stream: AsyncGenerator[pb.GenerateSongResponse, None]) -> float:
    """Seconds that the song still needs, as its next progress says."""
    async for response in stream:
        if response.progress.eta_s:
            return response.progress.eta_s
    raise AssertionError("the song was over")
