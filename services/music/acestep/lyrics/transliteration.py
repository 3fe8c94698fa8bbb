"""Chinese, Japanese and Korean in Latin letters: pinyin with tone digits, romaji, academic romanisation.

Each language's dictionary is loaded at its first line. Safe on several threads.
"""

import threading
from functools import cache
from typing import Any

# MeCab, below cutlet, keeps the sentence that it works on.
_CUTLET = threading.Lock()


def pinyin(text: str) -> str:
    """Han characters as pinyin, the neutral tone as 5, without spaces; everything else as it is."""
    from pypinyin import Style
    from pypinyin import pinyin as read

    syllables = read(text, style=Style.TONE3, heteronym=False, neutral_tone_with_five=True)
    return "".join(readings[0] for readings in syllables)


def romaji(text: str) -> str:
    """Japanese in Hepburn romaji, words apart, loanwords in their own spelling ("カード" → "card").

    What cutlet cannot read becomes "?" or nothing: `reading` refuses such characters beforehand.
    """
    with _CUTLET:
        return str(_cutlet().romaji(text)).lower()


def romanised_hangul(text: str) -> str:
    """Hangul syllables in academic romanisation; everything else as it is."""
    return str(_hangul().translit(text))


@cache
def _cutlet() -> Any:
    from cutlet import Cutlet

    return Cutlet()


@cache
def _hangul() -> Any:
    from hangul_romanize import Transliter
    from hangul_romanize.rule import academic

    return Transliter(academic)
