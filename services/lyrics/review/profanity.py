"""Whether a line has a word that clean lyrics do without, also when it hides: "f**k", "sh1t", "f u c k".

Knows a word list and how people write around it. Whole words only: Scunthorpe is a town.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

_DATA = Path(__file__).parents[1] / "data" / "profanity.txt"
_ENDINGS = (
    "",
    "s",
    "es",
    "ed",
    "er",
    "ers",
    "in",
    "ing",
    "ings",
    "y",
    "ty",
    "ted",
    "ting",
    "tin",
    "a",
    "as",
    "ah",
)
_SIGNS = str.maketrans(
    {"1": "i", "!": "i", "3": "e", "4": "a", "@": "a", "0": "o", "5": "s", "$": "s", "7": "t", "+": "t"}
)
_TOKEN = re.compile(r"[^\W_][\w*#@$!+'’.\-]*|[@$*#][\w*#@$!+'’.\-]+")
_SPACED = re.compile(r"(?<![^\W_])[^\W\d_](?:[ ._*-]+[^\W\d_]){2,}(?![^\W_])")
_HIDDEN = re.compile(r"[*#]+")
_RUN = re.compile(r"(.)\1{2,}")
_EVERYWHERE = "*"  # words that every language borrows


@lru_cache(maxsize=16_384)
def found(text: str, language: str) -> bool:
    """Whether a line has such a word, in its language (ISO 639-1; English when empty) or a borrowed one."""
    bad = _words(language or "en")
    return any(_is_bad(token, bad) for token in _tokens(text))


def _tokens(text: str) -> Iterator[str]:
    plain = "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))
    yield from _TOKEN.findall(plain)
    for spaced in _SPACED.findall(plain):
        yield re.sub(r"[^a-z]", "", spaced)


def _is_bad(token: str, bad: frozenset[str]) -> bool:
    token = token.replace("’", "'").rstrip("'.!-")
    token = token.removesuffix("'s")
    if not any(c.isalpha() for c in token):
        return False
    if hidden := _HIDDEN.search(token):
        # "f**k", "f***ing": the stars stand for letters, and what is seen must begin the word.
        if hidden.start() == 0:
            return False
        seen = _HIDDEN.sub(lambda stars: "." * len(stars[0]), re.sub(r"[^a-z*#]", "", token))
        pattern = re.compile(seen.replace(".", "[a-z]"))
        stars = seen.count(".")
        return (stars < len(seen) - 1 or len(seen) == 4) and any(pattern.fullmatch(word) for word in bad)
    parts = [part for part in re.split(r"[-.']", token) if part]
    options = {token, "".join(parts), *parts}
    for option in options:
        read = re.sub(r"[^a-z]", "", option.translate(_SIGNS))
        for word in {read, _RUN.sub(r"\1", read), _RUN.sub(r"\1\1", read)}:
            if word in bad:
                return True
    return False


@cache
def _words(language: str) -> frozenset[str]:
    """Every form of every listed word that counts in a language."""
    lines = [
        line.split() for line in _DATA.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
    ]
    known: set[str] = set()
    for code, *words in lines:
        if code in (language, _EVERYWHERE):
            for word in words:
                stem = word.removesuffix("+")
                plain = "".join(
                    c for c in unicodedata.normalize("NFD", stem.casefold()) if not unicodedata.combining(c)
                )
                known |= {plain + ending for ending in _ENDINGS} if stem != word else {plain}
    return frozenset(known)
