"""The song's shape: how many bars at what tempo, which sections, and which line of the lyrics is sung where.

Knows time and structure; no harmony and no notes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.music.engine import LyricSection
from services.music.sketch.meter import FOUR_FOUR, Meter
from services.music.sketch.prompt import Reading
from services.music.sketch.syllables import Syllable, syllables
from services.music.sketch.templates import WEIGHTS, instrumental, scaled
from services.music.sketch.tones import RATE

QUARTER = 4  # steps; tempo counts quarter notes in every meter

ENERGY = {
    "intro": 0.45, "verse": 0.60, "pre-chorus": 0.68, "chorus": 0.90, "hook": 0.90, "bridge": 0.50,
    "solo": 0.85, "inst": 0.75, "break": 0.40, "outro": 0.55,
}  # fmt: skip
_GROWTH = {"intro": 0.10, "pre-chorus": 0.16, "outro": -0.2, "bridge": 0.10}
_KINDS = {"start": "intro", "end": "outro"}
# Bars of a section that has no words.
_WORDLESS = {"intro": 4, "solo": 8, "inst": 4, "break": 2, "outro": 4}
# Above this, words cannot be followed; below the second, a line drags.
_FASTEST_SYLLABLES_S, _EASY_SYLLABLES_S, _RAPPED_SYLLABLES_S = 8.0, 4.6, 7.0
# A first verse stays below those that follow, and the last chorus is the biggest.
_LOUDEST, _LAST_LIFT, _RETURN_LIFT = 0.92, 0.08, 0.04


@dataclass(frozen=True)
class SungLine:
    section: int  # index into the request's lyric sections
    line: int
    first_step: int  # counted from the start of the section
    steps: int
    syllables: tuple[Syllable, ...]


@dataclass(frozen=True)
class Section:
    kind: str
    first_bar: int
    bars: int
    energy: float
    lines: tuple[SungLine, ...] = ()

    def energy_at(self, bar: int) -> float:
        """Intros and pre-choruses grow, outros calm down, bar by bar."""
        grown = (bar - self.first_bar + 1) / self.bars
        return float(np.clip(self.energy + _GROWTH.get(self.kind, 0.0) * grown, 0.05, 1.0))


@dataclass(frozen=True)
class Clock:
    """Bars and steps in samples. After the last bar comes the ending, where the last chord rings out."""

    tempo_bpm: float
    bars: int
    total: int  # samples of the song
    swing: float
    swing_eighths: bool
    origin: int = 0  # sample of the first bar: what goes on from another song finds its beat first
    meter: Meter = FOUR_FOUR

    @property
    def steps(self) -> int:
        """Sixteenths in a bar."""
        return self.meter.steps

    @property
    def step_s(self) -> float:
        return 60 / self.tempo_bpm / QUARTER

    @property
    def bar_s(self) -> float:
        return self.steps * self.step_s

    def at(self, bar: int, step: float = 0.0) -> int:
        """Sample at which a step sounds, swing included. Rounded from the start: nothing drifts."""
        further, step = divmod(step, self.steps)
        period = 4.0 if self.swing_eighths else 2.0
        whole, within = divmod(step, period)
        middle = period / 2 * (1 + self.swing)
        if within < period / 2:
            within *= middle / (period / 2)
        else:
            within = middle + (within - period / 2) * (period - middle) / (period / 2)
        at = (bar + further) * self.steps + whole * period + within
        return self.origin + round(at * self.step_s * RATE)


@dataclass(frozen=True)
class Form:
    clock: Clock
    sections: tuple[Section, ...]

    def section_of(self, bar: int) -> Section:
        return next(s for s in self.sections if s.first_bar <= bar < s.first_bar + s.bars)

    @property
    def climax(self) -> Section | None:
        """The last chorus, where there was one before."""
        choruses = [s for s in self.sections if s.kind in ("chorus", "hook")]
        return choruses[-1] if len(choruses) > 1 else None


def shape(reading: Reading, lyrics: Sequence[LyricSection], total: int) -> Form:
    """The form of a song of `total` samples. Lines that do not fit are left out, from the end."""
    clock = _clock(reading, total)
    return Form(clock, sections_of(reading, lyrics, clock))


def sections_of(reading: Reading, lyrics: Sequence[LyricSection], clock: Clock) -> tuple[Section, ...]:
    """The sections that fill the bars of a clock."""
    if "voice" in reading.silent:
        lyrics = [LyricSection(section.tag) for section in lyrics]
    if any(section.lines for section in lyrics):
        parts = _sung(lyrics, clock, reading)
    else:
        parts = [(kind, length, ()) for kind, length in _unsung(reading, lyrics, clock.bars)]
    return _placed(parts, reading)


def _unsung(reading: Reading, lyrics: Sequence[LyricSection], bars: int) -> list[tuple[str, int]]:
    if lyrics:
        return scaled([(_KINDS.get(s.tag, s.tag), _WORDLESS.get(s.tag, 8) // 2) for s in lyrics], bars)
    if reading.structure and bars >= 2:
        return scaled([(kind, WEIGHTS[kind]) for kind in reading.structure], bars)
    genre = reading.genre
    return instrumental(bars, genre.forms, genre.phrase, opens=reading.opening is not None)


def _clock(reading: Reading, total: int) -> Clock:
    duration_s, tempo, meter = total / RATE, reading.tempo_bpm, reading.meter
    quarters = meter.steps / QUARTER
    least_end_s = min(1.5, duration_s * 0.18)
    while 60 / tempo * quarters > duration_s - least_end_s:
        tempo *= 2  # a song shorter than its bar counts twice as fast
    if not reading.tempo_asked:
        tempo = _fitting(tempo, duration_s, quarters, reading.genre.phrase)
    bars = int((duration_s - least_end_s) / (60 / tempo * quarters) + 1e-6)
    genre = reading.genre
    return Clock(
        tempo,
        bars,
        total,
        0.0 if meter.compound or meter.steps % 4 else genre.swing,
        genre.swing_eighths,
        meter=meter,
    )


def _fitting(tempo: float, duration_s: float, quarters: float, phrase: int) -> float:
    """A tempo within 4 % at which whole phrases fill the song and leave most of a bar for the last chord.

    For the long phrases of a blues it may be 12 % off.
    """
    usual_end_s = min(max(60 / tempo * quarters * 0.8, 1.6), duration_s * 0.35)
    endings = [(unit, scale) for unit in (4, 2, 1) for scale in (1.0, 0.75, 1.3)]
    for unit, scale in ((phrase, 1.0), *endings, (1, 0.6), (1, 1.6)):
        played_s = duration_s - usual_end_s * scale
        bars = max(round(played_s * tempo / 60 / quarters / unit), 1) * unit
        fitted = bars * 60 * quarters / played_s
        if abs(fitted / tempo - 1) < (0.12 if unit > 4 else 0.04):
            return fitted
    return tempo


_Part = tuple[str, int, tuple[SungLine, ...]]


def _sung(lyrics: Sequence[LyricSection], clock: Clock, reading: Reading) -> list[_Part]:
    bars, bar, bar_s = clock.bars, clock.steps, clock.bar_s
    texts = [[syllables(line) for line in section.lines] for section in lyrics]
    usual = float(np.median([len(words) for lines in texts for words in lines if words] or [8]))
    paces = [2 * bar, bar, *(bar // part for part in (2, 4) if bar % part == 0)]
    choices = [k for k in paces if k / bar * bar_s <= max(8.0, bar_s)]
    fastest = _RAPPED_SYLLABLES_S if reading.genre.rap else _EASY_SYLLABLES_S
    easy = [k for k in choices if usual / (k / bar * bar_s * 0.8) <= fastest]
    first = choices.index(easy[-1]) if easy else 0
    for wordless in (1.0, 0.5, 0.0):
        for steps in choices[first:] if wordless == 0 else choices[first : first + 1]:
            parts = _laid_out(lyrics, texts, steps, wordless, clock)
            if sum(length for _, length, _ in parts) <= bars:
                return _filled(parts, bars)
    return _filled(_cut(parts, bars, bar), bars)


def _laid_out(
    lyrics: Sequence[LyricSection],
    texts: Sequence[Sequence[tuple[Syllable, ...]]],
    steps: int,
    wordless: float,
    clock: Clock,
) -> list[_Part]:
    parts: list[_Part] = []
    for index, (section, lines) in enumerate(zip(lyrics, texts, strict=True)):
        kind, at, sung = _KINDS.get(section.tag, section.tag), 0, []
        for number, words in enumerate(lines):
            slot = steps
            while len(words) / (slot * clock.step_s) > _FASTEST_SYLLABLES_S:
                slot *= 2
            sung.append(SungLine(index, number, at, slot, words))
            at += slot
        length = -(-at // clock.steps) if lines else int(_WORDLESS.get(kind, 4) * wordless)
        if length:
            parts.append((kind, length, tuple(sung)))
    return parts


def _cut(parts: Sequence[_Part], bars: int, steps: int) -> list[_Part]:
    """As many lines from the start as fit."""
    kept: list[_Part] = []
    left = bars
    for kind, length, lines in parts:
        sung = tuple(line for line in lines if line.first_step + line.steps <= left * steps)
        if left > 0 and (sung or not kept):
            kept.append((kind, min(length, left), sung))
        left -= length
    return kept


def _filled(parts: list[_Part], bars: int) -> list[_Part]:
    """Bars that the words leave: an intro, an outro, and instrumental sections between."""
    left = bars - sum(length for _, length, _ in parts)
    if left and parts[0][0] != "intro":
        length = 4 if left >= 8 else 2 if left >= 3 else 1
        parts = [("intro", length, ()), *parts]
        left -= length
    if left and parts[-1][0] != "outro":
        length = min(left, 4)
        parts = [*parts, ("outro", length, ())]
        left -= length
    places = [i for i, (kind, _, lines) in enumerate(parts) if lines and i < len(parts) - 1] or [0]
    extra = dict.fromkeys(places, 0)
    for turn in range(left):
        # whole phrases of four, latest section first: the end of a song is where solos are
        extra[places[-1 - (turn // 4) % len(places)]] += 1
    out: list[_Part] = []
    for index, part in enumerate(parts):
        out.append(part)
        length = extra.get(index, 0)
        while length:
            chunk = min(length, 16)
            out.append(("solo" if chunk >= 4 and part[0] == "chorus" else "inst", chunk, ()))
            length -= chunk
    return out


def _placed(parts: Sequence[_Part], reading: Reading) -> tuple[Section, ...]:
    kinds = [kind for kind, _, _ in parts]
    choruses = [i for i, kind in enumerate(kinds) if kind in ("chorus", "hook")]
    sections, bar = [], 0
    for index, (kind, length, lines) in enumerate(parts):
        energy = min(ENERGY.get(kind, 0.6) + reading.energy, _LOUDEST)
        if choruses and index == choruses[-1]:
            energy += _LAST_LIFT
        elif kind not in ("intro", "outro", "break") and kind in kinds[:index]:
            energy = min(energy + _RETURN_LIFT, _LOUDEST)
        sections.append(Section(kind, bar, length, float(np.clip(energy, 0.1, 1.0)), lines))
        bar += length
    return tuple(sections)
