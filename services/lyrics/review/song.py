"""A document as the review reads it: words and syllables of every line counted once, and its language.

Knows the lines. Judges nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.lyrics import language, pronunciation
from services.lyrics.document import LyricDocument, Section, SectionTag

CHORUSES = frozenset([SectionTag.CHORUS, SectionTag.HOOK, SectionTag.PRE_CHORUS])


@dataclass(frozen=True)
class SungLine:
    """A line with the place where it stands (indexes from 0)."""

    section: int
    line: int
    text: str
    words: tuple[str, ...]
    syllables: int
    language: str  # ISO 639-1 as said for the line; else empty

    @property
    def end(self) -> str:
        """The word that carries the rhyme; empty without one."""
        return self.words[-1] if self.words else ""

    @property
    def key(self) -> str:
        """The line without case and punctuation."""
        return " ".join(self.words)


@dataclass(frozen=True)
class SungSection:
    """A section with its lines; `index` in the document."""

    index: int
    section: Section
    lines: tuple[SungLine, ...]

    @property
    def tag(self) -> SectionTag:
        return self.section.tag

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(line.key for line in self.lines)


@dataclass(frozen=True)
class Song:
    """A document, read. `language` is what it says of itself, else what its words say; empty when neither."""

    document: LyricDocument
    sections: tuple[SungSection, ...]
    language: str

    @property
    def lines(self) -> Iterator[SungLine]:
        """All lines in song order."""
        return (line for section in self.sections for line in section.lines)

    @property
    def new_sections(self) -> Iterator[SungSection]:
        """Sections with words; a chorus that comes back in the same words comes once."""
        heard = set()
        for section in self.sections:
            known = (section.tag, section.keys)
            if section.lines and not (section.tag in CHORUSES and known in heard):
                heard.add(known)
                yield section


def read(document: LyricDocument) -> Song:
    """Reads a document."""
    sections = tuple(
        SungSection(index, section, tuple(_lines(index, section)))
        for index, section in enumerate(document.sections)
    )
    told = document.language or language.tell(line.text for line in document.lines)
    return Song(document, sections, told)


def _lines(index: int, section: Section) -> Iterator[SungLine]:
    for number, line in enumerate(section.lines):
        words = tuple(pronunciation.words(line.text))
        count = sum(pronunciation.word_syllables(word) for word in words)
        yield SungLine(index, number, line.text, words, count, line.language)
