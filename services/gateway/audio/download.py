"""A finished song as a file: MP3 as minted, FLAC as stored, WAV made from it. Any byte range, nothing whole.

Knows the object store's keys and the song's hashes.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from services.common.errors import FailedPrecondition, Internal
from services.gateway.audio.wav import STREAMINFO_BYTES, frames_of, read_wav, wav_bytes
from services.gateway.models import AudioFormat, Song, State
from services.gateway.objects import Objects, key_of

Read = Callable[[int, int], AsyncIterator[bytes]]


@dataclass(frozen=True)
class Download:
    media_type: str
    # Strong: equal tags, equal bytes. Lower-case hex.
    etag: str
    size: int
    # Bytes [start, end) in pieces.
    read: Read


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


async def open_download(song: Song, audio_format: AudioFormat, objects: Objects) -> Download:
    """The file of a finished song.

    Raises:
        FailedPrecondition: as `require_done`.
        Unavailable, Internal: the object store's.
    """
    require_done(song)
    if song.audio_sha256 is None or song.master_sha256 is None or song.pcm_sha256 is None:
        raise Internal("RESULT_MISSING", "the song has no result")
    media_type = audio_format.media_type
    master_key = key_of(song.master_sha256)

    def read_master(start: int, end: int) -> AsyncIterator[bytes]:
        return objects.read(master_key, start, end)

    if audio_format is AudioFormat.WAV:
        frames = frames_of(await objects.read_all(master_key, 0, min(STREAMINFO_BYTES, song.master_bytes)))

        def read_as_wav(start: int, end: int) -> AsyncIterator[bytes]:
            return read_wav(read_master, song.master_bytes, frames, start, end)

        # The samples and a header that follows from their number: their hash names the file.
        return Download(media_type, song.pcm_sha256.hex(), wav_bytes(frames), read_as_wav)
    if audio_format is AudioFormat.FLAC:
        return Download(media_type, song.master_sha256.hex(), song.master_bytes, read_master)
    audio_key = key_of(song.audio_sha256)

    def read_audio(start: int, end: int) -> AsyncIterator[bytes]:
        return objects.read(audio_key, start, end)

    return Download(media_type, song.audio_sha256.hex(), song.audio_bytes, read_audio)
