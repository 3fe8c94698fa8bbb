"""What people type, made into what the released rules read: signs, digits and letters that they would lose.

A line that `normalise` reads completely and rightly comes out as it went in. What remains unknown remains:
the tokenizer refuses it.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path

from services.music.acestep.lyrics.hindi_numerals import spell_hindi_numbers
from services.music.acestep.lyrics.numerals import in_words
from services.music.acestep.lyrics.scripts import script_of
from services.music.acestep.lyrics.transliteration import romaji

# Signs with the same meaning in the vocabulary.
_SAME_SIGN = {
    "ʼ": "'", "ʻ": "'", "′": "'", "`": "'", "‘": "'", "’": "'", "‛": "'", "‚": ",", "″": '"', "‟": '"',
    "‹": "'", "›": "'", "‐": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "~": "-", "〜": "-", "～": "-",
    "…": "...", "·": ".", "٬": ",", "٫": ".", "٪": "%", "।": ".", "॥": ".",
}  # fmt: skip
_SMALL_VOWEL = re.compile(r"(?P<kana>(?:HIRAGANA|KATAKANA) LETTER) SMALL (?P<vowel>[AIUEO])")
_NUMBER = r"\d+(?:[.,]\d+)*"
_SPACE = "[ \u00a0\u202f]"
_GROUP_SEPARATORS = dict.fromkeys(("fr", "pl", "ru", "hu"), _SPACE) | {
    "cs": "[ .\u00a0\u202f]",
    "ja": ",",
    "zh": ",",
}


def make_readable(text: str, language: str, alphabet: Set[str]) -> str:
    """`text` for `normalise` in `language`; `alphabet` holds the characters of the vocabulary."""
    text = "".join(_ascii_digit(character) for character in unicodedata.normalize("NFC", text))
    text = _join_groups(text, language)
    table = _tables().get(language, {})
    for sign, word in table.get("currencies", {}).items():
        text = _spell_currency(text, sign, word)
    for sign, word in table.get("symbols", {}).items():
        text = text.replace(sign, f" {word} ")
    text = _spell_numbers(text, language)
    if language == "tr":
        text = text.replace("I", "ı")  # lower case elsewhere makes an i of it
    if language == "ja":  # cutlet has its own forms of signs, and no accents
        return _lengthened("".join(_bare(c) if script_of(c) == "Latin" else c for c in text))
    return "".join(_known_form(character, alphabet) for character in text)


def lost_in_romaji(text: str) -> list[str]:
    """Characters of a Japanese line of which `normalise` would make a "?" or nothing."""
    characters = [c for c in dict.fromkeys(text) if not c.isascii() and script_of(c) != "Kana"]
    lost = [c for c in characters if unicodedata.category(c)[0] in "SN" and not _read_or_unknown(c).strip()]
    if not _read_or_unknown(text).strip():
        lost += [c for c in dict.fromkeys(text) if script_of(c) and c not in lost]
    if _read_or_unknown(text).count("?") > text.count("?") + text.count("？"):
        lost += [c for c in characters if c != "？" and "?" in _read_or_unknown(c)] or ["?"]
    return lost


def _read_or_unknown(japanese: str) -> str:
    try:
        return romaji(japanese)
    except KeyError:  # cutlet met a character that is in none of its tables
        return "?"


def _lengthened(japanese: str) -> str:
    """Small vowels in full size where they hold one ("なァ") or begin: cutlet hears them in digraphs only."""
    letters: list[str] = []
    for character in japanese:
        vowel = _SMALL_VOWEL.fullmatch(unicodedata.name(character, ""))
        before = unicodedata.name(letters[-1], "") if letters and script_of(letters[-1]) == "Kana" else ""
        if vowel and (not before or before.endswith(vowel["vowel"])):
            character = unicodedata.lookup(f"{vowel['kana']} {vowel['vowel']}")
        letters.append(character)
    return "".join(letters)


def _ascii_digit(character: str) -> str:
    return str(unicodedata.digit(character)) if unicodedata.category(character) == "Nd" else character


def _join_groups(text: str, language: str) -> str:
    """Groups of three digits as one number, by the separator that the language writes."""
    separator = _GROUP_SEPARATORS.get(language)
    if separator is None:
        return text
    return re.sub(rf"(?<!\d)\d{{1,3}}(?:{separator}\d{{3}})+(?!\d)", lambda m: re.sub(r"\D", "", m[0]), text)


def _spell_currency(text: str, sign: str, word: str) -> str:
    sign_first, sign_last = rf"{re.escape(sign)} ?({_NUMBER})", rf"({_NUMBER}) ?{re.escape(sign)}(?! ?\d)"
    text = re.sub(sign_first, rf"\1 {word} ", re.sub(sign_last, rf"\1 {word} ", text))
    return text.replace(sign, f" {word} ")


def _spell_numbers(text: str, language: str) -> str:
    """Numbers of the languages in which the released rules leave digits, or lose them."""
    match language:
        case "cs" | "ja":
            return re.sub(
                r"\d+(?:[.,]\d+)?", lambda m: _in_words_or_digits(m[0].replace(",", "."), language), text
            )
        case "hi":
            return spell_hindi_numbers(text)
        case "tr":  # a decimal would be an ordinal
            return re.sub(r"(?<!\d)(\d+)(?:,(\d+)|\.(\d{1,2}))(?!\d)", _turkish_decimal, text)
        case "zh":  # zeros alone would be nothing
            return re.sub(r"(?<![\d.])0{2,}(?![\d.])", lambda m: "零" * len(m[0]), text)
    return text


def _turkish_decimal(match: re.Match[str]) -> str:
    return f"{match[1]} virgül {match[2] or match[3]}"


def _in_words_or_digits(number: str, language: str) -> str:
    try:
        return in_words(float(number) if "." in number else int(number), language)
    except Exception:  # past num2words' tables; see in_words
        return number


def _known_form(character: str, alphabet: Set[str]) -> str:
    """The character, or what stands for it in the vocabulary; itself again where nothing does."""
    if character.isspace() or _known(character, alphabet) or script_of(character) in ("Han", "Hangul"):
        return character
    if unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return ""  # invisible: joiners, direction marks, the choice between a sign and an emoji
    for form in (_SAME_SIGN.get(character, ""), unicodedata.normalize("NFKC", character), _bare(character)):
        if form and form != character and all(_known(c, alphabet) or c.isspace() for c in form):
            return form
    return character


def _known(character: str, alphabet: Set[str]) -> bool:
    return all(c in alphabet for c in character.lower())


def _bare(character: str) -> str:
    """A letter without its accents; a combining accent becomes nothing."""
    letters = unicodedata.normalize("NFD", character)
    if unicodedata.name(letters[0], "").startswith(("LATIN", "COMBINING")):
        return "".join(c for c in letters if unicodedata.category(c) != "Mn")
    return character


@cache
def _tables() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    return tomllib.loads(Path(__file__).with_name("reading.toml").read_text(encoding="utf-8"))
