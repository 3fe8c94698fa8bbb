"""Writes a song bar by bar: asks every player for its notes. The bar after the last is the ending.

A bar's notes depend on the plan and the bar's number only, so any bar can be written at any time.
"""

from dataclasses import replace

from services.music.sketch import drumming, leads, parts
from services.music.sketch.instruments import SOUNDS
from services.music.sketch.plan import Plan
from services.music.sketch.score import Bar, Tone

# A fade takes the last bars of a song, and ends so far down.
_FADE_BARS, _FADE_PART, _FADED_DB = 8, 0.34, -30.0


def write_bar(plan: Plan, bar: int) -> Bar:
    written = _written(plan, bar)
    return _faded(plan, written, bar) if plan.reading.fade else written


def _written(plan: Plan, bar: int) -> Bar:
    if bar >= plan.form.clock.bars:
        tones, last_strokes = parts.ending(plan)
        return Bar(tuple(tones), tuple(last_strokes), (), ())
    section = plan.form.section_of(bar)
    strokes = tuple(drumming.drums(plan, section, bar))
    made = Bar(
        tones=(
            *parts.bass(plan, section, bar),
            *parts.harmony(plan, section, bar),
            *leads.lead(plan, section, bar),
        ),
        strokes=strokes,
        phrases=tuple(leads.voice(plan, section, bar)),
        kicks=tuple(stroke.at for stroke in strokes if stroke.piece == "kick"),
    )
    alone = plan.reading.opening
    if alone is not None and section.first_bar == 0 and section.kind == "intro":
        return _alone(plan, made, bar, *alone)
    return made


def _alone(plan: Plan, made: Bar, bar: int, role: str, sound: str) -> Bar:
    """Of an opening bar what one instrument plays; where it has nothing yet, the harmony."""
    if role in ("drums", "percussion"):
        return replace(made, tones=())
    tones = tuple(t for t in made.tones if (t.sound == sound if sound else t.bus == role))
    if not tones:
        clock, played = plan.form.clock, sound or plan.band.chords.sound
        pitches = plan.voicing_at(bar, 0)
        low, high = SOUNDS[played].lowest, SOUNDS[played].highest
        placed = [min(max(p, low + (p - low) % 12), high - (high - p) % 12) for p in pitches]
        tones = tuple(
            Tone("chords", played, pitch, clock.at(bar), clock.bar_s * 0.9, 0.7, 0.0, -4.0)
            for pitch in placed
        )
    return Bar(tones=tones, phrases=made.phrases)


def _fade_start(plan: Plan) -> int:
    bars = plan.form.clock.bars
    return bars - max(min(_FADE_BARS, round(bars * _FADE_PART)), 1)


def _faded(plan: Plan, made: Bar, bar: int) -> Bar:
    start = _fade_start(plan)
    gone = (bar - start + 1) / (plan.form.clock.bars - start + 1)
    if gone <= 0:
        return made
    down = 10 ** (_FADED_DB * gone / 20)
    return replace(
        made,
        tones=tuple(replace(tone, gain_db=tone.gain_db + _FADED_DB * gone) for tone in made.tones),
        strokes=tuple(replace(stroke, velocity=stroke.velocity * down) for stroke in made.strokes),
    )


def fullest_bars(plan: Plan) -> tuple[int, int]:
    """First and last bar to set the level by, in the fullest section; two where lines are sung."""
    loud = _fade_start(plan) if plan.reading.fade else plan.form.clock.bars
    sections = [s for s in plan.form.sections if s.first_bar + 1 < loud] or plan.form.sections[:1]
    section = max(sections, key=lambda s: (s.energy, len(s.lines), -s.first_bar))
    last = section.first_bar + min(1, section.bars - 1)
    return (section.first_bar, last) if section.lines else (last, last)


def reserve(plan: Plan) -> float:
    """By how much energy (0 to 1) the song's bars are on average below its fullest section."""
    sections = plan.form.sections
    bars = sum(section.bars for section in sections)
    if not bars:
        return 0.0
    mean = sum(section.energy * section.bars for section in sections) / bars
    return max(section.energy for section in sections) - mean
