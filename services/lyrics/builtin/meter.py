"""How a line falls: which syllables are stressed, and where that trips a singer.

Knows stresses of the pronouncing dictionary. Knows nothing of rhyme or meaning.
"""

from functools import lru_cache

from services.lyrics import pronunciation
from services.lyrics.builtin import bank

_STRONG, _WEAK = "S", "w"


@lru_cache(maxsize=16_384)
def word_stresses(word: str) -> str:
    """S or w per syllable of a word (lower case); small words are weak, others have their main stress."""
    known = pronunciation.pronunciations(word)
    if not known:
        return _WEAK * pronunciation.word_syllables(word)
    marks = [phoneme[-1] for phoneme in known[0].phonemes if phoneme[-1].isdigit()]
    if len(marks) == 1:
        return _WEAK if word in bank.words_of("function") else _STRONG
    return "".join(_STRONG if mark == "1" else _WEAK for mark in marks)


def stresses(words: list[str]) -> str:
    """S or w per syllable of a line."""
    return "".join(map(word_stresses, words))


def stumbles(beat: str) -> float:
    """How often a line trips: two strong syllables in a row, or more than three weak ones."""
    strong = sum(beat.startswith("SS", i) for i in range(len(beat)))
    weak = sum(beat.startswith("wwww", i) for i in range(len(beat)))
    return 0.5 * strong + 1.0 * weak


def likeness(a: str, b: str) -> float:
    """0 to 1: how much two lines fall alike, read from their ends, where the rhyme is."""
    shorter = min(len(a), len(b))
    same = sum(x == y for x, y in zip(reversed(a), reversed(b), strict=False))
    return same / shorter if shorter else 0.0
