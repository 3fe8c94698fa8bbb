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

BLOCK_FRAMES = 16_384  # 64 KiB


def wav_header(frames: int, comment: str) -> bytes:
    """All of the file before its samples. `comment` is ASCII."""
    text = comment.encode("ascii") + b"\x00"
    text += b"\x00" * (len(text) % 2)
    about = b"INFO" + struct.pack("<4sI", b"ICMT", len(text)) + text
    rates = (SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * FRAME_BYTES, FRAME_BYTES, 16)
    chunks = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, CHANNELS, *rates)
    chunks += struct.pack("<4sI", b"LIST", len(about)) + about
    chunks += struct.pack("<4sI", b"data", frames * FRAME_BYTES)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + frames * FRAME_BYTES, b"WAVE") + chunks


def wav_sha256(sound: soundfile.SoundFile, header: bytes) -> bytes:
    """Hash of the WAV file. Blocks: it decodes all of the master."""
    digest = hashlib.sha256(header)
    while block := _decode(sound):
        digest.update(block)
    return digest.digest()


async def read_wav(
    read_master: Read, master_bytes: int, header: bytes, start: int, end: int
) -> AsyncIterator[bytes]:
    """Bytes [start, end) of the WAV file. The master is kept in a temporary file meanwhile, not in memory."""
    if start < len(header) and start < end:
        yield header[start:end]
        start = len(header)
    if start >= end:
        return
    async with opened(read_master, master_bytes) as sound:
        await asyncio.to_thread(sound.seek, (start - len(header)) // FRAME_BYTES)
        skip, left = (start - len(header)) % FRAME_BYTES, end - start
        while left > 0:
            block = await asyncio.to_thread(_decode, sound)
            if not block:
                raise Internal("MASTER_MALFORMED", "the master ends before its time")
            block = block[skip : skip + left]
            skip, left = 0, left - len(block)
            yield block


def _decode(sound: soundfile.SoundFile) -> bytes:
    return bytes(sound.read(BLOCK_FRAMES, dtype="int16", always_2d=True).astype("<i2").tobytes())
