"""How well one line of Latin letters fits each language: n-grams, common words, letters of the alphabet.

Knows single lines; what the rest of the song says is `detection`'s. The n-gram model (py3langid) is loaded at
the first line, in a second or two, and never changed afterwards: any thread may ask.
"""

import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from services.music.acestep.lyrics.languages import LATIN_LANGUAGES

# Natural logarithms of odds, set on the first part of tests/music_acestep/labelled_lyrics.txt.
_COMMON_WORD = 1.5
_FOREIGN_LETTER = 2.0  # per word
_ENGLISH = 0.8  # most songs are
_FLOOR = 1e-30  # of a probability

_LETTERS = {
    "en": "éïêç",
    "de": "äöüß",
    "fr": "àâæçéèêëîïôœùûüÿ",
    "es": "áéíóúüñ",
    "it": "àèéìíîòóùú",
    "pt": "áâãàçéêíóôõúü",
    "pl": "ąćęłńóśźż",
    "tr": "çğıöşüâîû\u0307",
    "cs": "áčďéěíňóřšťúůýž",
    "nl": "éëïóèêüöáí",
    "hu": "áéíóöőúüű",
}
_ALPHABETS = {code: frozenset("abcdefghijklmnopqrstuvwxyz'" + more) for code, more in _LETTERS.items()}

# Sung in every language: a line of nothing else says nothing.
_VOCALISES = frozenset(
    {
        "la",
        "na",
        "oh",
        "ooh",
        "oooh",
        "ah",
        "aah",
        "eh",
        "hey",
        "yeah",
        "uh",
        "mm",
        "mmm",
        "hmm",
        "da",
        "doo",
        "du",
    }
    | {"ba", "bum", "sha", "whoa", "woah", "ay", "ha"}
)

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*'?")
# What py3langid has apart and the model sings as one language.
_DIALECTS = {"ary": "ar", "arz": "ar", "yue": "zh", "wuu": "zh", "pcm": "en"}
_NO_LANGUAGE = "zxx"


def words_of(text: str) -> list[str]:
    """Words in lower case; an elided article or pronoun ("l'", "t'") stands apart."""
    words = []
    for word in _WORD.findall(text.lower().replace("’", "'")):
        elided, apostrophe, rest = word.partition("'")
        words += [elided + apostrophe, rest] if rest and word not in _every_word() else [word]
    return words


def is_vocalise(text: str) -> bool:
    """Nothing but la la la, or no words at all."""
    return _VOCALISES.issuperset(words_of(text))


def latin_evidence(text: str) -> dict[str, float]:
    """Logarithm of the odds of each Latin-script language; only differences mean something."""
    words = list(dict.fromkeys(words_of(text)))  # said twice is no more evidence than said once
    if is_vocalise(text):
        return {code: _ENGLISH if code == "en" else 0.0 for code in LATIN_LANGUAGES}
    fits = ngram_fit(text)
    evidence = {code: fits.get(code, math.log(_FLOOR)) for code in LATIN_LANGUAGES}
    evidence["en"] += _ENGLISH
    common = _common_words()
    for word in words:
        letters = set(word)
        for code in LATIN_LANGUAGES:
            if word in common[code]:
                evidence[code] += _COMMON_WORD
            if not letters <= _ALPHABETS[code]:
                evidence[code] -= _FOREIGN_LETTER
    return evidence


def ngram_fit(text: str) -> dict[str, float]:
    """Logarithm of the probability of every language that the n-gram model knows, in any script."""
    fits: dict[str, float] = {}
    for code, probability in _identifier().rank(text.lower()):
        known = _DIALECTS.get(code, code)
        if known != _NO_LANGUAGE:
            fits[known] = max(fits.get(known, -math.inf), math.log(max(probability, _FLOOR)))
    return fits


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _common_words() -> Mapping[str, frozenset[str]]:
    lines = Path(__file__).with_name("common_words.txt").read_text(encoding="utf-8").splitlines()
    tables = (line.split() for line in lines if not line.startswith("#"))
    return {code: frozenset(words) for code, *words in tables}


@cache
def _every_word() -> frozenset[str]:
    return frozenset().union(*_common_words().values())
