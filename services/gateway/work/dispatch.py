"""The workers' master: claims songs while there are free workers, reaps dead attempts, drains on request.

Knows the queue and how many songs may be in the making here; what making is, is `attempt`'s.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from services.common.tracing import exemplar
from services.gateway import metrics, song_traces
from services.gateway.database import DatabaseUnavailable
from services.gateway.models import Song, State
from services.gateway.notices import Notices, Subscription
from services.gateway.store import Store
from services.gateway.work.attempt import Outcome
from services.gateway.work.pods import Pods, Turn
from services.gateway.work.queue import Queue

_log = logging.getLogger(__name__)

Make = Callable[[Song, Turn], Awaitable[Outcome]]

DEPTH_EVERY_S = 5.0
# A song that waits, and one that ended: its account may have another one made.
_MAY_CLAIM = (State.QUEUED, State.SUCCEEDED, State.FAILED, State.CANCELLED)


class Dispatcher:
    """`run` and `reap` are endless tasks. To stop: cancel `run`, then `drain`."""

    def __init__(
        self,
        queue: Queue,
        notices: Notices,
        make: Make,
        *,
        workers: int,
        poll_s: float,
        pods: Pods,
    ) -> None:
        """Without a pod that has room no song is begun, and none fails."""
        self._queue, self._notices, self._make = queue, notices, make
        self._poll_s, self._pods = poll_s, pods
        self._free = asyncio.Semaphore(workers)
        self._making: set[asyncio.Task[Outcome]] = set()

    async def run(self) -> None:
        """Claims and makes songs until cancelled."""
        with self._notices.subscribe(None, *_MAY_CLAIM) as news:
            while True:
                await self._free.acquire()
                try:
                    song, turn = await self._next(news)
                except BaseException:
                    self._free.release()
                    raise
                task = asyncio.create_task(self._make_one(song, turn))
                self._making.add(task)
                task.add_done_callback(self._made)

    async def _next(self, news: Subscription) -> tuple[Song, Turn]:
        """The next song, and its place among the pods."""
        while True:
            turn, song = await self._pods.turn(), None
            try:
                song = await self._claim()
            finally:
                if song is None:  # nobody else should wait for a place that is not used
                    turn.end()
            if song is not None:
                return song, turn
            await news.wait(await self._patience_s())

    async def _claim(self) -> Song | None:
        # Not to be torn from its answer by a drain: the song would wait for its lease to run out.
        claim = asyncio.ensure_future(self._queue.claim())
        try:
            return await asyncio.shield(claim)
        except DatabaseUnavailable:
            return None
        except asyncio.CancelledError:
            with suppress(DatabaseUnavailable):
                if (song := await claim) is not None:
                    await self._queue.give_back(song.id, song.attempt, 0.0)
            raise

    async def _patience_s(self) -> float:
        """A poll at most, less where a song's backoff ends before: that is told to nobody."""
        try:
            due_s = await self._queue.next_due_s()
        except DatabaseUnavailable:
            due_s = None
        return self._poll_s if due_s is None else min(self._poll_s, due_s)

    async def _make_one(self, song: Song, turn: Turn) -> Outcome:
        with song_traces.attempt(song) as span:
            _log.info("attempt begun", extra={"song_id": str(song.id), "attempt": song.attempt})
            if song.attempt == 1:
                waited_s = (datetime.now(UTC) - song.created_at).total_seconds()
                metrics.WAITED_S.observe(waited_s, exemplar())
            try:
                outcome = await self._make(song, turn)
            finally:
                turn.end()
            span.set_attribute(song_traces.OUTCOME, outcome.value)
            return outcome

    def _made(self, task: asyncio.Task[Outcome]) -> None:
        self._making.discard(task)
        self._free.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("attempt raised", exc_info=error)

    async def drain(self, grace_s: float) -> None:
        """Lets the songs in the making finish; what is not done after `grace_s` is given back."""
        if self._making:
            await asyncio.wait(self._making, timeout=grace_s)
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)

    async def reap(self, every_s: float) -> None:
        """Ends attempts of workers that went silent, here or at another replica, until cancelled."""
        while True:
            with suppress(DatabaseUnavailable):
                for lost in await self._queue.reap():
                    metrics.ATTEMPTS.labels(Outcome.FAILED if lost.song_failed else Outcome.REAPED).inc()
                    metrics.FAILURES.labels(song_traces.LEASE_EXPIRED).inc()
                    with song_traces.reaping(lost):
                        extra = {"song_id": str(lost.id), "attempt": lost.attempt}
                        _log.warning("attempt reaped", extra=extra)
            await asyncio.sleep(every_s)


async def measure(store: Store) -> None:
    """Keeps the queue's metrics, until cancelled."""
    while True:
        try:
            depth = await store.depth()
        except DatabaseUnavailable:
            metrics.DATABASE_UP.set(0)
        else:
            metrics.DATABASE_UP.set(1)
            metrics.QUEUED.set(depth.queued)
            metrics.RUNNING.set(depth.running)
            metrics.OLDEST_QUEUED_S.set(depth.oldest_queued_s)
        await asyncio.sleep(DEPTH_EVERY_S)
