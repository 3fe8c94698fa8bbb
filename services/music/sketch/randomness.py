"""Random numbers that depend on the seed and on what they are for, never on the order of the asking.

A song that was changed has several seeds, and what is asked for decides which of them counts. Knows no music
but the names of its purposes. Source: numpy SeedSequence, which mixes any integers into independent streams.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

# Variance at which the first of a kind is renewed, and by which all of it is: from what a player does
# differently each time to what a band would have to agree on. Purposes that are not named are between.
_RENEWED: Mapping[str, tuple[float, float]] = {
    "drums": (0.0, 0.3), "bass": (0.0, 0.3), "chords": (0.0, 0.3), "arp": (0.0, 0.3), "pad": (0.0, 0.3),
    "voice": (0.0, 0.4), "room": (0.1, 0.5), "stroke": (0.0, 0.5), "note": (0.0, 0.6), "fill": (0.05, 0.5),
    "melody": (0.25, 0.7), "line": (0.3, 0.8), "groove": (0.3, 0.9), "voicing": (0.4, 0.9),
    "players": (0.5, 1.0), "motif": (0.55, 1.0), "tune": (0.55, 1.0), "singer": (0.7, 1.0),
}  # fmt: skip
_UNNAMED = (0.1, 0.8)


@dataclass(frozen=True)
class Renewal:
    seed: int
    variance: float  # 0 to 1

    def renews(self, purpose: tuple[object, ...]) -> bool:
        """The more of all purposes the higher the variance, and always those of a lower one too."""
        kind = "line" if "line" in purpose[:2] else str(purpose[0])
        low, high = _RENEWED.get(kind, _UNNAMED)
        digest = blake2b(repr((self.seed, *purpose)).encode(), digest_size=8).digest()
        return low + (high - low) * int.from_bytes(digest) / 2**64 < self.variance


@dataclass(frozen=True)
class Seeds:
    """The seed of a song, and those that came over it; the last that renews a purpose is its seed."""

    first: int
    renewals: tuple[Renewal, ...]

    def of(self, purpose: tuple[object, ...]) -> int:
        return next((r.seed for r in reversed(self.renewals) if r.renews(purpose)), self.first)

    def renewed(self, *purpose: object) -> bool:
        return any(r.renews(purpose) for r in self.renewals)


Seed = int | Seeds


def stream(seed: Seed, *purpose: object) -> np.random.Generator:
    """The generator of one purpose, for example `stream(seed, "drums", bar)`."""
    words = [zlib.crc32(repr(part).encode()) for part in purpose]
    first = seed if isinstance(seed, int) else seed.of(purpose)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([first, *words])))
