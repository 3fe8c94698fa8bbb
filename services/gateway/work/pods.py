"""The music pods, each with a channel of its own: who is there, who is ready, and how many slots are free.

Pods are found through DNS, and looked for again and again. A pod's slots are counted here; what other
replicas give it, this one learns when the pod says that it is busy. Knows no song.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc

from acesteps.music.v1 import music_service_pb2 as music_pb
from acesteps.music.v1.music_service_pb2_grpc import MusicServiceStub
from services.common.errors import Unavailable
from services.gateway import metrics
from services.gateway.work.readiness import NO_POD_READY, until_ready

_log = logging.getLogger(__name__)

DESCRIBE_TIMEOUT_S = 5.0
AGAIN_S = 0.5

Open = Callable[[str], grpc.aio.Channel]
Resolve = Callable[[], Awaitable[frozenset[str]]]


@dataclass
class _Pod:
    address: str
    channel: grpc.aio.Channel
    slots: int = 0
    taken: int = 0
    ready: bool = False
    # No longer found: it ends with its last song.
    leaving: bool = False
    busy_until: float = 0.0
    following: asyncio.Task[None] | None = None
    closing: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def free(self) -> int:
        if not self.ready or self.leaving or time.monotonic() < self.busy_until:
            return 0
        return max(0, self.slots - self.taken)


class Turn:
    """One song's place among the pods: first without a slot, then on one pod. End it in any case."""

    def __init__(self, pods: "Pods") -> None:
        self._pods = pods
        self._pod: _Pod | None = None
        self._ended = False

    async def slot(self, within_s: float) -> grpc.aio.Channel:
        """The channel to the pod that has a slot for the song from now on.

        Raises:
            Unavailable: NO_POD_READY, none was free in time.
        """
        self._pod = await self._pods.take(within_s)
        return self._pod.channel

    def busy(self, for_s: float) -> None:
        """The pod said that it has no slot after all."""
        if self._pod is not None:
            self._pods.hold_off(self._pod, for_s)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._pods.give(self._pod)


class Pods:
    """`run` is an endless task; without it no pod is ever found."""

    def __init__(self, resolve: Resolve, open_: Open, *, resolve_every_s: float, ahead: int = 1) -> None:
        """`resolve` gives the addresses that there are now; raises OSError when it cannot be known.

        `ahead`: songs that are begun here although no slot is free: their words are written meanwhile.
        """
        self._resolve, self._open, self._every_s, self._ahead = resolve, open_, resolve_every_s, ahead
        self._pods: dict[str, _Pod] = {}
        # Songs begun here that have no slot yet.
        self._pending = 0
        self._changed = asyncio.Event()

    @property
    def ready(self) -> list[grpc.aio.Channel]:
        """Channels to the pods that are ready."""
        return [pod.channel for pod in self._pods.values() if pod.ready and not pod.leaving]

    async def turn(self) -> Turn:
        """A place for one more song, once a pod is ready and a slot is free or nearly so."""
        while not (self.ready and self._free() + self._ahead > self._pending):
            await self._news()
        self._pending += 1
        return Turn(self)

    async def run(self) -> None:
        try:
            while True:
                await self._look()
                await asyncio.sleep(self._every_s)
        finally:
            for pod in list(self._pods.values()):
                await self._drop(pod)

    async def take(self, within_s: float) -> _Pod:
        """A slot for a song that was pending. Raises Unavailable (NO_POD_READY)."""
        until = time.monotonic() + within_s
        while (pod := max(self._pods.values(), key=lambda p: p.free, default=None)) is None or not pod.free:
            if (left := until - time.monotonic()) <= 0:
                raise Unavailable(NO_POD_READY, "no music pod has a free slot", retry_delay_s=0.0)
            await self._news(left)
        self._pending -= 1
        pod.taken += 1
        self._tell()
        return pod

    def give(self, pod: _Pod | None) -> None:
        """A song is over. `pod` None: it never had a slot."""
        if pod is None:
            self._pending -= 1
        else:
            pod.taken -= 1
            self._close_if_left(pod)
        self._tell()

    def hold_off(self, pod: _Pod, for_s: float) -> None:
        pod.busy_until = max(pod.busy_until, time.monotonic() + for_s)

    def _free(self) -> int:
        return sum(pod.free for pod in self._pods.values())

    async def _news(self, at_most_s: float | None = None) -> None:
        """Returns when something may have changed: told, or a busy pod's time is over."""
        now = time.monotonic()
        waits = [pod.busy_until - now for pod in self._pods.values() if pod.busy_until > now]
        if at_most_s is not None:
            waits.append(at_most_s)
        changed = self._changed
        try:
            async with asyncio.timeout(min(waits, default=None)):
                await changed.wait()
        except TimeoutError:
            pass

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        metrics.PODS.set(len(self.ready))
        metrics.FREE_SLOTS.set(self._free())

    async def _look(self) -> None:
        try:
            found = await self._resolve()
        except OSError as error:  # who was there is there still, as far as anyone knows
            _log.warning("music pods cannot be looked for", extra={"error": str(error)})
            return
        for address in found - self._pods.keys():
            pod = self._pods[address] = _Pod(address, self._open(address))
            pod.following = asyncio.create_task(self._follow(pod))
            _log.info("music pod found", extra={"pod": address})
        for address, pod in list(self._pods.items()):
            pod.leaving = address not in found
            self._close_if_left(pod)

    async def _follow(self, pod: _Pod) -> None:
        """Keeps `ready` and `slots` as the pod's own health and word have them."""
        while True:
            await until_ready(pod.channel)
            try:
                told = await MusicServiceStub(pod.channel).DescribeEngine(
                    music_pb.DescribeEngineRequest(), timeout=DESCRIBE_TIMEOUT_S
                )
            except grpc.aio.AioRpcError as error:
                _log.warning(
                    "music pod says nothing of itself", extra={"pod": pod.address, "code": str(error.code())}
                )
                await asyncio.sleep(AGAIN_S)
                continue
            pod.slots, pod.ready = max(1, told.slots), True
            self._tell()
            await pod.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
            pod.ready = False
            self._tell()

    def _close_if_left(self, pod: _Pod) -> None:
        if pod.leaving and not pod.taken and self._pods.get(pod.address) is pod:
            del self._pods[pod.address]
            task = asyncio.get_running_loop().create_task(self._drop(pod))
            pod.closing.add(task)
            task.add_done_callback(pod.closing.discard)
            _log.info("music pod gone", extra={"pod": pod.address})

    async def _drop(self, pod: _Pod) -> None:
        self._pods.pop(pod.address, None)
        if pod.following is not None:
            pod.following.cancel()
            await asyncio.gather(pod.following, return_exceptions=True)
        await pod.channel.close()
