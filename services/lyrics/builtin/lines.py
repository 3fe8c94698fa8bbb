"""Makes one line: a frame filled, its articles, capitals and question mark right, its syllables counted.

Knows what a line is made of. Knows nothing of the lines around it.
"""

import random
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

from services.lyrics import pronunciation
from services.lyrics.builtin import bank, meter
from services.lyrics.builtin.bank import SLOT, Ending, Entry, Frame, RhymeKey, sound
from services.lyrics.builtin.palette import Palette, Spot, Urn, syllables

_TOPICAL = 2.5  # liking above which a piece is about the song's subjects
_STEM = 4  # letters that tell images apart: "dream" and "dreaming" are one
_CLAUSE_DRAWS, _CLAUSE_SYLLABLES = 600, range(4, 9)
_ARTICLE = re.compile(r"\b([Aa])n? (?=([A-Za-z']+))")
_QUESTION = re.compile(
    r"^(?:what|who|whose|why|how|where|was|were|is|isn't|did|do|does|will|won't|would|could"
    r"|can you|have you|don't you|whatever became)\b"
)


@dataclass(frozen=True)
class Written:
    """A finished line and what it was made of; `frame` is empty for a line that was given."""

    text: str
    syllables: int
    word: str  # the last one
    key: RhymeKey
    onset: RhymeKey
    stems: frozenset[str]  # of the words with an image
    opening: tuple[str, ...]  # the first two words
    beat: str  # see `meter`
    frame: str = ""
    kind: str = ""  # of the ending
    ending: str = ""
    lead: str = ""
    tense: str = ""  # of the frame
    other_keys: frozenset[RhymeKey] = frozenset()
    topical: int = 0  # pieces that belong to the song's subjects
    stray: int = 0  # pieces that belong to others
    apt: bool = False  # its end belongs to them
    whole: bool = False  # was written as a line, not put together
    own: bool = False  # says a word of the theme in one of its pieces


def sung_syllables(
    frame: Frame, ending: Ending, entries: tuple[Entry, ...], spot: Spot, palette: Palette
) -> int:
    """Syllables of the line that `fill` would make of these, without a lead."""
    texts = (frame.text, ending.text, *(entry.text for entry in entries))
    count = sum(syllables(palette.say(text)) for text in texts)
    if spot.phrase and "{theme}" in frame.text:
        count += syllables(spot.phrase)
    if spot.call and "{call}" in frame.text:
        count += syllables(spot.call)
    return count


def fill(
    frame: Frame, ending: Ending, entries: tuple[Entry, ...], spot: Spot, palette: Palette, lead: str = ""
) -> Written | None:
    """The frame with its slots filled; None when an image or the speaker would stand in it twice."""
    say = palette.say
    rest = iter([*(say(entry.text) for entry in entries), say(ending.text)])
    themed = {"theme": spot.phrase, "call": spot.call}
    text = SLOT.sub(lambda slot: themed.get(slot[1]) or next(rest), say(frame.text))
    count = sung_syllables(frame, ending, entries, spot, palette)
    if lead:
        text = f"{lead} {text}"
        count += syllables(lead)
    words = pronunciation.words(text)
    stems = _stems(words)
    twice = max(words.count("me"), words.count("us")) > 1 or any(a == b for a, b in pairwise(words))
    # "I gave me": the speaker is not the object of what the speaker does.
    twice = twice or any(
        a in ("i", "we") and b in ("me", "us") for a, b in zip(words, words[2:], strict=False)
    )
    if twice or len(set(stems)) < len(stems):
        return None
    if "ask" in frame.tags and _QUESTION.match(text):
        text += "?"
    tags = [frame.tags, ending.tags, *(entry.tags for entry in entries)]
    return Written(
        text=_finish(text),
        syllables=count,
        word=ending.word,
        key=ending.key,
        onset=ending.onset,
        stems=frozenset(stems),
        opening=tuple(words[:2]),
        beat=meter.stresses(words),
        # A frame that adds no words is none that could be heard again.
        frame=text if "short" in frame.tags else frame.text,
        kind=ending.kind,
        ending=ending.text,
        lead=lead,
        tense=frame.tense,
        other_keys=ending.other_keys,
        topical=sum(palette.liking(piece) > _TOPICAL for piece in tags),
        stray=sum(palette.liking(piece) < 1 for piece in tags),
        apt=palette.liking(ending.tags) > _TOPICAL,
        whole=ending.line is not None,
        own=any(map(palette.plan.is_own, (ending.text, *(entry.text for entry in entries)))),
    )


def clauses_of(palette: Palette, rng: random.Random) -> dict[int, list[Written]]:
    """Short lines by their syllables, to stand before others where lines are long."""
    spot = Spot("v")
    choices = list(palette.source(spot).endings.values())
    urn = Urn.of(pair for choice in choices for pair in choice.endings)
    found: dict[int, list[Written]] = defaultdict(list)
    for _ in range(_CLAUSE_DRAWS if urn.items else 0):
        ending = urn.draw(rng)
        drawn = palette.source(spot).draw(ending, rng)
        if not drawn or drawn[0].tags & {"ask", "rap"}:
            continue
        count = sung_syllables(drawn[0], ending, drawn[1], spot, palette)
        if count in _CLAUSE_SYLLABLES and (line := fill(drawn[0], ending, drawn[1], spot, palette)):
            found[count].append(line)
    return dict(found)


def given(text: str) -> Written:
    """A line whose words are settled: a hook, a refrain."""
    word, key, onset = sound(text)
    words = pronunciation.words(text)
    return Written(
        text=_finish(text),
        syllables=syllables(text),
        word=word,
        key=key,
        onset=onset,
        stems=frozenset(_stems(words)),
        opening=tuple(words[:2]),
        beat=meter.stresses(words),
    )


def _stems(words: list[str]) -> list[str]:
    plain = bank.words_of("function")
    return [word[:_STEM].rstrip("s'") for word in words if word not in plain]


def _finish(text: str) -> str:
    """Articles by sound ("an hour"), first letter a capital."""
    text = _ARTICLE.sub(lambda m: f"{m[1]}{'n' if _starts_with_vowel(m[2].lower()) else ''} ", text)
    first = next((i for i, letter in enumerate(text) if letter.isalpha()), 0)
    return text[:first] + text[first : first + 1].upper() + text[first + 1 :]


def _starts_with_vowel(word: str) -> bool:
    if not pronunciation.is_known(word):
        return word[:1] in "aeiou"
    return pronunciation.pronunciations(word)[0].phonemes[0][-1].isdigit()
