"""Repetition outside the choruses: lines said before, phrases said again, text that says little anew.

Knows words in a row. That a chorus repeats itself is what choruses are for.
"""

import zlib
from collections import Counter

from services.lyrics.document import SectionTag
from services.lyrics.review.song import CHORUSES, Song, SungSection
from services.lyrics.review.verdict import Finding, Judged, judged

_GRAM = 4
# Of lines by the built-in lyricist that are all different, 650 characters compress to 0.53 of their length,
# 3,300 to 0.44 and 6,700 to 0.40; 15 lines said twice to 0.29. So a long song is not blamed for its length.
_RATIO, _LEAST_CHARS = 0.4, 300
_RATIO_COST = 1.0


def judge(song: Song) -> Judged:
    """1 when nothing outside the choruses is said twice; a chorus counts once."""
    seen: dict[str, tuple[int, int]] = {}
    grams: Counter[tuple[str, ...]] = Counter()
    findings: list[Finding] = []
    total = repeated = 0
    text: list[str] = []
    refrains = _refrains(song)
    for section in song.new_sections:
        for line in section.lines:
            total += 1
            chorus = section.tag in CHORUSES
            refrain = line.line == len(section.lines) - 1 and line.key in refrains
            if line.key in seen and not chorus and not refrain:
                repeated += 1
                where = seen[line.key]
                message = f"said before, in section {where[0] + 1}, line {where[1] + 1}"
                findings.append(Finding("LINE_REPEATED", message, section=line.section, line=line.line))
            if line.key not in seen or not (chorus or refrain):
                grams.update(zip(*(line.words[i:] for i in range(_GRAM)), strict=False))
                text.append(line.key)
            seen.setdefault(line.key, (line.section, line.line))
    said = sum(grams.values())
    echoed = sum(count - 1 for count in grams.values()) / said if said else 0.0
    flat = max(0.0, _RATIO - _compression(text)) * _RATIO_COST
    again = [" ".join(gram) for gram, count in grams.most_common(1) if count > 1]
    reason = (
        f"lines outside the choruses that were said before: {repeated}" if repeated
        else f'"{again[0]}" is said {grams.most_common(1)[0][1]} times' if again
        else "hardly anything new is said" if flat
        else "nothing is said twice outside the choruses"
    )  # fmt: skip
    return judged(1.0 - repeated / total - echoed - flat, reason, findings)


def _refrains(song: Song) -> set[str]:
    """Last lines that every verse of a song without a chorus comes back to."""
    verses: list[SungSection] = [s for s in song.sections if s.tag is SectionTag.VERSE and s.lines]
    if len(verses) < 2 or any(s.tag in (SectionTag.CHORUS, SectionTag.HOOK) for s in song.sections):
        return set()
    ends = {section.keys[-1] for section in verses}
    # Verses that are the same throughout have no refrain, they are repeated.
    return ends if len(ends) == 1 and len({section.keys for section in verses}) == len(verses) else set()


def _compression(text: list[str]) -> float:
    """Compressed length against length; 1 for text too short to tell."""
    raw = "\n".join(text).encode()
    return len(zlib.compress(raw, 9)) / len(raw) if len(raw) >= _LEAST_CHARS else 1.0
