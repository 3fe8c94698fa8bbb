"""The language of every line of a song: by script, then by the line's words, then by the rest of the song.

A foreign word does not turn a line, and a line too short to tell goes with the song. Deterministic, no state.
Knows nothing of tags, vocabularies or how a line is read.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.music.acestep.lyrics.languages import LANGUAGE_OF_SCRIPT, LANGUAGES, LATIN_LANGUAGES
from services.music.acestep.lyrics.latin_evidence import (
    is_vocalise,
    latin_evidence,
    ngram_fit,
    words_of,
)
from services.music.acestep.lyrics.lines import LyricLine
from services.music.acestep.lyrics.scripts import count_scripts

# Characters that one of the two writes and the other does not.
_CHINESE_ONLY = frozenset("你您们們这這那哪吗嗎吧呢没沒么麼谁她爱说說让讓给还从從对對觉覺别很會樣个现过谢")
_JAPANESE_ONLY = frozenset("桜駅気図円歩楽辺涙働込峠畑匂咲雫凪帰変続発満桟稲恵戻黒継巣圏渋騒")

_SONG_WEIGHT = 0.9  # share of the song in what a line is expected to be; the rest is even over the languages
_ROUNDS = 3  # the song is summed up from its lines and the lines judged again

# A text whose n-grams fit another language better than all that the model sings, by this logarithm of the
# odds. No song and no line of labelled_lyrics.txt reaches 2.5, slang 4; four lines of Swedish 18, Slovak 6.
_UNSUPPORTED_SONG, _WORDS_OF_SONG = 7.0, 8
_UNSUPPORTED_LINE, _WORDS_OF_LINE = 9.0, 4


def detect_languages(lines: Sequence[LyricLine], song_language: str = "") -> tuple[str, ...]:
    """One code of `languages.LANGUAGES` per line.

    A line's own language (a code of `LANGUAGES`) stands. `song_language` holds for every line written in its
    script, and for lines without letters.
    """
    scripts = [_script(line.text) for line in lines]
    found = [
        line.language or _by_script(script, song_language)
        for line, script in zip(lines, scripts, strict=True)
    ]
    han = [i for i, script in enumerate(scripts) if script == "Han" and not found[i]]
    for i in han:
        found[i] = _chinese_or_japanese(lines[i].text, found)
    latin = [i for i, script in enumerate(scripts) if script == "Latin" and not found[i]]
    sung = [found[i] for i, script in enumerate(scripts) if script == "Latin" and found[i]]
    for i, language in zip(latin, _latin_languages([lines[i].text for i in latin], sung), strict=True):
        found[i] = language
    most = song_language or _most_sung(lines, found)
    return tuple(language or most for language in found)


@dataclass(frozen=True)
class Unsupported:
    index: int  # of the line that shows it most clearly
    language: str  # ISO 639 code, of two or three letters


def find_unsupported(texts: Sequence[str]) -> Unsupported | None:
    """The language that `texts` are in when it is clearly none that the model sings.

    For texts in which nobody named a language: a named one is sung as asked.
    """
    by_script: dict[str, dict[str, int]] = {}  # script → text → its first index
    for i, text in enumerate(texts):
        if not is_vocalise(text):
            by_script.setdefault(_script(text), {}).setdefault(text, i)
    for script in ("Latin", "Cyrillic", "Arabic", "Devanagari"):
        distinct = by_script.get(script, {})
        surplus = {text: _unsupported_fit(text, _WORDS_OF_LINE) for text in distinct}
        clearest = max(distinct, key=lambda text: surplus[text][0], default="")
        fit, language = _unsupported_fit("\n".join(distinct), _WORDS_OF_SONG)
        if fit > _UNSUPPORTED_SONG:
            return Unsupported(distinct[clearest], language)
        if distinct and surplus[clearest][0] > _UNSUPPORTED_LINE:
            return Unsupported(distinct[clearest], surplus[clearest][1])
    return None


def _unsupported_fit(text: str, least_words: int) -> tuple[float, str]:
    """By how much the best fit is better than the best one among the model's languages, and which it is."""
    if len(set(words_of(text))) < least_words:
        return -math.inf, ""
    fits = ngram_fit(text)
    best = max(fits, key=lambda code: (fits[code], code in LANGUAGES))
    return fits[best] - max(fit for code, fit in fits.items() if code in LANGUAGES), best


def _script(text: str) -> str:
    """The script that needs a reading of its own, else the one of most letters; "" without letters."""
    counts = count_scripts(text)
    if counts["Kana"] or counts["Hangul"]:
        return "Hangul" if counts["Hangul"] > counts["Kana"] else "Kana"
    if counts["Han"]:
        return "Han"
    sung = [script for script in counts if script == "Latin" or script in LANGUAGE_OF_SCRIPT]
    return max(sung, key=lambda script: (counts[script], script != "Latin"), default="")


def _by_script(script: str, song_language: str) -> str:
    """The song's language where the line may be in it, else the script's only one; "" where it has more."""
    if song_language and script in ("", LANGUAGES[song_language].script):
        return song_language
    if script == "Han":
        return "ja" if song_language == "ja" else ""
    return LANGUAGE_OF_SCRIPT.get(script, "")


def _chinese_or_japanese(text: str, found: Sequence[str]) -> str:
    characters = set(text)
    chinese, japanese = len(characters & _CHINESE_ONLY), len(characters & _JAPANESE_ONLY)
    if chinese != japanese:
        return "zh" if chinese > japanese else "ja"
    return "ja" if found.count("ja") > found.count("zh") else "zh"


def _latin_languages(texts: Sequence[str], known: Sequence[str]) -> list[str]:
    """Each text by its own evidence and by what the others are; `known` are languages of further lines."""
    evidence = [latin_evidence(text) for text in texts]
    beliefs = [_normalised(line) for line in evidence]
    others = len(texts) + len(known) - 1
    for _ in range(_ROUNDS if others > 0 else 0):
        song = {
            code: known.count(code) + math.fsum(belief[code] for belief in beliefs)
            for code in LATIN_LANGUAGES
        }
        beliefs = [
            _normalised({code: line[code] + _expected(song[code] - own[code], others) for code in line})
            for line, own in zip(evidence, beliefs, strict=True)
        ]
    return [max(belief, key=lambda code: belief[code]) for belief in beliefs]


def _expected(lines: float, others: int) -> float:
    """Logarithm of what a line is expected to be when `lines` of the `others` are in the language."""
    return math.log(_SONG_WEIGHT * max(0.0, lines) / others + (1 - _SONG_WEIGHT) / len(LATIN_LANGUAGES))


def _normalised(logarithms: Mapping[str, float]) -> dict[str, float]:
    most = max(logarithms.values())
    odds = {code: math.exp(value - most) for code, value in logarithms.items()}
    total = math.fsum(odds.values())
    return {code: value / total for code, value in odds.items()}


def _most_sung(lines: Sequence[LyricLine], found: Sequence[str]) -> str:
    letters: Counter[str] = Counter()
    for line, language in zip(lines, found, strict=True):
        if language:
            letters[language] += len(line.text)
    return max(letters, key=lambda code: letters[code], default="en")
