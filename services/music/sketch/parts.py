"""The players: bass, chords, pad, arpeggio. Each writes its notes for one bar of the plan.

Knows patterns and time; drums are in drumming.py, melodies in leads.py, sounds and levels elsewhere.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from services.music.sketch.form import Section
from services.music.sketch.genres import Part
from services.music.sketch.instruments import SOUNDS
from services.music.sketch.plan import Plan
from services.music.sketch.randomness import stream
from services.music.sketch.score import Stroke, Tone
from services.music.sketch.tones import RATE


def bass(plan: Plan, section: Section, bar: int) -> Iterator[Tone]:
    part = plan.band.bass
    if part is None or not _plays(part, section, 0.32):
        return
    rng = stream(plan.seed, "bass", bar)
    sound, clock = SOUNDS[part.sound], plan.form.clock
    changes = _changes(plan, bar)
    sustained = section.energy < 0.42
    line = _held(plan, bar) if sustained else _line(plan, part, "bass", section, bar)
    before = _bass_root(plan.chord_at(max(bar - 1, 0), clock.steps - 1).root, sound.lowest)
    loud = 0.8 + 0.2 * section.energy_at(bar)
    for step, letter, length in _strikes(line):
        if letter in "ftso" and any(change <= step for change in changes):
            letter = "r"  # a new chord is heard by its root first
        changes = [change for change in changes if change > step]
        chord, following = plan.chord_at(bar, step), plan.chord_at(bar + 1, 0)
        root = _bass_root(chord.root, sound.lowest)
        velocity = (0.9 if step % 4 == 0 else 0.78) * loud
        at, hold_s = clock.at(bar, step), length * clock.step_s * 0.94
        if letter == "a":
            pitch = root + (following.root - root + 6) % 12 - 6 + (1 if rng.random() < 0.4 else -1)
        elif letter == "n":
            pitch = _bass_root(following.root, sound.lowest)
        elif letter == "g":
            target = root if root != before else root + 12
            for turn in range(3):  # the way there, by ear one sound
                pitch = round(before + (target - before) * turn / 3)
                place = clock.at(bar, step + turn / 2)
                yield Tone(
                    "bass",
                    part.sound,
                    _within(pitch, sound.lowest, 108),
                    place,
                    clock.step_s * 0.5,
                    velocity,
                    0.0,
                    part.gain,
                )
            pitch, at = target, clock.at(bar, step + 1.5)
            hold_s = max(length - 1.5, 0.5) * clock.step_s * 0.94
        else:
            pitch = root + chord.nth(letter)
        before = pitch
        yield Tone(
            "bass", part.sound, _within(pitch, sound.lowest, 108), at, hold_s, velocity, 0.0, part.gain
        )


def _bass_root(root: int, lowest: int) -> int:
    """The pitch of a root from E1 to D2: low, and still heard."""
    pitch = 31 + (root - 31) % 12
    return pitch - 12 if pitch > 38 and pitch - 12 >= lowest else pitch


def _changes(plan: Plan, bar: int) -> list[int]:
    """Steps of a bar at which the chord's root is a new one."""
    chords, steps = plan.chords[bar], plan.form.clock.steps
    before = plan.chords[bar - 1][-1].root if bar else -1
    out = []
    for index, chord in enumerate(chords):
        if chord.root != before:
            out.append(-(-index * steps // len(chords)))
        before = chord.root
    return out


def _held(plan: Plan, bar: int) -> str:
    """One long stroke for each chord of a bar."""
    steps, count = plan.form.clock.steps, len(plan.chords[bar])
    starts = {-(-index * steps // count) for index in range(count)}
    return "".join("r" if step in starts else "-" for step in range(steps))


def harmony(plan: Plan, section: Section, bar: int) -> Iterator[Tone]:
    """Chords, arpeggio and pad: the same voicing, each in its own pattern."""
    band = plan.band
    if _plays(band.chords, section, 0.30):
        yield from _comp(plan, section, bar, band.chords, "chords")
    if band.arp is not None and _plays(band.arp, section, 0.5, 0.12 * plan.reading.density):
        yield from _comp(plan, section, bar, band.arp, "arp")
    if band.pad is not None and _plays(band.pad, section, 0.25):
        pad = list(_comp(plan, section, bar, band.pad, "pad"))
        yield from pad
        if section == plan.form.climax and pad:
            top = max(pad, key=lambda tone: tone.pitch)
            yield replace(top, pitch=_within(top.pitch + 12, 0, SOUNDS[top.sound].highest))
    for bus, part in band.others:
        yield from _comp(plan, section, bar, part, bus)


def _comp(plan: Plan, section: Section, bar: int, part: Part, bus: str) -> Iterator[Tone]:
    rng = stream(plan.seed, bus, bar)
    clock, sound = plan.form.clock, SOUNDS[part.sound]
    line = _line(plan, part, bus, section, bar)
    if bus == "pad" and set(line[1:]) == {"-"}:
        line = _held(plan, bar).replace("r", "x")
    loud = 0.7 + 0.3 * section.energy_at(bar)
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
        root = _bass_root(chord.root, SOUNDS[band.bass.sound].lowest)
        tones.append(Tone("bass", band.bass.sound, root, at, rest_s * 0.7, 0.85, 0, band.bass.gain))
    tones += [
        Tone("lead", part.sound, home_pitch(plan, part), at, rest_s * 0.7, 0.7, 0.08, part.gain - 2)
        for part in band.leads
    ]
    strokes: list[Stroke] = []
    genre = plan.reading.genre
    if band.drums and genre.drums:
        pieces = {"orchestra": ("timpani",), "soft": (), "brush": ("ride", "kick"), "dusty": ("kick", "ride")}
        strokes = [Stroke(piece, 0, at, 0.75) for piece in pieces.get(genre.kit, ("kick", "crash"))]
    return tones, strokes


def home_pitch(plan: Plan, part: Part) -> int:
    """The tonic where an instrument is at home."""
    sound = SOUNDS[part.sound]
    middle = min(max(70, sound.lowest + 8), sound.highest - 9)
    return middle + (plan.reading.key.tonic - middle + 6) % 12 - 6


def _plays(part: Part, section: Section, usual: float, more: float = 0.0) -> bool:
    return (
        usual if part.from_ is None else part.from_
    ) <= section.energy + more and section.energy <= part.until


def _line(plan: Plan, part: Part, bus: str, section: Section, bar: int) -> str:
    """A section keeps to one line of its part, and allows itself another every fourth bar."""
    first = int(stream(plan.seed, bus, "line", section.kind).integers(len(part.line)))
    turn = (bar - section.first_bar) % 4 == 3
    line = part.line[(first + turn) % len(part.line)] if bus == "bass" else part.line[first]
    return plan.form.clock.meter.fitted(line)


def _strikes(line: str) -> Iterator[tuple[int, str, int]]:
    """(step, letter, steps held) of each stroke of a pattern."""
    for step, letter in enumerate(line):
        if letter in ".-":
            continue
        length = 1
        while step + length < len(line) and line[step + length] == "-":
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
