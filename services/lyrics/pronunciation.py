"""How lines sound: words, syllables and rhymes, by the dictionary or by a guess.

Knows nothing of lines' meaning, of sections, or of other languages beyond counting their syllables.
"""

import re
import unicodedata
from functools import lru_cache

from services.lyrics import dictionary
from services.lyrics.dictionary import Pronunciation, load
from services.lyrics.guessing import guess
from services.lyrics.likeness import NONE, SAME, likeness

__all__ = [
    "Pronunciation",
    "has_one_rhyme",
    "is_known",
    "last_word",
    "load",
    "pronunciations",
    "rhyme_key",
    "rhyme_strength",
    "syllables",
    "vowel_groups",
    "word_syllables",
    "words",
]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*['’]?|['’][^\W\d_]+|\d+")
# Vowel groups of Latin (accents removed), Greek and Cyrillic writing.
_VOWELS = re.compile(r"[aeiouyαεηιουωаеёиоуыэюяіїє]+")
# In these scripts one character is one syllable or mora: Hangul, kana, Han.
_SYLLABIC = re.compile(r"[぀-ヿ㐀-鿿가-힣]")


def words(line: str) -> list[str]:
    """The words of a line in lower case with straight apostrophes; "half-light" is two words."""
    text = unicodedata.normalize("NFC", line).lower().replace("’", "'")
    return [match.group() for match in _WORD.finditer(text)]


def is_known(word: str) -> bool:
    """Whether the dictionary itself has the word (lower case)."""
    return dictionary.has(word) or dictionary.has(word.strip("'"))


@lru_cache(maxsize=65_536)
def pronunciations(word: str) -> tuple[Pronunciation, ...]:
    """Every way to say a word (lower case), the usual one first; empty when nothing is known.

    A word that the dictionary lacks is guessed: see `guessing.guess`.
    """
    return dictionary.read(word) or dictionary.read(word.strip("'")) or guess(word)


def syllables(line: str) -> int:
    """Sung syllables of a line, by the usual pronunciation of every word."""
    return sum(word_syllables(word) for word in words(line))


def word_syllables(word: str) -> int:
    """Syllables of one word (lower case), at least 1."""
    known = pronunciations(word)
    return known[0].syllables if known else vowel_groups(word)


def last_word(line: str) -> str:
    """The word that carries the rhyme, or "" for a line without words."""
    found = words(line)
    return found[-1] if found else ""


def has_one_rhyme(word: str) -> bool:
    """Whether the last stressed vowel is the main one, so that nobody hears the rhyme elsewhere.

    "Moonlight" rhymes with "night" by its second stress only, and some will not hear it.
    """
    known = pronunciations(word)
    stresses = [p[-1] for p in known[0].phonemes if p[-1] in "12"] if known else ["2"]
    return stresses[-1:] != ["2"]


def rhyme_key(word: str) -> tuple[str, ...]:
    """Rhyme key of the usual pronunciation; empty when the word cannot be read."""
    known = pronunciations(word)
    return known[0].rhyme_key if known else ()


def rhyme_strength(a: str, b: str) -> float:
    """How well two words (lower case) rhyme: 0 to 1 as `likeness` says, and 0.4 for the same word.

    Any pronunciation of either word counts, because a singer chooses the one that rhymes.
    """
    if not a or not b:
        return NONE
    if a == b:
        return SAME
    return max(
        (
            likeness(first.rhyme_key, first.onset, second.rhyme_key, second.onset)
            for first in pronunciations(a)
            for second in pronunciations(b)
        ),
        default=NONE,
    )


def vowel_groups(word: str) -> int:
    """Syllables by spelling alone, at least 1: what is left for words that nobody can pronounce here."""
    if syllabic := len(_SYLLABIC.findall(word)):
        return syllabic
    bare = "".join(c for c in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(c))
    groups = len(_VOWELS.findall(bare))
    if groups > 1 and word.isascii() and bare.endswith("e") and not bare.endswith(("le", "ee")):
        groups -= 1  # silent e
    return max(1, groups)
