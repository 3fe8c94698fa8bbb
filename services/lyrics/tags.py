"""The twelve section tags, and the headings that people write for them.

Knows single lines. What stands around them is the parser's.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum


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
    "estribillo": SectionTag.CHORUS, "ritornello": SectionTag.CHORUS, "refrão": SectionTag.CHORUS,
    "strophe": SectionTag.VERSE, "stanza": SectionTag.VERSE, "rap": SectionTag.VERSE,
    "couplet": SectionTag.VERSE, "estrofa": SectionTag.VERSE, "strofa": SectionTag.VERSE,
    "vers": SectionTag.VERSE, "verso": SectionTag.VERSE,
    "puente": SectionTag.BRIDGE, "pont": SectionTag.BRIDGE,
    "middle eight": SectionTag.BRIDGE, "middle 8": SectionTag.BRIDGE, "instrumental": SectionTag.INST,
    "interlude": SectionTag.INST, "riff": SectionTag.INST, "drop": SectionTag.BREAK,
    "breakdown": SectionTag.BREAK, "coda": SectionTag.OUTRO, "ending": SectionTag.OUTRO,
}  # fmt: skip
_NAMES = {tag.value: tag for tag in SectionTag} | _SYNONYMS
# Nobody sings these alone on a line; "break", "drop" or "end" are sung.
_PLAIN = {
    "verse", "pre-chorus", "pre chorus", "prechorus", "chorus", "bridge", "intro", "outro", "instrumental",
    "interlude", "refrain", "solo",
}  # fmt: skip
_HEADING = re.compile(
    r"^(?P<repeat>repeat (?:the )?)?"
    r"(?:(?:final|last|first|second|third|\d(?:st|nd|rd|th)|short|long|half|double"
    r"|guitar|piano|sax|drum|main|opening) )*"
    rf"(?P<name>{'|'.join(sorted(map(re.escape, _NAMES), key=len, reverse=True))})"
    r"(?: ?#?\d{1,3}| [ivx]{1,4}| [a-d]| (?:one|two|three|four|five|six))?"
    r"(?P<times> ?[(]?(?:x ?\d|\d ?x|repeat(?:ed|s)?)[)]?)?"
    r"(?P<more> ?[:(–—-].{0,60})?$"
)
_BRACKETED = re.compile(r"^[\[{](?P<inner>[^\[\]{}]{0,80})[\]}]:?(?P<rest> .+)?$")
# As East Asian keyboards write them.
_WIDE_BRACKETED = re.compile(r"^[［【](?P<inner>[^\[\]{}［］【】]{0,80})[］】]:?(?P<rest> .+)?$")
_BRACKETS = re.compile(r"[\[\]{}]+")
_PARENTHESISED = re.compile(r"^\((?P<inner>[^()]{1,40})\):?$")
_WITH_LINE = re.compile(r"^(?P<label>[^:]{2,24}):[*_]{0,3} (?P<rest>.+)$")
_MARKS = re.compile(r"^(?:#{1,6} ?|\*{1,3}|_{1,3}|> ?)+|(?:\*{1,3}|_{1,3})+$")


@dataclass(frozen=True)
class Heading:
    """A heading as it was read: no tag where it names none. `rest` are words behind it on its line.

    `repeats`: it says that what it names comes again.
    """

    tag: SectionTag | None
    label: str
    rest: str = ""
    repeats: bool = False


def clean(line: str) -> str:
    """A line in NFC without control and invisible characters, its white space reduced to single spaces."""
    kept = "".join(
        " " if c.isspace() else c
        for c in unicodedata.normalize("NFC", line)
        # Zero-width joiners carry meaning in Indic scripts, Persian and emoji.
        if c.isspace() or c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    return " ".join(kept.split())


def tag_of(heading: str) -> SectionTag | None:
    """The tag that a heading without brackets names: "Verse 2" is a verse; None when it names none."""
    match = _match(heading)
    return _NAMES[match["name"]] if match else None


def shown(tag: SectionTag, label: str) -> str:
    """What stands above a section: its label where that names the tag, else both; the bare tag without."""
    if not label:
        return tag.value
    return label if tag_of(label) is tag else f"{tag.display}: {label}"


def canonical_label(tag: SectionTag, label: str) -> str:
    """The label that is read back where this one is shown: "CHORUS" is "Chorus"."""
    label = clean(label)
    if label.lower() == tag.value:
        return "" if label == tag.value else tag.display
    before = f"{tag.display}: "
    while label.startswith(before) and tag_of(label[len(before) :]) is not tag:
        label = label[len(before) :]
    return label


def read_heading(line: str, *, begins: bool = False) -> Heading | None:
    """The heading on a cleaned line; None for words. `begins`: the line is the first of a paragraph.

    Headings are "[Verse 1]", "Verse 1:", "**Chorus**", "## Bridge", "(Chorus)", with words behind them
    "[Verse 1] words" and "Verse 1: words", and "Verse 1" where a paragraph begins.
    """
    bare = _MARKS.sub("", line).strip()
    if match := _BRACKETED.match(bare) or _WIDE_BRACKETED.match(bare):
        label = match["inner"].strip().rstrip(":").strip()
        rest = (match["rest"] or "").strip()
        found = _heading(label, rest)
        return found if found or rest else Heading(None, label)
    if (match := _PARENTHESISED.match(bare)) and _is_plain(match["inner"]):
        return _heading(match["inner"].strip())
    if (match := _WITH_LINE.match(bare)) and _is_plain(label := _MARKS.sub("", match["label"]).strip()):
        return _heading(label, match["rest"])
    label = bare.rstrip(":").strip()
    marked = bare != line or bare.endswith(":")
    # "Chorus:" is a heading; a sung line that merely ends in a colon is not.
    if len(label) <= 40 and (marked or (begins and _is_plain(label))):
        return _heading(label)
    return None


def _heading(label: str, rest: str = "") -> Heading | None:
    match = _match(label)
    if match is None:
        return None
    tag = _NAMES[match["name"]]
    # A label with brackets of its own ("Verse 2 - [Anna]") would not be read back from within brackets.
    label = _BRACKETS.sub(" ", label).strip().rstrip(":").strip() if _BRACKETS.search(label) else label
    again = bool(match["repeat"] or match["times"]) or "repeat" in (match["more"] or "")
    return Heading(tag, canonical_label(tag, label), rest, again)


def _match(heading: str) -> re.Match[str] | None:
    return _HEADING.match(re.sub(r"\s+", " ", heading).strip().lower())


def _is_plain(label: str) -> bool:
    match = _match(label)
    return match is not None and match["name"] in _PLAIN and not match["more"]
