"""The languages that the lyric encoder was trained on, and how each is written.

Knows codes, vocabulary tokens and scripts; nothing of how a line is read or recognised.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.common.errors import InvalidField


@dataclass(frozen=True)
class Language:
    code: str  # ISO 639-1
    name: str
    script: str  # a name of `scripts`
    token: str  # piece of the vocabulary that opens a line in this language


LANGUAGES: Mapping[str, Language] = {
    code: Language(code, name, script, "[zh-cn]" if code == "zh" else f"[{code}]")
    for code, name, script in (
        ("en", "English", "Latin"),
        ("de", "German", "Latin"),
        ("fr", "French", "Latin"),
        ("es", "Spanish", "Latin"),
        ("it", "Italian", "Latin"),
        ("pt", "Portuguese", "Latin"),
        ("pl", "Polish", "Latin"),
        ("tr", "Turkish", "Latin"),
        ("cs", "Czech", "Latin"),
        ("nl", "Dutch", "Latin"),
        ("hu", "Hungarian", "Latin"),
        ("ru", "Russian", "Cyrillic"),
        ("ar", "Arabic", "Arabic"),
        ("hi", "Hindi", "Devanagari"),
        ("zh", "Chinese", "Han"),
        ("ja", "Japanese", "Kana"),
        ("ko", "Korean", "Hangul"),
    )
}

LATIN_LANGUAGES = tuple(language.code for language in LANGUAGES.values() if language.script == "Latin")
LANGUAGE_OF_SCRIPT: Mapping[str, str] = {
    language.script: language.code for language in LANGUAGES.values() if language.script != "Latin"
}

_CODES = " ".join(sorted(LANGUAGES))


def known_language(code: str, field: str, where: str = "") -> str:
    """The code without its region, "zh" for "zh-CN".

    Raises:
        InvalidField: a language that the model does not sing; the message begins with `where`.
    """
    known = code.strip().lower().replace("_", "-").split("-")[0]
    if known not in LANGUAGES:
        message = f"{where}language {code[:20]!r} is not one that the model sings"
        raise InvalidField("UNSUPPORTED_LANGUAGE", field, message, limit=f"one of {_CODES}")
    return known
