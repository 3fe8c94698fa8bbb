"""Several music pods, found and lost again: each is given as much as it has slots."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from acesteps.music.v1.music_service_pb2_grpc import add_MusicServiceServicer_to_server
from deploy.local.ports import free_ports
from services.common.errors import ResourceExhausted, Unavailable
from services.common.interceptor import CallInterceptor
from tests.gateway.mesh import Mesh
from tests.gateway.pods import MusicPod, Script


class SlottedPod(MusicPod):
    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.at_once = self.most = 0

    async def DescribeEngine(self, request: Any, context: Any) -> music_pb.DescribeEngineResponse:
        return music_pb.DescribeEngineResponse(engine="sketch", engine_version="1", slots=self.slots)

    async def GenerateSong(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            async for response in super().GenerateSong(request_iterator, context):
                yield response
        finally:
            self.at_once -= 1


@dataclass
class Name:
    """A name that stands for pods, as DNS has it at the moment."""

    addresses: set[str] = field(default_factory=set)
    broken: bool = False

    async def __call__(self, target: str) -> frozenset[str]:
        if self.broken:
            raise OSError("no name server answers")
        return frozenset(self.addresses)

    @asynccontextmanager
    async def pod(self, slots: int) -> AsyncIterator[SlottedPod]:
        """A pod under the name; at the end it is gone without a word."""
        server = grpc.aio.server(interceptors=[CallInterceptor()])
        pod, (port,) = SlottedPod(slots), free_ports(1)
        add_MusicServiceServicer_to_server(pod, server)
        servicer = health.aio.HealthServicer()
        await servicer.set("readiness", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        self.addresses.add(f"127.0.0.1:{port}")
        pod.address, pod.health = f"127.0.0.1:{port}", servicer
        try:
            yield pod
        finally:
            pod.forget()
            await server.stop(0)


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> Name:
    name = Name()
    monkeypatch.setattr("services.gateway.resources.addresses_of", name)
    return name


SETTINGS = {"music_target": "dns:///music:1", "resolve_every_s": 0.05, "workers": 8}


async def test_every_pod_is_given_as_much_as_it_has_slots(pods: Mesh, name: Name) -> None:
    async with name.pod(1) as small, name.pod(2) as large:
        scripts = {pod: [Script(pause_after=1) for _ in range(6)] for pod in (small, large)}
        for pod, given in scripts.items():
            pod.follow(*given)
        gateway = await pods.open(**SETTINGS)
        songs = [await gateway.create() for _ in range(6)]
        begun = [scripts[small][0], *scripts[large][:2]]
        await asyncio.gather(*(script.paused.wait() for script in begun))
        await asyncio.sleep(0.2)
        assert (small.at_once, large.at_once) == (1, 2)
        for given in scripts.values():
            for script in given:
                script.go_on.set()
        for song in songs:
            ended = await gateway.ended(song.id)
            assert (ended.state, ended.attempt) == (pb.SONG_STATE_SUCCEEDED, 1)
        assert (small.most, large.most) == (1, 2)


async def test_a_pod_that_appears_is_used_and_one_that_dies_costs_an_attempt(pods: Mesh, name: Name) -> None:
    gateway = await pods.open(**SETTINGS)
    async with name.pod(1) as first:
        script = Script(pause_after=1)
        first.follow(script)
        song = await gateway.create()
        await script.paused.wait()
    # It died in the middle; its name is still there. Another one comes up.
    async with name.pod(1) as second:
        ended = await gateway.ended(song.id)
        assert (ended.state, ended.attempt) == (pb.SONG_STATE_SUCCEEDED, 2)
        assert len(second.specs) == 1


async def test_a_pod_that_is_taken_from_the_name_finishes_its_song_and_gets_no_other(
    pods: Mesh, name: Name
) -> None:
    async with name.pod(2) as leaving, name.pod(1) as staying:
        script = Script(pause_after=1)
        leaving.follow(script)
        staying.follow(script)
        gateway = await pods.open(**SETTINGS)
        song = await gateway.create()
        await script.paused.wait()
        busy = leaving if leaving.at_once else staying
        other = staying if busy is leaving else leaving
        other.forget()
        script.go_on.clear()
        name.addresses.discard(busy.address)
        await asyncio.sleep(0.2)
        more = [await gateway.ended((await gateway.create()).id) for _ in range(3)]
        assert all(done.state == pb.SONG_STATE_SUCCEEDED for done in more)
        assert len(busy.specs) == 1
        script.go_on.set()
        ended = await gateway.ended(song.id)
        assert (ended.state, ended.attempt) == (pb.SONG_STATE_SUCCEEDED, 1)


async def test_a_busy_pods_song_goes_to_another_pod_at_once(pods: Mesh, name: Name) -> None:
    async with name.pod(4) as busy, name.pod(1) as free:
        busy.follow(
            *(Script(error=ResourceExhausted("POD_BUSY", "full", retry_delay_s=60.0)) for _ in range(9))
        )
        gateway = await pods.open(**SETTINGS, max_failures=1)
        for _ in range(3):
            ended = await gateway.ended((await gateway.create()).id)
            assert ended.state == pb.SONG_STATE_SUCCEEDED
        assert len(busy.specs) == 1  # asked once, and then left alone as it said
        assert len(free.specs) == 3


async def test_a_pod_that_is_not_ready_gets_nothing(pods: Mesh, name: Name) -> None:
    async with name.pod(1) as pod:
        await pod.health.set("readiness", health_pb2.HealthCheckResponse.NOT_SERVING)
        gateway = await pods.open(**SETTINGS)
        song = await gateway.create()
        await asyncio.sleep(0.3)
        assert (await gateway.get(song.id)).attempt == 0
        await pod.health.set("readiness", health_pb2.HealthCheckResponse.SERVING)
        assert (await gateway.ended(song.id)).state == pb.SONG_STATE_SUCCEEDED


async def test_pods_are_kept_while_nobody_can_look_them_up(pods: Mesh, name: Name) -> None:
    async with name.pod(1):
        gateway = await pods.open(**SETTINGS)
        await gateway.ended((await gateway.create()).id)
        name.broken = True
        await asyncio.sleep(0.2)
        assert (await gateway.ended((await gateway.create()).id)).state == pb.SONG_STATE_SUCCEEDED


async def test_two_gateways_share_pods_and_no_busy_answer_is_a_failure(pods: Mesh, name: Name) -> None:
    async with name.pod(1) as pod:
        gateways = [await pods.open(**SETTINGS, max_failures=1) for _ in range(2)]
        errors = (Unavailable("ENGINE_STARTING", "not yet", retry_delay_s=0.05) for _ in range(2))
        pod.follow(*(Script(error=error) for error in errors))
        songs = [await gateways[n % 2].create() for n in range(8)]
        for song in songs:
            assert (await gateways[0].ended(song.id)).state == pb.SONG_STATE_SUCCEEDED
