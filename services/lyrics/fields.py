"""Checks of single request fields: each returns the value as it is used, or names field and limit.

Knows texts, numbers and codes; which field has which limit is said by its callers.
"""

import math
import re

from services.common.errors import InvalidField
from services.lyrics.document import clean

_LANGUAGE = re.compile(r"[a-z]{2}")


def required(field: str, value: str, limit: int, *, one_line: bool = False) -> str:
    """A text of 1 to `limit` characters that are not all white space. Raises InvalidField."""
    text = clean(value) if one_line else value.strip()
    at_most(field, len(text), limit, "characters", reason="TOO_LONG")
    if not clean(text):
        message = f"{field} is required, 1 to {limit} characters"
        raise InvalidField("REQUIRED", field, message, limit=f"1 to {limit} characters")
    return text


def optional(field: str, value: str, limit: int) -> str:
    """One line of at most `limit` characters. Raises InvalidField."""
    text = clean(value)
    at_most(field, len(text), limit, "characters", reason="TOO_LONG")
    return text


def at_most(field: str, count: int, limit: int, unit: str, *, reason: str = "OUT_OF_RANGE") -> None:
    """Raises InvalidField for a `count` above `limit`."""
    if count > limit:
        message = f"{field} has {count} {unit}; at most {limit}"
        raise InvalidField(reason, field, message, limit=f"{limit} {unit}")


def language(field: str, value: str) -> str:
    """A language code, or nothing. Raises InvalidField."""
    code = value.strip().lower()
    if code and not _LANGUAGE.fullmatch(code):
        limit = "an ISO 639-1 code of two letters"
        raise InvalidField("UNKNOWN_VALUE", field, f"{field} is not {limit}", limit=limit)
    return code


def number(field: str, value: float, low: float, high: float) -> float:
    """A number from `low` to `high`, or 0 for none. Raises InvalidField."""
    if value != 0 and not (math.isfinite(value) and low <= value <= high):
        limit = f"0 or {low:g} to {high:g}"
        raise InvalidField("OUT_OF_RANGE", field, f"{field} is {value:g}; it is {limit}", limit=limit)
    return value


def count(field: str, value: int, low: int, high: int) -> int:
    """A whole number from `low` to `high`. Raises InvalidField."""
    if not low <= value <= high:
        limit = f"{low} to {high}"
        raise InvalidField("OUT_OF_RANGE", field, f"{field} is {value}; it is {limit}", limit=limit)
    return value
