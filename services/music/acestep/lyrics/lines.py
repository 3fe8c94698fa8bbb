"""Lyrics as lines: what the engine's sections or a text in the released form say, tags apart from words.

Knows the twelve section tags and the ways people write them; nothing of languages or tokens.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from services.common.errors import InvalidField

TAGS = (
    "start", "intro", "verse", "pre-chorus", "chorus", "hook",
    "bridge", "solo", "inst", "break", "outro", "end",
)  # fmt: skip
_ALSO_CALLED = {"prechorus": "pre-chorus", "instrumental": "inst"}

_BRACKETS = str.maketrans("［］【】", "[][]")
_BRACKETED = re.compile(r"(\[[^\[\]]*\])")
# "Verse 2:" is a verse: the number is for readers.
_NUMBERED = re.compile(r"(?P<name>[a-z][a-z _-]*?)[ _-]*\d*[ :]*")


@dataclass(frozen=True)
class LyricLine:
    """A line as it was given. `language`: an ISO 639-1 code, or empty when nobody named one."""

    text: str
    language: str = ""
    # Where it stands, from 0: (section, line), or (section,) for its tag; () in a plain text.
    at: tuple[int, ...] = ()


@dataclass(frozen=True)
class Piece:
    """What becomes one line for the lyric encoder: words, a tag ("[verse]"), or nothing."""

    number: int  # of the line that it was given in, from 1
    text: str
    language: str = ""  # as given, later as sung
    at: tuple[int, ...] = ()  # as of its LyricLine

    def field(self, lyrics: str) -> str:
        """The field of a request, whose lyrics are the field `lyrics`."""
        names = zip(("sections", "lines"), self.at, strict=False)
        return lyrics + "".join(f".{name}[{index}]" for name, index in names)

    @property
    def place(self) -> str:
        """For people, who count from 1."""
        names = zip(("section", "line"), self.at, strict=False)
        return ", ".join(f"{name} {index + 1}" for name, index in names) or f"line {self.number}"

    @property
    def is_tag(self) -> bool:
        return self.text.startswith("[")


def lines_of_text(lyrics: str) -> list[LyricLine]:
    """The lines of a text in the released form; no lines for an empty text."""
    return [LyricLine(line) for line in re.split(r"\r\n|\r|\n", lyrics)] if lyrics else []


def lines_of_sections(sections: Iterable[tuple[str, Sequence[LyricLine]]]) -> list[LyricLine]:
    """Sections (tag, lines) in the released form: the tag on a line, the words, an empty line between."""
    lines: list[LyricLine] = []
    for i, (tag, words) in enumerate(sections):
        if lines:
            lines.append(LyricLine("", at=(i,)))
        lines.append(LyricLine(f"[{tag}]", at=(i,)))
        lines += [replace(line, at=(i, j)) for j, line in enumerate(words)]
    return lines


def pieces_of(lines: Sequence[LyricLine], field: str) -> list[Piece]:
    """The lines with every tag on its own.

    Raises:
        InvalidField: brackets with something else than a section tag in them.
    """
    pieces = []
    for number, line in enumerate(lines, start=1):
        text = unicodedata.normalize("NFC", line.text).translate(_BRACKETS).strip()
        parts = [part.strip() for part in _BRACKETED.split(text)] if "[" in text or "]" in text else [text]
        for part in [part for part in parts if part] or [""]:
            piece = Piece(number, part, line.language, line.at)
            pieces.append(_tag(piece, field) if "[" in part or "]" in part else piece)
    return pieces


def _tag(piece: Piece, field: str) -> Piece:
    inside = piece.text[1:-1].strip().lower()
    written = _NUMBERED.fullmatch(inside) if _BRACKETED.fullmatch(piece.text) else None
    name = re.sub(r"[ _-]+", "-", written["name"].strip()) if written else ""
    tag = _ALSO_CALLED.get(name, name)
    if tag not in TAGS:
        message = f"{piece.place}: brackets hold something that is not a section tag"
        limit = "one of " + " ".join(f"[{tag}]" for tag in TAGS)
        raise InvalidField("UNKNOWN_VALUE", piece.field(field), message, limit=limit)
    return replace(piece, text=f"[{tag}]")
