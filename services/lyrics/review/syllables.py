"""Syllables: whether lines are as long as their neighbours, and verses as long line by line.

Knows counts, not stress.
"""

from collections import defaultdict
from statistics import median

from services.lyrics import language
from services.lyrics.document import SectionTag
from services.lyrics.review.song import Song, SungLine, SungSection
from services.lyrics.review.verdict import Finding, Judged, judged, not_assessed

_EVEN = 1  # syllables more or less that a singer fits in
_WIDTH = 4.0  # beyond those, as many more make a line fall out entirely
_OWN = 0.7  # what a line's own section counts, against the other verses
_CLEARLY = 2  # from more than this on a line is named
# Written without vowels, or in letters whose vowels are not counted here.
_UNCOUNTED = frozenset(["ar", "fa", "he", "th", "hi", "ur"])


def judge(song: Song) -> Judged:
    """Mean over the lines: most of it for the section's own measure, the rest for the other verses.

    A verse of 8, 6, 8, 6 syllables is as even as one of 8, 8, 8, 8: a line is held against its section or,
    where every other line of it is even, against those. Where all other verses do the same, no more is asked.
    """
    if song.language in _UNCOUNTED or (song.language and not language.is_known(song.language)):
        return not_assessed(f"syllables in {song.language} are not counted")
    values, findings = [], []
    across = _across(song)
    for section in song.new_sections:
        for line in section.lines:
            partners = across.get((line.section, line.line), [])
            off = _off_in_section(section, line)
            beside = abs(line.syllables - median(partners)) if partners else 0.0
            if partners and all(abs(line.syllables - count) <= _EVEN for count in partners):
                off = min(off, _EVEN)
            values.append(_value(off) if not partners else _OWN * _value(off) + (1 - _OWN) * _value(beside))
            if off > _CLEARLY:
                usual = _usual([other.syllables for other in section.lines])
                message = f"{line.syllables} syllables where {section.section.heading} has about {usual}"
                findings.append(Finding("SYLLABLES_UNEVEN", message, section=line.section, line=line.line))
            elif beside > _CLEARLY:
                other_verses = f"the same line of the other verses has {median(partners):g}"
                message = f"{line.syllables} syllables where {other_verses}"
                findings.append(Finding("VERSES_UNEVEN", message, section=line.section, line=line.line))
    reason = "lines are even"
    if findings:
        reason = f"lines longer or shorter than their place: {len(findings)}"
    return judged(sum(values) / len(values), reason, findings)


def _value(off: float) -> float:
    """1 for the same count, a little less for one more or less, falling to 0."""
    return max(0.0, 1.0 - max(0.0, off - _EVEN) / _WIDTH) - 0.02 * min(off, 1.0)


def _off_in_section(section: SungSection, line: SungLine) -> int:
    """Syllables from the middle of the section, or of its every other line where those are even."""
    counts = [other.syllables for other in section.lines]
    alternate = counts[line.line % 2 :: 2]
    off = abs(line.syllables - _usual(counts))
    if len(counts) >= 4 and max(alternate) - min(alternate) <= 2 * _EVEN:
        off = min(off, abs(line.syllables - _usual(alternate)))
    return off


def _usual(counts: list[int]) -> int:
    """The count that most lines are within a syllable of; where several are, the one nearest the middle.

    Not the middle itself: of 9, 12, 12 and 9 it would be near to all.
    """
    middle = median(counts)
    return max(counts, key=lambda c: (sum(abs(c - n) <= _EVEN for n in counts), -abs(c - middle)))


def _across(song: Song) -> dict[tuple[int, int], list[int]]:
    """For every line of a verse: the counts of the same line in the other verses of as many lines."""
    alike: defaultdict[int, list[SungSection]] = defaultdict(list)
    for section in song.new_sections:
        if section.tag is SectionTag.VERSE:
            alike[len(section.lines)].append(section)
    return {
        (section.index, number): [other.lines[number].syllables for other in group if other is not section]
        for group in alike.values()
        if len(group) > 1
        for section in group
        for number in range(len(section.lines))
    }
