"""The CMU Pronouncing Dictionary as data: how a word is said, and which words are spelled most like it.

Knows its entries. Of words that it lacks, `guessing` has an idea.
"""

import lzma
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_DATA = Path(__file__).parent / "data" / "cmudict.dict.xz"


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


def load() -> int:
    """Reads the dictionary now rather than at the first word; returns its number of entries."""
    _by_ending()
    return len(_entries())


def words() -> list[str]:
    """Every word, second pronunciations left out."""
    return [word for word in _entries() if "(" not in word]


def has(word: str) -> bool:
    """Whether the dictionary has the word (lower case)."""
    return word in _entries()


def read(word: str) -> tuple[Pronunciation, ...]:
    """Every pronunciation of a word (lower case), the usual one first; none when it is not there."""
    entries, found = _entries(), []
    key, variant = word, 1
    while (phonemes := entries.get(key)) is not None:
        found.append(Pronunciation(tuple(phonemes.partition(" #")[0].split())))
        variant += 1
        key = f"{word}({variant})"
    return tuple(found)


def alike(word: str, count: int) -> list[str]:
    """The `count` words whose spelling has the longest ending in common with a word, without itself."""
    reversed_words, key = _by_ending(), word[::-1]
    place = bisect_left(reversed_words, key)
    near = reversed_words[max(0, place - count) : place + count + 1]
    ranked = sorted((w for w in near if w != key), key=lambda w: -shared_start(w, key))
    return [w[::-1] for w in ranked[:count]]


def shared_start(a: str, b: str) -> int:
    """Letters that two words have in common from the first on."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@cache
def _entries() -> dict[str, str]:
    """Word (or "word(2)" for a second pronunciation) to its phonemes; 3.6 MB, read once."""
    with lzma.open(_DATA, "rt", encoding="utf-8") as lines:
        return dict(line.split(" ", 1) for line in lines.read().splitlines())


@cache
def _by_ending() -> list[str]:
    """Every word spelled backwards, in order: words of one ending stand together."""
    return sorted(word[::-1] for word in _entries() if word.isalpha())
