"""Which language lyrics are in: by script, and in Latin letters by their commonest words.

Knows some twenty languages, whole sections best. Of a line with few words it says nothing rather than guess.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from services.lyrics import pronunciation

# Lyrics are full of names and vocables: most words known, and one in eight among the commonest.
_KNOWN_SHARE, _COMMON_SHARE = 0.8, 0.125
# Of a section's different words, as many must be common in a language, and as many more than in any other.
_LEAST_HITS, _LEAST_SHARE, _LEAD = 2, 0.15, 1.3

# Sung in every language: they are evidence of none.
VOCALISES = frozenset(
    ["la", "na", "oh", "ooh", "oooh", "ah", "aah", "eh", "hey", "yeah", "uh", "mm", "mmm", "hmm", "da", "doo",
     "du", "ba", "bum", "sha", "whoa", "woah", "ay", "ha", "lalala", "baby", "ok", "okay"]
)  # fmt: skip

_SCRIPTS = {
    "ja": re.compile("[぀-ヿ]"),
    "ko": re.compile("[가-힣ᄀ-ᇿ]"),
    "th": re.compile("[฀-๿]"),
    "hi": re.compile("[ऀ-ॿ]"),
    "he": re.compile("[֐-׿]"),
    "fa": re.compile("[پچژگ]"),
    "ar": re.compile("[؀-ۿ]"),
    "el": re.compile("[Ͱ-Ͽ]"),
    "uk": re.compile("[іїєґ]"),
    "ru": re.compile("[Ѐ-ӿ]"),
    "zh": re.compile("[一-鿿]"),
}
_LATIN = re.compile("[a-zà-öø-ɏ]")
# Of one script or nearly one vocabulary: words of a section cannot tell them apart for certain.
_KIN = (frozenset(["da", "no", "nb", "nn", "sv"]), frozenset(["id", "ms"]), frozenset(["ja", "zh", "yue"]),
        frozenset(["ru", "uk", "bg", "sr", "be", "mk", "kk"]), frozenset(["ar", "fa", "ur"]),
        frozenset(["hi", "mr", "ne", "sa"]), frozenset(["cs", "sk"]),
        frozenset(["es", "gl", "ca"]))  # fmt: skip


def tell(lines: Iterable[str]) -> str:
    """ISO 639-1 code of what most words are in; empty when they are too few, or of no language known here."""
    text = " ".join(lines).lower()
    letters = Counter({code: len(script.findall(text)) for code, script in _SCRIPTS.items()})
    latin = len(_LATIN.findall(text))
    # A kana among Han characters makes a text Japanese, a Ukrainian letter makes it Ukrainian.
    script = next((code for code in _SCRIPTS if letters[code]), "")
    if sum(letters.values()) > latin / 3:  # a syllable or a word per character against several letters
        return script
    words = pronunciation.words(text)
    return "en" if _is_english(words) else _latin(words)


def is_known(code: str) -> bool:
    """Whether `tell` can find this language."""
    return code in _SCRIPTS or code in _common()


def agree(code: str, other: str) -> bool:
    """Whether two codes are one language, or so near that `tell` may take one for the other."""
    return code == other or any(code in kin and other in kin for kin in _KIN)


def common_words(code: str) -> frozenset[str]:
    """The function words of a language; none when it is not known here."""
    return _common().get(code, frozenset())


def _is_english(words: Sequence[str]) -> bool:
    spoken = [word for word in words if not word.isdigit() and word not in VOCALISES]
    if not spoken:
        return False
    known = sum(pronunciation.is_known(word) for word in spoken)
    common = sum(word in _common()["en"] for word in spoken)
    return known >= _KNOWN_SHARE * len(spoken) and common >= _COMMON_SHARE * len(spoken)


def _latin(words: Sequence[str]) -> str:
    """The language whose common words lead clearly; said twice is no more evidence than said once."""
    different = {word for word in words if word not in VOCALISES}
    hits = {code: len(different & common) for code, common in _common().items()}
    (first, most), *others = sorted(hits.items(), key=lambda item: -item[1])
    if most < _LEAST_HITS or most < _LEAST_SHARE * len(different):
        return ""
    rival = max(count for code, count in others if not agree(code, first))
    return first if most >= _LEAD * rival else ""


@cache
def _common() -> Mapping[str, frozenset[str]]:
    lines = (Path(__file__).parent / "data" / "common_words.txt").read_text(encoding="utf-8").splitlines()
    tables = (line.split() for line in lines if not line.startswith("#"))
    return {code: frozenset(words) for code, *words in tables}
