"""Writes one stanza rhyme-first: sounds and end words before the lines that lead to them, by a small beam.

Knows schemes and what the song has already said. Knows nothing of sections or of time.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from services.lyrics.builtin.bank import Hook, RhymeKey
from services.lyrics.builtin.lines import Written, fill, hook_line
from services.lyrics.builtin.palette import Palette, Urn

_BEAM, _SAMPLES = 4, 16
_ATTEMPTS = 12
_SAME_SOUND = 0.15  # how much less likely a sound is for every time that the song has had it


@dataclass
class Memory:
    """What the song has said so far, so that it is not said again."""

    frames: set[str] = field(default_factory=set)
    endings: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    leads: set[str] = field(default_factory=set)
    rhymes: Counter[RhymeKey] = field(default_factory=Counter)
    stems: Counter[str] = field(default_factory=Counter)

    def keep(self, lines: tuple[Written, ...], rhymes: Mapping[str, RhymeKey]) -> None:
        for line in lines:
            self.frames.add(line.frame)
            self.endings.add(line.ending)
            self.words.add(line.word)
            self.leads.add(line.lead)
            self.stems.update(line.stems)
        self.rhymes.update(rhymes.values())


@dataclass(frozen=True)
class Order:
    """What stanza to write: its role's letter, its scheme, and what is special about a line.

    `first` is the hook of a chorus; `calls` has the first line call the theme by its name;
    `theme_at` is the line that holds the theme, or -1.
    """

    role: str
    scheme: str
    first: Hook | None = None
    calls: bool = False
    theme_at: int = -1

    def role_of(self, line: int) -> str:
        if line == 0 and self.calls:
            return "h"
        return "t" if line == self.theme_at else self.role


def write(order: Order, palette: Palette, memory: Memory, rng: random.Random) -> tuple[Written, ...]:
    """The stanza's lines. Remembers them in `memory`.

    Raises RuntimeError when the bank has no such stanza; its tests see to it that it has.
    """
    for attempt in range(_ATTEMPTS):
        rhymes = _rhymes(order, palette, memory, rng)
        # Sounds are drawn anew each time; meter gives way only after that, novelty last.
        slack = 1 + (attempt >= 4) + 2 * (attempt >= 7) + 6 * (attempt >= 10)
        lines = _Search(order, rhymes, palette, memory, rng, slack, fresh=attempt < 9).best()
        if lines:
            memory.keep(lines, rhymes)
            return lines
    raise RuntimeError(f"no {order.scheme} stanza for role {order.role}")


def _rhymes(order: Order, palette: Palette, memory: Memory, rng: random.Random) -> dict[str, RhymeKey]:
    """A sound for every letter of the scheme; no two share a vowel, so that letters stay apart."""
    chosen: dict[str, RhymeKey] = {}
    if order.first is not None:
        chosen[order.scheme[0]] = hook_line(order.first, palette).key
    for letter, count in Counter(order.scheme).items():
        if letter in chosen:
            continue
        roles = {order.role_of(i) for i, other in enumerate(order.scheme) if other == letter}
        options = [palette.rhymes(role, count) for role in sorted(roles)]
        vowels = {key[0] for key in chosen.values()}
        weights = {
            key: min(option[key] for option in options) * _SAME_SOUND ** memory.rhymes[key]
            for key in options[0]
            if all(key in option for option in options) and key[0] not in vowels
        }
        chosen[letter] = rng.choices(list(weights), list(weights.values()))[0]
    return chosen


@dataclass(frozen=True)
class _Draft:
    lines: tuple[Written, ...] = ()
    score: float = 0.0


@dataclass(frozen=True)
class _Search:
    """One search for a stanza. `slack`: syllables off the song's meter; `fresh`: nothing is said again."""

    order: Order
    rhymes: Mapping[str, RhymeKey]
    palette: Palette
    memory: Memory
    rng: random.Random
    slack: int
    fresh: bool

    def best(self) -> tuple[Written, ...]:
        """The best stanza that the beam finds, or none."""
        drafts = [_Draft()]
        for index in range(len(self.order.scheme)):
            longer = [
                _Draft((*draft.lines, line), draft.score + self._score(line, index, draft.lines))
                for draft in drafts
                for line in self._candidates(index, draft.lines)
                if self._in_meter(line)
            ]
            drafts = sorted(longer, key=lambda draft: draft.score, reverse=True)[:_BEAM]
        return drafts[0].lines if drafts else ()

    def _candidates(self, index: int, before: tuple[Written, ...]) -> Iterator[Written]:
        """Lines that could come next: right rhyme, right grammar, nothing said twice."""
        order, palette, memory = self.order, self.palette, self.memory
        if index == 0 and order.first is not None:
            yield hook_line(order.first, palette)
            return
        letter, role = order.scheme[index], order.role_of(index)
        elsewhere = [key for other, key in self.rhymes.items() if other != letter]
        partners = {line.onset for i, line in enumerate(before) if order.scheme[i] == letter}
        taken = {line.word for line in before}
        frames = {line.frame for line in before} | (memory.frames if self.fresh else set())
        leads = {line.lead for line in before} | memory.leads
        urn = Urn.of(
            (ending, weight)
            for ending, weight in palette.usable(role).get(self.rhymes[letter], ())
            if ending.word not in taken
            and ending.onset not in partners
            and ending.other_keys.isdisjoint(elsewhere)
            and not (self.fresh and ending.text in memory.endings)
        )
        for _ in range(_SAMPLES if urn.items else 0):
            ending = urn.draw(self.rng)
            frame = palette.frames(role, ending).draw(self.rng)
            if frame.text not in frames and (line := fill(frame, ending, palette, leads, self.rng)):
                yield line

    def _in_meter(self, line: Written) -> bool:
        """Whether the line's syllables suit the song; a hook is as it is, and a theme may be long."""
        plan = self.palette.plan
        themed = bool(plan.theme.phrase) and plan.theme.phrase in line.text
        allowed = self.slack + plan.taste.rap + 3 * themed
        return not line.frame or abs(line.syllables - plan.syllables) <= allowed

    def _score(self, line: Written, index: int, before: tuple[Written, ...]) -> float:
        """How well a line goes on: meter, evenness, novelty, subject, and some chance."""
        scheme, memory = self.order.scheme, self.memory
        chance = -math.log(-math.log(max(self.rng.random(), 1e-12)) + 1e-12)  # Gumbel: a draw, not a maximum
        score = 0.6 * chance - 0.8 * abs(line.syllables - self.palette.plan.syllables)
        score += 0.6 * min(line.topical, 2) - 0.8 * (line.word in memory.words)
        score -= 0.5 * sum(memory.stems[stem] for stem in line.stems)
        for i, other in enumerate(before):
            if scheme[i] == scheme[index]:
                score -= 0.5 * abs(line.syllables - other.syllables) + 0.4 * (line.kind == other.kind)
            score -= 1.2 * len(line.stems & other.stems) + 1.5 * (line.opening == other.opening)
            score -= 0.5 * (line.opening[:1] == other.opening[:1])
        if before:
            last = before[-1]
            score -= 0.5 * (line.opening[:1] == last.opening[:1]) + 0.3 * (line.kind == last.kind)
        return score
