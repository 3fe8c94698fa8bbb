"""What is wrong with a line that a model wrote: commentary, an echo of the order, words to avoid.

Knows text. What follows from it is the draft's business.
"""

import re

from services.lyrics import pronunciation
from services.lyrics.document import SectionTag, parse
from services.lyrics.engine import Brief
from services.lyrics.llama.prompt import ECHOES
from services.lyrics.review import profanity
from services.lyrics.review.gates import sings

# Of the brief, by the field that an error names
STRUCTURE, AVOIDED, CLEAN = "structure", "avoided_words", "clean"

# How models talk about a song instead of writing it.
_TALK = (
    r"sure\b[,!.]", r"certainly\b[,!]", r"of course[,!]", r"note:", r"let me know", r"feel free", r"as an ai",
    r"here(?:'s| is| are) (?:the|your|a|an|some) .*(?:lyrics|song|verse|chorus|bridge)",
    r"i hope (?:you (?:like|enjoy)|this)",
    r"this (?:song|verse|chorus|bridge) (?:is|captures|reflects|explores|conveys)",
    r"\(?(?:instrumental|guitar solo|repeat|fade out|end of song|music fades)\b",
    r"(?:title|genre|mood|theme|language|lyrics):", r"```", r"---", r"===",
)  # fmt: skip
_COMMENTARY = re.compile("|".join(_TALK), re.IGNORECASE)


def as_read(line: str) -> str:
    """A line as the parser reads it under a heading, without bullets or quotes; "" if that is no one line."""
    read = parse(f"[{SectionTag.VERSE.value}]\n{line}")
    lines = [line.text for section in read.sections for line in section.lines]
    alone = len(lines) == 1 and len(read.sections) == 1 and not read.unknown_headings
    return lines[0] if alone else ""


def problem(line: str, brief: Brief) -> str:
    """The field that a line goes against, or "" for a good one."""
    low = line.lower()
    if (
        not any(c.isalpha() for c in line)
        or "\ufffd" in line
        or as_read(line) != line
        or _COMMENTARY.match(line)
        or any(echo in low for echo in ECHOES)
        or (len(brief.theme) > 40 and brief.theme.lower() in low)
    ):
        return STRUCTURE
    if any(has_word(line, word) for word in brief.avoided_words):
        return AVOIDED
    if brief.clean and profanity.found(line, brief.language):
        return CLEAN
    return ""


def has_word(line: str, word: str) -> bool:
    """Whether a line sings a word or phrase, in any of its forms, as the review counts it."""
    plain = rf"(?<!\w){re.escape(word.casefold())}(?!\w)"  # what has no letters too
    return sings(pronunciation.words(line), word) or re.search(plain, line.casefold()) is not None
