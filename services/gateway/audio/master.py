"""A song's master as those read it who make something of it: from a temporary file, in blocks, never whole.

Knows FLAC with 16 bits, two channels and 44.1 kHz, which is what masters are; anything else is refused.
Source: RFC 9639 section 8.2 (STREAMINFO).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from tempfile import TemporaryFile
from typing import IO

import soundfile

from services.common.errors import Internal

SAMPLE_RATE_HZ = 44_100
CHANNELS = 2
FRAME_BYTES = 2 * CHANNELS
# "fLaC", a metadata block's head, STREAMINFO up to the end of the sample count.
STREAMINFO_BYTES = 4 + 4 + 18

# Bytes [start, end) in pieces.
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


@asynccontextmanager
async def opened(read_master: Read, master_bytes: int) -> AsyncIterator[soundfile.SoundFile]:
    """The master, to be decoded in a thread: reading from it blocks. Raises the object store's errors."""
    with TemporaryFile() as file:
        async for piece in read_master(0, master_bytes):
            file.write(piece)
        with await asyncio.to_thread(_open, file) as sound:
            yield sound


def _open(file: IO[bytes]) -> soundfile.SoundFile:
    file.seek(0)
    try:
        return soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        raise Internal("MASTER_MALFORMED", "the master cannot be decoded") from error
