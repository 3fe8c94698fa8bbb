"""The built-in lyricist as an engine: the composer in a thread of its own, its events in the event loop.

Knows threads. The words are the composer's.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

from services.lyrics import pronunciation
from services.lyrics.builtin import bank, composer
from services.lyrics.engine import Brief, Event


class BuiltinEngine:
    """Writes English songs without a model. `open` loads its words; `close` ends its thread.

    One thread, because composing is pure Python and more of them would only wait for one another; a
    song takes it for some tens of milliseconds, and calls are served in turn.
    """

    info = composer.INFO

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lyrics-builtin")

    async def open(self) -> None:
        """Reads dictionary and bank, about a third of a second; without it the first song does."""
        await asyncio.get_running_loop().run_in_executor(self._thread, _load)

    def close(self) -> None:
        """Waits for the line being written and ends the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def write(self, brief: Brief) -> AsyncGenerator[Event, None]:
        """See `Engine.write`. The work stops at the next event once the generator is closed."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | BaseException | None] = asyncio.Queue()
        stopped = threading.Event()

        def send(item: Event | BaseException | None) -> None:
            if not stopped.is_set():
                loop.call_soon_threadsafe(events.put_nowait, item)

        def work() -> None:
            try:
                for event in composer.compose(brief):
                    if stopped.is_set():
                        return
                    send(event)
                send(None)
            except BaseException as error:  # the caller raises it
                send(error)

        future = self._thread.submit(work)
        try:
            while (event := await events.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            stopped.set()
            future.cancel()


def _load() -> None:
    pronunciation.load()
    bank.load()
