"""Structure: whether the sections make a song.

Knows tags and their order. What makes a document unusable is `gates`'.
"""

from collections import Counter
from itertools import pairwise

from services.lyrics.document import SectionTag
from services.lyrics.review.song import CHORUSES, Song
from services.lyrics.review.verdict import Finding, Judged, judged

_LAST = {
    SectionTag.CHORUS,
    SectionTag.HOOK,
    SectionTag.OUTRO,
    SectionTag.END,
    SectionTag.INST,
    SectionTag.SOLO,
}
_FULL_SONG_LINES = 16  # from here on a song is expected to have two verses and a chorus that comes back


def judge(song: Song, *, strophic: bool = False) -> Judged:
    """1, less something for every way in which the sections are not a song.

    `strophic`: the form was asked for, so that verses without a chorus are what they should be.
    """
    findings: list[Finding] = []
    lost = 0.0

    def fault(code: str, cost: float, message: str, section: int = -1) -> None:
        nonlocal lost
        lost += cost
        findings.append(Finding(code, message, section=section))

    sung = [section for section in song.sections if section.lines or section.tag.needs_words]
    lines = len(song.document.lines)
    tags = [section.tag for section in sung]
    counts = Counter(tags)
    choruses = counts[SectionTag.CHORUS] + counts[SectionTag.HOOK]
    verses_only = not choruses and (strophic or _has_refrain(song))
    if lines > 8 and not choruses and not verses_only:
        fault("NO_CHORUS", 0.3, "nothing comes back: a chorus would give the song its centre")
    if lines >= _FULL_SONG_LINES and not strophic:
        if choruses == 1:
            fault("CHORUS_ONCE", 0.15, "the chorus comes only once")
        if counts[SectionTag.VERSE] < 2:
            fault("FEW_VERSES", 0.15, "a song of this length has room for a second verse")
    if choruses and counts[SectionTag.VERSE] > choruses + 1:
        fault("FEW_CHORUSES", 0.1, "the chorus comes back too seldom for so many verses")
    if len(sung) > 1 and tags[-1] not in _LAST and not verses_only:
        fault("WEAK_END", 0.15, f"the song ends on a {tags[-1].value}", sung[-1].index)
    for before, section in pairwise(sung):
        if before.tag is SectionTag.PRE_CHORUS and section.tag not in CHORUSES:
            fault("PRE_CHORUS_ALONE", 0.1, "a pre-chorus leads into a chorus", section.index)
        if before.tag is section.tag and before.lines and before.keys == section.keys:
            fault("SECTION_TWICE", 0.1, f"{section.section.heading} comes twice in a row", section.index)
    for tag in counts:
        lengths = {len(section.lines) for section in sung if section.tag is tag}
        if len(lengths) > 1 and tag is not SectionTag.OUTRO:
            fault("LENGTHS_DIFFER", 0.05, f"sections tagged {tag.value} have {sorted(lengths)} lines")
    reason = findings[0].message if findings else "the sections make a song"
    return judged(1.0 - lost, reason, findings)


def _has_refrain(song: Song) -> bool:
    """Whether every verse ends on the same line, as old songs without a chorus do."""
    verses = [section for section in song.sections if section.tag is SectionTag.VERSE and section.lines]
    return len(verses) > 1 and len({section.keys[-1] for section in verses}) == 1
