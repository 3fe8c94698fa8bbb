"""Meters: how many sixteenths a bar has, where its beats are, and how a pattern of four beats fits into it.

Knows time only; no sounds, no genres.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

_BEAT = 4  # sixteenths of a beat in the patterns of the genre table
_WORDS = {"waltz": "3/4", "walzer": "3/4", "valse": "3/4", "jig": "6/8", "shanty": "6/8", "6-8": "6/8"}


@dataclass(frozen=True)
class Meter:
    name: str
    # Which beat of a 4/4 bar is played, and for how many sixteenths: six make a beat of three eighths.
    beats: tuple[tuple[int, int], ...]
    # What the cells of melodies fill.
    spans: tuple[int, ...]

    @cached_property
    def steps(self) -> int:
        return sum(self.spans)

    @cached_property
    def beat_starts(self) -> frozenset[int]:
        starts, at = set(), 0
        for _, length in self.beats:
            starts.add(at)
            at += length
        return frozenset(starts)

    @property
    def compound(self) -> bool:
        return any(length > _BEAT for _, length in self.beats)

    def weight(self, step: float) -> float:
        """How strong a step is: 1 the first of the bar, 0 between the eighths."""
        within = step % self.steps
        if within == 0:
            return 1.0
        if within in self.beat_starts:
            return 0.8 if within == sum(self.spans[:1]) else 0.6
        return 0.25 if within % 2 == 0 else 0.0

    def strong(self, step: float) -> bool:
        return self.weight(step) >= 0.6

    def fitted(self, line: str) -> str:
        """A pattern of sixteen sixteenths in this meter."""
        return _fitted(self, line)

    def closing(self, line: str) -> str:
        """The same for what leads to the next bar: its end is kept."""
        return line[len(line) - self.steps :] if self.steps <= len(line) else line.rjust(self.steps, ".")


METERS: Mapping[str, Meter] = {
    meter.name: meter
    for meter in (
        Meter("4/4", ((1, 4), (2, 4), (3, 4), (4, 4)), (8, 8)),
        Meter("2/4", ((1, 4), (2, 4)), (8,)),
        Meter("3/4", ((1, 4), (2, 4), (4, 4)), (8, 4)),
        Meter("5/4", ((1, 4), (2, 4), (3, 4), (1, 4), (4, 4)), (8, 4, 8)),
        Meter("6/8", ((1, 6), (2, 6)), (6, 6)),
        Meter("7/8", ((1, 4), (2, 4), (3, 4), (4, 2)), (8, 6)),
        Meter("9/8", ((1, 6), (3, 6), (4, 6)), (6, 6, 6)),
        Meter("12/8", ((1, 6), (2, 6), (3, 6), (4, 6)), (6, 6, 6, 6)),
    )
}
FOUR_FOUR = METERS["4/4"]


def meter_named(text: str) -> Meter | None:
    """The meter that a text states, if this engine can play it."""
    for match in re.finditer(r"(?<![\d/])(\d{1,2}/\d{1,2})(?![\d/])|(?<![\w-])(6-8|[a-z]+)(?![\w-])", text):
        name = match[1] or _WORDS.get(match[2], "")
        if name in METERS:
            return METERS[name]
    return None


@lru_cache(maxsize=1024)
def _fitted(meter: Meter, line: str) -> str:
    if meter == FOUR_FOUR:
        return line
    out = ""
    for beat, length in meter.beats:
        four = line[(beat - 1) * _BEAT : beat * _BEAT]
        out += _stretched(four) if length > _BEAT else four[:length]
    return out


def _stretched(four: str) -> str:
    """Four sixteenths as three eighths: the middle goes long and short, what repeats goes on all three."""
    first, second, third, fourth = tuple(four)
    held = "-" if second == "-" else "."
    steady = first not in ".-" and third not in ".-"
    middle = third.replace("X", "x") if steady else held
    return first + held + middle + held + third + (fourth if fourth != "." else held)
