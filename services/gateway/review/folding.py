"""A text as the rules read it: words in one case and one alphabet, whatever they were dressed up as.

Undoes lookalike letters, figures for letters, invisible characters, spelling out and hyphens. Knows no rule.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

# What shows nothing: soft hyphen, zero widths, directions, joiners, variation selectors, tags.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_QUOTES = str.maketrans(
    {**dict.fromkeys("“”„‟«»‹›「」『』《》〈〉＂″", '"'), **dict.fromkeys("‘’‚‛ʼʹˈ`´＇′", "'")}
)
# Cyrillic and Greek letters that look like Latin ones.
_LOOKALIKES = str.maketrans("авеёіїкмнорстухьѕјһԁԛԝгαβγεηικνορτυχω", "abeeiikmhopctyxbsjhdqwrabyenikvoptuxw")
_NO_BASE = str.maketrans({"ø": "o", "ß": "ss", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ı": "i", "þ": "th"})
_FIGURES = str.maketrans("013456789@$!|€£+", "oieasgtbgasilelt")
# No word that a rule knows is longer, and those that are shall not fill the memory.
_LONGEST_WORD = 64
_NUMBERED = re.compile(r"\d+[a-z]{0,4}")  # 90s, 120bpm, 3am, 16th, 2pac
_MIXED = re.compile(r"[a-z].*[\d@$!|€£+]|[\d@$!|€£+].*[a-z]")
_LATIN = re.compile(r"[a-zA-Z]")
_OTHERS = re.compile(r"[\u0370-\u03ff\u0400-\u052f]")

_ELIDED = re.compile(r"([cdjlmnst]|qu|dell|dall|nell|all|un)'(?=\w{2})", re.IGNORECASE)
# A hyphen within these hides them.
_HIDDEN = frozenset(
    [
        "cover",
        "covers",
        "remake",
        "recreate",
        "clone",
        "clones",
        "cloning",
        "remix",
        "redo",
        "version",
        "song",
        "voice",
        "voices",
        "vocals",
        "deepfake",
    ]
)
# Letters one by one: "T a y l o r", "e.m.i.n.e.m", "c-o-v-e-r".
_SPELLED = re.compile(r"(?<![^\W_])[^\W\d_](?:[ ._*·-][^\W\d_]){3,}(?![^\W_])")
_SHORTENED = re.compile(r"\b(ft|feat|vs|mr|mrs|dr|st|jr)\.", re.IGNORECASE)
_PARTS = re.compile(
    r"(?P<word>[@$€£]?[^\W_](?:[^\W_]|[@$!|€£+'](?=[^\W_]))*)(?P<own>'(?!\w))?|(?P<quote>[\"'])|(?P<stop>[.!?\n。！？…])"
    r"|(?P<pause>[,;:()\[\]{}|–—、，；：]|(?<!\w)/|/(?!\w)|(?<=\s)-(?=\s))|(?P<hyphen>[-‐‑_*~/])"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, the genitive "'s", or a mark: a quotation mark, "," or "."."""

    word: str
    # of a word: whether it is written with a capital
    capital: bool = False
    # whether a hyphen ties it to the word before
    tied: bool = False


def legible(text: str) -> str:
    """`text` in compatibility form, without what shows nothing and with plain quotation marks."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).translate(_QUOTES)


def tokens(text: str) -> list[Token]:
    """The tokens of a legible text, in order."""
    found: list[Token] = []
    for token in _tokens(_SPELLED.sub(_spelled, _SHORTENED.sub(r"\1", text))):
        if token.tied and found and found[-1].word + token.word in _HIDDEN:
            found[-1] = Token(found[-1].word + token.word, found[-1].capital, found[-1].tied)
        else:
            found.append(token)
    return found


def fold(text: str) -> tuple[str, ...]:
    """The words of a name or a title, as `tokens` gives them."""
    return tuple(t.word for t in tokens(legible(text)) if t.word[0] not in "\"',.")


def _spelled(match: re.Match[str]) -> str:
    return re.sub(r"[ ._*·-]", "", match[0])


def _tokens(text: str) -> Iterator[Token]:
    tied = quoted = False
    for match in _PARTS.finditer(text):
        kind, part = match.lastgroup, match[0]
        if kind == "hyphen":
            tied = True
            continue
        if kind in ("word", "own"):
            word = match["word"][:_LONGEST_WORD]
            if elided := _ELIDED.match(word):  # l'esprit, d'Édith
                yield Token(elided[1].lower(), False, tied)
                word, tied = word[elided.end() :], False
            owned = word[-2:] in ("'s", "'S")
            if owned:
                word = word[:-2]
            if folded := _folded(word):
                yield Token(folded, word[0].isupper(), tied)
            if owned:
                yield Token("'s")
            elif kind == "own":  # the Beatles' songs, or the end of a quotation
                if quoted or word[-1] in "sSzZxX":  # else livin'
                    yield Token('"' if quoted else "'s")
                quoted = False
        elif kind == "quote":
            quoted = part == "'" and not quoted
            yield Token('"')
        else:
            yield Token("." if kind == "stop" else ",")
        tied = False


@lru_cache(maxsize=32_768)
def _folded(word: str) -> str:
    word = word.lower().replace("'", "")
    if not word.isascii():
        if _OTHERS.search(word):
            alike = word.translate(_LOOKALIKES)
            word = alike if alike.isascii() or _LATIN.search(word) else word
        word = word.translate(_NO_BASE)
        bare = "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
        if _LATIN.search(bare):
            word = bare
    if _MIXED.search(word) and not _NUMBERED.fullmatch(word):
        word = word.translate(_FIGURES)
    return word
