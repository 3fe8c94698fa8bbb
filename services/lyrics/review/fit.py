"""Fit: whether the words fill the time that is sung, and what a songwriter would do where they do not.

Knows seconds, lines and syllables; `timing` has the numbers.
"""

import math

from services.lyrics import timing
from services.lyrics.document import SectionTag
from services.lyrics.review.song import Song, SungSection
from services.lyrics.review.verdict import Finding, Judged, judged, not_assessed

_WIDTH = 1.1  # in the logarithm of seconds per line: twice the room, or half of it, scores 0.67
_ADVISE = 0.7
_DENSE_COST = 0.25  # per syllable a second above what can be followed
_LONGEST_S = 600.0  # no song is longer
# What is left out first, and what is added first.
_SPARE = (SectionTag.BRIDGE, SectionTag.VERSE, SectionTag.PRE_CHORUS, SectionTag.OUTRO, SectionTag.BREAK)


def judge(song: Song, duration_s: float, tempo_bpm: float = 0.0) -> Judged:
    """How near the seconds per line come to what the tempo gives one.

    More than six sung syllables a second are a gate.
    """
    if not duration_s:
        return not_assessed("the length of the song is not known")
    sung_s = timing.sung_seconds(duration_s)
    count = len(song.document.lines)
    per_second = sum(line.syllables for line in song.lines) / sung_s
    findings = [*_density(song, per_second, sung_s / count, tempo_bpm)]
    ideal_s = timing.comfortable_line_seconds(tempo_bpm)
    fit = math.exp(-((math.log(sung_s / count / ideal_s) / _WIDTH) ** 2))
    reason = f"{count} lines in {duration_s:g} s"
    if fit < _ADVISE:
        room = max(1, round(sung_s / ideal_s))
        crowded = count > room
        advice = _leave_out(song, room, count) if crowded else _add(room, count)
        reason = (
            f"{count} lines in {duration_s:g} s, where about {room} fit: {advice}{_length(count, tempo_bpm)}"
        )
        findings.append(Finding("TOO_MANY_LINES" if crowded else "TOO_FEW_LINES", reason))
    excess = max(0.0, per_second - timing.WARN_SYLLABLES_PER_S)
    return judged(fit - _DENSE_COST * excess, reason, findings)


def _density(song: Song, per_second: float, line_s: float, tempo_bpm: float) -> list[Finding]:
    if per_second > timing.MAX_SYLLABLES_PER_S:
        message = (
            f"{per_second:.1f} syllables a second cannot be sung; at most {timing.MAX_SYLLABLES_PER_S:g}"
        )
        return [Finding("TOO_DENSE", message, gate=True)]
    found = []
    if per_second > timing.WARN_SYLLABLES_PER_S:
        found.append(Finding("DENSE", f"{per_second:.1f} syllables a second are hard to follow"))
    # A line may take the time of its slower neighbours: only what is too much even for a whole line is named.
    room_s = max(line_s, timing.comfortable_line_seconds(tempo_bpm))
    for line in song.lines:
        if line.syllables / room_s > timing.MAX_SYLLABLES_PER_S:
            message = f"{line.syllables} syllables in the {room_s:.1f} s of a line cannot be sung"
            found.append(Finding("LINE_DENSE", message, section=line.section, line=line.line))
    return found


def _leave_out(song: Song, room: int, count: int) -> str:
    """Names the sections without which the rest fits: from the end, never the first of its kind."""
    dropped: list[SungSection] = []
    left = count
    for tag in _SPARE:
        alike = [section for section in song.sections if section.tag is tag and section.lines]
        spare = alike[1:] if tag in (SectionTag.VERSE, SectionTag.PRE_CHORUS) else alike
        for section in reversed(spare):
            if left > room:
                dropped.append(section)
                left -= len(section.lines)
    if not dropped or left > 1.5 * room:
        return f"leave out {count - room} lines"
    names = " and ".join(section.section.heading for section in sorted(dropped, key=lambda s: s.index))
    return f"leave out {names}"


def _add(room: int, count: int) -> str:
    missing = room - count
    if missing < 4:
        return "add a line or two"
    verses = round(missing / 4)
    return "add a verse" if verses == 1 else f"add some {verses} verses or choruses of four lines"


def _length(count: int, tempo_bpm: float) -> str:
    wanted_s = timing.duration_for(count, tempo_bpm)
    return f", or make it {wanted_s:g} s" if 5.0 <= wanted_s <= _LONGEST_S else ""
