"""What a song of this engine is made of: takes behind one another, and what was done to each of them since.

Values only. Everything that a later edit needs to play a song again, sample for sample, and no words: a line
that is sung is its syllables, a prompt is what was read of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.music.sketch.form import Form
from services.music.sketch.prompt import Reading

PRELUDE = -1  # number of the block before the first bar
MOST_SEEDS = 2**32


@dataclass(frozen=True)
class Change:
    """Bars `first_bar` to `stop_bar`, without `stop_bar`, played under another seed, by degree."""

    seed: int
    variance: float  # 0 to 1
    first_bar: int  # PRELUDE counts too
    stop_bar: int  # behind the ending it is the number of bars and one
    reading: Reading | None = None  # of another prompt

    @property
    def bars(self) -> tuple[int, int]:
        return self.first_bar, self.stop_bar

    def covers(self, bar: int) -> bool:
        return self.first_bar <= bar < self.stop_bar


@dataclass(frozen=True)
class Take:
    """One performance from its first sample to its last: a song from nothing, or what was added to one."""

    seed: int
    reading: Reading
    form: Form
    level: float | None = None  # of the master; None until a sound check
    words: Form | None = None  # what is sung now, where those are not the form's own lines
    changes: tuple[Change, ...] = ()

    @property
    def samples(self) -> int:
        return self.form.clock.total

    @property
    def sung(self) -> Form:
        return self.words or self.form

    @property
    def every_bar(self) -> tuple[int, int]:
        return PRELUDE, self.form.clock.bars + 1

    @property
    def throughout(self) -> tuple[Change, ...]:
        """The changes that were made to all of it."""
        return tuple(change for change in self.changes if change.bars == self.every_bar)

    def changed(
        self, seed: int, variance: float, bars: tuple[int, int] | None = None, reading: Reading | None = None
    ) -> "Take":
        """With some bars, or all of it, played under the seed of a request.

        No seed of a request is as large as those here: under its source's own, too, a change is a change,
        and so is the same once more.
        """
        salted = seed + MOST_SEEDS * (len(self.changes) + 1)
        first, stop = bars or self.every_bar
        return replace(self, changes=(*self.changes, Change(salted, variance, first, stop, reading)))


@dataclass(frozen=True)
class Song:
    seed: int  # of the request that made it
    asked: Reading  # what its prompt says, which may be that of an edit of some bars
    takes: tuple[Take, ...]

    @property
    def samples(self) -> int:
        return sum(take.samples for take in self.takes)

    def placed(self) -> Iterator[tuple[int, Take]]:
        """Every take, and the sample of the song that it begins at."""
        at = 0
        for take in self.takes:
            yield at, take
            at += take.samples
