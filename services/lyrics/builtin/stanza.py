"""Writes one stanza rhyme-first: sounds and end words before the lines that lead to them, by a beam.

Knows schemes and what the song has already said. Knows nothing of sections or of time.
"""

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.lyrics.builtin import meter
from services.lyrics.builtin.bank import Ending, Frame, RhymeKey
from services.lyrics.builtin.lines import Written, clauses_of, fill, sung_syllables
from services.lyrics.builtin.palette import Palette, Spot, Urn, syllables

_BEAM = 24
# Lines to choose from: for a place, for every further place of the same kind, draws for each of them.
_POOL, _POOL_MORE, _DRAWS = 18, 6, 8
_ATTEMPTS = 12
_SAME_SOUND = 0.15  # how much less likely a sound is for every time that the song has had it
_MATES = 8  # words that rhyme with one another, from which on a long stanza of one sound can be written
_ALIKE = 3  # lines to choose from that end on the same word
_CLAUSES = 0.8  # long lines that are made of two clauses, where both would fit
_WHOLE = 3.0  # what it is worth that a line means something as it stands
# Fillers that open a line: nothing more can stand before them.
_OPENERS = frozenset(["hour", "near", "event", "past"])
_COOLDOWN = 64  # lines before a frame may come back
_APART = 4  # lines within which different letters should not even share a vowel


class NoStanza(Exception):
    """The bank has no stanza for this order."""


@dataclass
class Memory:
    """What the song has said so far, so that it is not said again."""

    lines: int = 0
    frames: dict[str, int] = field(default_factory=dict)  # with the line at which it was last said
    endings: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    clauses: Mapping[int, Sequence[Written]] | None = None  # by syllables; made when they are needed
    leads: set[str] = field(default_factory=set)
    rhymes: Counter[RhymeKey] = field(default_factory=Counter)
    stems: Counter[str] = field(default_factory=Counter)

    def keep(self, lines: tuple[Written, ...], rhymes: Mapping[str, RhymeKey]) -> None:
        for line in lines:
            self.lines += 1
            self.frames[line.frame] = self.lines
            self.endings.add(line.ending)
            self.words.add(line.word)
            self.leads.add(line.lead)
            self.stems.update(line.stems)
        self.rhymes.update(rhymes.values())

    def has_cooled(self, frame: str, lines: int) -> bool:
        """Whether a frame was not said within so many lines."""
        return frame not in self.frames or self.lines - self.frames[frame] >= lines


@dataclass(frozen=True)
class Order:
    """What stanza to write: a scheme with a letter per line, and for every line what it has to be.

    A place that is `Written` already is taken as it is. `tense` is "past", "present" or "" for any;
    `kinds` are kinds of endings that suit the place in the song.
    """

    scheme: str
    places: tuple[Spot | Written, ...]
    tense: str = ""
    kinds: frozenset[str] = frozenset()


def write(order: Order, palette: Palette, memory: Memory, rng: random.Random) -> tuple[Written, ...]:
    """The stanza's lines. Remembers them in `memory`.

    Raises NoStanza when the bank has none that is to order.
    """
    for attempt in range(_ATTEMPTS):
        # Sounds are drawn anew each time; meter gives way only after that, novelty last.
        rhymes = _rhymes(order, palette, memory, rng, spare=attempt < 6)
        if rhymes is None:
            continue
        lines = _Search(order, rhymes, palette, memory, rng, attempt).best()
        if lines:
            memory.keep(lines, rhymes)
            return lines
    raise NoStanza(order.scheme)


def _rhymes(
    order: Order, palette: Palette, memory: Memory, rng: random.Random, *, spare: bool
) -> dict[str, RhymeKey] | None:
    """A sound for every letter of the scheme; letters that are near have different vowels. None when the
    places leave none. `spare`: only sounds with more words than are needed."""
    chosen = {
        letter: place.key
        for letter, place in zip(order.scheme, order.places, strict=True)
        if isinstance(place, Written)
    }
    # What has to be said leaves the fewest sounds, so it chooses first.
    counts = Counter(order.scheme)
    by_need = sorted(
        counts, key=lambda c: (-sum(bool(spot.by) for spot in _spots(order, c)), order.scheme.index(c))
    )
    for letter in by_need:
        if letter in chosen:
            continue
        near = {key[0] for other, key in chosen.items() if _near(order.scheme, letter, other)}
        options = [palette.source(spot).endings for spot in sorted(_spots(order, letter), key=repr)]
        needed = min(counts[letter] + spare, _MATES)
        weights = {}
        for key in options[0]:
            if key[0] in near or key in chosen.values() or not all(key in option for option in options):
                continue
            widest = max((option[key] for option in options), key=lambda choice: choice.rhymes)
            if widest.rhymes < needed:
                continue
            liked = min(option[key].weight for option in options)
            weights[key] = liked**0.8 * _SAME_SOUND ** memory.rhymes[key]
            if counts[letter] > _MATES:
                weights[key] *= widest.words**4
        if not weights:
            return None
        chosen[letter] = rng.choices(list(weights), list(weights.values()))[0]
    return chosen


def _spots(order: Order, letter: str) -> set[Spot]:
    return {
        place
        for other, place in zip(order.scheme, order.places, strict=True)
        if other == letter and isinstance(place, Spot)
    }


def _near(scheme: str, a: str, b: str) -> bool:
    return any({x, y} == {a, b} for i, x in enumerate(scheme) for y in scheme[i + 1 : i + _APART])


@dataclass(frozen=True)
class _Draft:
    lines: tuple[int, ...] = ()  # numbers into the search's candidates
    score: float = 0.0


class _Search:
    """One search for a stanza. The more attempts have failed, the less is asked for: of meter first, then
    that the song's share of the bank is kept to, then that nothing is said again."""

    def __init__(
        self,
        order: Order,
        rhymes: Mapping[str, RhymeKey],
        palette: Palette,
        memory: Memory,
        rng: random.Random,
        attempt: int,
    ) -> None:
        self.order, self.rhymes, self.palette, self.memory, self.rng = order, rhymes, palette, memory, rng
        self.slack = 1 + (attempt >= 4) + 2 * (attempt >= 7) + 6 * (attempt >= 10)
        self.shared, self.fresh = attempt < 5, attempt < 9
        self.taste = 1.0 if attempt < 4 else 0.5
        self.draws = _DRAWS * (1 + max(0, attempt - 3))
        self.lines: list[Written] = []
        self.worth: list[float] = []
        self._pairs: dict[tuple[int, int, bool], float] = {}

    def best(self) -> tuple[Written, ...]:
        """The best stanza found, or () when some place has no line."""
        pools = self._pools()
        if not pools:
            return ()
        drafts = [_Draft()]
        for index, letter in enumerate(self.order.scheme):
            mates = [i for i, other in enumerate(self.order.scheme[:index]) if other == letter]
            # Where a sound has to do for many lines, words may be alike that do not follow each other.
            mates = mates if self.fresh and len(mates) < _MATES else mates[-1:]
            longer = []
            for draft in drafts:
                for line in pools[index]:
                    score = draft.score + self.worth[line]
                    for i, before in enumerate(draft.lines):
                        score += self._pair(before, line, mates=i in mates)
                        if i == index - 1:
                            score += self._neighbours(before, line)
                    if score > -math.inf:
                        longer.append(_Draft((*draft.lines, line), score))
            drafts = sorted(longer, key=lambda draft: draft.score, reverse=True)[:_BEAM]
        return tuple(self.lines[line] for line in drafts[0].lines) if drafts else ()

    def _pools(self) -> list[range]:
        """For every place the candidates, as a range of numbers; places of one kind share theirs. None at
        all when some kind of place has too few."""
        sharing = Counter(zip(self.order.scheme, self.order.places, strict=True))
        pools = {}
        for (letter, place), count in sharing.items():
            start = len(self.lines)
            found = [place] if isinstance(place, Written) else self._drawn(place, letter, count)
            rated = sorted(((self._worth(line), i) for i, line in enumerate(found)), reverse=True)
            ends: Counter[str] = Counter()
            for worth, i in rated:
                ends[found[i].word] += 1
                if (
                    len(self.lines) - start < _POOL + _POOL_MORE * (count - 1)
                    and ends[found[i].word] <= _ALIKE
                ):
                    self.lines.append(found[i])
                    self.worth.append(worth)
            if len(self.lines) - start < count:
                return []
            pools[letter, place] = range(start, len(self.lines))
        return [pools[use] for use in zip(self.order.scheme, self.order.places, strict=True)]

    def _drawn(self, spot: Spot, letter: str, count: int) -> list[Written]:
        """Lines that could stand in a place: right rhyme, right grammar, in meter, nothing said twice."""
        elsewhere = [key for other, key in self.rhymes.items() if other != letter]
        choice = self.palette.source(spot).endings.get(self.rhymes[letter])
        # A stanza that needs many ends, or was not found, is less choosy about their subjects.
        taste = 0.2 if count > _MATES else self.taste
        urn = Urn.of(
            (ending, weight**taste)
            for ending, weight in (choice.endings if choice else ())
            if ending.other_keys.isdisjoint(elsewhere)
            and syllables(self.palette.say(ending.text)) <= self.palette.plan.most
            and not (self.fresh and not spot.by and ending.text in self.memory.endings)
        )
        found: dict[str, Written] = {}
        wanted = 3 * (_POOL + _POOL_MORE * (count - 1)) // 2
        for _ in range(self.draws * wanted if urn.items else 0):
            line = self._line(spot, urn.draw(self.rng))
            if line:
                found[line.text] = line
                if len(found) == wanted:
                    break
        return list(found.values())

    def _line(self, spot: Spot, ending: Ending) -> Written | None:
        """A line that leads to the ending; None when what was drawn is out of meter or was just said."""
        plan, memory = self.palette.plan, self.memory
        drawn = self.palette.source(spot).draw(ending, self.rng, shared=self.shared)
        if not drawn or not memory.has_cooled(drawn[0].text, _COOLDOWN if self.fresh else 2):
            return None
        frame, entries = drawn
        count = sung_syllables(frame, ending, entries, spot, self.palette)
        lead = self._lead(plan.syllables - count, frame)
        count += syllables(lead)
        allowed = self.slack + (plan.syllables >= 10) + 3 * bool(spot.phrase) + bool(ending.line)
        if abs(count - plan.syllables) > allowed or not plan.least <= count <= plan.most:
            return None
        return fill(frame, ending, entries, spot, self.palette, lead)

    def _lead(self, missing: int, frame: Frame) -> str:
        """What stands before a line that is too short in a song of long lines: a line of its own, an opening
        such as "Truth be told,", a time or a place; "" where none fits."""
        if frame.slot == "line" and missing in self.palette.openers and not _OPENERS & {*frame.fillers[:1]}:
            return self.palette.openers[missing].draw(self.rng).text
        if not self.palette.plan.taste.rap or missing < 1 or "ask" in frame.tags:
            return ""
        memory = self.memory
        if memory.clauses is None:
            memory.clauses = clauses_of(self.palette, self.rng)
        clauses = [
            c
            for c in memory.clauses.get(missing, ())
            if c.tense in (frame.tense, "") and c.frame != frame.text
        ]
        if clauses and (missing not in self.palette.leads or self.rng.random() < _CLAUSES):
            return self.rng.choice(clauses).text + ","
        if missing not in self.palette.leads:
            return ""
        return self.palette.say(self.palette.leads[missing].draw(self.rng).text)

    def _worth(self, line: Written) -> float:
        """How good a line is by itself: meter, subject, image, novelty, and some chance."""
        memory, order = self.memory, self.order
        if not line.frame:
            return 0.0
        chance = -math.log(-math.log(max(self.rng.random(), 1e-12)) + 1e-12)  # Gumbel: a draw, not a maximum
        score = 0.5 * chance - 0.8 * abs(line.syllables - self.palette.plan.syllables)
        score += 0.7 * min(line.topical, 3) + 0.8 * line.apt + 1.0 * line.own - 1.5 * line.stray
        score += 0.3 * min(len(line.stems), 3) - 3.0 * bool(line.lead and line.lead in memory.leads)
        score -= 0.6 * (len(line.lead.split()) < 4 and bool(line.lead) and not line.whole)
        score -= 0.8 * (line.word in memory.words) + 0.6 * meter.stumbles(line.beat)
        score -= 0.5 * sum(memory.stems[stem] for stem in line.stems)
        score += 0.6 * (line.kind in order.kinds) + _WHOLE * line.whole
        if order.tense and line.tense:
            score += 0.7 if line.tense == order.tense else -0.7
        return score

    def _pair(self, a: int, b: int, *, mates: bool) -> float:
        """How well two lines stand in one stanza, in this order; -inf: not at all."""
        if (a, b, mates) not in self._pairs:
            self._pairs[a, b, mates] = self._paired(self.lines[a], self.lines[b], mates=mates)
        return self._pairs[a, b, mates]

    def _paired(self, a: Written, b: Written, *, mates: bool) -> float:
        if (a.word == b.word and (mates or self.fresh)) or (mates and a.onset == b.onset):
            return -math.inf
        if a.frame and (a.frame == b.frame or a.ending == b.ending):
            return -math.inf
        if a.lead and a.lead == b.lead:
            return -math.inf
        score = -2.0 * (a.word == b.word) - 1.2 * len(a.stems & b.stems) - 1.5 * (a.opening == b.opening)
        score -= 0.5 * (a.opening[:1] == b.opening[:1])
        if mates:
            score -= 0.5 * abs(a.syllables - b.syllables) + 0.4 * (a.kind == b.kind)
            score += 0.6 * meter.likeness(a.beat, b.beat)
        return score

    def _neighbours(self, a: int, b: int) -> float:
        before, line = self.lines[a], self.lines[b]
        score = -0.5 * (line.opening[:1] == before.opening[:1]) - 0.3 * (line.kind == before.kind)
        if {before.tense, line.tense} == {"past", "present"}:
            score -= 0.5
        return score
