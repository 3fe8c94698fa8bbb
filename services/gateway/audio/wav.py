"""A WAV file made on the fly from a FLAC master: any byte range of it, without ever holding the whole.

Source: RIFF WAVE.
"""

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator

import soundfile

from services.common.errors import Internal
from services.gateway.audio.master import CHANNELS, FRAME_BYTES, SAMPLE_RATE_HZ, Read, opened

HEADER_BYTES = 44
BLOCK_FRAMES = 16_384  # 64 KiB


def wav_bytes(frames: int) -> int:
    """Length of the WAV file."""
    return HEADER_BYTES + frames * FRAME_BYTES


def wav_header(frames: int) -> bytes:
    data = frames * FRAME_BYTES
    form = struct.pack("<4sI4s", b"RIFF", HEADER_BYTES - 8 + data, b"WAVE")
    rates = (SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * FRAME_BYTES, FRAME_BYTES, 16)
    return form + struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, CHANNELS, *rates, b"data", data)


def wav_sha256(sound: soundfile.SoundFile) -> bytes:
    """Hash of the WAV file. Blocks: it decodes all of the master."""
    digest = hashlib.sha256(wav_header(sound.frames))
    while block := _decode(sound):
        digest.update(block)
    return digest.digest()


async def read_wav(
    read_master: Read, master_bytes: int, frames: int, start: int, end: int
) -> AsyncIterator[bytes]:
    """Bytes [start, end) of the WAV file. The master is kept in a temporary file meanwhile, not in memory."""
    if start < HEADER_BYTES and start < end:
        yield wav_header(frames)[start:end]
        start = HEADER_BYTES
    if start >= end:
        return
    async with opened(read_master, master_bytes) as sound:
        await asyncio.to_thread(sound.seek, (start - HEADER_BYTES) // FRAME_BYTES)
        skip, left = (start - HEADER_BYTES) % FRAME_BYTES, end - start
        while left > 0:
            block = await asyncio.to_thread(_decode, sound)
            if not block:
                raise Internal("MASTER_MALFORMED", "the master ends before its time")
            block = block[skip : skip + left]
            skip, left = 0, left - len(block)
            yield block


def _decode(sound: soundfile.SoundFile) -> bytes:
    return bytes(sound.read(BLOCK_FRAMES, dtype="int16", always_2d=True).astype("<i2").tobytes())
