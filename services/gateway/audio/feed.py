"""A song in the making as all its listeners here share it: one reader of the table, one copy of its audio.

The newest audio is kept; what is older is read from the table again, in larger pieces, for all who are there.
Knows no listener: they keep an offset and ask.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID
from weakref import WeakValueDictionary

from services.gateway.audio.chunks import Chunks, Hearing
from services.gateway.database import patiently
from services.gateway.lookup import song_not_found
from services.gateway.models import Chunk, State
from services.gateway.notices import AUDIO, Notices

# 26 s of MP3 at 320 kbit/s: whoever keeps up with the song is within it.
WINDOW_BYTES = 1 << 20
# Of all songs together; with more of them, each has less.
ALL_WINDOWS_BYTES = 64 << 20
# What is older comes in pieces of a grid, so that listeners who are near one another share them. Nobody holds
# more than one: of a song, there is never more in memory than the song.
PIECE_BYTES = 256 << 10


class Feed:
    """One song's. Read `news` first, then look, then wait for it: nothing falls between."""

    def __init__(
        self,
        song_id: UUID,
        chunks: Chunks,
        notices: Notices,
        draining: asyncio.Event,
        window_bytes: Callable[[], int],
    ) -> None:
        self.news = asyncio.Event()
        self.listeners = 0
        self._song_id, self._chunks, self._notices, self._draining = song_id, chunks, notices, draining
        self._window_bytes = window_bytes
        self._now: Hearing | None = None
        self._broken: Exception | None = None
        self._window: deque[Chunk] = deque()
        self._pieces: WeakValueDictionary[tuple[int, int], Chunk] = WeakValueDictionary()
        self._loading: dict[tuple[int, int], asyncio.Task[Chunk]] = {}
        self._following = asyncio.create_task(self._follow())

    @property
    def over(self) -> bool:
        """Whether it follows the song no longer: whoever comes now needs another."""
        return self._following.done()

    async def now(self) -> Hearing:
        """The song as it was read last.

        Raises:
            NotFound: SONG_NOT_FOUND, it was deleted.
            Unavailable: the database was away for too long.
        """
        while self._now is None and self._broken is None:
            await self.news.wait()
        if self._now is None or self._broken is not None:
            raise self._broken or AssertionError
        return self._now

    async def read(self, attempt: int, position: int) -> Chunk | None:
        """A chunk that holds byte `position` of the attempt's audio; None: there is none, or no longer.

        Raises DatabaseUnavailable.
        """
        if self._now is None or self._now.attempt != attempt or position >= self._end:
            return None
        if position >= self._window[0].offset:
            return next(chunk for chunk in reversed(self._window) if chunk.offset <= position)
        key = attempt, position // PIECE_BYTES
        piece = self._pieces.get(key)
        if piece is None or position >= piece.offset + len(piece.data):  # it had not been written to its end
            piece = await self._load(key)
        return piece if position < piece.offset + len(piece.data) else None

    def stop(self) -> None:
        for task in (self._following, *self._loading.values()):
            task.cancel()

    @property
    def _end(self) -> int:
        return self._window[-1].offset + len(self._window[-1].data) if self._window else 0

    async def _load(self, key: tuple[int, int]) -> Chunk:
        """A piece, read once for all who ask for it meanwhile."""
        if key not in self._loading:
            attempt, index = key
            start, end = index * PIECE_BYTES, (index + 1) * PIECE_BYTES
            read = partial(self._chunks.piece, self._song_id, attempt, start, end)
            self._loading[key] = loading = asyncio.create_task(patiently(read))
            loading.add_done_callback(partial(self._loaded, key))
        self._pieces[key] = piece = await asyncio.shield(self._loading[key])
        return piece

    def _loaded(self, key: tuple[int, int], loading: asyncio.Task[Chunk]) -> None:
        del self._loading[key]
        if not loading.cancelled():
            loading.exception()  # of nobody's interest, if nobody waits any more

    async def _follow(self) -> None:
        try:
            with self._notices.subscribe(self._song_id, *State, AUDIO) as news:
                while self._now is None or not self._now.state.ended:
                    attempt = self._now.attempt if self._now else 0
                    now = await patiently(
                        partial(self._chunks.hear, self._song_id, attempt, self._end, self._window_bytes())
                    )
                    if now is None:
                        raise song_not_found(str(self._song_id))
                    self._take(now)
                    if not now.state.ended:
                        await news.wait()
        except Exception as error:  # the listeners raise it
            self._broken = error
            self._tell()

    def _take(self, now: Hearing) -> None:
        if self._now is None or now.attempt != self._now.attempt or now.state is not State.RUNNING:
            self._window.clear()
        for chunk in now.chunks:
            if chunk.offset != self._end:
                self._window.clear()  # there was too much to take it all
            self._window.append(chunk)
        limit = self._window_bytes()
        while self._window and self._end - self._window[0].offset > limit and len(self._window) > 1:
            self._window.popleft()
        before, self._now = self._now, replace(now, chunks=())
        if now.chunks or self._now != before or self._draining.is_set():
            self._tell()

    def _tell(self) -> None:
        told, self.news = self.news, asyncio.Event()
        told.set()


class Feeds:
    """The songs that are listened to here while they are made."""

    def __init__(self, chunks: Chunks, notices: Notices, draining: asyncio.Event) -> None:
        self._chunks, self._notices, self._draining = chunks, notices, draining
        self._feeds: dict[UUID, Feed] = {}

    @contextmanager
    def join(self, song_id: UUID) -> Iterator[Feed]:
        """The song's feed, begun for its first listener and ended with the last."""
        feed = self._feeds.get(song_id)
        if feed is None or feed.over:
            feed = Feed(song_id, self._chunks, self._notices, self._draining, self._window_bytes)
            self._feeds[song_id] = feed
        feed.listeners += 1
        try:
            yield feed
        finally:
            feed.listeners -= 1
            if not feed.listeners:
                feed.stop()
                if self._feeds.get(song_id) is feed:
                    del self._feeds[song_id]

    def __len__(self) -> int:
        return len(self._feeds)

    def _window_bytes(self) -> int:
        return min(WINDOW_BYTES, ALL_WINDOWS_BYTES // max(1, len(self._feeds)))
