"""Random numbers that depend on the seed and on what they are for, never on the order of the asking.

Knows no music. Source: numpy SeedSequence, which mixes any integers into independent streams.
"""

import zlib

import numpy as np


def stream(seed: int, *purpose: object) -> np.random.Generator:
    """The generator of one purpose, for example `stream(seed, "drums", bar)`."""
    words = [zlib.crc32(repr(part).encode()) for part in purpose]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
