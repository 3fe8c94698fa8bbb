"""A song's audio from any byte on, while it is made and after: first from the table of chunks, then the file.

Keeps nothing per listener but an offset: a slow one reads later. Any replica serves any listener.
"""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from uuid import UUID

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import Aborted, FailedPrecondition, OutOfRange, Unavailable
from services.gateway.audio.download import Download, open_download
from services.gateway.database import patiently
from services.gateway.lookup import song_not_found
from services.gateway.models import AudioFormat, Hearing, State
from services.gateway.notices import AUDIO, Notices
from services.gateway.objects import READ_BYTES, Objects
from services.gateway.store import Store

Audio = AsyncGenerator[pb.StreamAudioResponse]


class Relay:
    def __init__(self, store: Store, objects: Objects, notices: Notices, draining: asyncio.Event) -> None:
        self._store, self._objects, self._notices = store, objects, notices
        self._draining = draining

    async def file(
        self, account_id: UUID, song_id: UUID, audio_format: AudioFormat, offset: int, attempt: int
    ) -> Audio:
        """A finished song's file from `offset` on.

        Raises:
            NotFound, FailedPrecondition, OutOfRange; Aborted when `attempt` is not the one that made it.
        """
        song = await self._store.get(account_id, song_id)
        if song is None:
            raise song_not_found(str(song_id))
        download = await open_download(song, audio_format, self._objects)
        if attempt and attempt != song.attempt:
            raise _ended(attempt)
        async for response in _from_download(download, offset, song.attempt, announced=False):
            yield response

    async def live(self, account_id: UUID, song_id: UUID, offset: int, attempt: int) -> Audio:
        """The MP3 from `offset` on, as it comes: one header, then data. Waits for a song that is queued.

        `attempt` is the one that `offset` counts in; 0 takes the first that has audio.

        Raises:
            NotFound; FailedPrecondition (SONG_FAILED, SONG_CANCELLED); OutOfRange.
            Aborted: ATTEMPT_ENDED, the attempt listened to made no song.
            Unavailable: this replica is draining, and the song has not begun.
        """
        announced, position = False, offset
        with self._notices.subscribe(song_id, *State, AUDIO) as news:
            while True:
                found = await patiently(partial(self._store.hear, account_id, song_id, position))
                if found is None:
                    raise song_not_found(str(song_id))
                _require_alive(found, attempt)
                if found.state is State.SUCCEEDED:
                    break
                if found.chunk is None:
                    if found.total_bytes and position > found.total_bytes:
                        raise past_the_end(position, found.total_bytes)
                    if self._draining.is_set() and found.state is State.QUEUED:
                        raise Unavailable("DRAINING", "ask another replica", retry_delay_s=0.5)
                    await news.wait()
                    continue
                attempt = found.attempt
                if not announced:
                    yield _header(found.media_type, attempt, found.total_bytes)
                    announced = True
                data = found.chunk.data[position - found.chunk.offset :]
                for start in range(0, len(data), READ_BYTES):
                    piece = data[start : start + READ_BYTES]
                    yield _data(position, piece)
                    position += len(piece)
        song = await patiently(lambda: self._store.get(account_id, song_id))
        if song is None:
            raise song_not_found(str(song_id))
        download = await open_download(song, AudioFormat.MP3, self._objects)
        async for response in _from_download(download, position, song.attempt, announced=announced):
            yield response


async def _from_download(download: Download, offset: int, attempt: int, *, announced: bool) -> Audio:
    if offset > download.size:
        raise past_the_end(offset, download.size)
    if not announced:
        yield _header(download.media_type, attempt, download.size)
    async for piece in download.read(offset, download.size):
        yield _data(offset, piece)
        offset += len(piece)


def _require_alive(found: Hearing, attempt: int) -> None:
    """Raises unless a listener to `attempt` (0: to whichever comes) has something to wait for."""
    if found.state is State.FAILED:
        raise FailedPrecondition("SONG_FAILED", "the song has failed")
    if found.state is State.CANCELLED:
        raise FailedPrecondition("SONG_CANCELLED", "the song was cancelled")
    if attempt and (found.attempt != attempt or found.state is State.QUEUED):
        raise _ended(attempt)


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


def _header(media_type: str, attempt: int, total_bytes: int) -> pb.StreamAudioResponse:
    header = pb.AudioHeader(media_type=media_type, attempt=attempt, total_bytes=total_bytes)
    return pb.StreamAudioResponse(header=header)


def _data(offset: int, data: bytes) -> pb.StreamAudioResponse:
    return pb.StreamAudioResponse(data=pb.AudioData(offset=offset, data=data))
