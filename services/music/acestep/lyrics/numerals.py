"""Digits to words, the released way: currency, decimals, ordinals, whole numbers, through num2words.

Knows the order and the patterns of the released rules; the endings and signs of a language come from
`normalisation.toml`. Chinese has rules of its own (`chinese_numerals`).
"""

import re
import threading
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

# num2words keeps the number that it works on in its converters, one per language for the whole process.
_NUM2WORDS = threading.Lock()

_CURRENCIES = (("£", "GBP"), ("$", "USD"), ("€", "EUR"))
_DECIMAL = re.compile(r"[0-9]+[.,][0-9]+")
_WHOLE = re.compile(r"[0-9]+")
_GROUPED = {
    ",": re.compile(r"\b\d{1,3}(?:,\d{3})*(?:\.\d+)?\b"),
    # any one character may stand between the groups, as released
    ".": re.compile(r"\b\d{1,3}(?:.\d{3})*(?:,\d+)?\b"),
}


@dataclass(frozen=True)
class NumberRules:
    language: str
    ordinals: str  # pattern of the endings that make an ordinal
    joint: str  # what stands before the cents
    thousands: str  # "," or "."


def in_words(number: int | float, language: str, **how: Any) -> str:
    """`number` in words. Raises whatever num2words raises for what it cannot say: not one kind of error."""
    from num2words import num2words  # late: loads fifty languages

    with _NUM2WORDS:
        return str(num2words(number, lang=language, **how))


def spell_numbers(text: str, rules: NumberRules) -> str:
    """`text` with its numbers in words; unchanged if one of them has none (released: all or nothing)."""
    language = rules.language
    try:
        spelled = _GROUPED[rules.thousands].sub(lambda m: m[0].replace(rules.thousands, ""), text)
        spelled = _spell_currencies(spelled, rules)
        if language != "tr":  # num2words has no Turkish decimals
            spelled = _DECIMAL.sub(lambda m: in_words(float(m[0].replace(",", ".")), language), spelled)
        spelled = _ordinal(rules.ordinals).sub(lambda m: in_words(int(m[1]), language, ordinal=True), spelled)
        return _WHOLE.sub(lambda m: in_words(int(m[0]), language), spelled)
    except Exception:  # see in_words
        return text


def _spell_currencies(text: str, rules: NumberRules) -> str:
    """A currency that num2words does not know in the language ends it: the digits go to the later rules."""
    try:
        for sign, currency in _CURRENCIES:
            text = _amount(sign).sub(partial(_spell_amount, currency=currency, rules=rules), text)
    except Exception:  # see in_words
        return text
    return text


def _spell_amount(amount: re.Match[str], currency: str, rules: NumberRules) -> str:
    value = float(re.sub(r"[^\d.]", "", amount[0].replace(",", ".")))
    words = in_words(value, rules.language, to="currency", currency=currency)
    return words.rpartition(rules.joint)[0] or words if value.is_integer() else words


@cache
def _amount(sign: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(sign)}[0-9.,]*[0-9]+|[0-9.,]*[0-9]+{re.escape(sign)}")


@cache
def _ordinal(endings: str) -> re.Pattern[str]:
    return re.compile(rf"([0-9]+)(?:{endings})")
