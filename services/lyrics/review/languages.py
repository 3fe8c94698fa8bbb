"""Language: whether the words are in the language that the document says.

Knows whole sections for its gate and single lines for its score. Which language it is, `language` tells.
"""

from services.lyrics import language, pronunciation
from services.lyrics.review.song import Song, SungLine
from services.lyrics.review.verdict import Finding, Judged, judged, not_assessed

_LEAST_WORDS = 8  # of a section, vocables left out: fewer may be a greeting in another tongue


def judge(song: Song) -> Judged:
    """The share of lines that are not clearly in another language; a section that is, is a gate.

    Only a document that says its language is held to it: in one that does not, a verse in another language
    may be meant. A line that says its own language is held to nothing.
    """
    if not song.language:
        return not_assessed("too few words to tell the language")
    if not language.is_known(song.language):
        return not_assessed(f"the language {song.language} cannot be told here")
    findings = []
    told = [line for line in song.lines if not line.language]
    foreign = [line for line in told if _is_foreign(line, song.language)]
    for line in foreign:
        message = f"this line is not in {song.language}"
        findings.append(Finding("LANGUAGE_LINE", message, section=line.section, line=line.line))
    if song.document.language:
        for section in song.sections:
            lines = [line for line in section.lines if not line.language]
            if sum(_spoken(line) for line in lines) < _LEAST_WORDS and not _unspaced(lines):
                continue
            code = language.tell(line.text for line in lines)
            if code and not language.agree(code, song.language):
                message = f"{section.section.heading} is in {code}, not in {song.language}"
                findings.append(Finding("LANGUAGE_OTHER", message, gate=True, section=section.index))
    count = len(song.document.lines)
    value = 1.0 - len(foreign) / count
    reason = f"{len(foreign)} of {count} lines are in another language" if foreign else f"in {song.language}"
    return judged(value, reason, findings)


def _is_foreign(line: SungLine, expected: str) -> bool:
    code = language.tell([line.text])
    if not code or language.agree(code, expected):
        return False
    # In a short line two words decide: those of the expected language must not be as many.
    own = sum(word in language.common_words(expected) for word in set(line.words))
    other = sum(word in language.common_words(code) for word in set(line.words))
    return not other or other > own


def _spoken(line: SungLine) -> int:
    return sum(word not in language.VOCALISES for word in line.words)


def _unspaced(lines: list[SungLine]) -> bool:
    """Written without spaces between words: Han, kana, Thai."""
    return (
        sum(pronunciation.vowel_groups(line.text) for line in lines if len(line.words) < 3)
        >= 2 * _LEAST_WORDS
    )
