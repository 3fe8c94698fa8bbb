"""A function that reports its steps to a callback, turned into a generator that yields them.

Engines are generators, so that whoever wants a song sets its pace; samplers call back. Knows neither.
"""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from torch import Tensor

from services.music.acestep.sampling import OnStep

T = TypeVar("T")

Step = tuple[int, int, Tensor]
"""Steps done, steps in all, and the clean latents predicted so far."""


class _Abandoned(Exception):
    """Nobody waits for the next step."""


def stepwise(work: Callable[[OnStep], T]) -> Generator[Step, None, T]:
    """Yields every step that `work` reports and returns, or raises, what it does.

    `work` runs in a thread of its own and rests from each report until the next step is asked for. Closing
    the generator ends `work` in the report where it rests, and waits for that.
    """
    reports: SimpleQueue[Step | None] = SimpleQueue()
    asked: SimpleQueue[bool] = SimpleQueue()
    outcome: Future[T] = Future()

    def report(done: int, steps: int, clean: Tensor) -> None:
        reports.put((done, steps, clean))
        if not asked.get():
            raise _Abandoned

    def run() -> None:
        try:
            outcome.set_result(work(report))
        except BaseException as error:  # belongs to whoever waits for the outcome
            outcome.set_exception(error)
        finally:
            reports.put(None)

    thread = threading.Thread(target=run, name="acestep-sampling", daemon=True)
    thread.start()
    try:
        while (step := reports.get()) is not None:
            yield step
            asked.put(True)
    finally:
        asked.put(False)
        thread.join()
    return outcome.result()
