"""PCM to files while it is being made: the file that is heard (MP3 or WAV) and the lossless master (FLAC).

Lengths are known from the number of samples, before the first is encoded. Knows no engine and no transport.
"""

import io
import struct
from dataclasses import replace
from typing import Protocol

import numpy as np
import soundfile

from services.music.engine import CHANNELS, SAMPLE_RATE_HZ, Pcm
from services.music.id3 import SongTags, id3_tag
from services.music.mp3 import PREVIEW_BIT_RATE_KBPS, Mp3Encoder


class FileEncoder(Protocol):
    media_type: str
    total_bytes: int
    opening: bytes  # the file's first bytes, before any sound

    def encode(self, pcm: Pcm) -> bytes: ...

    def finish(self) -> bytes: ...


def open_encoder(audio_format: str, samples: int, tags: SongTags) -> FileEncoder:
    """An encoder for a song of exactly `samples` samples; `audio_format` is "mp3" or "wav"."""
    tag = id3_tag(tags)
    return WavEncoder(samples, tag) if audio_format == "wav" else Mp3Encoder(samples, tag)


def open_preview_encoder(samples: int, tags: SongTags) -> FileEncoder:
    """An encoder for a preview of that song, which says in its tags that it is one."""
    return Mp3Encoder(samples, id3_tag(replace(tags, preview=True)), PREVIEW_BIT_RATE_KBPS)


class WavEncoder:
    """RIFF WAVE, 16-bit PCM; the tag goes into an `id3 ` chunk before the samples, where streams need it."""

    media_type = "audio/wav"

    def __init__(self, samples: int, tag: bytes) -> None:
        block = CHANNELS * 2
        sound = samples * block
        padded = tag + b"\x00" * (len(tag) % 2)
        chunks = b"fmt " + struct.pack(
            "<IHHIIHH", 16, 1, CHANNELS, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * block, block, 16
        )
        chunks += b"id3 " + struct.pack("<I", len(tag)) + padded
        chunks += b"data" + struct.pack("<I", sound)
        self.opening = b"RIFF" + struct.pack("<I", 4 + len(chunks) + sound) + b"WAVE" + chunks
        self.total_bytes = len(self.opening) + sound
        self._left = sound

    def encode(self, pcm: Pcm) -> bytes:
        data = pcm.astype("<i2", copy=False).tobytes()
        self._left -= len(data)
        return data

    def finish(self) -> bytes:
        if self._left:
            raise AssertionError(f"the WAV file is {self._left} bytes short of what it announced")
        return b""


class FlacMaster:
    """The lossless master, in memory: about half of the PCM's size, 20 MB for the longest song."""

    def __init__(self, disclosure: str) -> None:
        """`disclosure`: how the song came to be. Nothing of one song alone: the same sound, the same file."""
        self._buffer = io.BytesIO()
        self._file = soundfile.SoundFile(
            self._buffer, "w", SAMPLE_RATE_HZ, CHANNELS, subtype="PCM_16", format="FLAC"
        )
        self._file.comment = disclosure

    def write(self, pcm: Pcm) -> None:
        """Raises MemoryError when there is no room for more."""
        try:
            self._file.write(pcm)
        except AssertionError as error:
            # soundfile loses the buffer's own exception inside libsndfile; the buffer can have only this one
            raise MemoryError("the master does not fit into memory") from error

    def finish(self) -> bytes:
        self._file.close()
        return self._buffer.getvalue()


def read_master(flac: bytes, most: int) -> Pcm:
    """The samples of a master; no more than `most` of each channel are ever held.

    Raises:
        ValueError: anything but FLAC of 16-bit stereo at 44.1 kHz with 1 to `most` samples.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(flac)) as file:
            form = (file.format, file.subtype, file.samplerate, file.channels)
            if form != ("FLAC", "PCM_16", SAMPLE_RATE_HZ, CHANNELS):
                raise ValueError(f"{form} is not 16-bit stereo FLAC at 44.1 kHz")
            if not 1 <= file.frames <= most:
                raise ValueError(f"{file.frames} samples, 1 to {most} are read")
            pcm = file.read(file.frames, dtype="int16")
            if len(pcm) != file.frames:
                raise ValueError(f"{len(pcm)} of {file.frames} samples can be read")
    except soundfile.LibsndfileError as error:
        raise ValueError(f"cannot be read: {error.error_string}") from error
    return np.ascontiguousarray(pcm)
