"""The rhythm of words: which step of a line each syllable is sung on.

One note for each syllable, stressed ones on strong steps where the line allows, and a breath at its end.
Knows syllables and meters; no pitches.
"""

import math

import numpy as np

from services.music.sketch.form import SungLine
from services.music.sketch.melody import Rhythm
from services.music.sketch.meter import Meter

_LONGEST = 4.0  # steps of a syllable, so that words of a short line stay together
_RAPPED = 2.0
_FARTHEST = 8  # slots between two syllables


def syllable_rhythm(line: SungLine, meter: Meter, rng: np.random.Generator, rap: bool = False) -> Rhythm:
    count = len(line.syllables)
    if not count:
        return ()
    breath = min(4.0, line.steps / 6)
    room = line.steps - breath
    grid = next((g for g in (2, 1) if room // g >= count + (g > 1)), None)
    if grid is None:  # more words than sixteenths: evenly
        return [(i * room / count, room / count) for i in range(count)]
    starts = [float(slot * grid) for slot in _slots(line, meter, int(room // grid), grid, rng, rap)]
    ends = [*starts[1:], min(starts[-1] + max(2.0 * grid, 4.0), room + breath / 2)]
    longest = 2 * _RAPPED if rap else 2 * _LONGEST
    return [(start, min(end - start, longest)) for start, end in zip(starts, ends, strict=True)]


def _slots(
    line: SungLine, meter: Meter, slots: int, grid: int, rng: np.random.Generator, rap: bool
) -> list[int]:
    """The cheapest way through the slots, by dynamic programming over (syllable, slot)."""
    count = len(line.syllables)
    pace = min(slots / count, (_RAPPED if rap else _LONGEST) / grid)
    late = 0.5 * float(rng.integers(0, 3)) if slots - count * pace >= 2 else 0.0
    taste = rng.uniform(0, 0.12, size=slots)
    weights = [meter.weight(line.first_step + slot * grid) for slot in range(slots)]
    places = range(slots)

    def price(index: int, slot: int) -> float:
        away = abs(slot - late - index * pace)
        stress = 1.1 * (1 - weights[slot]) if line.syllables[index].stressed else 0.8 * weights[slot]
        return 0.25 * away + stress + float(taste[slot])

    gaps = [0.0] + [0.5 * math.log2(gap / pace) ** 2 for gap in range(1, _FARTHEST + 1)]
    best = [price(0, slot) for slot in places]
    ways: list[list[int]] = []
    for index in range(1, count):
        following, way = [math.inf] * slots, [0] * slots
        for slot in range(index, slots - (count - 1 - index)):
            before = min(
                range(max(slot - _FARTHEST, index - 1), slot), key=lambda p: best[p] + gaps[slot - p]
            )
            following[slot] = best[before] + gaps[slot - before] + price(index, slot)
            way[slot] = before
        best = following
        ways.append(way)
    path = [min(places, key=lambda slot: best[slot])]
    for way in reversed(ways):
        path.append(way[path[-1]])
    return path[::-1]
