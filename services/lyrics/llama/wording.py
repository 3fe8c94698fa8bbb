"""What is wrong with a line that a model wrote: commentary, an echo of the order, words to avoid.

Knows text. What follows from it is the draft's business.
"""

import re

from services.lyrics.document import SectionTag, parse
from services.lyrics.engine import Brief
from services.lyrics.llama.prompt import ECHOES

# Of the brief, by the field that an error names
STRUCTURE, AVOIDED = "structure", "avoided_words"

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
_ENDINGS = r"(?:'?s|es|ed|d|ing|in'|er|ers|y|ly|'re|'ll|'d|'ve)?"


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
    if any(has_word(line, word, forms=True) for word in brief.avoided_words):
        return AVOIDED
    return ""


def has_word(line: str, word: str, *, forms: bool = False) -> bool:
    """Whether a line has a word (or a phrase) as a whole; with `forms` also with the usual endings."""
    said = word.casefold()
    stem = re.escape(said)
    if forms and len(said) > 3 and said[-1] in "ey":  # love, loving; cry, cries
        stem = f"(?:{stem}|{re.escape(said[:-1])}(?:i(?=e))?)"
    doubled = f"{re.escape(said[-1])}?" if forms and said[-1] in "bdgklmnprt" else ""
    pattern = rf"(?<!\w){stem}{doubled + _ENDINGS if forms else ''}(?!\w)"
    return re.search(pattern, line.casefold()) is not None
