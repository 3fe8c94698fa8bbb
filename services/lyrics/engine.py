"""What a lyrics engine is: a brief in, a stream of events out.

Knows no engine and no transport.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from services.lyrics.document import LyricDocument, Section, SectionTag

RHYME_SCHEMES = ("AABB", "ABAB", "ABCB", "AAAA", "ABBA")
FREE = "free"


class Form(Enum):
    """A form of song by its name."""

    VERSE_CHORUS = "verse_chorus"
    VERSE_CHORUS_BRIDGE = "verse_chorus_bridge"
    PRE_CHORUS = "pre_chorus"
    RAP = "rap"
    AABA = "aaba"
    STROPHIC = "strophic"


@dataclass(frozen=True)
class AskedSection:
    """A section as it is asked for. 0 lines, an empty label and an empty scheme leave the choice open.

    `rhyme_scheme` is "free", or letters, one per line or fewer that are repeated.
    """

    tag: SectionTag
    lines: int = 0
    label: str = ""
    rhyme_scheme: str = ""


@dataclass(frozen=True)
class Brief:
    """What to write. Empty fields, and numbers that are 0, leave the choice to the engine.

    `duration_s` is 5 to 600, `tempo_bpm` 0 or 40 to 220, `seed` 0 to 2**32 - 1. `structure` and `form` are
    not given together. `syllables` is (least, most) per line, each 3 to 20.
    """

    theme: str
    seed: int
    duration_s: float
    genre: str = ""
    mood: str = ""
    language: str = "en"
    tempo_bpm: float = 0.0
    rhyme_scheme: str = ""
    structure: tuple[AskedSection, ...] = ()
    form: Form | None = None
    lines_per_section: int = 0
    syllables: tuple[int, int] | None = None
    required_words: tuple[str, ...] = ()
    avoided_words: tuple[str, ...] = ()
    clean: bool = False


@dataclass(frozen=True)
class SectionPlan:
    """One section to write, all of its form settled.

    `rhyme_scheme` has a letter per line, is "free", or is empty where the engine chooses. `same_as` is the
    index of the earlier section whose words come back here, `refrain_of` that of the one whose last line
    comes back as the last line here.
    """

    tag: SectionTag
    lines: int
    label: str
    rhyme_scheme: str = ""
    same_as: int | None = None
    refrain_of: int | None = None


@dataclass(frozen=True)
class Planned:
    """The song's form is settled: it will have as many lines."""

    lines_total: int


@dataclass(frozen=True)
class LineWritten:
    """A line is final. Indexes count from 0: the section in the document, the line in the section."""

    section_index: int
    tag: SectionTag
    label: str
    line_index: int
    text: str


@dataclass(frozen=True)
class SectionWritten:
    """A section is final; comes behind its last line."""

    section_index: int
    section: Section


@dataclass(frozen=True)
class Finished:
    """The whole document; the last event."""

    document: LyricDocument


Event = Planned | LineWritten | SectionWritten | Finished


@dataclass(frozen=True)
class LyricistInfo:
    """What an engine is. `name` stands in its documents; `languages` are ISO 639-1 codes."""

    name: str
    version: str
    ai: bool
    languages: frozenset[str]
    weights_digest: str = ""  # lower-case hex
    # Whether the same brief gives the same words again.
    replayable: bool = True
    # What has to be shown with its words.
    notice: str = ""


class Engine(Protocol):
    """Writes lyrics. Engines are shared by calls; `write` holds all state of one call."""

    @property
    def info(self) -> LyricistInfo: ...

    def write(self, brief: Brief) -> AsyncGenerator[Event, None]:
        """One `Planned`, every line in song order, each section behind its lines, one `Finished`.

        Never blocks the event loop for longer than a few milliseconds. Closing the generator stops
        the work at the next line or token and frees what it held.

        Raises:
            services.common.errors.InvalidField: the structure does not fit the duration (DOES_NOT_FIT).
            services.common.errors.Unimplemented: a part of the brief that this engine cannot keep to
                (BRIEF_UNSUPPORTED).
            services.common.errors.FailedPrecondition: the brief cannot be met (BRIEF_UNMET).
        """
        ...
