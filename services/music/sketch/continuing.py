"""More of a song: a take before its first or behind its last, in its key and tempo and on its beat.

Knows bars and takes; plays nothing.
"""

from dataclasses import replace

from services.music.engine import RenderRequest
from services.music.sketch.form import Clock, Form, sections_of
from services.music.sketch.prompt import Reading
from services.music.sketch.takes import Song, Take
from services.music.sketch.tones import RATE
from services.music.sketch.words import sung_sections, with_lines

# The same motifs and chords, other melodies of them.
_VARIANCE = 0.6
_LEAST_END_S = 1.5
_LEAST_CHORD_S = 0.25
# What begins or ends a song does neither where it goes on.
_WITHIN = {"intro": "inst", "outro": "inst"}


def continued_right(request: RenderRequest, source: Song, samples: int, reading: Reading | None) -> Take:
    """Behind the last take: from its next bar line on, to an ending of its own.

    Sung are the request's sections beyond those that the song has places for.
    """
    last = source.takes[-1]
    clock, bar = last.form.clock, last.form.clock.bars
    while clock.at(bar) < last.samples:
        bar += 1
    origin = clock.at(bar) - last.samples
    least_end = min(round(_LEAST_END_S * RATE), samples // 5)
    bars = max(int((samples - origin - least_end) / _bar_samples(clock)), 0)
    if samples < _LEAST_CHORD_S * RATE:
        origin = samples  # silence
    elif samples - origin < least_end:
        origin = 0  # a last chord at once
    more = with_lines(request.lyrics)[sung_sections(source) :]
    clock = replace(clock, bars=bars, total=samples, origin=origin)
    read = _going_on(reading or last.reading)
    sections = sections_of(read, [section for _, section in more], clock) if bars else ()
    numbered = [
        replace(section, lines=tuple(replace(line, section=more[line.section][0]) for line in section.lines))
        for section in sections
    ]
    if numbered and numbered[0].kind == "intro":
        numbered[0] = replace(numbered[0], kind=_WITHIN["intro"])
    return _take(request, last, Form(clock, tuple(numbered)), reading)


def continued_left(request: RenderRequest, first: Take, samples: int, reading: Reading | None) -> Take:
    """Before the first take: whole bars that end where its own begin, behind a pickup. Nobody sings yet."""
    lead = samples + first.form.clock.origin  # to the first bar line that is there
    clock = first.form.clock
    bars = int(lead / _bar_samples(clock))
    clock = replace(clock, bars=bars, total=samples, origin=0)
    clock = replace(clock, origin=lead - clock.at(bars))
    sections = list(sections_of(_going_on(reading or first.reading), (), clock) if bars else ())
    if len(sections) > 1 and sections[-1].kind == "outro":
        sections[-1] = replace(sections[-1], kind=_WITHIN["outro"])
    return _take(request, first, Form(clock, tuple(sections)), reading)


def _going_on(reading: Reading) -> Reading:
    """A prompt's sections and beginning were for the whole song."""
    return replace(reading, structure=(), opening=None)


def _take(request: RenderRequest, neighbour: Take, form: Form, reading: Reading | None) -> Take:
    if reading:
        level = None if form.clock.bars else neighbour.level
        return Take(neighbour.seed, reading, form, level).changed(request.seed, _VARIANCE)
    take = Take(neighbour.seed, neighbour.reading, form, neighbour.level)
    whole = [
        replace(change, first_bar=take.every_bar[0], stop_bar=take.every_bar[1])
        for change in neighbour.throughout
    ]
    return replace(take, changes=tuple(whole)).changed(request.seed, _VARIANCE)


def _bar_samples(clock: Clock) -> float:
    return clock.steps * clock.step_s * RATE
