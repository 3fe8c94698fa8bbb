"""Songs, pods and nodes through a day, event by event: who waits for what, and which GPUs are paid.

Knows the gateway's rule of the claim (services/gateway/work/pods.py, without tiers and accounts: first come,
first served) and how a pod comes to be. How many pods there shall be, the autoscaler says.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any

import numpy as np

from bench.capacity_ground import Ground
from bench.capacity_scaling import SYNC_S, Autoscaler, Scaling
from bench.capacity_songs import Seconds, Songs

# How often Prometheus reads what the autoscaler is then told.
SCRAPE_S = 15.0
# GATEWAY_BACKOFF_S: the pause after a lost attempt.
BACKOFF_S = 1.0
# After the last arrival.
PATIENCE_S = 6 * 3600.0


class Stalled(RuntimeError):
    """The settings are such that some songs are never made, or hours late."""


@dataclass(eq=False)
class Pod:
    number: int
    node_since: float
    ready_at: float = inf
    busy: set[int] = field(default_factory=set)
    ready: bool = False
    leaving: bool = False
    gone: bool = False


@dataclass(frozen=True)
class Outcome:
    """By song, in seconds; and of the GPUs."""

    arrival: Seconds
    begun: Seconds
    first_audio: Seconds
    ended: Seconds
    times_ended: np.ndarray[Any, np.dtype[np.int64]]
    # whether the pod that made it was ready only after the song had come
    cold: np.ndarray[Any, np.dtype[np.bool_]]
    oldest_s: float
    most_pods: int
    paid_gpu_s: float
    busy_slot_s: float
    lost_pods: int


def simulate(songs: Songs, scaling: Scaling, ground: Ground, rng: np.random.Generator) -> Outcome:
    """From no pod, or as many as there are at least, ready. Ends with the last song. Raises Stalled."""
    return _Fleet(songs, scaling, ground, rng).run()


class _Fleet:
    def __init__(self, songs: Songs, scaling: Scaling, ground: Ground, rng: np.random.Generator) -> None:
        self._songs, self._scaling, self._ground, self._rng = songs, scaling, ground, rng
        self._autoscaler = Autoscaler(scaling)
        self._events: list[tuple[float, int, Callable[..., None], Any]] = []
        self._numbers = count()
        self._now = 0.0
        n = len(songs)
        self._arrival, self._lyrics = songs.arrival.tolist(), songs.lyrics.tolist()
        self._making, self._first = songs.making.tolist(), songs.first_audio.tolist()
        self._due = list(self._arrival)
        self._begun, self._heard, self._ended = [0.0] * n, [0.0] * n, [0.0] * n
        self._times, self._cold = [0] * n, [False] * n
        # Songs that wait in the queue; that are claimed; of these, that have their words.
        self._queue: deque[int] = deque()
        self._pending, self._running, self._worded = 0, 0, deque[int]()
        self._pods: list[Pod] = []
        self._idle: deque[Pod] = deque()
        self._free, self._ready = 0, 0
        # (empty since, node's beginning)
        self._nodes: list[tuple[float, float]] = []
        self._oldest_s, self._most, self._paid_s, self._busy_s, self._lost = 0.0, 0, 0.0, 0.0, 0
        self._seen: Mapping[str, float] = {t.name: 0.0 for t in scaling.triggers}

    def run(self) -> Outcome:
        for _ in range(self._scaling.least):
            pod = Pod(next(self._numbers), 0.0)
            self._pods.append(pod)
            self._come(pod)
        self._count()
        if self._scaling.least < self._scaling.most or self._ground.losses_per_hour:
            for first_s, act in ((SCRAPE_S / 2, self._scrape), (1.0, self._poll), (SYNC_S, self._sync)):
                self._at(first_s, act)
        events, arrival, following, left = self._events, self._arrival, 0, len(self._arrival)
        self._left, last_s = left, arrival[-1] + PATIENCE_S
        while self._left:
            if following < left and (not events or arrival[following] <= events[0][0]):
                self._now = arrival[following]
                self._queue.append(following)
                following += 1
                self._claim()
            else:
                self._now, _, act, what = heappop(events)
                if self._now > last_s:
                    raise Stalled(
                        f"{self._left} songs are left: pods or workers are too few, or nobody starts any"
                    )
                act(what) if what is not None else act()
        return self._outcome()

    def _at(self, moment: float, act: Callable[..., None], what: object = None) -> None:
        heappush(self._events, (moment, next(self._numbers), act, what))

    # songs

    def _claim(self) -> None:
        ground, queue = self._ground, self._queue
        while (
            queue
            and self._ready
            and self._running < ground.workers
            and self._pending < self._free + ground.ahead * ground.replicas
        ):
            song = queue.popleft()
            self._oldest_s = max(self._oldest_s, self._now - self._due[song])
            self._pending += 1
            self._running += 1
            if (words_s := self._lyrics[song]) > 0:
                self._at(self._now + words_s, self._words, song)
            else:
                self._words(song)

    def _words(self, song: int) -> None:
        self._worded.append(song)
        self._begin()

    def _begin(self) -> None:
        while self._worded and self._free:
            pod = self._idle.popleft()
            if pod.leaving or pod.gone or len(pod.busy) >= self._ground.slots:
                continue
            song = self._worded.popleft()
            pod.busy.add(song)
            if len(pod.busy) < self._ground.slots:
                self._idle.append(pod)
            self._free -= 1
            self._pending -= 1
            self._begun[song], self._cold[song] = self._now, pod.ready_at > self._arrival[song]
            self._heard[song] = self._now + self._first[song]
            self._at(self._now + self._making[song], self._end, (pod, song, self._now))

    def _end(self, what: tuple[Pod, int, float]) -> None:
        pod, song, begun = what
        if pod.gone or song not in pod.busy or self._begun[song] != begun:
            return  # it was lost with its pod
        pod.busy.remove(song)
        self._busy_s += self._now - begun
        self._ended[song] = self._now
        self._times[song] += 1
        self._running -= 1
        self._left -= 1
        if pod.leaving:
            if not pod.busy:
                self._empty(pod)
        else:
            self._idle.append(pod)
            self._free += 1
        self._begin()
        self._claim()

    def _again(self, song: int) -> None:
        self._due[song] = self._now
        self._queue.append(song)
        self._claim()

    # pods

    def _want(self, number: int) -> None:
        while len(self._pods) < number:
            self._start()
        if len(self._pods) > number:
            # As a ReplicaSet does: those that are not ready first; of the others any.
            order = self._rng.permutation(len(self._pods))
            ranked = sorted(order, key=lambda n: self._pods[n].ready)
            for pod in [self._pods[n] for n in ranked[: len(self._pods) - number]]:
                self._leave(pod)
        self._count()

    def _start(self) -> None:
        ground = self._ground
        while self._nodes and self._nodes[0][0] + ground.node_kept_s <= self._now:
            empty_since, since = self._nodes.pop(0)
            self._paid_s += empty_since + ground.node_kept_s - since
        if self._nodes:
            _, since = self._nodes.pop()
            pod, delay_s = Pod(next(self._numbers), since), ground.load_s
        else:
            node_s = ground.node_s * float(np.exp(self._rng.normal(0.0, ground.node_spread)))
            pod, delay_s = Pod(next(self._numbers), self._now), node_s + ground.pull_s + ground.load_s
        self._pods.append(pod)
        self._at(self._now + delay_s, self._come, pod)

    def _come(self, pod: Pod) -> None:
        if pod.gone or pod.leaving:
            return
        pod.ready, pod.ready_at = True, self._now
        self._ready += 1
        for _ in range(self._ground.slots):
            self._free += 1
        self._idle.append(pod)
        if self._ground.losses_per_hour:
            self._at(self._now + self._rng.exponential(3600 / self._ground.losses_per_hour), self._lose, pod)
        self._count()
        self._begin()
        self._claim()

    def _count(self) -> None:
        if self._now >= self._ground.counted_s:
            self._most = max(self._most, len(self._pods))

    def _leave(self, pod: Pod) -> None:
        """Takes no more songs; its last one ends first."""
        self._away(pod)
        pod.leaving = True
        if not pod.busy:
            self._empty(pod)

    def _away(self, pod: Pod) -> None:
        self._pods.remove(pod)
        if pod.ready:
            self._free -= self._ground.slots - len(pod.busy)
            self._ready -= 1

    def _empty(self, pod: Pod) -> None:
        pod.gone = True
        self._nodes.append((self._now, pod.node_since))

    def _lose(self, pod: Pod) -> None:
        if pod.gone:
            return
        if not pod.leaving:
            self._away(pod)
        pod.gone = True
        self._lost += 1
        self._paid_s += self._now - pod.node_since
        for song in pod.busy:
            self._running -= 1
            self._busy_s += self._now - self._begun[song]
            self._at(self._now + BACKOFF_S, self._again, song)
        if not pod.leaving:
            self._start()

    # the autoscaler

    def _scrape(self) -> None:
        oldest_s = self._now - self._due[self._queue[0]] if self._queue else 0.0
        self._oldest_s = max(self._oldest_s, oldest_s)
        full = self._running >= self._ready * self._ground.slots
        known = {
            "oldest-queued": oldest_s * full,
            "slots-busy": float(self._running - self._pending),
            # and two that were tried
            "songs-running": float(self._running),
            "songs-running-or-queued": float(self._running + len(self._queue) * full),
        }
        self._seen = {t.name: known[t.name] for t in self._scaling.triggers}
        self._count()
        self._at(self._now + SCRAPE_S, self._scrape)

    def _poll(self) -> None:
        self._want(self._autoscaler.poll(self._now, len(self._pods), self._seen))
        self._at(self._now + self._scaling.polling_s, self._poll)

    def _sync(self) -> None:
        self._want(self._autoscaler.sync(self._now, len(self._pods), self._ready, self._seen))
        self._at(self._now + SYNC_S, self._sync)

    def _outcome(self) -> Outcome:
        self._count()
        kept_s = self._ground.node_kept_s
        self._paid_s += sum(min(since + kept_s, self._now) - begun for since, begun in self._nodes)
        self._paid_s += sum(self._now - pod.node_since for pod in self._pods)
        return Outcome(
            self._songs.arrival,
            np.array(self._begun),
            np.array(self._heard),
            np.array(self._ended),
            np.array(self._times),
            np.array(self._cold),
            self._oldest_s,
            self._most,
            self._paid_s,
            self._busy_s,
            self._lost,
        )
