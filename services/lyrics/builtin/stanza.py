"""Writes one stanza rhyme-first: sounds and end words before the lines that lead to them, by a small beam.

Knows frames, endings and what the song has already said. Knows nothing of sections or of time.
"""

import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from services.lyrics import pronunciation
from services.lyrics.builtin import bank
from services.lyrics.builtin.bank import SLOT, Ending, Frame, Hook, RhymeKey, sound
from services.lyrics.builtin.palette import Palette, Urn, syllables

_BEAM, _SAMPLES = 5, 18
_TOPICAL = 2.5  # liking above which a piece is about the song's subjects
_ARTICLE = re.compile(r"\b([Aa])n? (?=([A-Za-z']+))")
_QUESTION = re.compile(r"^(?:what|who|why|how|where|was|is|did|do|will|won't|could)\b")


@dataclass(frozen=True)
class Written:
    """A finished line and what it was made of."""

    text: str
    syllables: int
    frame: str
    kind: str
    ending: str
    word: str
    onset: RhymeKey
    stems: frozenset[str]
    opening: tuple[str, ...]
    topical: int  # pieces that belong to the song's subjects


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
            self.stems.update(line.stems)
        self.rhymes.update(rhymes.values())


@dataclass(frozen=True)
class Order:
    """What stanza to write: its role's letter, its scheme, and what is special about a line.

    `first` is the hook of a chorus; `calls` puts the call on the theme in the first line;
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


@dataclass(frozen=True)
class _Draft:
    lines: tuple[Written, ...]
    score: float


def write(order: Order, palette: Palette, memory: Memory, rng: random.Random) -> tuple[Written, ...]:
    """The stanza's lines. Remembers them in `memory`.

    Raises RuntimeError when the bank has no such stanza, which a bank of the size it has never lacks.
    """
    for attempt in range(12):
        # Sounds are drawn anew each time; the meter, and then novelty, give way only when nothing fits.
        slack = 1 + (attempt >= 4) + 2 * (attempt >= 7) + 6 * (attempt >= 10)
        rhymes = _rhymes(order, palette, memory, rng)
        lines = _search(order, rhymes, palette, memory, rng, slack, fresh=attempt < 9)
        if lines:
            memory.keep(lines, rhymes)
            return lines
    raise RuntimeError(f"no {order.scheme} stanza for role {order.role}")


def _rhymes(order: Order, palette: Palette, memory: Memory, rng: random.Random) -> dict[str, RhymeKey]:
    """A sound for every letter of the scheme; no two share a vowel, so that letters stay apart."""
    needed = Counter(order.scheme)
    chosen: dict[str, RhymeKey] = {}
    if order.first is not None:
        chosen[order.scheme[0]] = _hook_line(order.first, palette).key
    for letter, count in needed.items():
        if letter in chosen:
            continue
        roles = {order.role_of(i) for i, other in enumerate(order.scheme) if other == letter}
        options = [palette.rhymes(role, count) for role in sorted(roles)]
        vowels = {key[0] for key in chosen.values()}
        weights = {
            key: min(o[key] for o in options) * 0.15 ** memory.rhymes[key]
            for key in options[0]
            if all(key in o for o in options) and key[0] not in vowels
        }
        chosen[letter] = rng.choices(list(weights), list(weights.values()))[0]
    return chosen


def _search(
    order: Order, rhymes: Mapping[str, RhymeKey], palette: Palette, memory: Memory, rng: random.Random,
    slack: int, *, fresh: bool,
) -> tuple[Written, ...]:  # fmt: skip
    """The best stanza that the beam finds, or none."""
    drafts = [_Draft((), 0.0)]
    for index in range(len(order.scheme)):
        longer = []
        for draft in drafts:
            for line in _candidates(order, index, rhymes, draft, palette, memory, rng, fresh=fresh):
                score = _score(line, index, order.scheme, draft.lines, palette, memory, slack, rng)
                if score is not None:
                    longer.append(_Draft((*draft.lines, line), draft.score + score))
        drafts = sorted(longer, key=lambda d: d.score, reverse=True)[:_BEAM]
    return drafts[0].lines if drafts else ()


def _candidates(
    order: Order, index: int, rhymes: Mapping[str, RhymeKey], draft: _Draft, palette: Palette, memory: Memory,
    rng: random.Random, *, fresh: bool,
) -> Iterator[Written]:  # fmt: skip
    """Lines that could come next: right rhyme, right grammar, nothing said twice."""
    if index == 0 and order.first is not None:
        yield _hook_line(order.first, palette).line
        return
    role, key = order.role_of(index), rhymes[order.scheme[index]]
    elsewhere = [other for letter, other in rhymes.items() if letter != order.scheme[index]]
    partners = {line.onset for i, line in enumerate(draft.lines) if order.scheme[i] == order.scheme[index]}
    taken = {line.word for line in draft.lines}
    used = {line.frame for line in draft.lines} | (memory.frames if fresh else set())
    urn = Urn.of(
        (ending, weight)
        for ending, weight in palette.endings.get(key, ())
        if ending.word not in taken
        and ending.other_keys.isdisjoint(elsewhere)
        and ending.onset not in partners
        and not (fresh and ending.text in memory.endings)
        and palette.frames(role, ending).items
    )
    for _ in range(_SAMPLES if urn.items else 0):
        ending = urn.draw(rng)
        frame = palette.frames(role, ending).draw(rng)
        if frame.text in used:
            continue
        line = _line(frame, ending, palette, memory, rng)
        if line is not None:
            yield line


def _line(
    frame: Frame, ending: Ending, palette: Palette, memory: Memory, rng: random.Random
) -> Written | None:
    """The frame filled; None when a word would stand in it twice."""
    theme = palette.plan.theme
    fills = {"theme": theme.phrase, "call": theme.call}
    say = palette.plan.speaker.say
    entries = [palette.fillers[kind].draw(rng) for kind in frame.fillers]
    chosen = [say(entry.text) for entry in entries] + [say(ending.text)]
    rest = iter(chosen)
    text = SLOT.sub(lambda slot: fills.get(slot[1]) or next(rest), say(frame.text))
    pieces = [*chosen, *(fills[slot] for slot in ("theme", "call") if "{" + slot + "}" in frame.text)]
    count = syllables(say(frame.text)) + sum(map(syllables, pieces))
    text, count = _with_lead(text, count, frame, palette, memory, rng)
    words = pronunciation.words(text)
    stems = [word[:4].rstrip("s'") for word in words if word not in bank.words_of("function")]
    if len(set(stems)) < len(stems):
        return None
    tags_of_pieces = [frame.tags, ending.tags, *(entry.tags for entry in entries)]
    if "ask" in frame.tags and _QUESTION.match(text):
        text += "?"
    return Written(
        text=_finish(text), syllables=count, frame=frame.text, kind=ending.kind, ending=ending.text,
        word=ending.word, onset=ending.onset, stems=frozenset(stems), opening=tuple(words[:2]),
        topical=sum(palette.plan.taste.liking(tags) > _TOPICAL for tags in tags_of_pieces),
    )  # fmt: skip


def _with_lead(
    text: str, count: int, frame: Frame, palette: Palette, memory: Memory, rng: random.Random
) -> tuple[str, int]:
    """A short line of a long-lined song gets an opening such as "Truth be told,"."""
    missing = palette.plan.syllables - count
    if not palette.plan.taste.rap or missing not in palette.leads or "ask" in frame.tags:
        return text, count
    lead = palette.leads[missing].draw(rng).text
    if lead in memory.leads:
        return text, count
    memory.leads.add(lead)
    return f"{palette.plan.speaker.say(lead)} {text}", count + missing


def _score(
    line: Written, index: int, scheme: str, before: tuple[Written, ...], palette: Palette, memory: Memory,
    slack: int, rng: random.Random,
) -> float | None:  # fmt: skip
    """How well a line goes on: meter, evenness, novelty; None when its meter is out of bounds."""
    plan = palette.plan
    allowed = (
        slack
        + (1 if plan.taste.rap else 0)
        + (3 if plan.theme.phrase in line.text and plan.theme.phrase else 0)
    )
    off = abs(line.syllables - plan.syllables)
    fixed = index == 0 and not line.frame  # the hook is as it is
    if off > allowed and not fixed:
        return None
    score = -0.8 * off - 0.6 * math.log(-math.log(max(rng.random(), 1e-12)) + 1e-12)
    for i, other in enumerate(before):
        if scheme[i] == scheme[index]:
            score -= 0.5 * abs(line.syllables - other.syllables) + 0.4 * (line.kind == other.kind)
        score -= 1.2 * len(line.stems & other.stems) + 1.5 * (line.opening == other.opening)
        score -= 0.5 * (line.opening[:1] == other.opening[:1])
    if before:
        score -= 0.5 * (line.opening[:1] == before[-1].opening[:1]) + 0.3 * (line.kind == before[-1].kind)
    score += 0.6 * min(line.topical, 2)
    for stem in line.stems:
        score -= 0.5 * memory.stems[stem]
    return score - 0.8 * (line.word in memory.words)


@dataclass(frozen=True)
class _HookLine:
    line: Written
    key: RhymeKey


def _hook_line(hook: Hook, palette: Palette) -> _HookLine:
    """The hook as a line; one that is too short for the song's meter is said twice, or begins with "Oh"."""
    text = palette.plan.speaker.say(hook.text.replace("{theme}", palette.plan.theme.phrase))
    missing = palette.plan.syllables - syllables(text)
    again = text if text.startswith("I ") else text[:1].lower() + text[1:]
    if missing >= syllables(text) - 1:
        text = f"{text}, {again}"
    elif missing >= 2:
        text = f"Oh, {again}" if missing == 2 else f"Oh, oh, {again}"
    word, key, onset = sound(text)
    words = pronunciation.words(text)
    stems = frozenset(w[:4].rstrip("s'") for w in words if w not in bank.words_of("function"))
    line = Written(_finish(text), syllables(text), "", "hook", text, word, onset, stems, tuple(words[:2]), 0)
    return _HookLine(line, key)


def _finish(text: str) -> str:
    """Articles by sound ("an hour"), first letter a capital."""
    text = _ARTICLE.sub(lambda m: f"{m[1]}{'n' if _starts_with_vowel(m[2]) else ''} ", text)
    return text[:1].upper() + text[1:]


def _starts_with_vowel(word: str) -> bool:
    known = pronunciation.pronunciations(word.lower())
    return known[0].phonemes[0][-1].isdigit() if known else word[:1].lower() in "aeiou"
