"""A line as the lyric encoder was trained to read it: the released rules, language by language.

Gives what the released normalisation gives, odd as it may be, but for Chinese numbers that stand in one
another ("12和2个"), which are read where they stand. What the rules leave unread is `reading`'s, before them.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from services.music.acestep.lyrics.chinese_numerals import spell_chinese_numbers
from services.music.acestep.lyrics.numerals import NumberRules, spell_numbers
from services.music.acestep.lyrics.transliteration import pinyin, romaji, romanised_hangul

_SPACES = re.compile(r"\s+")
_CAPITALS_OF_TURKISH = str.maketrans("İÖÜ", "iöü")


def normalise(text: str, language: str) -> str:
    """`text` in the lower case and letters of the vocabulary, single spaces between words.

    `language` is a code of `languages.LANGUAGES`.
    """
    if language == "ja":
        return romaji(text)
    if language == "hi":
        return _single_spaces(text.lower())
    if language == "tr":
        text = text.translate(_CAPITALS_OF_TURKISH)
    rules = _rules()[language]
    text = text.replace('"', "").lower()
    if language == "zh":
        text = spell_chinese_numbers(text)
    elif rules.numbers is not None:
        text = spell_numbers(text, rules.numbers)
    if rules.abbreviation is not None:
        text = rules.abbreviation.sub(lambda m: rules.abbreviations[m[1].lower()], text)
    for sign, word in rules.symbols.items():
        text = text.replace(sign, f" {word} ")
    text = _single_spaces(text).strip()
    if language == "zh":
        return pinyin(text)
    return romanised_hangul(text) if language == "ko" else text


def _single_spaces(text: str) -> str:
    return _SPACES.sub(" ", text)


@dataclass(frozen=True)
class _Rules:
    abbreviations: Mapping[str, str]
    abbreviation: re.Pattern[str] | None
    symbols: Mapping[str, str]
    numbers: NumberRules | None  # None: the released code leaves digits as they are


@cache
def _rules() -> Mapping[str, _Rules]:
    tables = tomllib.loads(Path(__file__).with_name("normalisation.toml").read_text(encoding="utf-8"))
    return {language: _read_rules(language, table) for language, table in tables.items()}


def _read_rules(language: str, table: Mapping[str, object]) -> _Rules:
    abbreviations, symbols = _strings(table.get("abbreviations")), _strings(table["symbols"])
    numbers = None
    if "ordinals" in table:
        numbers = NumberRules(language, str(table["ordinals"]), str(table["joint"]), str(table["thousands"]))
    return _Rules(abbreviations, _abbreviation(language, abbreviations), symbols, numbers)


def _strings(value: object) -> dict[str, str]:
    return {str(key): str(word) for key, word in value.items()} if isinstance(value, dict) else {}


def _abbreviation(language: str, abbreviations: Mapping[str, str]) -> re.Pattern[str] | None:
    if not abbreviations:
        return None
    words = "|".join(re.escape(word) for word in abbreviations)
    end = r"\b" if language == "ru" else r"\."
    return re.compile(rf"\b({words}){end}")
