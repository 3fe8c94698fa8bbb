"""The players: drums, bass, chords, pad, arpeggio. Each writes its notes for one bar of the plan.

Knows patterns and time; melodies are in leads.py, sounds and levels elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from services.music.sketch.form import Section
from services.music.sketch.genres import STEPS, Part
from services.music.sketch.instruments import SOUNDS
from services.music.sketch.plan import Plan
from services.music.sketch.randomness import stream
from services.music.sketch.score import Stroke, Tone
from services.music.sketch.tones import RATE

_ACCENTS = {"X": 1.0, "x": 0.74, "o": 0.36, "?": 0.55}
_PANS = {
    "closed": 0.22, "hat": 0.22, "pedal": 0.22, "ride": -0.3, "shaker": -0.38, "tambourine": 0.4,
    "rim": -0.18, "clave": 0.3, "conga": -0.28, "tom": -0.2, "floor_tom": 0.25, "taiko": 0.1, "timpani": -0.1,
}  # fmt: skip
_FILLS = (
    {"snare": "....x.xxX.xxXxXX", "kick": "X.....x........."},
    {"tom": "........x.x.....", "floor_tom": "............X.X.", "snare": "....X...x......x"},
    {"snare": "........o.oxxxXX", "kick": "X.......X......."},
    {"snare": "....X.......xXxX", "kick": "X.....x...x....."},
)
_HAND_FILLS = ({"conga": "........x.xxx.XX"}, {"rim": "..........x.x.XX"})
_ORCHESTRA_FILLS = ({"timpani": "........o.oxxxXX", "cymbal": "x..............."},)
_FILLS_OF: Mapping[str, Sequence[Mapping[str, str]]] = {
    "orchestra": _ORCHESTRA_FILLS, "soft": _HAND_FILLS, "latin": _HAND_FILLS,
}  # fmt: skip
_SILENT = "." * STEPS
_STEADY = frozenset({"closed", "ride", "shaker"})
_BY_HAND = frozenset({"dusty", "acoustic", "brush", "latin", "soft"})
# Above this a section has all its drums; below the second only the light ones, and then none.
_FULL_DRUMS, _LIGHT_DRUMS = 0.56, 0.34


def drums(plan: Plan, section: Section, bar: int) -> Iterator[Stroke]:
    genre, clock = plan.reading.genre, plan.form.clock
    rng = stream(plan.seed, "drums", bar)
    pattern = _drum_pattern(plan, section, bar)
    starts = bar == section.first_bar and bar > 0
    if pattern and starts and section.energy > 0.7 and genre.kit not in ("brush", "soft", "dusty"):
        yield Stroke("crash", bar, clock.at(bar), 0.8, 0.1)
    loud = 0.72 + 0.28 * section.energy
    for piece, line in pattern.items():
        for step, mark in enumerate(line):
            if mark == "." or (mark == "?" and rng.random() > 0.35):
                continue
            velocity = _ACCENTS[mark] * rng.uniform(0.92, 1.0) * loud
            late = int(abs(rng.normal(0, 0.003)) * RATE) if genre.kit in _BY_HAND else 0
            at = clock.at(bar, step) + late
            yield Stroke(piece, int(rng.integers(99)), at, velocity, _PANS.get(piece, 0.0))


def _drum_pattern(plan: Plan, section: Section, bar: int) -> dict[str, str]:
    genre = plan.reading.genre
    if not plan.band.drums or section.energy < _LIGHT_DRUMS:
        return {}
    full = section.energy >= _FULL_DRUMS
    pattern = {piece: line for piece, line in genre.drums.items() if full or piece in genre.light}
    if plan.band.percussion:
        pattern = {"shaker": "x.xox.xox.xox.xo", "conga": "..x...xx..x...xx", **pattern}
    last = section.first_bar + section.bars - 1
    if bar == last and section.bars >= 2 and pattern and _next_energy(plan, section) >= _FULL_DRUMS:
        fills = _FILLS_OF.get(genre.kit, _FILLS)
        fill = fills[int(stream(plan.seed, "fill", section.kind).integers(len(fills)))]
        for piece in {**pattern, **fill}:
            line = pattern.get(piece, _SILENT)
            if piece not in _STEADY:  # the rest makes room for the fill
                line = line[:8] + _SILENT[8:]
            pattern[piece] = _overlaid(line, fill.get(piece, _SILENT))
    return pattern


def _overlaid(line: str, fill: str) -> str:
    return "".join(new if new != "." else old for old, new in zip(line, fill, strict=True))


def _next_energy(plan: Plan, section: Section) -> float:
    after = section.first_bar + section.bars
    return plan.form.section_of(after).energy if after < plan.form.clock.bars else 0.9


def bass(plan: Plan, section: Section, bar: int) -> Iterator[Tone]:
    part = plan.band.bass
    if part is None or not _plays(part, section, 0.32):
        return
    rng = stream(plan.seed, "bass", bar)
    sound = SOUNDS[part.sound]
    sustained = section.energy < 0.42
    line = "r---------------" if sustained else _line(plan, part, "bass", section, bar)
    for step, letter, length in _strikes(line):
        chord = plan.chord_at(bar, step)
        root = 31 + (chord.root - 31) % 12
        if root > 38 and root - 12 >= sound.lowest:
            root -= 12  # E1 to D2: low, and still heard
        if letter == "a":
            target = plan.chord_at(bar + 1, 0).root
            pitch = root + (target - root + 6) % 12 - 6 + (1 if rng.random() < 0.4 else -1)
        else:
            pitch = root + chord.nth(letter)
        hold_s = length * plan.form.clock.step_s * 0.94
        velocity = (0.9 if step % 4 == 0 else 0.78) * (0.8 + 0.2 * section.energy)
        at = plan.form.clock.at(bar, step)
        yield Tone("bass", part.sound, max(pitch, sound.lowest), at, hold_s, velocity, 0.0, part.gain)


def harmony(plan: Plan, section: Section, bar: int) -> Iterator[Tone]:
    """Chords, arpeggio and pad: the same voicing, each in its own pattern."""
    band = plan.band
    if _plays(band.chords, section, 0.30):
        yield from _comp(plan, section, bar, band.chords, "chords")
    if band.arp is not None and _plays(band.arp, section, 0.5):
        yield from _comp(plan, section, bar, band.arp, "arp")
    if band.pad is not None and _plays(band.pad, section, 0.25):
        yield from _comp(plan, section, bar, band.pad, "pad")


def _comp(plan: Plan, section: Section, bar: int, part: Part, bus: str) -> Iterator[Tone]:
    rng = stream(plan.seed, bus, bar)
    clock, sound = plan.form.clock, SOUNDS[part.sound]
    line = _line(plan, part, bus, section, bar)
    if bus == "pad" and len(plan.chords[bar]) == 2 and line == "x---------------":
        line = "x-------x-------"
    loud = 0.7 + 0.3 * section.energy
    for step, letter, length in _strikes(line):
        voicing = plan.voicing_at(bar, step)
        lift = 12 if bus == "arp" else 0
        if letter in "xX":
            chosen = [plan.chord_at(bar, step).root + 36] if part.voicing == "power" else list(voicing)
        else:
            chosen = [_nth(voicing, int(letter) - 1)]
        hold_s = length * clock.step_s * (1.0 if bus == "pad" else 0.92)
        velocity = (1.0 if letter == "X" else 0.82 if step % 4 == 0 else 0.7) * loud
        for order, pitch in enumerate(chosen):
            placed = _within(pitch + lift, sound.lowest, sound.highest)
            # a hand does not hit all keys at once, and a plectrum cannot
            spread = order * rng.uniform(0.002, 0.009) if bus == "chords" and len(chosen) > 1 else 0.0
            at = clock.at(bar, step) + int(spread * RATE)
            pan = _pan(bus, order, len(chosen), step)
            # as loud together as one note alone
            gain_db = part.gain - 10 * np.log10(len(chosen))
            yield Tone(
                bus, part.sound, placed, at, hold_s, velocity * rng.uniform(0.94, 1.0), pan, float(gain_db)
            )


def _pan(bus: str, order: int, count: int, step: int) -> float:
    if bus == "arp":
        return 0.45 if (step // 2) % 2 else -0.45
    return 0.0 if count == 1 else -0.3 + 0.6 * order / (count - 1)


def ending(plan: Plan) -> tuple[list[Tone], list[Stroke]]:
    """The last chord: everybody who played before, once more, left to ring."""
    clock, band = plan.form.clock, plan.band
    bar = clock.bars
    at, rest_s = clock.at(bar), (clock.total - clock.at(bar)) / RATE
    chord, voicing = plan.chords[bar][0], plan.voicings[bar][0]
    tones: list[Tone] = []
    for part, bus in ((band.chords, "chords"), (band.pad, "pad")):
        if part is None:
            continue
        sound = SOUNDS[part.sound]
        chosen = [chord.root + 36] if part.voicing == "power" else list(voicing)
        for order, pitch in enumerate(chosen):
            placed = _within(pitch, sound.lowest, sound.highest)
            gain_db = float(part.gain - 10 * np.log10(len(chosen)))
            pan = _pan("chords", order, len(chosen), 0)
            tones.append(Tone(bus, part.sound, placed, at + order * 500, rest_s * 0.85, 0.8, pan, gain_db))
    if band.bass is not None:
        root = 31 + (chord.root - 31) % 12
        lowest = SOUNDS[band.bass.sound].lowest
        root = root - 12 if root > 38 and root - 12 >= lowest else root
        tones.append(Tone("bass", band.bass.sound, root, at, rest_s * 0.7, 0.85, 0, band.bass.gain))
    strokes: list[Stroke] = []
    genre = plan.reading.genre
    if band.drums and genre.drums:
        pieces = {"orchestra": ("timpani",), "soft": (), "brush": ("ride", "kick"), "dusty": ("kick", "ride")}
        strokes = [Stroke(piece, 0, at, 0.75) for piece in pieces.get(genre.kit, ("kick", "crash"))]
    return tones, strokes


def _plays(part: Part, section: Section, usual: float) -> bool:
    return (usual if part.from_ is None else part.from_) <= section.energy <= part.until


def _line(plan: Plan, part: Part, bus: str, section: Section, bar: int) -> str:
    """A section keeps to one line of its part, and allows itself another every fourth bar."""
    first = int(stream(plan.seed, bus, "line", section.kind).integers(len(part.line)))
    turn = (bar - section.first_bar) % 4 == 3
    return part.line[(first + turn) % len(part.line)] if bus == "bass" else part.line[first]


def _strikes(line: str) -> Iterator[tuple[int, str, int]]:
    """(step, letter, steps held) of each stroke of a pattern."""
    for step, letter in enumerate(line):
        if letter in ".-":
            continue
        length = 1
        while step + length < STEPS and line[step + length] == "-":
            length += 1
        yield step, letter, length


def _nth(voicing: tuple[int, ...], index: int) -> int:
    """The n-th note of a chord upwards, going on in the next octave."""
    octave, place = divmod(index, len(voicing))
    return voicing[place] + 12 * octave


def _within(pitch: int, lowest: int, highest: int) -> int:
    while pitch < lowest:
        pitch += 12
    while pitch > highest:
        pitch -= 12
    return pitch
