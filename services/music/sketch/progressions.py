"""The chords of a whole song: a progression for each kind of section, cadences where sections end, and home.

Knows keys and sections; no rhythm and no instruments.
"""

from collections.abc import Mapping, Sequence

from services.music.sketch.form import Section
from services.music.sketch.harmony import Chord, Key, bars_of
from services.music.sketch.prompt import Reading
from services.music.sketch.randomness import stream

Bars = tuple[tuple[Chord, ...], ...]

# Which of the song's three progressions a section uses.
_USES = {"chorus": 1, "hook": 1, "solo": 1, "outro": 1, "pre-chorus": 2, "bridge": 2, "break": 2}
_LIFTED = ("pre-chorus", "bridge")
# Their last line comes home; the others leave a question, which the next section answers.
_CLOSED = ("chorus", "hook", "outro")
# What shows the colour of a mode that is none of the genre's own.
_MODAL: Mapping[str, tuple[str, ...]] = {
    "dorian": ("i IV i IV", "i VII IV i", "i ii IV i"),
    "phrygian": ("i II i VII", "i II VI II", "i VII II i"),
    "lydian": ("I II I II", "I II vi II", "I vii II I"),
    "mixolydian": ("I VII IV I", "I VII I IV", "I v VII IV"),
}
_MODAL_CADENCE = {"dorian": "IV", "phrygian": "II", "lydian": "II", "mixolydian": "VII"}
# Semitones above the tonic that want to go on: a dominant, a leading chord, a lowered seventh or second.
_OPEN = frozenset({1, 7, 10, 11})


def song_chords(reading: Reading, sections: Sequence[Section], seed: int) -> Bars:
    """The chords of every bar, and of one more: the last, on the tonic."""
    genre, key = reading.genre, reading.key
    rng = stream(seed, "harmony")
    modal = key.mode not in genre.modes and key.mode in _MODAL
    pool = list(_MODAL[key.mode] if modal else genre.progressions(key))
    pool = [pool[i] for i in rng.permutation(len(pool))]
    lifts = [] if modal else list(genre.lifts(key))
    lifts = [lifts[i] for i in rng.permutation(len(lifts))]
    cadence = bars_of(_MODAL_CADENCE[key.mode] if modal else genre.cadence(key), key)[0]
    home, steps = _home(pool, key), reading.meter.steps
    out: list[tuple[Chord, ...]] = []
    for section in sections:
        use = _USES.get(section.kind, 0)
        candidates = (
            lifts[use % 2 :] + lifts[: use % 2] if lifts and section.kind in _LIFTED else pool[use:] + pool
        )
        progression = _fitting(candidates, section.bars, key)
        bars = [progression[i % len(progression)] for i in range(section.bars)]
        if section.bars >= 4 and _sung_to_its_end(section, steps) and section.kind in _CLOSED:
            bars[-2:] = [bars[-2] if _is_open(bars[-2][-1], key) else cadence, home]
        elif section.bars >= 2 and not _is_open(bars[-1][-1], key):
            bars[-1] = cadence
        out += bars
    return (*out, home)


def _fitting(progressions: Sequence[str], bars: int, key: Key) -> Bars:
    """The first that a section is long enough for, or else the shortest."""
    made = [bars_of(progression, key) for progression in progressions]
    return next((m for m in made if len(m) <= max(bars, 4)), min(made, key=len))


def _sung_to_its_end(section: Section, steps: int) -> bool:
    return any(line.first_step + line.steps > (section.bars - 1) * steps for line in section.lines)


def _is_open(chord: Chord, key: Key) -> bool:
    return (chord.root - key.tonic) % 12 in _OPEN


def _home(pool: Sequence[str], key: Key) -> tuple[Chord, ...]:
    at_home = [
        c for progression in pool for bar in bars_of(progression, key) for c in bar if c.root == key.tonic
    ]
    return (at_home[0] if at_home else bars_of("i" if key.is_minor else "I", key)[0][0],)
