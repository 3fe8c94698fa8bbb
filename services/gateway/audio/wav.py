"""A WAV file made on the fly from a FLAC master: any byte range of it, without ever holding the whole.

Knows 16-bit stereo at 44.1 kHz, which is what masters are; anything else is refused.
Sources: RFC 9639 section 8.2 (STREAMINFO), RIFF WAVE.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from tempfile import TemporaryFile
from typing import IO

import soundfile

from services.common.errors import Internal

SAMPLE_RATE_HZ = 44_100
CHANNELS = 2
FRAME_BYTES = 2 * CHANNELS
HEADER_BYTES = 44
# "fLaC", a metadata block's head, STREAMINFO up to the end of the sample count.
STREAMINFO_BYTES = 4 + 4 + 18
BLOCK_FRAMES = 16_384  # 64 KiB

Read = Callable[[int, int], AsyncIterator[bytes]]


def frames_of(head: bytes) -> int:
    """Frames of a FLAC file, from its first STREAMINFO_BYTES bytes.

    Raises:
        Internal: it is not a master of ours.
    """
    if len(head) < STREAMINFO_BYTES or head[:4] != b"fLaC" or head[4] & 0x7F != 0:
        raise Internal("MASTER_MALFORMED", "the master is not a FLAC file")
    # 20 bits sample rate, 3 channels - 1, 5 bits per sample - 1, 36 frames
    packed = int.from_bytes(head[18:26], "big")
    rate, channels = packed >> 44, (packed >> 41 & 0x7) + 1
    bits, frames = (packed >> 36 & 0x1F) + 1, packed & (1 << 36) - 1
    if (rate, channels, bits) != (SAMPLE_RATE_HZ, CHANNELS, 16) or not frames:
        raise Internal("MASTER_MALFORMED", f"the master has {rate} Hz, {channels} channels, {bits} bits")
    return frames


def wav_bytes(frames: int) -> int:
    """Length of the WAV file."""
    return HEADER_BYTES + frames * FRAME_BYTES


def wav_header(frames: int) -> bytes:
    data = frames * FRAME_BYTES
    form = struct.pack("<4sI4s", b"RIFF", HEADER_BYTES - 8 + data, b"WAVE")
    rates = (SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * FRAME_BYTES, FRAME_BYTES, 16)
    return form + struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, CHANNELS, *rates, b"data", data)


async def read_wav(
    read_master: Read, master_bytes: int, frames: int, start: int, end: int
) -> AsyncIterator[bytes]:
    """Bytes [start, end) of the WAV file. The master is kept in a temporary file meanwhile, not in memory."""
    if start < HEADER_BYTES and start < end:
        yield wav_header(frames)[start:end]
        start = HEADER_BYTES
    if start >= end:
        return
    with TemporaryFile() as master:
        async for piece in read_master(0, master_bytes):
            master.write(piece)
        master.seek(0)
        first = (start - HEADER_BYTES) // FRAME_BYTES
        skip, left = (start - HEADER_BYTES) % FRAME_BYTES, end - start
        with await asyncio.to_thread(_open_at, master, first) as sound:
            while left > 0:
                block = await asyncio.to_thread(_decode, sound)
                if not block:
                    raise Internal("MASTER_MALFORMED", "the master ends before its time")
                block = block[skip : skip + left]
                skip, left = 0, left - len(block)
                yield block


def _open_at(master: IO[bytes], frame: int) -> soundfile.SoundFile:
    sound = soundfile.SoundFile(master)
    sound.seek(frame)
    return sound


def _decode(sound: soundfile.SoundFile) -> bytes:
    return bytes(sound.read(BLOCK_FRAMES, dtype="int16", always_2d=True).astype("<i2").tobytes())
