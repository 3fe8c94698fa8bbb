"""A finished song as a file: MP3 as minted, FLAC as stored, WAV made from it. Any byte range, nothing whole.

Knows the object store's keys and the song's hashes.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from services.common.errors import FailedPrecondition, Internal
from services.gateway.audio.master import FRAME_BYTES, STREAMINFO_BYTES, Read, frames_of, opened
from services.gateway.audio.wav import read_wav, wav_header, wav_sha256
from services.gateway.audio.workbench import Workbench
from services.gateway.disclosure import sentence
from services.gateway.models import AudioFormat, Song, State
from services.gateway.objects import Objects, key_of


@dataclass(frozen=True)
class Download:
    media_type: str
    # Strong: equal tags, equal bytes. Of everything but pins the file's sha256 in lower-case hex.
    etag: str
    size: int
    read: Read

    @classmethod
    def of(cls, media_type: str, data: bytes) -> "Download":
        """A file that is small enough to be at hand."""

        async def read(start: int, end: int) -> AsyncIterator[bytes]:
            yield data[start:end]

        return cls(media_type, hashlib.sha256(data).hexdigest(), len(data), read)


def require_done(song: Song) -> None:
    """Raises FailedPrecondition unless the song is done and may be had: SONG_TAKEN_DOWN, SONG_FAILED,
    SONG_CANCELLED, SONG_NOT_READY."""
    if song.taken_down_at is not None:
        raise FailedPrecondition(
            "SONG_TAKEN_DOWN", "the song was taken down", metadata={"takedown": song.takedown_reason}
        )
    match song.state:
        case State.SUCCEEDED:
            return
        case State.FAILED:
            raise FailedPrecondition(
                "SONG_FAILED", "the song has failed", metadata={"failure": song.failure_reason}
            )
        case State.CANCELLED:
            raise FailedPrecondition("SONG_CANCELLED", "the song was cancelled")
        case _:
            raise FailedPrecondition("SONG_NOT_READY", "the song is not done yet")


class Files:
    """Every method raises as `require_done`, and Unavailable and Internal as the objects."""

    def __init__(self, objects: Objects, workbench: Workbench) -> None:
        self._objects, self._workbench = objects, workbench

    def master_of(self, song: Song) -> tuple[bytes, Read]:
        """(sha256, how it is read)"""
        require_done(song)
        if song.master_sha256 is None:
            raise Internal("RESULT_MISSING", "the song has no master")
        return song.master_sha256, partial(self._objects.read, key_of(song.master_sha256))

    async def open(self, song: Song, audio_format: AudioFormat) -> Download:
        """The file of a finished song."""
        master_sha256, read_master = self.master_of(song)
        if audio_format is AudioFormat.WAV:
            return await self._wav(song, master_sha256, read_master)
        if audio_format is AudioFormat.FLAC:
            return Download(audio_format.media_type, master_sha256.hex(), song.master_bytes, read_master)
        if song.audio_sha256 is None:
            raise Internal("RESULT_MISSING", "the song has no audio")
        read_audio = partial(self._objects.read, key_of(song.audio_sha256))
        return Download(audio_format.media_type, song.audio_sha256.hex(), song.audio_bytes, read_audio)

    async def _wav(self, song: Song, master_sha256: bytes, read_master: Read) -> Download:
        head = b"".join([piece async for piece in read_master(0, min(STREAMINFO_BYTES, song.master_bytes))])
        frames = frames_of(head)
        header = wav_header(frames, sentence(song.engine))

        async def digest() -> bytes:
            async with opened(read_master, song.master_bytes) as sound:
                return await asyncio.to_thread(wav_sha256, sound, header)

        def read(start: int, end: int) -> AsyncIterator[bytes]:
            return read_wav(read_master, song.master_bytes, header, start, end)

        # The file is stored nowhere, so its hash is worked out when it is first asked for.
        etag = (await self._workbench.get((master_sha256, "wav", ()), digest)).hex()
        return Download(AudioFormat.WAV.media_type, etag, len(header) + frames * FRAME_BYTES, read)
