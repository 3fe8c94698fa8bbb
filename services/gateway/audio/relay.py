"""A song's audio from any byte on, while it is made and after: first from its feed, then the file.

Keeps nothing per listener but an offset: a slow one reads later. Any replica serves any listener.
"""

import asyncio
from collections.abc import AsyncGenerator

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import Aborted, FailedPrecondition, OutOfRange, Unavailable
from services.gateway.audio.chunks import Hearing
from services.gateway.audio.download import Download, Files
from services.gateway.audio.feed import Feeds
from services.gateway.database import patiently
from services.gateway.lookup import song_not_found
from services.gateway.models import AudioFormat, Chunk, Song, State
from services.gateway.objects import READ_BYTES
from services.gateway.store import Store

# One header, then data in order.
Audio = AsyncGenerator[pb.AudioHeader | Chunk]


class Relay:
    """A song is one that the caller may hear; it may be an earlier state of it."""

    def __init__(self, store: Store, feeds: Feeds, files: Files, draining: asyncio.Event) -> None:
        self._store, self._feeds, self._files, self._draining = store, feeds, files, draining

    async def done(self, song: Song) -> Song:
        """The song, once it is done.

        Raises:
            NotFound: it was deleted meanwhile.
            FailedPrecondition: SONG_FAILED, SONG_CANCELLED.
            Unavailable: this replica is draining, and the song has not begun.
        """
        if song.state is State.SUCCEEDED:
            return song
        with self._feeds.join(song.id) as feed:
            while True:
                news, now = feed.news, await feed.now()
                self._require_hope(now, attempt=0)
                if now.state is State.SUCCEEDED:
                    return await self._read_again(song)
                await news.wait()

    async def file(self, song: Song, audio_format: AudioFormat, offset: int, attempt: int) -> Audio:
        """The file from `offset` on, once the song is done.

        Raises as `done`, and OutOfRange; Aborted when `attempt` is not the one that made it.
        """
        song = await self.done(song)
        download = await self._files.open(song, audio_format)
        if attempt and attempt != song.attempt:
            raise _ended(attempt)
        async for part in _from_download(download, offset, song.attempt, announced=False):
            yield part

    async def live(self, song: Song, offset: int, attempt: int) -> Audio:
        """The MP3 from `offset` on, as it comes. Waits for a song that is queued.

        `attempt` is the one that `offset` counts in; 0 takes the first that has audio.

        Raises as `done`, and:
            OutOfRange.
            Aborted: ATTEMPT_ENDED, the attempt listened to made no song.
        """
        announced, position = False, offset
        with self._feeds.join(song.id) as feed:
            while True:
                news, now = feed.news, await feed.now()
                self._require_hope(now, attempt)
                if now.state is State.SUCCEEDED:
                    break
                chunk = await feed.read(now.attempt, position) if now.state is State.RUNNING else None
                if chunk is None:
                    if now.total_bytes and position > now.total_bytes:
                        raise past_the_end(position, now.total_bytes)
                    await news.wait()
                    continue
                attempt = now.attempt
                if not announced:
                    yield _header(now.media_type, attempt, now.total_bytes)
                    announced = True
                for start in range(position - chunk.offset, len(chunk.data), READ_BYTES):
                    piece = chunk.data[start : start + READ_BYTES]
                    yield Chunk(position, piece)
                    position += len(piece)
        song = await self._read_again(song)
        download = await self._files.open(song, AudioFormat.MP3)
        async for part in _from_download(download, position, song.attempt, announced=announced):
            yield part

    def _require_hope(self, now: Hearing, attempt: int) -> None:
        """Raises unless a listener to `attempt` (0: to whichever comes) has something to wait for here."""
        if now.state is State.FAILED:
            raise FailedPrecondition("SONG_FAILED", "the song has failed")
        if now.state is State.CANCELLED:
            raise FailedPrecondition("SONG_CANCELLED", "the song was cancelled")
        if attempt and (now.attempt != attempt or now.state is State.QUEUED):
            raise _ended(attempt)
        if now.state is State.QUEUED and self._draining.is_set():
            raise Unavailable("DRAINING", "ask another replica", retry_delay_s=0.5)

    async def _read_again(self, song: Song) -> Song:
        found = await patiently(lambda: self._store.get(song.account_id, song.id))
        if found is None:
            raise song_not_found(str(song.id))
        return found


async def _from_download(download: Download, offset: int, attempt: int, *, announced: bool) -> Audio:
    if offset > download.size:
        raise past_the_end(offset, download.size)
    if not announced:
        yield _header(download.media_type, attempt, download.size)
    async for piece in download.read(offset, download.size):
        yield Chunk(offset, piece)
        offset += len(piece)


def _ended(attempt: int) -> Aborted:
    return Aborted(
        "ATTEMPT_ENDED",
        "the attempt ended without a song: drop what was received and ask again from 0",
        metadata={"attempt": str(attempt)},
    )


def past_the_end(offset: int, size: int) -> OutOfRange:
    return OutOfRange(
        "OUT_OF_RANGE",
        f"offset {offset} is past the end",
        metadata={"field": "offset", "limit": f"0 to {size}"},
    )


def _header(media_type: str, attempt: int, total_bytes: int) -> pb.AudioHeader:
    return pb.AudioHeader(media_type=media_type, attempt=attempt, total_bytes=total_bytes)
