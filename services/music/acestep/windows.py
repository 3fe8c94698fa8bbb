"""How a song is cut into windows for decoding: whole-number arithmetic over frames.

Knows lengths and halos; what is in a frame, and what decoding does, is `codec.py`'s matter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WindowPlan:
    """Sizes in latent frames, 10.77 a second. Larger windows waste less on halos and take more memory."""

    first: int = 32  # decoded alone, so that sound starts early: 3 s
    frames: int = 128  # at most, of every other window: 11.9 s
    batch: int = 2  # windows decoded at once, both channels of each

    def __post_init__(self) -> None:
        if min(self.first, self.frames, self.batch) < 1:
            raise ValueError(f"{self}: every size must be at least 1")

    def batches(self, begin: int, end: int) -> Iterator[tuple[Sequence[int], int]]:
        """The starts of a batch of windows and the length of each, from `begin` on without gap.

        After the first, windows share what is left evenly: the last may end beyond `end`, by less than their
        number.
        """
        first = min(self.first, end - begin)
        yield [begin], first
        rest = range(begin + first, end)
        if rest:
            length = ceil_div(len(rest), ceil_div(len(rest), self.frames))
            starts = rest[::length]
            for i in range(0, len(starts), self.batch):
                yield starts[i : i + self.batch], length


def surroundings(start: int, frames: int, halo: int, total: int) -> slice:
    """`frames` from `start` with `halo` on either side, or all of `total` that there is.

    At the song's borders, where there is less on one side, the slice reads further on the other: slices for
    windows of one length are equally long themselves, and so form a batch.
    """
    length = min(frames + 2 * halo, total)
    first = min(max(start - halo, 0), total - length)
    return slice(first, first + length)


def ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
