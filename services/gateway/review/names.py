"""Finds the names in a text: artists and songs that are known, and words that are written as names are.

What it finds becomes a mark in the text that the rules read: "@artist", "@composer", "@person" (a full
name, or one that begins with a given name), "@name" (a word with a capital for no other reason), "@title",
"@phrase" (an everyday phrase that is a title too), "@quote" (something in quotation marks). Judges nothing.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from services.gateway.review.folding import Token, fold, tokens

_HERE = Path(__file__).parent
_MARKS = frozenset("\"',.") | {"'s"}
# Within titles and names these are small.
_SMALL = frozenset(
    "a an and at by de del der di du e et for from in la le of on or the to und van von with y".split()  # noqa: SIM905
)
# As titles are written in a hurry.
_SHORT = {"2": "to", "4": "for", "u": "you", "r": "are"}
# Words by which German is known.
_GERMAN = frozenset(
    "der die das und ein eine einer einen im mit von wie uber fur auf den dem des ist nicht".split()  # noqa: SIM905
)
# A full name has no more words.
_LONGEST_NAME = 4
_LONGEST_QUOTE = 12


@dataclass(frozen=True)
class Known:
    """A name that is known, as one of the marks."""

    words: tuple[str, ...]
    mark: str
    # whether it is made of everyday words, so that only capitals tell it
    everyday: bool


@dataclass(frozen=True)
class Lexicon:
    # by the first word, the longest first
    by_word: Mapping[str, tuple[Known, ...]]
    # of several words, written as one
    squeezed: Mapping[str, Known]
    given: frozenset[str]
    not_names: frozenset[str]
    not_family: frozenset[str]
    # written without Latin letters: mark by text
    elsewhere: Mapping[str, str]


@cache
def lexicon() -> Lexicon:
    artists, songs = (_data(name) for name in ("artists", "songs"))
    known = [
        *_known(artists["names"], "@artist", everyday=False),
        *_known(artists["words"], "@artist", everyday=True),
        *_known(artists["composers"], "@composer", everyday=False),
        *_known(songs["titles"], "@title", everyday=False),
        *_known(songs["phrases"], "@title", everyday=True),
    ]
    by_word: dict[str, list[Known]] = {}
    for one in known:
        by_word.setdefault(one.words[0], []).append(one)
    return Lexicon(
        by_word={
            word: tuple(sorted(ones, key=lambda one: (-len(one.words), one.everyday)))
            for word, ones in by_word.items()
        },
        squeezed={"".join(one.words): one for one in known if not one.everyday and len(one.words) > 1},
        given=frozenset(artists["given"]),
        not_names=frozenset(_data("rules")["not_names"]) | _SMALL,
        not_family=frozenset(_data("rules")["not_family"]) | frozenset(_data("rules")["not_names"]),
        elsewhere={
            **dict.fromkeys(artists["elsewhere"], " @artist "),
            **dict.fromkeys(songs["elsewhere"], " @title "),
        },
    )


def _data(name: str) -> Mapping[str, Any]:
    return tomllib.loads((_HERE / f"{name}.toml").read_text("utf-8"))


def _known(names: Iterable[str], mark: str, *, everyday: bool) -> Iterable[Known]:
    words = (tuple(_SHORT.get(word, word) for word in fold(name)) for name in names)
    return (Known(each, mark, everyday) for each in words)


def marked(text: str) -> str:
    """A legible text as its words with names as marks, blanks between and around them."""
    return _Reading([replace(t, word=_SHORT.get(t.word, t.word)) for t in tokens(text)]).marked()


class _Reading:
    """One text's tokens, and what its capitals tell."""

    def __init__(self, read: Sequence[Token]) -> None:
        self._read = read
        words = [t for t in read if t.word not in _MARKS | _SMALL and not t.word[0].isdigit()]
        capitals = sum(t.capital for t in words)
        # In A Title Or In CAPITALS they tell nothing.
        self._telling = len(words) < 3 or capitals <= 0.6 * len(words)
        # In German every noun has one.
        self._nouns = sum(t.word in _GERMAN for t in words) >= 2

    def marked(self) -> str:
        found: list[str] = []
        at, end = 0, len(self._read)
        while at < end:
            length, mark = self._name_at(at)
            found.append(mark)
            at += length
        return f" {' '.join(found)} "

    def _name_at(self, at: int) -> tuple[int, str]:
        """(tokens, the mark or the word itself)"""
        word = self._read[at].word
        if word == '"':
            return self._quotation(at)
        if word in _MARKS:
            return 1, word
        return self._known_at(at) or self._unknown(at)

    def _known_at(self, at: int) -> tuple[int, str] | None:
        word, names = self._read[at].word, lexicon()
        for known in names.by_word.get(word, ()):
            if self._is(known, at):
                length = len(known.words)
                if not known.everyday or self._capitals_tell(at, length):
                    return length, known.mark
                by = at + length < len(self._read) and self._read[at + length].word == "by"
                if known.mark == "@title" and (length > 1 or by):
                    return length, "@phrase"
        return self._genitive_at(at) or self._squeezed_at(at)

    def _genitive_at(self, at: int) -> tuple[int, str] | None:
        """A name with an "s" and no apostrophe: "Adeles Stimme", "billie eilishs voice"."""
        word = self._read[at].word
        stems = (word, word[:-1]) if word.endswith("s") else (word,)
        for stem in stems:
            for known in lexicon().by_word.get(stem, ()):
                *first, last = known.words
                owner = (*first, f"{last}s")
                if not known.everyday and known.mark != "@title" and self._words(at, len(owner)) == owner:
                    return len(owner), f"{known.mark} 's"
        return None

    def _squeezed_at(self, at: int) -> tuple[int, str] | None:
        word, squeezed = self._read[at].word, lexicon().squeezed
        for written in (word, word[1:]) if len(word) > 5 else ():
            if written in squeezed:
                return 1, squeezed[written].mark
        return None

    def _is(self, known: Known, at: int) -> bool:
        return len(known.words) == 1 or self._words(at, len(known.words)) == known.words

    def _words(self, at: int, length: int) -> tuple[str, ...]:
        return tuple(t.word for t in self._read[at : at + length])

    def _begins(self, at: int) -> bool:
        """Whether a sentence begins here, which is capital enough."""
        return at == 0 or self._read[at - 1].word in ('"', ".")

    def _capital(self, at: int) -> bool:
        return self._telling and at < len(self._read) and self._read[at].capital

    def _capitals_tell(self, at: int, length: int) -> bool:
        """Whether the words are written as a name is: with capitals that nothing else calls for."""
        large = [n for n in range(at, at + length) if self._read[n].word not in _SMALL]
        if not large or not all(self._capital(n) for n in large):
            return False
        if length == 1 and self._read[at].word in lexicon().given:
            return False
        return len(large) > 1 or not self._begins(large[0])

    def _unknown(self, at: int) -> tuple[int, str]:
        word, length = self._read[at].word, 1
        while length < _LONGEST_NAME and self._may_name(at + length) and not self._known_at(at + length):
            length += 1
        if word in lexicon().given and self._follows_given(at + 1):
            return max(2, length if self._may_name(at) else 2), "@person"
        if not self._may_name(at) or self._begins(at):
            return 1, word
        if length > 1:
            return length, "@person"
        return 1, word if self._nouns else "@name"

    def _may_name(self, at: int) -> bool:
        return self._capital(at) and self._read[at].word not in lexicon().not_names

    def _follows_given(self, at: int) -> bool:
        """Whether the word here can be a family name."""
        if at >= len(self._read) or self._read[at].tied:
            return False
        word = self._read[at].word
        return word.isalpha() and len(word) > 2 and word not in lexicon().not_family

    def _quotation(self, at: int) -> tuple[int, str]:
        """The whole of what is quoted, if it is not long: a title."""
        for end in range(at + 2, min(at + 2 + _LONGEST_QUOTE, len(self._read))):
            if self._read[end].word == '"':
                words = tuple(t.word for t in self._read[at + 1 : end])
                for known in lexicon().by_word.get(words[0], ()):
                    if known.words == words:
                        return end + 1 - at, known.mark
                return end + 1 - at, "@quote"
        return 1, ","
