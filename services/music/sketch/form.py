"""The song's shape: how many bars at what tempo, which sections, and which line of the lyrics is sung where.

Knows time and structure; no harmony and no notes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.music.engine import LyricSection
from services.music.sketch.genres import STEPS
from services.music.sketch.prompt import Reading
from services.music.sketch.syllables import Syllable, syllables
from services.music.sketch.tones import RATE

BEATS = 4

ENERGY = {
    "intro": 0.45, "verse": 0.60, "pre-chorus": 0.68, "chorus": 0.90, "hook": 0.90, "bridge": 0.50,
    "solo": 0.85, "inst": 0.75, "break": 0.40, "outro": 0.55,
}  # fmt: skip
_KINDS = {"start": "intro", "end": "outro"}
# Bars of a section that has no words.
_WORDLESS = {"intro": 4, "solo": 8, "inst": 4, "break": 2, "outro": 4}
# Above this, words cannot be followed; below the second, a line drags.
_FASTEST_SYLLABLES_S, _EASY_SYLLABLES_S = 8.0, 4.6

# Kinds and weights; the longest is taken that gets two bars for each of its weights.
_TEMPLATES = (
    "intro 2, verse 4, pre-chorus 1, chorus 4, verse 4, pre-chorus 1, chorus 4, bridge 2, solo 2, chorus 4,"
    " outro 2",
    "intro 1, verse 2, chorus 2, verse 2, chorus 2, bridge 1, chorus 2, outro 1",
    "intro 1, verse 2, chorus 2, bridge 1, chorus 2",
    "intro 1, verse 2, chorus 2",
    "verse 1, chorus 1",
    "chorus 1",
)


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


@dataclass(frozen=True)
class Clock:
    """Bars and steps in samples. After the last bar comes the ending, where the last chord rings out."""

    tempo_bpm: float
    bars: int
    total: int  # samples of the song
    swing: float
    swing_eighths: bool
    origin: int = 0  # sample of the first bar: what goes on from another song finds its beat first

    @property
    def step_s(self) -> float:
        return 60 / self.tempo_bpm / (STEPS / BEATS)

    def at(self, bar: int, step: float = 0.0) -> int:
        """Sample at which a step sounds, swing included. Rounded from the start: nothing drifts."""
        period = 4.0 if self.swing_eighths else 2.0
        whole, within = divmod(step, period)
        middle = period / 2 * (1 + self.swing)
        if within < period / 2:
            within *= middle / (period / 2)
        else:
            within = middle + (within - period / 2) * (period - middle) / (period / 2)
        return self.origin + round((bar * STEPS + whole * period + within) * self.step_s * RATE)


@dataclass(frozen=True)
class Form:
    clock: Clock
    sections: tuple[Section, ...]

    def section_of(self, bar: int) -> Section:
        return next(s for s in self.sections if s.first_bar <= bar < s.first_bar + s.bars)


def shape(reading: Reading, lyrics: Sequence[LyricSection], total: int) -> Form:
    """The form of a song of `total` samples. Lines that do not fit are left out, from the end."""
    clock = _clock(reading, total)
    return Form(clock, sections_of(reading, lyrics, clock))


def sections_of(reading: Reading, lyrics: Sequence[LyricSection], clock: Clock) -> tuple[Section, ...]:
    """The sections that fill the bars of a clock."""
    if any(section.lines for section in lyrics):
        parts = _sung(lyrics, clock.bars, clock.step_s * STEPS)
    elif lyrics:
        parts = _scaled(
            [(_KINDS.get(s.tag, s.tag), _WORDLESS.get(s.tag, 8) // 2, ()) for s in lyrics], clock.bars
        )
    else:
        parts = _instrumental(clock.bars)
    return _placed(parts, reading)


def _clock(reading: Reading, total: int) -> Clock:
    duration_s, tempo = total / RATE, reading.tempo_bpm
    least_end_s = min(1.5, duration_s * 0.18)
    while 60 / tempo * BEATS > duration_s - least_end_s:
        tempo *= 2  # a song shorter than its bar counts twice as fast
    if not reading.tempo_asked:
        tempo = _fitting(tempo, duration_s)
    bars = int((duration_s - least_end_s) / (60 / tempo * BEATS) + 1e-6)
    genre = reading.genre
    return Clock(tempo, bars, total, genre.swing, genre.swing_eighths)


def _fitting(tempo: float, duration_s: float) -> float:
    """A tempo within 4 % at which whole phrases fill the song and leave most of a bar for the last chord."""
    usual_end_s = min(max(60 / tempo * BEATS * 0.8, 1.6), duration_s * 0.35)
    endings = [(phrase, scale) for phrase in (4, 2, 1) for scale in (1.0, 0.75, 1.3)]
    for phrase, scale in (*endings, (1, 0.6), (1, 1.6)):
        played_s = duration_s - usual_end_s * scale
        bars = max(round(played_s * tempo / 60 / BEATS / phrase), 1) * phrase
        fitted = bars * 60 * BEATS / played_s
        if abs(fitted / tempo - 1) < 0.04:
            return fitted
    return tempo


_Part = tuple[str, int, tuple[SungLine, ...]]


def _instrumental(bars: int) -> list[_Part]:
    for template in _TEMPLATES:
        parts = [(kind, int(weight), ()) for kind, weight in (word.split() for word in template.split(", "))]
        if bars >= 2 * sum(weight for _, weight, _ in parts):
            return _scaled(parts, bars)
    return [("chorus", bars, ())]


def _scaled(parts: Sequence[_Part], bars: int) -> list[_Part]:
    """Parts by weight, in whole phrases where there is room for them, filling `bars` exactly."""
    parts = parts[: max(bars, 1)]
    unit = next((u for u in (4, 2) if bars // u >= 2 * len(parts)), 1)
    units, weights = bars // unit, [max(weight, 1) for _, weight, _ in parts]
    exact = [weight * units / sum(weights) for weight in weights]
    shares = [max(1, int(share)) for share in exact]
    while sum(shares) != units:  # to the neediest, from the richest, and never below one
        step = 1 if sum(shares) < units else -1
        need = [step * (e - s) if s + step >= 1 else -np.inf for e, s in zip(exact, shares, strict=True)]
        shares[int(np.argmax(need))] += step
    out = [(kind, share * unit, lines) for (kind, _, lines), share in zip(parts, shares, strict=True)]
    kind, length, lines = out[-1]
    return [*out[:-1], (kind, length + bars - units * unit, lines)]


def _sung(lyrics: Sequence[LyricSection], bars: int, bar_s: float) -> list[_Part]:
    texts = [[syllables(line) for line in section.lines] for section in lyrics]
    usual = float(np.median([len(words) for lines in texts for words in lines if words] or [8]))
    choices = [k for k in (32, 16, 8, 4) if k / STEPS * bar_s <= max(8.0, bar_s)]
    easy = [k for k in choices if usual / (k / STEPS * bar_s * 0.8) <= _EASY_SYLLABLES_S]
    first = choices.index(easy[-1]) if easy else 0
    for wordless in (1.0, 0.5, 0.0):
        for steps in choices[first:] if wordless == 0 else choices[first : first + 1]:
            parts = _laid_out(lyrics, texts, steps, wordless, bar_s)
            if sum(length for _, length, _ in parts) <= bars:
                return _filled(parts, bars)
    return _filled(_cut(parts, bars), bars)


def _laid_out(
    lyrics: Sequence[LyricSection],
    texts: Sequence[Sequence[tuple[Syllable, ...]]],
    steps: int,
    wordless: float,
    bar_s: float,
) -> list[_Part]:
    parts: list[_Part] = []
    for index, (section, lines) in enumerate(zip(lyrics, texts, strict=True)):
        kind, at, sung = _KINDS.get(section.tag, section.tag), 0, []
        for number, words in enumerate(lines):
            slot = steps
            while len(words) / (slot / STEPS * bar_s) > _FASTEST_SYLLABLES_S:
                slot *= 2
            sung.append(SungLine(index, number, at, slot, words))
            at += slot
        length = -(-at // STEPS) if lines else int(_WORDLESS.get(kind, 4) * wordless)
        if length:
            parts.append((kind, length, tuple(sung)))
    return parts


def _cut(parts: Sequence[_Part], bars: int) -> list[_Part]:
    """As many lines from the start as fit."""
    kept: list[_Part] = []
    left = bars
    for kind, length, lines in parts:
        sung = tuple(line for line in lines if line.first_step + line.steps <= left * STEPS)
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
    choruses = [i for i, (kind, _, _) in enumerate(parts) if kind in ("chorus", "hook")]
    sections, bar = [], 0
    for index, (kind, length, lines) in enumerate(parts):
        energy = ENERGY.get(kind, 0.6) + reading.energy
        if len(choruses) > 1 and index == choruses[-1]:
            energy += 0.08  # the last time is the biggest
        sections.append(Section(kind, bar, length, float(np.clip(energy, 0.1, 1.0)), lines))
        bar += length
    return tuple(sections)
