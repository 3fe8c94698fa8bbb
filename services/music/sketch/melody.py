"""Melodies: rhythms for motifs and for syllables, and pitches that follow the chords and return as motifs do.

Knows chords and time in steps; no instruments and no sound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from services.music.sketch.form import SungLine
from services.music.sketch.genres import STEPS
from services.music.sketch.harmony import Chord, Key

# Rhythm cells of half a bar, by how many notes they hold: (start, length) in sixteenths.
_CELLS: dict[int, tuple[tuple[tuple[int, int], ...], ...]] = {
    0: ((),),
    1: (((0, 6),), ((0, 8),), ((2, 6),), ((4, 4),)),
    2: (((0, 4), (4, 4)), ((0, 3), (3, 5)), ((0, 6), (6, 2)), ((2, 2), (4, 4)), ((0, 2), (2, 6))),
    3: (
        ((0, 3), (3, 3), (6, 2)),
        ((0, 2), (2, 2), (4, 4)),
        ((0, 4), (4, 2), (6, 2)),
        ((2, 2), (4, 2), (6, 2)),
    ),
    4: (((0, 2), (2, 2), (4, 2), (6, 2)), ((0, 3), (3, 1), (4, 2), (6, 2)), ((0, 2), (2, 1), (3, 3), (6, 2))),
    5: (((0, 2), (2, 1), (3, 1), (4, 2), (6, 2)), ((0, 1), (1, 1), (2, 2), (4, 2), (6, 2))),
}


@dataclass(frozen=True)
class Note:
    step: float  # from the start of the phrase
    steps: float
    pitch: int
    accent: float  # 0 to 1


Rhythm = Sequence[tuple[float, float]]  # (start, length) in steps
Harmony = Callable[[float], Chord]  # the chord at a step of the phrase


def motif_rhythm(pulse: float, rng: np.random.Generator) -> Rhythm:
    """Two bars: a statement, and an answer that breathes at its end."""
    out: list[tuple[float, float]] = []
    for half in range(4):
        wanted = pulse / 2 + (-0.8 if half == 3 else 0.3 if half == 0 else 0)
        count = int(np.clip(round(wanted + rng.uniform(-0.7, 0.7)), 1 if half < 3 else 0, 5))
        cells = _CELLS[count]
        out += [(half * 8.0 + start, float(length)) for start, length in cells[rng.integers(len(cells))]]
    return out


def syllable_rhythm(line: SungLine, rng: np.random.Generator) -> Rhythm:
    """One note per syllable, in time, with room to breathe at the end of the line."""
    count = len(line.syllables)
    if not count:
        return ()
    breath = min(4.0, line.steps / 6)
    room = line.steps - breath
    grid = next((g for g in (4, 2, 1) if room / g >= count + (1 if g > 1 else 0)), None)
    if grid is None:  # more words than sixteenths: evenly
        return [(i * room / count, room / count) for i in range(count)]
    slots = int(room // grid)
    # Bresenham's even spread; a late start leaves the one to the band now and then
    late = int(rng.integers(0, 2)) if slots - count >= 2 else 0
    usable = min(slots - late, count * 2)  # words of a short line stay together, its last note is held
    starts = [float((late + i * usable // count) * grid) for i in range(count)]
    ends = [*starts[1:], min(starts[-1] + max(2.0 * grid, 4.0), room + breath / 2)]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def pitches(
    rhythm: Rhythm, harmony: Harmony, key: Key, centre: int, reach: int, rng: np.random.Generator, close: bool
) -> list[Note]:
    """Pitches for a rhythm: chord notes on strong beats, steps between, one arch, a close or an open end.

    The same `rng` state and rhythm over other chords give the same motif, moved as the harmony moves.
    """
    if not rhythm:
        return []
    arch = float(rng.uniform(0.4, 1.0)) * reach * (1 if rng.random() < 0.75 else -0.7)
    peak = float(rng.uniform(0.3, 0.75))
    wander = rng.normal(0, reach * 0.28, size=len(rhythm))
    length = max(rhythm[-1][0], 1.0)
    notes: list[Note] = []
    for index, (start, duration) in enumerate(rhythm):
        here = start / length
        target = centre + arch * (1 - abs(here - peak) / max(peak, 1 - peak) * 1.3) + wander[index]
        last = index == len(rhythm) - 1
        pitch = _choose(
            target, harmony(start), key, notes, _strong(start, duration), last, close, centre, reach
        )
        notes.append(Note(start, duration, pitch, 1.0 if start % 8 == 0 else 0.85 if start % 4 == 0 else 0.7))
    return notes


def _strong(start: float, duration: float) -> bool:
    return start % 4 == 0 or duration >= 4


def _choose(
    target: float, chord: Chord, key: Key, before: Sequence[Note], strong: bool, last: bool, close: bool,
    centre: int, reach: int,
) -> int:  # fmt: skip
    scale = chord.scale(key)
    previous = before[-1].pitch if before else None
    ends = {key.tonic, (key.tonic + 7) % 12} if close else {(key.tonic + 2) % 12, (key.tonic + 7) % 12}

    def cost(pitch: int) -> float:
        total = 0.45 * abs(pitch - target)
        if strong and pitch % 12 not in chord.classes[:4]:
            total += 3.0
        if last:
            total += 0.0 if pitch % 12 in chord.classes[:3] else 4.0
            total -= 1.5 if pitch % 12 in ends else 0.0
        if previous is not None:
            leap = abs(pitch - previous)
            total += 0.8 if leap == 0 else 0.0 if leap <= 2 else 0.35 * leap
            total += 6.0 if leap in (6, 10, 11) or leap > 12 else 0.0
            if len(before) > 1:
                earlier = previous - before[-2].pitch
                if abs(earlier) > 4 and earlier * (pitch - previous) > 0:
                    total += 2.5  # after a leap a melody turns back
                if pitch == previous == before[-2].pitch:
                    total += 2.0
        return total

    lowest, highest = centre - reach - 2, centre + reach + 3
    return min((p for p in range(lowest, highest + 1) if p % 12 in scale), key=lambda p: (cost(p), p))


def bars_in(rhythm: Rhythm, first: int, count: int) -> Rhythm:
    """The part of a rhythm within some of its bars, counted from their start."""
    low, high = first * STEPS, (first + count) * STEPS
    return [(start - low, min(length, high - start)) for start, length in rhythm if low <= start < high]
