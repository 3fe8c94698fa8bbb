"""An edited song put together: the source's samples where it is kept, new ones between, and no click.

Knows positions and 16-bit samples; not what made them. A fade lies inside what is new, so that what is kept
equals the source to the sample.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FADE_SAMPLES = 882
"""20 ms at 44.1 kHz: no click, and nothing that is heard as a fade."""

Pcm = NDArray[np.int16]  # (n, 2)


@dataclass(frozen=True)
class Piece:
    """Samples `start` to `stop` of the new song, without `stop`: the source's, or new."""

    start: int
    stop: int
    kept: bool


@dataclass(frozen=True, eq=False)
class Splice:
    """A song of `samples`; `source` begins at its sample `offset`, and all but `new` is kept of it.

    `new` holds intervals in order that do not touch; what lies outside of the source is among them.
    """

    source: Pcm
    offset: int
    samples: int
    new: tuple[range, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for intervals that leave samples to neither source nor new."""
        bounds = [bound for interval in self.new for bound in (interval.start, interval.stop)]
        ordered = [0, *bounds, self.samples]
        touching = any(a >= b for a, b in pairwise(bounds))
        if ordered != sorted(ordered) or touching:
            raise ValueError(f"{self.new} are no intervals of {self.samples} samples, in order and apart")
        if any(piece.kept and not self._holds(piece) for piece in self.pieces()):
            raise ValueError("more is kept than the source has")

    def pieces(self) -> Iterator[Piece]:
        """The whole song, from start to end."""
        at = 0
        for interval in self.new:
            if interval.start > at:
                yield Piece(at, interval.start, kept=True)
            yield Piece(interval.start, interval.stop, kept=False)
            at = interval.stop
        if at < self.samples:
            yield Piece(at, self.samples, kept=True)

    def kept(self, piece: Piece) -> Pcm:
        """The source's samples of a piece that is kept."""
        return self.source[piece.start - self.offset : piece.stop - self.offset]

    def joined(self, block: Pcm, at: int, piece: Piece) -> Pcm:
        """New samples of `piece`, `block` from sample `at` on, faded where it borders on the source.

        Equal power: source and new sound are hardly alike. Where the source ends at the border its mirror
        image goes on for it.
        """
        fade, joined = self._fade(piece), block.copy()
        if piece.start > 0:  # the source goes
            self._mix(joined, at, range(piece.start, piece.start + fade), new_grows=True)
        if piece.stop < self.samples:  # the source comes
            self._mix(joined, at, range(piece.stop - fade, piece.stop), new_grows=False)
        return joined

    def _fade(self, piece: Piece) -> int:
        borders = (piece.start > 0) + (piece.stop < self.samples)
        return min(FADE_SAMPLES, (piece.stop - piece.start) // max(borders, 1), len(self.source))

    def _mix(self, block: Pcm, at: int, fade: range, *, new_grows: bool) -> None:
        """Mixes the source into those samples of `block` that are in `fade`, in place."""
        first, last = max(fade.start, at), min(fade.stop, at + len(block))
        if first >= last:
            return
        positions = np.arange(first, last)
        angle = (positions - fade.start + 0.5) / len(fade) * (math.pi / 2)
        new, old = (np.sin(angle), np.cos(angle)) if new_grows else (np.cos(angle), np.sin(angle))
        here = slice(first - at, last - at)
        mixed = new[:, None] * block[here] + old[:, None] * self.source[self._mirrored(positions)]
        block[here] = np.clip(np.rint(mixed), -32_768, 32_767).astype(np.int16)

    def _mirrored(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices into the source; outside of it those of its mirror image."""
        at = positions - self.offset
        return np.where(at < 0, -1 - at, np.where(at >= len(self.source), 2 * len(self.source) - 1 - at, at))

    def _holds(self, piece: Piece) -> bool:
        return self.offset <= piece.start and piece.stop <= self.offset + len(self.source)
