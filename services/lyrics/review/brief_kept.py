"""Brief: how much of what was asked for is there.

Knows the brief's structure, lines, syllables, words and theme. Missing and forbidden words are gates too.
"""

from collections.abc import Iterator
from difflib import SequenceMatcher

from services.lyrics import language, pronunciation
from services.lyrics.engine import Brief
from services.lyrics.inflections import forms
from services.lyrics.review.gates import sings
from services.lyrics.review.song import Song
from services.lyrics.review.verdict import Finding, Judged, judged, not_assessed

_THEME_WORDS = 3  # different words of a theme that are enough to hear it
_LEAST_LETTERS = 3  # of a word that can carry a theme


def judge(song: Song, brief: Brief | None) -> Judged:
    """Mean over the parts of the brief that say something."""
    if brief is None:
        return not_assessed("no brief was given")
    findings: list[Finding] = []
    parts = [*_parts(song, brief, findings)]
    if not parts:
        return not_assessed("the brief asks for nothing that can be checked")
    reason = findings[0].message if findings else "all that can be checked is kept"
    return judged(sum(parts) / len(parts), reason, findings)


def _parts(song: Song, brief: Brief, findings: list[Finding]) -> Iterator[float]:
    if brief.structure:
        yield _structure(song, brief, findings)
    if brief.lines_per_section or any(asked.lines for asked in brief.structure):
        yield _lines(song, brief, findings)
    if brief.syllables:
        yield _syllables(song, brief.syllables, findings)
    lines = list(song.lines)
    if brief.required_words:
        sung = sum(any(sings(line.words, word) for line in lines) for word in brief.required_words)
        yield sung / len(brief.required_words)
    if brief.avoided_words:
        heard = sum(any(sings(line.words, word) for line in lines) for word in brief.avoided_words)
        yield 1.0 - heard / len(brief.avoided_words)
    theme = _theme_words(brief.theme, song.language or brief.language)
    if theme:
        yield _theme(song, theme, findings)


def _structure(song: Song, brief: Brief, findings: list[Finding]) -> float:
    asked = [section.tag.value for section in brief.structure]
    found = [section.tag.value for section in song.sections]
    if asked != found:
        message = f"asked for {', '.join(asked)}; it has {', '.join(found)}"
        findings.append(Finding("STRUCTURE_DIFFERS", message))
    return SequenceMatcher(None, asked, found, autojunk=False).ratio()


def _lines(song: Song, brief: Brief, findings: list[Finding]) -> float:
    """Mean closeness of the sections' line counts to those asked for."""
    values = []
    for section in song.sections:
        asked = brief.lines_per_section if section.lines or section.tag.needs_words else 0
        if section.index < len(brief.structure):
            asked = brief.structure[section.index].lines or asked
        if not asked:
            continue
        count = len(section.lines)
        values.append(min(asked, count) / max(asked, count))
        if asked != count:
            message = f"{section.section.heading} has {count} lines; asked for {asked}"
            findings.append(Finding("LINES_DIFFER", message, section=section.index))
    return sum(values) / len(values) if values else 0.0


def _syllables(song: Song, asked: tuple[int, int], findings: list[Finding]) -> float:
    least, most = asked
    values = []
    for line in song.lines:
        off = max(least - line.syllables, line.syllables - most, 0)
        values.append(max(0.0, 1.0 - off / 4))
        if off:
            message = f"{line.syllables} syllables; asked for {least} to {most}"
            findings.append(Finding("SYLLABLES_OUT_OF_RANGE", message, section=line.section, line=line.line))
    return sum(values) / len(values)


def _theme(song: Song, theme: list[str], findings: list[Finding]) -> float:
    heard = {word for line in song.lines for word in line.words}
    touched = sum(not forms(word).isdisjoint(heard) for word in theme)
    if not touched:
        findings.append(Finding("THEME_UNTOUCHED", "no word of the theme is sung"))
    return min(1.0, touched / min(len(theme), _THEME_WORDS))


def _theme_words(theme: str, code: str) -> list[str]:
    """Words of a theme that mean something by themselves, each once."""
    common = language.common_words(code) | language.common_words("en")
    meaning = [w for w in pronunciation.words(theme) if len(w) >= _LEAST_LETTERS and w not in common]
    return list(dict.fromkeys(meaning))
