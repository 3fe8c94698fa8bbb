"""What stands around lyrics that are no words to sing: a chat's small talk, titles, notes, markdown.

Knows how such lines look. Where they may stand is the parser's.
"""

import re

_FENCE = re.compile(r"^(?:`{3,}|~{3,})[\w-]*$")
_RULE = re.compile(r"^(?:[-*_=–—] ?){3,}$")
_WHOLE = re.compile(r"^(\*{1,3}|_{1,3}|`)(?P<inner>[^*_`].*?)\1$")
_LEADING = re.compile(r"^(?:>|[-•*]) +")
_TITLE = re.compile(r"^(?:[#*_]+ ?)?(?:song )?title ?[*_]*[:–—-] ?[*_]* ?(?P<title>.+?)[*_]*$", re.IGNORECASE)
_TITLE_LINE = re.compile(r"^(?:# ?(?P<hash>[^#].*)|(?P<mark>\*{2,3})(?P<bold>[^*]+)(?P=mark))$")
_QUOTES = "\"“”„«»'"
_ASIDE = re.compile(
    r"^[*_]*(?:genre|style|mood|tempo|bpm|key|artist|language|word count|theme|structure|instruments?"
    r"|time signature|written by|lyrics by)[*_]* ?:",
    re.IGNORECASE,
)
_POLITE = re.compile(
    r"^(?:sure|certainly|of course|absolutely|okay|ok|great|got it|no problem)\b(?: thing)?[!.,:]?$",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^(?:(?:sure|certainly|of course|absolutely|okay|ok|great|got it|no problem)\b(?: thing)?[!.,:—–-]+ ?)?"
    r"(?:here(?:'s|’s| is| are| you go)|below (?:is|are)|i(?:'ve|’ve| have) (?:written|created|composed|made)"
    r"|this is|these are|i(?:'ll|’ll| will| can) (?:write|create))\b.*"
    r"\b(?:lyrics?|song|verses?|track|tune|version|draft)\b",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"^[(*_]*(?:please )?(?:let me know|i hope|hope (?:you|this|that)|feel free|would you like|do you want"
    r"|if you(?:'d|’d| would| want)|want me to|note|notes|is there anything|i can (?:also|adjust|make|change)"
    r"|these lyrics|this song|the song|the lyrics|enjoy)\b.*?"
    r"(?:\b(?:lyrics?|song|changes?|adjust\w*|tweaks?|revis\w*|modif\w*|version|edits?|anything else"
    r"|like me to|want me to|melody|your (?:style|needs|taste|liking))\b|:)",
    re.IGNORECASE,
)


def is_markup(line: str) -> bool:
    """Whether a cleaned line is a code fence or a rule."""
    return bool(_FENCE.match(line) or _RULE.match(line))


def unmarked(line: str) -> str:
    """A cleaned line without the quote mark, bullet or emphasis around the whole of it."""
    before = ""
    while line != before:
        before = line
        line = _LEADING.sub("", line)
        if match := _WHOLE.match(line):
            line = match["inner"].strip()
    return line


def title_said(line: str) -> str:
    """The title that "Title: …" gives; else nothing."""
    match = _TITLE.match(line)
    return match["title"].strip().strip(_QUOTES).strip() if match else ""


def title_shown(line: str) -> str:
    """The title that a line in bold or a heading of the first level is; else nothing."""
    match = _TITLE_LINE.match(line)
    return (match["hash"] or match["bold"]).strip().strip(_QUOTES + "*").strip() if match else ""


def is_opening(line: str, *, tagged: bool) -> bool:
    """Whether a line before the song is small talk. `tagged`: sections with tags follow it, so that it
    takes less to be sure."""
    if tagged:
        return bool(_POLITE.match(line) or _OPENING.match(line) or _ASIDE.match(line))
    return line.endswith(":") and bool(_OPENING.match(line))


def is_closing(line: str) -> bool:
    """Whether a line that begins the last paragraph is a remark about the song."""
    return bool(_CLOSING.match(line))
