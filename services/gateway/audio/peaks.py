"""A master's waveform for players: the least and the greatest of every so many samples.

As in audiowaveform's version 2: mono is the mean of both channels; 8 bits, divided towards zero.
"""

import numpy as np
import soundfile

VERSION, CHANNELS, BITS = 2, 1, 8
# Sum of two channels of 16 bits, to their mean in 8 bits.
_DIVISOR = 2 * 256
_BLOCK_FRAMES = 1 << 18


def peaks(sound: soundfile.SoundFile, samples_per_pixel: int) -> bytes:
    """Pairs (least, greatest) of int8, the last of what is left. Blocks: it decodes all of the master."""
    block_frames = max(1, _BLOCK_FRAMES // samples_per_pixel) * samples_per_pixel
    pairs = bytearray()
    while len(block := sound.read(block_frames, dtype="int16", always_2d=True)):
        starts = np.arange(0, len(block), samples_per_pixel)
        both = block.sum(axis=1, dtype=np.int32)
        least, greatest = np.minimum.reduceat(both, starts), np.maximum.reduceat(both, starts)
        pairs += np.fix(np.stack([least, greatest], axis=1) / _DIVISOR).astype(np.int8).tobytes()
    return bytes(pairs)
