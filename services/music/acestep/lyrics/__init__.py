"""Lyrics to ids of the lyric encoder: lines, languages, normalisation, transliteration, vocabulary.

Knows the released rules and where they fall short; knows no tensors and no requests.
"""

from services.music.acestep.lyrics.agreement import LyricTokensRow, check_lyric_tokens
from services.music.acestep.lyrics.languages import LANGUAGES, Language
from services.music.acestep.lyrics.lines import LyricLine, lines_of_sections, lines_of_text
from services.music.acestep.lyrics.tokenizer import (
    MAX_LYRIC_TOKENS,
    EncodedLyrics,
    LyricTokenizer,
    VocabularyError,
)

__all__ = [
    "LANGUAGES",
    "MAX_LYRIC_TOKENS",
    "EncodedLyrics",
    "Language",
    "LyricLine",
    "LyricTokenizer",
    "LyricTokensRow",
    "VocabularyError",
    "check_lyric_tokens",
    "lines_of_sections",
    "lines_of_text",
]
