"""Where in a line's text each of its syllables begins. Knows letters; times and sound are elsewhere."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from services.music.sketch.syllables import syllables

_VOWELS = re.compile("[aeiouyаеёиоуыэюяіїєαεηιουω]+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d")
# Two letters, one sound: they go to the next syllable together.
_TOGETHER = frozenset({"ch", "ph", "qu", "sh", "th", "wh"})
_IDEOGRAPHS = 0x2E80  # and all that follows: a character is a syllable


def syllable_starts(line: str, count: int) -> tuple[int, ...]:
    """The first character of each of a line's `count` syllables, which rise from 0.

    Where letters do not tell them apart, a word is shared out evenly. `line` is in NFC, as requests are.
    """
    plain, places = _plain(line)
    starts = [
        places[match.start() + start]
        for match in _WORD.finditer(plain)
        for start in _in_word(match.group(), len(syllables(match.group())))
    ]
    if len(starts) != count:
        starts = [i * len(line) // count for i in range(count)]
    return (0, *starts[1:])


def _plain(line: str) -> tuple[str, Sequence[int]]:
    """The line as syllables are counted in it, lower case and without marks, and where each letter was."""
    letters, places = [], []
    for place, character in enumerate(line):
        apart = unicodedata.normalize("NFKD", character.lower())
        kept = unicodedata.normalize("NFC", "".join(c for c in apart if not unicodedata.combining(c)))
        letters.append(kept)
        places += [place] * len(kept)
    return "".join(letters), places


def _in_word(word: str, count: int) -> Sequence[int]:
    vowels = list(_VOWELS.finditer(word))
    if ord(word[0]) >= _IDEOGRAPHS or len(vowels) < count:
        return [i * len(word) // count for i in range(count)]
    starts = [0]
    for before, group in pairwise(vowels[:count]):
        between = word[before.end() : group.start()]
        onset = 2 if between[-2:] in _TOGETHER else 1
        starts.append(group.start() - min(onset, len(between)))
    return starts
