"""The melody: sung line by line where there are words, played by the lead instruments where there are none.

Knows sections, motifs and phrases; pitches come from melody.py, sound from elsewhere.
"""

from collections.abc import Iterator

from services.music.sketch.form import Section, SungLine
from services.music.sketch.genres import STEPS
from services.music.sketch.harmony import Chord
from services.music.sketch.instruments import SOUNDS
from services.music.sketch.melody import bars_in, motif_rhythm, pitches, syllable_rhythm
from services.music.sketch.plan import Plan
from services.music.sketch.randomness import resumed, stream
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


def lead(plan: Plan, section: Section, bar: int) -> Iterator[Tone]:
    """Notes of the lead instrument in one bar: phrases of two bars, every second one closed."""
    if section.lines or not plan.band.leads:
        return
    fullness = (_FULLNESS | _FEATURED if plan.band.featured else _FULLNESS).get(section.kind, 0.0)
    inside = bar - section.first_bar
    phrase, within = divmod(inside, 2)
    if not fullness or (section.kind == "outro" and phrase > 0):
        return
    part = plan.band.leads[(section.first_bar // 4) % len(plan.band.leads)]
    sound, clock = SOUNDS[part.sound], plan.form.clock
    # Sections of one kind share their motif: the chorus is known again. Its form is A A B A'.
    letter = "b" if phrase % 4 == 2 else "a"
    kind = "chorus" if section.kind in ("hook", "outro", "intro") else section.kind
    motif = stream(plan.seed, "motif", kind, letter)
    rhythm = motif_rhythm(plan.reading.genre.pulse * fullness, motif)
    motif = resumed(motif, plan.seed, "melody", kind, letter)
    start_bar = section.first_bar + phrase * 2
    centre = _centre(sound.lowest, sound.highest, 72 if section.energy > 0.8 else 69)

    def chord(step: float) -> Chord:
        at = min(start_bar + int(step // STEPS), clock.bars)
        return plan.chord_at(at, step % STEPS)

    notes = pitches(rhythm, chord, plan.reading.key, centre, 7, motif, close=phrase % 2 == 1)
    starts = {start + within * STEPS for start, _ in bars_in(rhythm, within, 1)}
    loud = 0.72 + 0.28 * section.energy
    for note in notes:
        if note.step in starts:
            at = clock.at(bar, note.step - within * STEPS)
            hold_s = note.steps * clock.step_s * 0.93
            yield Tone("lead", part.sound, note.pitch, at, hold_s, note.accent * loud, 0.08, part.gain)


def voice(plan: Plan, section: Section, bar: int) -> Iterator[Phrase]:
    """The sung lines that begin to sound in one bar."""
    clock = plan.form.clock
    # A line is heard from its first consonant on, which may be in the bar before.
    begin, end = clock.at(bar) if bar else -LEAD, clock.at(bar + 1)
    for home in (section, *_following(plan, section)):
        for line in home.lines:
            first = home.first_bar * STEPS + line.first_step
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
    motif = stream(plan.seed, "tune", section.kind, turn)
    rhythm = syllable_rhythm(line, motif)
    motif = resumed(motif, plan.seed, "melody", section.kind, turn)
    clock = plan.form.clock
    lift = {"chorus": 3, "hook": 3, "pre-chorus": 2, "bridge": 2}.get(section.kind, 0)
    centre = register(float(stream(plan.seed, "singer").random())) + lift

    def chord(step: float) -> Chord:
        bar, within = divmod(first_step + step, STEPS)
        return plan.chord_at(min(int(bar), clock.bars), within)

    notes = pitches(rhythm, chord, plan.reading.key, centre, 6, motif, close=order % 2 == 1)
    origin = clock.at(0, first_step)

    def seconds(step: float) -> float:
        return (clock.at(0, first_step + step) - origin) / RATE

    return tuple(
        SungNote(
            seconds(note.step), seconds(note.step + note.steps * 0.96), note.pitch, syllable, note.accent
        )
        for note, syllable in zip(notes, line.syllables, strict=True)
    )


def _centre(lowest: int, highest: int, wished: int) -> int:
    """Around the wished pitch, or an octave away where the instrument is at home."""
    return min(max(wished, lowest + 8), highest - 9)
