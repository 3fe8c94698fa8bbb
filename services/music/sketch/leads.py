"""The melody: sung line by line where there are words, played by the lead instruments where there are none.

Knows sections, motifs and phrases; pitches come from melody.py, sound from elsewhere.
"""

from collections.abc import Iterator
from dataclasses import replace

from services.music.sketch.form import Section, SungLine
from services.music.sketch.genres import Part
from services.music.sketch.harmony import Chord
from services.music.sketch.instruments import SOUNDS
from services.music.sketch.melody import (
    Contour,
    Register,
    bars_in,
    developed,
    in_sequence,
    motif_rhythm,
    pitches,
    theme,
)
from services.music.sketch.plan import Plan
from services.music.sketch.prosody import syllable_rhythm
from services.music.sketch.randomness import stream
from services.music.sketch.score import Phrase, Tone
from services.music.sketch.tones import RATE
from services.music.sketch.voice import LEAD, SungNote, register

# How full an instrumental melody is in a section; sections not named have none.
_FULLNESS = {
    "verse": 0.75,
    "pre-chorus": 0.7,
    "chorus": 1.0,
    "hook": 1.0,
    "solo": 1.35,
    "inst": 1.0,
    "outro": 0.5,
}
_FEATURED = {"intro": 0.5, "bridge": 0.7, "break": 0.5}
# Sections that play the song's own motif; the others develop it, each in its way.
_OF_CHORUS = frozenset({"hook", "outro", "intro", "solo", "inst"})
# Singers climb where the song does; a voice has an octave and a half in all.
_LIFT = {"chorus": 3, "hook": 3, "pre-chorus": 2, "bridge": 2}
_BELOW, _ABOVE = 7, 11
_ASIDE_DB = -4.0  # of an instrument beside the melody
_OCTAVE_DB = -5.0


def lead(plan: Plan, section: Section, bar: int) -> Iterator[Tone]:
    """The lead instruments in one bar: one has the melody, unless it is sung; those asked for play along."""
    leads = plan.band.leads
    if not leads:
        return
    turn = (section.first_bar // 4) % len(leads)
    melodic = not section.lines
    if melodic:
        for tone in _melody(plan, section, bar, leads[turn]):
            yield tone
            if section == plan.form.climax:  # in octaves, the last time
                up = tone.pitch + 12 <= SOUNDS[tone.sound].highest
                octave = tone.pitch + (12 if up else -12)
                yield replace(tone, pitch=octave, pan=-0.25, gain_db=tone.gain_db + _OCTAVE_DB)
    if plan.band.featured:
        for index, part in enumerate(leads):
            if index != turn or not melodic:
                yield from _beside(plan, section, bar, part, index)


def _melody(plan: Plan, section: Section, bar: int, part: Part) -> Iterator[Tone]:
    """Phrases of two bars, every second one closed: statement, answer, sequence, answer."""
    fullness = (_FULLNESS | _FEATURED if plan.band.featured else _FULLNESS).get(section.kind, 0.0)
    phrase, within = divmod(bar - section.first_bar, 2)
    if not fullness or (section.kind == "outro" and phrase > 0 and not plan.band.featured):
        return
    sound, clock, genre = SOUNDS[part.sound], plan.form.clock, plan.reading.genre
    # Sections of one kind share their motif: the chorus is known again. Its form is A A B A'.
    letter = "b" if phrase % 4 == 2 else "a"
    kind = "chorus" if section.kind in _OF_CHORUS else section.kind
    motif = stream(plan.seed, "motif", kind, letter)
    pulse = genre.pulse * fullness * (1 + 0.4 * plan.reading.density) * clock.steps / 16
    rhythm = motif_rhythm(pulse, motif, clock.meter)
    contour = _contour(plan, "motif", kind)
    if letter == "b":
        contour = in_sequence(contour, 1.5)
    start_bar = section.first_bar + phrase * 2
    centre = _centre(sound.lowest, sound.highest, 72 if section.energy > 0.8 else 69)
    last = bar - within + 2 >= section.first_bar + section.bars
    close = (
        ("home" if section.kind in ("chorus", "hook") else "closed") if phrase % 2 == 1 or last else "open"
    )

    def chord(step: float) -> Chord:
        at = min(start_bar + int(step // clock.steps), clock.bars)
        return plan.chord_at(at, step % clock.steps)

    notes = pitches(
        rhythm,
        chord,
        plan.reading.key,
        Register(centre, centre - 9, centre + 10),
        contour,
        clock.meter.strong,
        stream(plan.seed, "melody", kind, letter),
        close,
    )
    starts = {start + within * clock.steps for start, _ in bars_in(rhythm, within, 1, clock.steps)}
    loud = 0.72 + 0.28 * section.energy_at(bar)
    for note in notes:
        if note.step in starts:
            at = clock.at(bar, note.step - within * clock.steps)
            hold_s = note.steps * clock.step_s * 0.93
            yield Tone("lead", part.sound, note.pitch, at, hold_s, note.accent * loud, 0.08, part.gain)


def _beside(plan: Plan, section: Section, bar: int, part: Part, index: int) -> Iterator[Tone]:
    """Long notes of the harmony, one for each half of the bar, moving as little as they can."""
    sound, clock = SOUNDS[part.sound], plan.form.clock
    middle = _centre(sound.lowest, sound.highest, 64 if section.lines else 67)
    at = 0
    loud = 0.6 + 0.3 * section.energy_at(bar)
    for span in clock.meter.spans:
        chord = plan.chord_at(bar, at)
        tone = chord.classes[(1 + index) % len(chord.classes)]
        pitch = middle + (tone - middle + 6) % 12 - 6
        hold_s = span * clock.step_s * 0.95
        pan = -0.35 if index % 2 else 0.35
        yield Tone("lead", part.sound, pitch, clock.at(bar, at), hold_s, loud, pan, part.gain + _ASIDE_DB)
        at += span


def _contour(plan: Plan, purpose: str, kind: str) -> Contour:
    song, own = stream(plan.seed, purpose, "theme"), stream(plan.seed, purpose, "own", kind)
    return developed(theme(song), kind, theme(own))


def voice(plan: Plan, section: Section, bar: int) -> Iterator[Phrase]:
    """The sung lines that begin to sound in one bar."""
    clock = plan.form.clock
    # A line is heard from its first consonant on, which may be in the bar before.
    begin, end = clock.at(bar) if bar else -LEAD, clock.at(bar + 1)
    for home in (section, *_following(plan, section)):
        for line in home.lines:
            first = home.first_bar * clock.steps + line.first_step
            at = clock.at(0, first)
            if line.syllables and begin <= at - LEAD < end:
                yield Phrase(at, _sung(plan, home, line, first), home.kind in ("chorus", "hook"))


def _following(plan: Plan, section: Section) -> tuple[Section, ...]:
    after = section.first_bar + section.bars
    return (plan.form.section_of(after),) if after < plan.form.clock.bars else ()


def _sung(plan: Plan, section: Section, line: SungLine, first_step: int) -> tuple[SungNote, ...]:
    # Every second line answers the one before: same rhythm where the syllables allow, closed end.
    order = [other.line for other in section.lines].index(line.line)
    turn = order % 2 if section.kind != "chorus" else order % 4
    clock, rap = plan.form.clock, plan.reading.genre.rap
    rhythm = syllable_rhythm(line, clock.meter, stream(plan.seed, "tune", section.kind, turn), rap)
    contour = _contour(plan, "tune", section.kind)
    if turn % 4 == 2:
        contour = in_sequence(contour, 1.0)
    last = line is section.lines[-1]
    close = (
        "home"
        if last and section.kind in ("chorus", "hook", "outro")
        else "closed"
        if order % 2 == 1
        else "open"
    )

    def chord(step: float) -> Chord:
        bar, within = divmod(first_step + step, clock.steps)
        return plan.chord_at(min(int(bar), clock.bars), within)

    notes = pitches(
        rhythm,
        chord,
        plan.reading.key,
        _register(plan, section, rap),
        contour,
        lambda step: clock.meter.strong(first_step + step),
        stream(plan.seed, "melody", section.kind, turn),
        close,
    )
    origin = clock.at(0, first_step)

    def seconds(step: float) -> float:
        return (clock.at(0, first_step + step) - origin) / RATE

    return tuple(
        SungNote(
            seconds(note.step), seconds(note.step + note.steps * 0.96), note.pitch, syllable, note.accent
        )
        for note, syllable in zip(notes, line.syllables, strict=True)
    )


def _register(plan: Plan, section: Section, rap: bool) -> Register:
    base = register(float(stream(plan.seed, "singer").random()))
    if rap:
        return Register(base - 2, base - 6, base + 3, few=True)
    return Register(base + _LIFT.get(section.kind, 0), base - _BELOW, base + _ABOVE)


def _centre(lowest: int, highest: int, wished: int) -> int:
    """Around the wished pitch, or an octave away where the instrument is at home."""
    return min(max(wished, lowest + 8), highest - 9)
