"""Ids of our lyric tokenizer against recorded ids of the released one.

The record (`lyric_tokens.json`): {group: [{"lyrics": text, "ids": [...], "languages": [code or null]}]}, one
code a line. Lines take their recorded language; a code that the model does not sing is English, as released.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.music.acestep.lyrics.languages import LANGUAGES
from services.music.acestep.lyrics.lines import LyricLine
from services.music.acestep.lyrics.tokenizer import TAG_LANGUAGE, LyricTokenizer


@dataclass(frozen=True)
class LyricTokensRow:
    case: str  # "en/2"
    expected: tuple[int, ...]
    found: tuple[int, ...]

    @property
    def agrees(self) -> bool:
        return self.expected == self.found

    @property
    def first_difference(self) -> int | None:
        """Position of the first id that differs or is missing on one side."""
        if self.agrees:
            return None
        shorter = min(len(self.expected), len(self.found))
        return next((i for i in range(shorter) if self.expected[i] != self.found[i]), shorter)


def check_lyric_tokens(record: Path, vocabulary: Path) -> list[LyricTokensRow]:
    """One row per recorded text, in the record's order.

    Raises:
        VocabularyError: `vocabulary` is not one.
        ValueError: `record` is not such a record.
    """
    tokenizer = LyricTokenizer.load(vocabulary)
    try:
        groups = json.loads(record.read_text(encoding="utf-8"))
        named = [(f"{group}/{i}", case) for group, cases in groups.items() for i, case in enumerate(cases)]
        return [_row(tokenizer, name, case) for name, case in named]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{record}: not a record of lyric tokens: {error!r}") from error


def _row(tokenizer: LyricTokenizer, name: str, case: dict[str, Any]) -> LyricTokensRow:
    texts = [line.strip() for line in case["lyrics"].split("\n")]
    languages = [_language(text, code) for text, code in zip(texts, case["languages"], strict=True)]
    lines = [LyricLine(text, language) for text, language in zip(texts, languages, strict=True)]
    return LyricTokensRow(name, tuple(case["ids"]), tuple(tokenizer.released_ids(lines)))


def _language(text: str, recorded: str | None) -> str:
    if re.match(r"\[.*?\]", text):  # whatever follows the tag
        return TAG_LANGUAGE
    code = (recorded or "").split("-")[0]
    return code if code in LANGUAGES else "en"
