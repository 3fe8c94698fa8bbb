"""The lyric document as a value, its one parser from messy text and its one printer.

Knows sections, lines and tags. Knows nothing of sound, of engines or of the wire.
"""

from dataclasses import dataclass, field

from services.lyrics.remarks import is_closing, is_markup, is_opening, title_said, title_shown, unmarked
from services.lyrics.tags import SectionTag as SectionTag
from services.lyrics.tags import canonical_label as canonical_label
from services.lyrics.tags import clean as clean
from services.lyrics.tags import read_heading, shown
from services.lyrics.tags import tag_of as tag_of

MAX_TEXT_CHARS = 20_000
MAX_LINE_CHARS = 200
_VERSE_LINES = 4  # untagged text becomes verses of as many lines


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
        return shown(self.tag, self.label)


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
    """Sections read from text, and what is not in them.

    `unknown_headings` are headings in brackets that name no tag, `remarks` lines that were taken for talk
    about the song: with them no line of the text is lost but fences, rules and headings.
    """

    sections: tuple[Section, ...]
    unknown_headings: tuple[str, ...] = ()
    title: str = ""
    remarks: tuple[str, ...] = ()


def parse(text: str) -> Parsed:
    """Reads sections from text as people write it; never raises.

    A tag stands alone on a line: "[Verse 1]", "Verse 1:", "**Chorus**", "## Bridge". Lines under no tag
    become verses of four lines, and a blank line ends such a verse. Blank lines within a section,
    control characters and runs of spaces are dropped, and so is markdown around a line. A title and small
    talk are looked for before the first section, and small talk behind the last one.
    """
    paragraphs = _paragraphs(text)
    talk = _closing(paragraphs)
    reader = _Reader(tagged=_is_tagged(paragraphs))
    for paragraph in paragraphs:
        for index, line in enumerate(paragraph):
            reader.read(line, begins=index == 0)
        reader.pause()
    reader.end()
    return Parsed(tuple(reader.sections), tuple(reader.unknown), reader.title, (*reader.remarks, *talk))


def print_display(sections: tuple[Section, ...], title: str = "") -> str:
    """Text for people: the title if there is one, "[Verse 1]", its lines, a blank line between sections."""
    blocks = ["\n".join([f"[{s.heading}]", *(line.text for line in s.lines)]) for s in sections]
    return "\n\n".join([f"Title: {title}", *blocks] if title else blocks)


def print_bare(sections: tuple[Section, ...]) -> str:
    """Text for the music model: bare tags alone on a line ("[verse]"), a blank line between sections."""
    return "\n\n".join("\n".join([f"[{s.tag.value}]", *(line.text for line in s.lines)]) for s in sections)


def is_heading(line: str) -> bool:
    """Whether the parser would read a line of a section as a heading, a rule or a fence, not as words."""
    line = unmarked(clean(line))
    return is_markup(line) or read_heading(line) is not None


# People write out a chorus once and then only its name.
_RETURNING = (SectionTag.CHORUS, SectionTag.HOOK, SectionTag.PRE_CHORUS)


@dataclass
class _Reader:
    """Collects lines into sections while a text is read, `tagged` if any of its lines is a heading."""

    tagged: bool
    sections: list[Section] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    title: str = ""
    begun: bool = False  # whether there was a heading or a line to sing
    verses: int = 0
    tag: SectionTag | None = None
    label: str = ""
    repeats: bool = False
    lines: list[Line] = field(default_factory=list)

    def read(self, line: str, *, begins: bool) -> None:
        """Takes a cleaned line; `begins`: it is the first of its paragraph."""
        heading = read_heading(line, begins=begins) or read_heading(unmarked(line))
        if heading is None:
            if not self.begun and self._is_preamble(line):
                return
            self.sing(line)
        elif heading.tag is None:
            self.unknown.append(heading.label)
        else:
            self.end()
            self.begun = True
            self.tag, self.label, self.repeats = heading.tag, heading.label, heading.repeats
            if heading.rest:
                self.read(heading.rest, begins=False)

    def sing(self, line: str) -> None:
        self.begun = True
        words = unmarked(line)
        if words and not is_markup(words):
            self.lines.append(Line(words))

    def pause(self) -> None:
        """A blank line ends a verse without a tag."""
        if self.tag is None:
            self.end()

    def end(self) -> None:
        """Closes the section; lines under no tag become verses. What is said to repeat does, and a chorus
        that is only named."""
        if self.tag is not None:
            if (self.repeats or self.tag in _RETURNING) and not self.lines:
                earlier = (list(s.lines) for s in reversed(self.sections) if s.tag is self.tag and s.lines)
                self.lines = next(earlier, [])
            self.sections.append(Section(self.tag, tuple(self.lines), self.label))
        else:
            for start in range(0, len(self.lines), _VERSE_LINES):
                self.verses += 1
                part = tuple(self.lines[start : start + _VERSE_LINES])
                self.sections.append(Section(SectionTag.VERSE, part, f"Verse {self.verses}"))
        self.tag, self.label, self.lines = None, "", []

    def _is_preamble(self, line: str) -> bool:
        title = title_said(line) or (self.tagged and title_shown(line))
        if title and not self.title:
            self.title = title
            return True
        if is_opening(unmarked(line), tagged=self.tagged):
            self.remarks.append(line)
            return True
        return False


def _paragraphs(text: str) -> list[list[str]]:
    """Cleaned lines between blank lines, fences and rules."""
    paragraphs: list[list[str]] = [[]]
    for raw in text.splitlines():
        line = clean(raw)
        if line and not is_markup(line):
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    return [paragraph for paragraph in paragraphs if paragraph]


def _is_tagged(paragraphs: list[list[str]]) -> bool:
    headings = (
        read_heading(line, begins=index == 0)
        for paragraph in paragraphs
        for index, line in enumerate(paragraph)
    )
    return any(heading is not None and heading.tag is not None for heading in headings)


def _closing(paragraphs: list[list[str]]) -> list[str]:
    """Takes the remarks behind a song off its paragraphs."""
    talk: list[str] = []
    while len(paragraphs) > 1 and is_closing(paragraphs[-1][0]):
        talk[:0] = paragraphs.pop()
    return talk
