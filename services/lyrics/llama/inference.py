"""The thread that runs the model: songs are handed in from the event loop, their events come back to it.

Knows threads, queues and what happens when the thread dies. The work is the batch's.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from services.common.errors import Unavailable
from services.lyrics.engine import Event, Finished
from services.lyrics.llama.batch import Batch, Row
from services.lyrics.llama.draft import Draft

_log = logging.getLogger(__name__)

Item = Event | BaseException


@dataclass(eq=False)
class Job:
    """One song's way through the thread. `items` ends with a `Finished` or an error."""

    draft: Draft
    loop: asyncio.AbstractEventLoop
    items: asyncio.Queue[Item] = field(default_factory=asyncio.Queue)
    # Set by the event loop, read by the thread.
    cancelled: bool = False
    # The rest is the thread's.
    row: Row | None = None
    over: bool = False

    def send(self, item: Item) -> None:
        self.over = self.over or isinstance(item, (Finished, BaseException))
        if not self.cancelled:
            try:
                self.loop.call_soon_threadsafe(self.items.put_nowait, item)
            except RuntimeError:  # the loop is closed: nobody listens any more
                self.cancelled = True


class Inference:
    """One thread over one batch; songs that find no room wait in the order in which they came."""

    def __init__(self, batch: Batch, on_death: Callable[[], None] = lambda: None) -> None:
        self._batch, self._on_death = batch, on_death
        self._waiting: deque[Job] = deque()
        self._jobs: list[Job] = []
        self._changed = threading.Condition()
        self._closing = False
        self._dead = False
        # a daemon: a device that hangs does not keep the process from ending
        self._thread = threading.Thread(target=self._run, name="lyrics-llama", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, patience_s: float = 10.0) -> None:
        """Ends the thread after the step that is running; songs in it end as if it had died."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(patience_s)

    @property
    def busy(self) -> int:
        """Songs that are in the batch or wait for it."""
        with self._changed:
            return len(self._jobs) + len(self._waiting)

    def submit(self, draft: Draft) -> Job:
        """From the event loop. Raises Unavailable: ENGINE_DIED."""
        job = Job(draft, asyncio.get_running_loop())
        with self._changed:
            if self._dead or self._closing:
                raise _died()
            self._waiting.append(job)
            self._changed.notify()
        return job

    def cancel(self, job: Job) -> None:
        """From the event loop: the song leaves before the next token."""
        job.cancelled = True
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        try:
            while self._admit():
                self._batch.step()
                self._deliver()
        except BaseException:
            _log.exception("the model's thread died")
        finally:
            with self._changed:
                self._dead = True
                left = [*self._jobs, *self._waiting]
                died = not self._closing
            if died:
                self._on_death()
            for job in left:
                job.send(_died())

    def _admit(self) -> bool:
        """Lets cancelled songs go and the next one in; waits while there is none. False when closing."""
        with self._changed:
            while True:
                if self._closing:
                    return False
                for job in [job for job in self._jobs if job.cancelled]:
                    self._release(job)
                while self._waiting and self._batch.takes_one:
                    job = self._waiting.popleft()
                    if not job.cancelled:
                        job.row = self._batch.join(job.draft)
                        self._jobs.append(job)
                if self._jobs:
                    return True
                self._changed.wait()

    def _deliver(self) -> None:
        for job in list(self._jobs):
            for event in job.draft.events:
                job.send(event)
            job.draft.events.clear()
            assert job.row is not None
            if job.row.error is not None:
                job.send(job.row.error)
            if job.row.over:
                self._release(job)

    def _release(self, job: Job) -> None:
        assert job.row is not None
        self._batch.leave(job.row)
        self._jobs.remove(job)


def _died() -> Unavailable:
    return Unavailable("ENGINE_DIED", "the engine has died; another pod may answer")
