"""The arc of a song: which section sets the scene, which turns to past or future, which contrasts.

Knows sections and what kinds of lines tell which part of a story. Writes no words.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from services.lyrics.document import SectionTag
from services.lyrics.engine import SectionPlan


@dataclass(frozen=True)
class Turn:
    """What a section does for the story: its tense ("past", "present", or "" for any), kinds of endings."""

    tense: str = ""
    kinds: frozenset[str] = frozenset()


_SCENE = Turn("present", frozenset(["where", "look", "turn", "way", "when"]))
_LOOK_BACK = Turn("past", frozenset(["ago", "did", "done", "where", "what"]))
_LOOK_AHEAD = Turn("present", frozenset(["do", "what", "ever", "way", "feel"]))
_BUILD = Turn("present", frozenset(["do", "turn", "feel"]))
_STATEMENT = Turn("present", frozenset(["do", "where", "when", "ever", "way", "what"]))
_DOUBT = Turn("", frozenset(["what", "burden", "do", "ago", "look"]))
_FAREWELL = Turn("present", frozenset(["where", "way", "when", "ever"]))

_OTHERS = {
    SectionTag.PRE_CHORUS: _BUILD,
    SectionTag.CHORUS: _STATEMENT,
    SectionTag.HOOK: _STATEMENT,
    SectionTag.BRIDGE: _DOUBT,
    SectionTag.OUTRO: _FAREWELL,
}
# What the verses do, in order.
_STORIES = (
    (_SCENE, _LOOK_BACK, _LOOK_AHEAD),
    (_SCENE, _LOOK_BACK, _SCENE),
    (_LOOK_BACK, _SCENE, _LOOK_AHEAD),
)


def turns(sections: Sequence[SectionPlan], rng: random.Random) -> tuple[Turn, ...]:
    """For every section, its turn in a story drawn by the seed."""
    story = rng.choice(_STORIES)
    verses = 0
    found = []
    for section in sections:
        found.append(_OTHERS.get(section.tag) or story[verses % len(story)])
        verses += section.tag is SectionTag.VERSE
    return tuple(found)
