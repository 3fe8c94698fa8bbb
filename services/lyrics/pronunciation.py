"""How English words sound: phonemes, syllables and rhyme keys, from the CMU Pronouncing Dictionary.

Knows the dictionary and a rule for words that are not in it. Knows nothing of lines' meaning, of
sections, or of other languages beyond counting their syllables.
"""

import lzma
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

_DATA = Path(__file__).parent / "data" / "cmudict.dict.xz"
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*['’]?|['’][^\W\d_]+|\d+")
# Vowel groups of Latin (accents removed), Greek and Cyrillic writing.
_VOWELS = re.compile(r"[aeiouyαεηιουωаеёиоуыэюяіїє]+")
# In these scripts one character is one syllable or mora: Hangul, kana, Han.
_SYLLABIC = re.compile(r"[぀-ヿ㐀-鿿가-힣]")
_DIGIT_SYLLABLES = {"0": 2, "7": 2}  # ze-ro, se-ven; the others have one


@dataclass(frozen=True)
class Pronunciation:
    """One way to say a word: ARPAbet phonemes, vowels with stress 0, 1 (primary) or 2."""

    phonemes: tuple[str, ...]

    @property
    def syllables(self) -> int:
        """Number of vowels."""
        return sum(1 for phoneme in self.phonemes if phoneme[-1].isdigit())

    @property
    def rhyme_key(self) -> tuple[str, ...]:
        """Phonemes from the last stressed vowel (primary or secondary) on, without stress marks.

        A word without a stressed vowel rhymes from its last vowel on. Source: the usual definition
        of perfect rhyme; stresses 1 and 2 both count, as in "lullaby" and "sky".
        """
        start = self._rhyme_start()
        return tuple(phoneme.rstrip("012") for phoneme in self.phonemes[start:])

    @property
    def onset(self) -> tuple[str, ...]:
        """The consonants just before the rhyme: equal onsets make an identity, not a rhyme."""
        start = end = self._rhyme_start()
        while start > 0 and not self.phonemes[start - 1][-1].isdigit():
            start -= 1
        return self.phonemes[start:end]

    def _rhyme_start(self) -> int:
        vowels = [i for i, phoneme in enumerate(self.phonemes) if phoneme[-1].isdigit()]
        stressed = [i for i in vowels if self.phonemes[i][-1] in "12"]
        return (stressed or vowels or [0])[-1]


def words(line: str) -> list[str]:
    """The words of a line in lower case with straight apostrophes; "half-light" is two words."""
    text = unicodedata.normalize("NFC", line).lower().replace("’", "'")
    return [match.group() for match in _WORD.finditer(text)]


def is_known(word: str) -> bool:
    """Whether the dictionary itself has the word (lower case)."""
    return word in _entries() or word.strip("'") in _entries()


@lru_cache(maxsize=65_536)
def pronunciations(word: str) -> tuple[Pronunciation, ...]:
    """Every way to say a word (lower case), the usual one first; empty when nothing is known.

    A word that the dictionary lacks is read from its parts: "rainin'" as "raining" ending in N, "Ana's"
    as "Ana" with a Z, "hummed" as "hum" with a D; as a last resort it has the rhyme of its longest known
    ending of three letters or more ("zorbtown" ends as "town"), and a syllable per vowel group.
    """
    for spelling in (word, word.strip("'")):
        found = tuple(_read(spelling))
        if found:
            return found
    return tuple(_inflected(word)) or tuple(_by_ending(word.strip("'")))


def syllables(line: str) -> int:
    """Sung syllables of a line, by the usual pronunciation of every word."""
    return sum(word_syllables(word) for word in words(line))


def word_syllables(word: str) -> int:
    """Syllables of one word (lower case), at least 1."""
    if word.isdigit():
        return sum(_DIGIT_SYLLABLES.get(digit, 1) for digit in word)
    known = pronunciations(word)
    return known[0].syllables if known else _vowel_groups(word)


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
    """How well two words (lower case) rhyme: 1 perfect, 0.6 near, 0.4 the same word or sound, 0 not.

    Near means the same vowel and unstressed tail with related final consonants ("time", "line").
    Any pronunciation of either word counts, because a singer chooses the one that rhymes.
    """
    if not a or not b:
        return 0.0
    if a == b:
        return 0.4
    best = 0.0
    for first in pronunciations(a):
        for second in pronunciations(b):
            if first.rhyme_key == second.rhyme_key:
                best = max(best, 0.4 if first.onset == second.onset else 1.0)
            elif _near(first.rhyme_key, second.rhyme_key):
                best = max(best, 0.6)
    return best


# Consonants that singers let pass for one another at the end of a line.
_FAMILIES = (
    {"M", "N", "NG"},
    {"P", "T", "K"},
    {"B", "D", "G"},
    {"F", "TH", "S", "SH"},
    {"V", "DH", "Z", "ZH"},
)


def _near(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    if len(a) != len(b) or not a or a[0] != b[0]:
        return False
    return all(
        x == y or any(x in family and y in family for family in _FAMILIES) for x, y in zip(a, b, strict=True)
    )


@cache
def _entries() -> dict[str, str]:
    """Word (or "word(2)" for a second pronunciation) to its phonemes; 3.6 MB, read once."""
    with lzma.open(_DATA, "rt", encoding="utf-8") as lines:
        return dict(line.split(" ", 1) for line in lines.read().splitlines())


def load() -> int:
    """Reads the dictionary now rather than at the first word; returns its number of entries."""
    return len(_entries())


def _read(word: str) -> Iterator[Pronunciation]:
    entries = _entries()
    key, variant = word, 1
    while (phonemes := entries.get(key)) is not None:
        yield Pronunciation(tuple(phonemes.partition(" #")[0].split()))
        variant += 1
        key = f"{word}({variant})"


def _inflected(word: str) -> Iterator[Pronunciation]:
    if word.endswith("in'"):
        for base in pronunciations(word[:-1] + "g"):
            yield Pronunciation((*base.phonemes[:-1], "N"))
    elif word.endswith("ed") and len(word) > 4:
        stem = word[:-2] if word[:-2] in _entries() else word[:-3] if word[-3] == word[-4] else word[:-1]
        for base in pronunciations(stem) if stem in _entries() else ():
            last = base.phonemes[-1]
            ending = ("IH0", "D") if last in {"T", "D"} else ("T",) if last in _VOICELESS else ("D",)
            yield Pronunciation(base.phonemes + ending)
    elif word.endswith(("'s", "s'")) or (word.endswith("s") and len(word) > 3 and _entries().get(word[:-1])):
        for base in pronunciations(word[:-2] if word.endswith("'s") else word.rstrip("s'")):
            yield Pronunciation(base.phonemes + _sibilant(base.phonemes[-1]))


_VOICELESS = frozenset(["P", "T", "K", "F", "TH", "S", "SH", "CH"])


def _sibilant(after: str) -> tuple[str, ...]:
    if after in {"S", "Z", "SH", "ZH", "CH", "JH"}:
        return ("IH0", "Z")
    return ("S",) if after in _VOICELESS else ("Z",)


def _by_ending(word: str) -> Iterator[Pronunciation]:
    for start in range(1, len(word) - 2):
        for ending in _read(word[start:]):
            extra = max(0, _vowel_groups(word) - ending.syllables)
            yield Pronunciation(("AH0",) * extra + ending.phonemes)
            return


def _vowel_groups(word: str) -> int:
    if syllabic := len(_SYLLABIC.findall(word)):
        return syllabic
    bare = "".join(c for c in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(c))
    groups = len(_VOWELS.findall(bare))
    if groups > 1 and word.isascii() and bare.endswith("e") and not bare.endswith(("le", "ee")):
        groups -= 1  # silent e
    return max(1, groups)
