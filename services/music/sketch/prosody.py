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
_FARTHEST = 8  # steps from one syllable to the next


def syllable_rhythm(line: SungLine, meter: Meter, rng: np.random.Generator, rap: bool = False) -> Rhythm:
    count = len(line.syllables)
    if not count:
        return ()
    breath = min(4.0, line.steps / 6)
    room = line.steps - breath
    if int(room) < count:  # more words than sixteenths: evenly
        return [(i * room / count, room / count) for i in range(count)]
    starts = [float(step) for step in _steps(line, meter, int(room), rng, rap)]
    ends = [*starts[1:], min(starts[-1] + 4.0, room + breath / 2)]
    longest = 2 * (_RAPPED if rap else _LONGEST)
    return [(start, min(end - start, longest)) for start, end in zip(starts, ends, strict=True)]


def _steps(line: SungLine, meter: Meter, room: int, rng: np.random.Generator, rap: bool) -> list[int]:
    """The cheapest way through the steps of a line, by dynamic programming over (syllable, step)."""
    count = len(line.syllables)
    pace = min(room / count, _RAPPED if rap else _LONGEST)
    late = float(rng.integers(0, 3)) if room - count * pace >= 4 else 0.0
    taste = rng.uniform(0, 0.15, size=room)
    weights = [meter.weight(line.first_step + step) for step in range(room)]
    # Between the eighths there is talk more than song.
    between = [0.0 if rap or weight else 0.45 for weight in weights]

    def price(index: int, step: int) -> float:
        stressed = line.syllables[index].stressed
        stress = 2.4 * (1 - weights[step]) if stressed else 1.5 * max(weights[step] - 0.25, 0)
        return 0.15 * abs(step - late - index * pace) + stress + between[step] + float(taste[step])

    gaps = [0.0, *(0.6 * math.log2(gap / pace) ** 2 for gap in range(1, _FARTHEST + 1))]
    best = [price(0, step) for step in range(room)]
    ways: list[list[int]] = []
    for index in range(1, count):
        following, way = [math.inf] * room, [0] * room
        for step in range(index, room - (count - 1 - index)):
            reached = [(best[b] + gaps[step - b], b) for b in range(max(step - _FARTHEST, index - 1), step)]
            cheapest, way[step] = min(reached)
            following[step] = cheapest + price(index, step)
        best = following
        ways.append(way)
    path = [min(range(room), key=lambda step: best[step])]
    for way in reversed(ways):
        path.append(way[path[-1]])
    return path[::-1]
