"""How alike two line ends sound, from 0 to 1, whatever the language.

Knows phonemes, in ARPAbet (capitals) or IPA (small letters): the two share no symbol. Knows no words.
"""

from collections.abc import Sequence

PERFECT, NEAR, SAME, VOWEL_ONLY, NONE = 1.0, 0.6, 0.4, 0.3, 0.0

# Sounds that singers let pass for one another at the end of a line.
_FAMILIES = (
    {"M", "N", "NG"},
    {"P", "T", "K"},
    {"B", "D", "G"},
    {"F", "TH", "S", "SH"},
    {"V", "DH", "Z", "ZH"},
    {"m", "n", "ŋ", "ɲ"},
    {"p", "t", "k"},
    {"b", "d", "ɡ", "g", "ɣ", "β", "ð"},
    {"f", "θ", "s", "ʃ", "ç", "x"},
    {"v", "z", "ʒ"},
    {"i", "ɪ", "y", "ʏ", "ɨ"},
    {"e", "ɛ", "ø", "œ"},
    {"o", "ɔ"},
    {"u", "ʊ"},
    {"a", "ɑ", "ɐ"},
)
_VOWELS = frozenset("iɪyʏɨeɛøœəaɑɐoɔuʊʌæɜɯɒ")


def likeness(
    key: Sequence[str], onset: Sequence[str], other: Sequence[str], other_onset: Sequence[str]
) -> float:
    """Compares two rhymes (from the last stressed vowel on), each with the consonants before it.

    1 is a perfect rhyme, 0.4 the same sound with the same onset ("rain", "reign"). 0.6 is a near rhyme:
    related sounds in every place ("time", "line"), or one last consonant more ("mine", "find"). 0.3 is the
    stressed vowel alone, in endings of as many syllables.
    """
    if not key or not other:
        return NONE
    if key == other:
        return SAME if onset == other_onset else PERFECT
    if len(key) == len(other) and all(map(_related, key, other)):
        return NEAR
    short, long = sorted((key, other), key=len)
    if len(short) > 1 and len(long) == len(short) + 1 and long[: len(short)] == short:
        return NEAR if not _is_vowel(long[-1]) else NONE
    # An open ending ("you") against a closed one ("moon") is nothing that a listener takes for rhyme.
    if key[0] == other[0] and len(short) > 1 and _vowels(key) == _vowels(other):
        return VOWEL_ONLY
    return NONE


def _related(a: str, b: str) -> bool:
    return a == b or any(a in family and b in family for family in _FAMILIES)


def _is_vowel(symbol: str) -> bool:
    return symbol[0] in "AEIOU" or symbol[0] in _VOWELS


def _vowels(key: Sequence[str]) -> int:
    return sum(map(_is_vowel, key))
