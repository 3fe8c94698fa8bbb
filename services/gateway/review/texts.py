"""Texts that people send, in one form and within their limits. Knows nothing of what they say."""

import unicodedata
from itertools import groupby

from services.common.errors import InvalidField

LONGEST_PROMPT = 1_000
# As in the Stream-Safe Text Format (UAX #15): no language stacks more on a letter.
MOST_MARKS = 30


def checked_text(field: str, text: str, longest: int, *, required: bool = False, lines: bool = False) -> str:
    """`text` in NFC, every run of blanks one space and none around it; with `lines`, line by line.

    Raises:
        InvalidField: REQUIRED, TOO_LONG (`longest` characters), or MALFORMED for control characters and
            for towers of combining marks.
    """
    limit = f"{1 if required else 0} to {longest} characters"
    # Before NFC: the time that it takes to sort marks grows with the square of their number.
    _require_short(field, text, longest, limit)
    if any(marks and len(list(run)) > MOST_MARKS for marks, run in groupby(text, _is_mark)):
        raise InvalidField(
            "MALFORMED",
            field,
            f"{field} holds a tower of combining marks",
            limit=f"at most {MOST_MARKS} combining marks in a row",
        )
    clean = unicodedata.normalize("NFC", text)
    kept = clean.splitlines() if lines else [clean]
    clean = "\n".join(" ".join(line.split()) for line in kept).strip()
    _require_short(field, clean, longest, limit)  # NFC may lengthen
    if required and not clean:
        raise InvalidField("REQUIRED", field, f"{field} is empty", limit=limit)
    if any(unicodedata.category(c) == "Cc" and c != "\n" for c in clean):
        raise InvalidField(
            "MALFORMED", field, f"{field} holds control characters", limit="no control characters"
        )
    return clean


def _require_short(field: str, text: str, longest: int, limit: str) -> None:
    if len(text) > longest:
        raise InvalidField("TOO_LONG", field, f"{field} has {len(text)} characters", limit=limit)


def _is_mark(character: str) -> bool:
    return unicodedata.combining(character) > 0
