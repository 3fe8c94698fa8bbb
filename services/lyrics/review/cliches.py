"""Clichés: worn words and phrases of English lyrics, by weight.

Knows a list. What the brief itself says is no cliché: it was asked for.
"""

import math
from functools import cache
from pathlib import Path

from services.lyrics import pronunciation
from services.lyrics.engine import Brief
from services.lyrics.inflections import forms
from services.lyrics.review.song import Song
from services.lyrics.review.verdict import Finding, Judged, judged, not_assessed

_DATA = Path(__file__).parents[1] / "data" / "cliches.txt"
# One cliché of full weight in every third line halves the score.
_STEEPNESS = 2.1
_FEW_LINES = 8  # a short text is not condemned for one word


def judge(song: Song, brief: Brief | None = None) -> Judged:
    """1 without clichés, falling with their weight per line; a chorus counts once."""
    if song.language != "en":
        return not_assessed("the list of clichés is English")
    asked = " ".join([brief.theme, *brief.required_words]) if brief else ""
    meant = frozenset(form for word in pronunciation.words(asked) for form in forms(word))
    findings: list[Finding] = []
    weight, lines = 0.0, 0
    for section in song.new_sections:
        for line in section.lines:
            lines += 1
            for words, worn in _found(line.words):
                if not meant.issuperset(words):
                    weight += worn
                    message = f'"{" ".join(words)}" has been sung very often'
                    findings.append(Finding("CLICHE", message, section=line.section, line=line.line))
    value = math.exp(-_STEEPNESS * weight / max(lines, _FEW_LINES))
    reason = f"worn words or phrases: {len(findings)}" if findings else "no worn words or phrases"
    return judged(value, reason, findings)


def _found(words: tuple[str, ...]) -> list[tuple[tuple[str, ...], float]]:
    known = _cliches()
    return [
        (words[i : i + size], known[words[i : i + size]])
        for size in range(1, 6)
        for i in range(len(words) - size + 1)
        if words[i : i + size] in known
    ]


@cache
def _cliches() -> dict[tuple[str, ...], float]:
    """Words in a row to their weight."""
    lines = [
        line.split() for line in _DATA.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
    ]
    return {tuple(words): float(weight) for weight, *words in lines}
