"""Melodies: contours and rhythms of motifs, rhythms of syllables, and pitches that follow the chords.

A motif is a rhythm and a contour, and is developed by changing one of them. Knows chords and time in steps;
no instruments and no sound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from services.music.sketch.harmony import Chord, Key
from services.music.sketch.meter import Meter

# Rhythm cells by the sixteenths they fill and how many notes they hold: (start, length).
_Cell = tuple[tuple[int, int], ...]
_CELLS: dict[int, dict[int, tuple[_Cell, ...]]] = {
    8: {
        0: ((),),
        1: (((0, 6),), ((0, 8),), ((2, 6),), ((4, 4),)),
        2: (((0, 4), (4, 4)), ((0, 3), (3, 5)), ((0, 6), (6, 2)), ((2, 2), (4, 4)), ((0, 2), (2, 6))),
        3: (
            ((0, 3), (3, 3), (6, 2)),
            ((0, 2), (2, 2), (4, 4)),
            ((0, 4), (4, 2), (6, 2)),
            ((2, 2), (4, 2), (6, 2)),
        ),
        4: (
            ((0, 2), (2, 2), (4, 2), (6, 2)),
            ((0, 3), (3, 1), (4, 2), (6, 2)),
            ((0, 2), (2, 1), (3, 3), (6, 2)),
        ),
        5: (((0, 2), (2, 1), (3, 1), (4, 2), (6, 2)), ((0, 1), (1, 1), (2, 2), (4, 2), (6, 2))),
    },
    6: {
        0: ((),),
        1: (((0, 6),), ((0, 4),)),
        2: (((0, 4), (4, 2)), ((0, 2), (2, 4))),
        3: (((0, 2), (2, 2), (4, 2)), ((0, 3), (3, 1), (4, 2))),
        4: (((0, 2), (2, 2), (4, 1), (5, 1)), ((0, 1), (1, 1), (2, 2), (4, 2))),
    },
    4: {
        0: ((),),
        1: (((0, 4),), ((2, 2),)),
        2: (((0, 2), (2, 2)), ((0, 3), (3, 1))),
        3: (((0, 2), (2, 1), (3, 1)), ((0, 1), (1, 1), (2, 2))),
    },
}
_SEMITONES = 1.8  # of a step of a contour: a little more than a scale's


@dataclass(frozen=True)
class Note:
    step: float  # from the start of the phrase
    steps: float
    pitch: int
    accent: float  # 0 to 1


Rhythm = Sequence[tuple[float, float]]  # (start, length) in steps
Harmony = Callable[[float], Chord]  # the chord at a step of the phrase
Contour = tuple[float, ...]  # scale steps from the centre, evenly over a phrase


@dataclass(frozen=True)
class Register:
    centre: int
    lowest: int
    highest: int
    few: bool = (
        False  # spoken more than sung: the chord's own notes and the next ones to them, near the centre
    )


def theme(rng: np.random.Generator) -> Contour:
    """The shape that a song is known by: one climb or fall of a few steps, and the way back."""
    moves = rng.choice((-2, -1, -1, 1, 1, 2, 3), size=7)
    line = np.cumsum(np.concatenate(([0], moves))).astype(float)
    line -= np.linspace(line[0], line[-1] * 0.8, len(line))  # it comes back most of the way
    return tuple(float(v) for v in 3.4 * line / max(float(np.max(np.abs(line))), 1.0))


def developed(contour: Contour, kind: str, own: Contour) -> Contour:
    """What a kind of section makes of the theme; `own` is a second shape that only it has."""
    shape, other = np.array(contour), np.array(own)
    if kind == "verse":  # lower and narrower, with a line of its own
        return tuple(0.55 * other - 0.25 * shape - 0.8)
    if kind == "pre-chorus":  # a sequence that climbs
        half = shape[: len(shape) // 2]
        return tuple(np.concatenate((half - 0.5, half + 1.5)) * 0.8)
    if kind == "bridge":
        return tuple(-shape)  # inversion
    if kind in ("break", "inst"):
        return tuple(shape[::-1])  # retrograde
    return contour


def in_sequence(contour: Contour, steps: float) -> Contour:
    return tuple(value + steps for value in contour)


def motif_rhythm(pulse: float, rng: np.random.Generator, meter: Meter) -> Rhythm:
    """Two bars: a statement, and an answer that breathes at its end."""
    out: list[tuple[float, float]] = []
    spans, at = [*meter.spans, *meter.spans], 0
    for index, span in enumerate(spans):
        wanted = pulse * span / 16 + (-0.8 if index == len(spans) - 1 else 0.3 if index == 0 else 0)
        most = max(_CELLS[span])
        count = int(
            np.clip(round(wanted + rng.uniform(-0.7, 0.7)), 0 if index == len(spans) - 1 else 1, most)
        )
        cells = _CELLS[span][count]
        out += [(float(at + start), float(length)) for start, length in cells[rng.integers(len(cells))]]
        at += span
    return out


def bars_in(rhythm: Rhythm, first: int, count: int, steps: int) -> Rhythm:
    """The part of a rhythm within some of its bars, counted from their start."""
    low, high = first * steps, (first + count) * steps
    return [(start - low, min(length, high - start)) for start, length in rhythm if low <= start < high]


def pitches(
    rhythm: Rhythm, harmony: Harmony, key: Key, register: Register, contour: Contour,
    strong: Callable[[float], bool], rng: np.random.Generator, close: str,
) -> list[Note]:  # fmt: skip
    """Pitches for a rhythm along a contour: chord notes on strong beats, steps between.

    `close`: "home" ends on the tonic, "closed" on it or its fifth, "open" elsewhere. The same rhythm and
    contour over other chords give the same motif, moved as the harmony moves.
    """
    if not rhythm:
        return []
    wander = rng.normal(0, 0.5, size=len(rhythm))
    length = max(rhythm[-1][0], 1.0)
    places = np.linspace(0, 1, len(contour))
    notes: list[Note] = []
    for index, (start, duration) in enumerate(rhythm):
        shape = float(np.interp(start / length, places, contour))
        target = register.centre + _SEMITONES * shape + wander[index]
        last = index == len(rhythm) - 1
        on_beat = strong(start)
        stressed = on_beat or duration >= 4
        pitch = _choose(target, harmony(start), key, notes, stressed, close if last else "", register)
        accent = 1.0 if start == 0 else 0.9 if on_beat else 0.7
        notes.append(Note(start, duration, pitch, accent))
    return notes


def _choose(
    target: float,
    chord: Chord,
    key: Key,
    before: Sequence[Note],
    stressed: bool,
    close: str,
    register: Register,
) -> int:
    scale = chord.scale(key)
    previous = before[-1].pitch if before else None
    ends = (
        {key.tonic, (key.tonic + 7) % 12}
        if close == "closed"
        else {(key.tonic + 2) % 12, (key.tonic + 7) % 12}
    )
    if close == "home":
        ends = {key.tonic}

    def cost(pitch: int) -> float:
        total = 0.45 * abs(pitch - target)
        if stressed and pitch % 12 not in chord.classes:
            total += 9.0
        if close:
            total += 0.0 if pitch % 12 in chord.classes[:3] else 4.0
            total -= 1.5 if pitch % 12 in ends else 0.0
            total += 12.0 if close == "home" and pitch % 12 not in ends else 0.0
        if previous is not None:
            leap = abs(pitch - previous)
            total += (0.0 if register.few else 0.8) if leap == 0 else 0.0 if leap <= 2 else 0.35 * leap
            total += 6.0 if leap in (6, 10, 11) or leap > 12 else 0.0
            if len(before) > 1:
                earlier = previous - before[-2].pitch
                if abs(earlier) > 4 and earlier * (pitch - previous) > 0:
                    total += 2.5  # after a leap a melody turns back
                if pitch == previous == before[-2].pitch and not register.few:
                    total += 2.0
        return total

    allowed = [p for p in range(register.lowest, register.highest + 1) if p % 12 in scale]
    if register.few:
        allowed = [p for p in allowed if p % 12 in chord.classes[:3] or (p - key.tonic) % 12 in (0, 7)]
    return min(allowed, key=lambda p: (cost(p), p))
