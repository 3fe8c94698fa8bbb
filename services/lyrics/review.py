"""Judges a lyric document: gates that make it unusable, scores from 0 to 1, findings per line.

Pure functions of the document. Knows form, sound and seconds; whether the words are good, it does not.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from services.lyrics import language, pronunciation, rhyme, timing
from services.lyrics.document import MAX_LINE_CHARS, LyricDocument, Section, SectionTag, is_heading
from services.lyrics.engine import Brief

_CHORUSES = {SectionTag.CHORUS, SectionTag.HOOK, SectionTag.PRE_CHORUS}
_LAST = {
    SectionTag.CHORUS,
    SectionTag.HOOK,
    SectionTag.OUTRO,
    SectionTag.END,
    SectionTag.INST,
    SectionTag.SOLO,
}
_FULL_SONG_LINES = 16  # from here on a song is expected to have two verses and a chorus that comes back
_IDEAL_LINE_S = 3.6  # seconds of singing per line that ordinary songs leave, breaths included
_FIT_WIDTH = 1.1  # in the logarithm of seconds per line; 6 s a line still scores 0.8


@dataclass(frozen=True)
class Finding:
    """One remark. A `gate` makes the document unusable as it is. Indexes from 0; -1 is the whole."""

    code: str
    message: str
    gate: bool = False
    section: int = -1
    line: int = -1


@dataclass(frozen=True)
class Review:
    """Scores by name, in order ("structure", "rhyme", "syllables", "repetition", "fit"), as far as judged."""

    scores: dict[str, float]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """No gate failed."""
        return not any(finding.gate for finding in self.findings)

    @property
    def score(self) -> float:
        """Mean of the scores; 0 when nothing could be judged."""
        return sum(self.scores.values()) / len(self.scores) if self.scores else 0.0


def review(
    document: LyricDocument,
    duration_s: float = 0.0,
    unknown_headings: Sequence[str] = (),
    *,
    tempo_bpm: float = 0.0,
    brief: Brief | None = None,
    clean: bool = False,
) -> Review:
    """Judges a document. `duration_s` of 0 leaves the fit out; `unknown_headings` are the parser's.

    Rhyme is judged for English only (the document's language, or its words when that is empty).
    """
    findings = [*_gates(document, unknown_headings)]
    if not document.lines:
        return Review({}, tuple(findings))
    scores = {"structure": _structure(document, findings)}
    if document.language == "en" or (not document.language and language.is_english(_texts(document))):
        rhymed = _rhyme(document, findings)
        if rhymed is not None:
            scores["rhyme"] = rhymed
    scores["syllables"] = _syllables(document, findings)
    scores["repetition"] = _repetition(document, findings)
    if duration_s:
        scores["fit"] = _fit(document, duration_s, findings)
    return Review(scores, tuple(findings))


def _texts(document: LyricDocument) -> list[str]:
    return [line.text for line in document.lines]


def _gates(document: LyricDocument, unknown_headings: Sequence[str]) -> Iterator[Finding]:
    if not document.lines:
        yield Finding("EMPTY", "there are no words to sing", gate=True)
    for heading in unknown_headings:
        yield Finding(
            "TAG_UNKNOWN",
            f"[{heading[:40]}] is not a section; its lines went to the section before",
            gate=True,
        )
    for index, section in enumerate(document.sections):
        if section.tag.needs_words and not section.lines:
            yield Finding("SECTION_EMPTY", f"{section.heading} has no lines", gate=True, section=index)
        for number, line in enumerate(section.lines):
            if len(line.text) > MAX_LINE_CHARS:
                message = f"{len(line.text)} characters; a line has at most {MAX_LINE_CHARS}"
                yield Finding("LINE_TOO_LONG", message, gate=True, section=index, line=number)
            elif is_heading(line.text):
                message = "this line reads as a section tag"
                yield Finding("LINE_IS_TAG", message, gate=True, section=index, line=number)


def _structure(document: LyricDocument, findings: list[Finding]) -> float:
    """1, less something for every way in which the sections are not a song."""
    lost = 0.0

    def fault(code: str, cost: float, message: str, section: int = -1) -> None:
        nonlocal lost
        lost += cost
        findings.append(Finding(code, message, section=section))

    sung = [(i, s) for i, s in enumerate(document.sections) if s.lines or s.tag.needs_words]
    tags = [section.tag for _, section in sung]
    counts = Counter(tags)
    choruses = counts[SectionTag.CHORUS] + counts[SectionTag.HOOK]
    if len(document.lines) > 8 and not choruses:
        fault("NO_CHORUS", 0.3, "nothing comes back: a chorus would give the song its centre")
    if len(document.lines) >= _FULL_SONG_LINES:
        if choruses == 1:
            fault("CHORUS_ONCE", 0.15, "the chorus comes only once")
        if counts[SectionTag.VERSE] < 2:
            fault("FEW_VERSES", 0.15, "a song of this length has room for a second verse")
    if choruses and counts[SectionTag.VERSE] > choruses + 1:
        fault("FEW_CHORUSES", 0.1, "the chorus comes back too seldom for so many verses")
    if len(sung) > 1 and tags[-1] not in _LAST:
        fault("WEAK_END", 0.15, f"the song ends on a {tags[-1].value}", sung[-1][0])
    for (_, before), (index, section) in pairwise(sung):
        if before.tag is SectionTag.PRE_CHORUS and section.tag is not SectionTag.CHORUS:
            fault("PRE_CHORUS_ALONE", 0.1, "a pre-chorus leads into a chorus", index)
        if before.tag is section.tag and before.lines == section.lines:
            fault("SECTION_TWICE", 0.1, f"{section.heading} comes twice in a row", index)
    edges = (SectionTag.START, SectionTag.END)
    inner = [(i, s.tag) for i, s in enumerate(document.sections) if s.tag not in edges]
    for tag, (place, _) in ((SectionTag.INTRO, inner[0]), (SectionTag.OUTRO, inner[-1])):
        for index, other in inner:
            if other is tag and index != place:
                fault("OUT_OF_ORDER", 0.1, f"the {tag.value} is out of place", index)
    for tag in counts:
        lengths = {len(section.lines) for _, section in sung if section.tag is tag}
        if len(lengths) > 1:
            fault("LENGTHS_DIFFER", 0.05, f"sections tagged {tag.value} have {sorted(lengths)} lines")
    return max(0.0, 1.0 - lost)


def _rhyme(document: LyricDocument, findings: list[Finding]) -> float | None:
    """Mean over the sections that have two lines or more; None when there is none."""
    values = []
    for index, section in enumerate(document.sections):
        if len(section.lines) < 2:
            continue
        ends = [pronunciation.last_word(line.text) for line in section.lines]
        scheme = section.rhyme_scheme or rhyme.likeliest_scheme(ends)
        judged = rhyme.judge(ends, scheme)
        values.append(judged.value)
        if section.rhyme_scheme or judged.value >= 0.5:  # else the section does not try to rhyme
            for fault in judged.faults:
                findings.append(Finding(fault.code, fault.message, section=index, line=fault.line))
        else:
            findings.append(Finding("UNRHYMED", f"{section.heading} follows no rhyme scheme", section=index))
    return sum(values) / len(values) if values else None


def _syllables(document: LyricDocument, findings: list[Finding]) -> float:
    """How even the lines of each section are: within one syllable of its median is even."""
    values = []
    for index, section in enumerate(document.sections):
        counts = [pronunciation.syllables(line.text) for line in section.lines]
        if not counts:
            continue
        middle = median(counts)
        for number, count in enumerate(counts):
            off = abs(count - middle)
            values.append(max(0.0, 1.0 - max(0.0, off - 1.0) / 4.0) - 0.02 * min(off, 1.0))
            if off > 2:
                message = f"{count} syllables where {section.heading} has about {middle:g}"
                findings.append(Finding("SYLLABLES_UNEVEN", message, section=index, line=number))
    return sum(values) / len(values)


def _repetition(document: LyricDocument, findings: list[Finding]) -> float:
    """1 when nothing outside the choruses is said twice; a chorus counts once."""
    seen: dict[str, tuple[int, int]] = {}
    grams: Counter[tuple[str, ...]] = Counter()
    total = repeated = 0
    heard: list[Section] = []
    for index, section in enumerate(document.sections):
        if section.tag in _CHORUSES and any(s.tag is section.tag and s.lines == section.lines for s in heard):
            continue
        heard.append(section)
        for number, line in enumerate(section.lines):
            words = pronunciation.words(line.text)
            total += 1
            key = " ".join(words)
            if key in seen and section.tag not in _CHORUSES:
                repeated += 1
                where = seen[key]
                message = f"said before, in section {where[0] + 1}, line {where[1] + 1}"
                findings.append(Finding("LINE_REPEATED", message, section=index, line=number))
            seen.setdefault(key, (index, number))
            grams.update(zip(*(words[i:] for i in range(4)), strict=False))
    said = sum(grams.values())
    echoed = sum(count - 1 for count in grams.values()) / said if said else 0.0
    return max(0.0, 1.0 - repeated / total - echoed)


def _fit(document: LyricDocument, duration_s: float, findings: list[Finding]) -> float:
    """How well the lines fill the time that is sung; more than six syllables a second is a gate."""
    sung_s = timing.sung_seconds(duration_s)
    per_second = sum(pronunciation.syllables(text) for text in _texts(document)) / sung_s
    lines = len(document.lines)
    if per_second > timing.MAX_SYLLABLES_PER_S:
        message = (
            f"{per_second:.1f} syllables a second cannot be sung; at most {timing.MAX_SYLLABLES_PER_S:g}"
        )
        findings.append(Finding("TOO_DENSE", message, gate=True))
    elif per_second > timing.WARN_SYLLABLES_PER_S:
        findings.append(Finding("DENSE", f"{per_second:.1f} syllables a second are hard to follow"))
    line_s = sung_s / lines
    fit = math.exp(-((math.log(line_s / _IDEAL_LINE_S) / _FIT_WIDTH) ** 2))
    if fit < 0.7:
        fewer = line_s < _IDEAL_LINE_S
        ideal = max(1, round(sung_s / _IDEAL_LINE_S))
        message = f"{lines} lines in {duration_s:g} s; about {ideal} would fit"
        findings.append(Finding("TOO_MANY_LINES" if fewer else "TOO_FEW_LINES", message))
    return fit
