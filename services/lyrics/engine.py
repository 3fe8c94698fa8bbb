"""What a lyrics engine is: a brief in, a stream of events out.

Knows no engine and no transport.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from services.lyrics.document import LyricDocument, SectionTag

RHYME_SCHEMES = ("AABB", "ABAB", "ABCB", "AAAA", "ABBA")


@dataclass(frozen=True)
class Brief:
    """What to write. Empty genre, mood and rhyme scheme, and a tempo of 0, leave the choice to the engine.

    `duration_s` is 5 to 600, `tempo_bpm` 0 or 40 to 220, `seed` 0 to 2**32 - 1.
    """

    theme: str
    seed: int
    duration_s: float
    genre: str = ""
    mood: str = ""
    language: str = "en"
    tempo_bpm: float = 0.0
    rhyme_scheme: str = ""


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
class Finished:
    """The whole document; the last event."""

    document: LyricDocument


Event = Planned | LineWritten | Finished


class Engine(Protocol):
    """Writes lyrics. Engines are shared by calls; `write` holds all state of one call."""

    @property
    def name(self) -> str:
        """Stands in the document: "builtin"."""

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes that it writes."""

    def write(self, brief: Brief) -> AsyncGenerator[Event, None]:
        """One `Planned`, every line in song order as `LineWritten`, one `Finished`.

        Never blocks the event loop for longer than a few milliseconds. Closing the generator stops
        the work at the next line and frees what it held.
        """
