"""The lyric document as a value, its one parser from messy text and its one printer.

Knows sections, lines and tags. Knows nothing of sound, of engines or of the wire.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from enum import Enum

MAX_TEXT_CHARS = 20_000
MAX_LINE_CHARS = 200
_VERSE_LINES = 4  # untagged text becomes verses of as many lines


class SectionTag(Enum):
    """The twelve section tags that the music model knows; the value is the bare tag."""

    START = "start"
    INTRO = "intro"
    VERSE = "verse"
    PRE_CHORUS = "pre-chorus"
    CHORUS = "chorus"
    HOOK = "hook"
    BRIDGE = "bridge"
    SOLO = "solo"
    INST = "inst"
    BREAK = "break"
    OUTRO = "outro"
    END = "end"

    @property
    def display(self) -> str:
        """The name for people: "Pre-Chorus"."""
        return self.value.title()

    @property
    def needs_words(self) -> bool:
        """Whether a section of this tag without lines is a mistake."""
        return self in _SUNG


_SUNG = {SectionTag.VERSE, SectionTag.PRE_CHORUS, SectionTag.CHORUS, SectionTag.HOOK, SectionTag.BRIDGE}

# What people write for a tag, beyond its own name. Longer names win: "pre chorus" before "chorus".
_SYNONYMS = {
    "pre chorus": SectionTag.PRE_CHORUS, "prechorus": SectionTag.PRE_CHORUS, "pre": SectionTag.PRE_CHORUS,
    "build": SectionTag.PRE_CHORUS, "build up": SectionTag.PRE_CHORUS, "post chorus": SectionTag.CHORUS,
    "post-chorus": SectionTag.CHORUS, "refrain": SectionTag.CHORUS, "coro": SectionTag.CHORUS,
    "strophe": SectionTag.VERSE, "stanza": SectionTag.VERSE, "rap": SectionTag.VERSE,
    "middle eight": SectionTag.BRIDGE, "middle 8": SectionTag.BRIDGE, "instrumental": SectionTag.INST,
    "interlude": SectionTag.INST, "riff": SectionTag.INST, "drop": SectionTag.BREAK,
    "breakdown": SectionTag.BREAK, "coda": SectionTag.OUTRO, "ending": SectionTag.OUTRO,
}  # fmt: skip
_NAMES = {tag.value: tag for tag in SectionTag} | _SYNONYMS
_HEADING = re.compile(
    r"^(?:(?:final|last|first|second|third|short|long|half|double|guitar|piano|sax|drum|main|opening) )*"
    rf"(?P<name>{'|'.join(sorted(map(re.escape, _NAMES), key=len, reverse=True))})"
    r"(?: ?#?\d{1,3}| [ivx]{1,4}| [a-d])?(?: ?[(]?(?:x ?\d|\d ?x|repeat)[)]?)?(?: ?[:(–—-].{0,60})?$"
)
_BRACKETED = re.compile(r"^[\[{](?P<inner>[^\[\]{}]{0,80})[\]}]:?$")
_MARKDOWN = re.compile(r"^(?:#{1,6} ?|\*{1,3}|_{1,3}|> ?)+|(?:\*{1,3}|_{1,3})+$")


@dataclass(frozen=True)
class Line:
    """One sung line. `language` is an ISO 639-1 code when it is not the document's."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Section:
    """Lines under one tag. `label` is for people ("Verse 2").

    `rhyme_scheme` has a letter per line, or is empty.
    """

    tag: SectionTag
    lines: tuple[Line, ...] = ()
    label: str = ""
    rhyme_scheme: str = ""

    @property
    def heading(self) -> str:
        """What is shown above the section: the label if it names the tag, else both."""
        if not self.label:
            return self.tag.display
        return self.label if tag_of(self.label) is self.tag else f"{self.tag.display}: {self.label}"


@dataclass(frozen=True)
class LyricDocument:
    """The words of a song. Two with equal fields are the same lyrics."""

    sections: tuple[Section, ...] = ()
    language: str = ""
    title: str = ""
    engine: str = ""
    seed: int = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines in song order."""
        return tuple(line for section in self.sections for line in section.lines)


@dataclass(frozen=True)
class Parsed:
    """Sections read from text, and the headings in brackets that name no tag (left out of them)."""

    sections: tuple[Section, ...]
    unknown_headings: tuple[str, ...] = ()


@dataclass
class _Reader:
    """Collects lines into sections while a text is read."""

    sections: list[Section] = field(default_factory=list)
    verses: int = 0
    tag: SectionTag | None = None
    label: str = ""
    lines: list[Line] = field(default_factory=list)

    def begin(self, tag: SectionTag | None, label: str) -> None:
        self.end()
        self.tag, self.label = tag, label

    def end(self) -> None:
        """Closes the section; lines under no tag become verses."""
        if self.tag is not None:
            self.sections.append(Section(self.tag, tuple(self.lines), self.label))
        else:
            for start in range(0, len(self.lines), _VERSE_LINES):
                self.verses += 1
                part = tuple(self.lines[start : start + _VERSE_LINES])
                self.sections.append(Section(SectionTag.VERSE, part, f"Verse {self.verses}"))
        self.tag, self.label, self.lines = None, "", []


def parse(text: str) -> Parsed:
    """Reads sections from text as people write it; never raises.

    A tag stands alone on a line: "[Verse 1]", "Verse 1:", "**Chorus**", "## Bridge". Lines under no tag
    become verses of four lines, and a blank line ends such a verse. Blank lines within a section,
    control characters and runs of spaces are dropped.
    """
    reader, unknown = _Reader(), []
    for raw in text.splitlines():
        line = clean(raw)
        if not line:
            if reader.tag is None:
                reader.end()
            continue
        tag, label, bracketed = _read_heading(line)
        if tag is not None:
            reader.begin(tag, "" if label.lower() == tag.value else label)
        elif bracketed:
            unknown.append(label)
        else:
            reader.lines.append(Line(line))
    reader.end()
    return Parsed(tuple(reader.sections), tuple(unknown))


def print_display(sections: tuple[Section, ...]) -> str:
    """Text for people: "[Verse 1]", its lines, a blank line between sections."""
    return "\n\n".join("\n".join([f"[{s.heading}]", *(line.text for line in s.lines)]) for s in sections)


def print_bare(sections: tuple[Section, ...]) -> str:
    """Text for the music model: bare tags alone on a line ("[verse]"), a blank line between sections."""
    return "\n\n".join("\n".join([f"[{s.tag.value}]", *(line.text for line in s.lines)]) for s in sections)


def tag_of(heading: str) -> SectionTag | None:
    """The tag that a heading without brackets names: "Verse 2" is a verse; None when it names none."""
    match = _HEADING.match(re.sub(r"\s+", " ", heading).strip().lower())
    return _NAMES[match["name"]] if match else None


def is_heading(line: str) -> bool:
    """Whether the parser would read a line as a heading, known or not, rather than as words."""
    tag, _, bracketed = _read_heading(clean(line))
    return tag is not None or bracketed


def clean(line: str) -> str:
    """A line in NFC without control and invisible characters, its white space reduced to single spaces."""
    kept = "".join(
        " " if c.isspace() else c
        for c in unicodedata.normalize("NFC", line)
        # Zero-width joiners carry meaning in Indic scripts, Persian and emoji.
        if c.isspace() or c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    return " ".join(kept.split())


def _read_heading(line: str) -> tuple[SectionTag | None, str, bool]:
    """(tag, label, whether in brackets) of a cleaned line; no tag and no brackets for words."""
    bare = _MARKDOWN.sub("", line).strip()
    marked = bare != line
    if match := _BRACKETED.match(bare):
        label = match["inner"].strip().rstrip(":").strip()
        return tag_of(label), label, True
    if bare.endswith(":") or marked:
        label = bare.rstrip(":").strip()
        # "Chorus:" is a heading; a sung line that merely ends in a colon is not.
        if len(label) <= 40 and (tag := tag_of(label)) is not None:
            return tag, label, False
    return None, "", False
