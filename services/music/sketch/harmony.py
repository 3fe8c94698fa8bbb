"""Keys, scales, chords from roman numerals, and the voicing of one chord after another.

Pitches are MIDI numbers; pitch classes count from C. Knows no genre and no rhythm.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

MODES: Mapping[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}

_DEGREES = {"i": 0, "ii": 1, "iii": 2, "iv": 3, "v": 4, "vi": 5, "vii": 6}
_NUMERAL = re.compile(r"(b?)(iii|ii|iv|i|vii|vi|v)(.*)", re.IGNORECASE)

# Semitones above the root, for an upper-case and a lower-case numeral.
_QUALITIES: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "": ((0, 4, 7), (0, 3, 7)),
    "7": ((0, 4, 7, 10), (0, 3, 7, 10)),
    "maj7": ((0, 4, 7, 11), (0, 3, 7, 11)),
    "9": ((0, 4, 10, 14), (0, 3, 10, 14)),
    "maj9": ((0, 4, 11, 14), (0, 3, 11, 14)),
    "add9": ((0, 4, 7, 14), (0, 3, 7, 14)),
    "13": ((0, 4, 10, 21), (0, 3, 10, 21)),
    "ø7": ((0, 3, 6, 10), (0, 3, 6, 10)),
    "6": ((0, 4, 7, 9), (0, 3, 7, 9)),
    "sus4": ((0, 5, 7), (0, 5, 7)),
    "dim": ((0, 3, 6), (0, 3, 6)),
}


@dataclass(frozen=True)
class Key:
    tonic: int  # pitch class
    mode: str

    def __str__(self) -> str:
        """As people say it: modes with a minor third are called minor."""
        return f"{NOTE_NAMES[self.tonic]} {'minor' if self.is_minor else 'major'}"

    @property
    def is_minor(self) -> bool:
        return MODES[self.mode][2] == 3

    @property
    def scale(self) -> frozenset[int]:
        return frozenset((self.tonic + step) % 12 for step in MODES[self.mode])


@dataclass(frozen=True)
class Chord:
    symbol: str
    root: int  # pitch class
    intervals: tuple[int, ...]

    @property
    def classes(self) -> tuple[int, ...]:
        return tuple((self.root + i) % 12 for i in self.intervals)

    def nth(self, letter: str) -> int:
        """Semitones above the root of a bass letter: r root, t third, f fifth, s seventh, o octave."""
        third = 3 if 3 in self.intervals else 4
        seventh = 11 if 11 in self.intervals else 10
        fifth = 6 if 6 in self.intervals else 7
        return {"r": 0, "t": third, "f": fifth, "s": seventh, "o": 12}[letter]

    def scale(self, key: Key) -> frozenset[int]:
        """The key's scale, bent to this chord: its notes in, what clashes by a semitone with new ones out."""
        strangers = frozenset(self.classes) - key.scale
        clashing = {(s + d) % 12 for s in strangers for d in (-1, 1)} - set(self.classes)
        return (key.scale - clashing) | frozenset(self.classes)


def chord(symbol: str, key: Key) -> Chord:
    """A roman numeral in a key: "VImaj7", "bVII", "iiø7". Raises ValueError for what is none."""
    match = _NUMERAL.fullmatch(symbol)
    if match is None or match[3] not in _QUALITIES:
        raise ValueError(f"{symbol!r} is no chord that this engine knows")
    flat, numeral, suffix = match.groups()
    degree = _DEGREES[numeral.lower()]
    # A flat numeral is measured on the major scale, as bVII in a major key; the others on the key's own.
    # Dorian's own sixth has no major chord: there VI is the minor scale's.
    borrowed = numeral == "VI" and key.mode == "dorian"
    step = MODES["major"][degree] - 1 if flat or borrowed else MODES[key.mode][degree]
    upper, lower = _QUALITIES[suffix]
    return Chord(symbol, (key.tonic + step) % 12, upper if numeral.isupper() else lower)


def bars_of(progression: str, key: Key) -> tuple[tuple[Chord, ...], ...]:
    """The chords of each bar of a progression as the genre table writes it."""
    return tuple(tuple(chord(symbol, key) for symbol in bar.split(",")) for bar in progression.split())


def voiced(harmony: Chord, before: Sequence[int], centre: int) -> tuple[int, ...]:
    """Close voicing, low to high, that moves least from `before` and stays around `centre`."""
    candidates = []
    for inversion in range(len(harmony.classes)):
        order = harmony.classes[inversion:] + harmony.classes[:inversion]
        for bottom in range(centre - 14, centre + 4):
            if bottom % 12 != order[0]:
                continue
            pitches = [bottom]
            for pitch_class in order[1:]:
                pitches.append(pitches[-1] + (pitch_class - pitches[-1]) % 12)
            candidates.append(tuple(pitches))

    def cost(pitches: tuple[int, ...]) -> float:
        away = abs(sum(pitches) / len(pitches) - centre)
        mud = sum(2 for low, high in itertools.pairwise(pitches) if high - low < 3 and low < 52)
        if not before:
            return away + mud
        moved = sum(min(abs(p - q) for q in before) for p in pitches)
        return moved + 0.6 * away + mud

    return min(candidates, key=lambda pitches: (cost(pitches), pitches))
