"""What a running attempt writes as it goes: progress and audio, in order, in batches as the database allows.

The first audio is written at once. While one write is under way, news gathers and goes out with the next. A
database that is away is asked again until the lease must have run out.
"""

import asyncio
from uuid import UUID

from services.gateway.models import Chunk, Progress
from services.gateway.work.queue import Queue

# Between two writes: below what a person sees, above what would keep the database busy.
PAUSE_S = 0.02
# More than this and the engine has to wait for the database.
PENDING_BYTES = 1 << 20


class Journal:
    """One writer task (`run`) and one teller. Raises LeaseLost and ChunksLost from `run`."""

    def __init__(self, queue: Queue, song_id: UUID, attempt: int) -> None:
        self._queue, self._song_id, self._attempt = queue, song_id, attempt
        self._progress = Progress(stage="queued")
        self._changed = False
        self._chunks: list[Chunk] = []
        self._pending_bytes = 0
        # Offset of the last chunk written, which the database must still have when the next one comes.
        self._previous: int | None = None
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._closed = False

    def tell(self, progress: Progress) -> None:
        """The engine got on."""
        if progress != self._progress:
            self._progress, self._changed = progress, True
        self._news.set()

    async def hear(self, chunk: Chunk) -> None:
        """Audio came. Waits while too much of it is not written yet."""
        # The first audio is itself something new to see.
        self._changed = self._changed or (self._previous is None and not self._chunks)
        self._chunks.append(chunk)
        self._pending_bytes += len(chunk.data)
        if self._pending_bytes >= PENDING_BYTES:
            self._room.clear()
        self._news.set()
        await self._room.wait()

    def close(self) -> None:
        """`run` writes what is left and returns."""
        self._closed = True
        self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            chunks, self._chunks, self._pending_bytes = self._chunks, [], 0
            changed, self._changed = self._changed, False
            self._room.set()
            if chunks or changed or not self._closed:
                await self._write(self._progress, chunks, changed)
            if chunks:
                self._previous = chunks[-1].offset
            if not self._closed:
                await asyncio.sleep(PAUSE_S)
            elif not self._news.is_set():
                return

    async def _write(self, progress: Progress, chunks: list[Chunk], changed: bool) -> None:
        await self._queue.insist(
            lambda: self._queue.record(
                self._song_id, self._attempt, progress, chunks, self._previous, changed=changed
            )
        )
