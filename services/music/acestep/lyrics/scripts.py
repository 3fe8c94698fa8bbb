"""Which script a letter belongs to. Knows Unicode names, no languages and no vocabulary."""

import unicodedata
from collections import Counter
from functools import lru_cache

# First word of the Unicode name → script; any other first word is a script of its own ("GREEK", "THAI").
_SCRIPTS = {
    "LATIN": "Latin",
    "CYRILLIC": "Cyrillic",
    "ARABIC": "Arabic",
    "DEVANAGARI": "Devanagari",
    "CJK": "Han",
    "IDEOGRAPHIC": "Han",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
    "KATAKANA-HIRAGANA": "Kana",
    "HANGUL": "Hangul",
}
# Letters by category that no script owns: ordinal signs, modifier apostrophes.
_NEUTRAL = {"MODIFIER", "MASCULINE", "FEMININE"}


@lru_cache(maxsize=4096)
def script_of(character: str) -> str:
    """Script of a letter or a mark with a script of its own; "" for everything else."""
    if unicodedata.category(character)[0] not in "LM":
        return ""
    first = unicodedata.name(unicodedata.normalize("NFKC", character)[0], "").split(" ")[0]
    if not first or first in _NEUTRAL or first == "COMBINING":
        return ""
    return _SCRIPTS.get(first, first.capitalize())


def count_scripts(text: str) -> Counter[str]:
    """Number of letters in each script of `text`; marks count with their letters' script."""
    counts = Counter(script_of(character) for character in text)
    del counts[""]
    return counts
