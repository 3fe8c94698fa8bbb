"""Rhyme: how well each section follows its scheme, by sound.

Knows which scheme and which ears to take. Sounds are `pronunciation`'s and `espeak`'s, schemes `rhyme`'s.
"""

from functools import partial

from services.lyrics import espeak, pronunciation, rhyme
from services.lyrics.engine import FREE, Brief
from services.lyrics.review.song import Song, SungSection
from services.lyrics.review.verdict import Finding, Judged, judged, not_assessed

_TRIES = 0.5  # a section that rhymes less than this by any scheme is not trying to


def judge(song: Song, brief: Brief | None = None) -> Judged:
    """Mean over the sections of two lines or more, those asked to be free left out; a chorus counts once.

    A section without a scheme is held against the one that it follows best. Verse that does not rhyme
    scores low unless it was asked for: else a song that gives up rhyme would outrank one that tries.
    """
    if not song.language:
        return not_assessed("the language is not known")
    sections = [section for section in song.new_sections if len(section.lines) > 1]
    if not sections:
        return not_assessed("no section has two lines")
    rhymed = [(section, _scheme(section, brief)) for section in sections]
    rhymed = [(section, scheme) for section, scheme in rhymed if scheme != FREE]
    if not rhymed:
        return not_assessed("the sections are free of rhyme")
    strength = _ears(song.language, [line.end for section, _ in rhymed for line in section.lines])
    if isinstance(strength, str):
        return not_assessed(strength)
    values, findings = [], []
    for section, scheme in rhymed:
        value, found = _section(section, scheme, strength)
        values.append(value)
        findings += found
    missed = sum(finding.code == "RHYME_MISSED" for finding in findings)
    reason = (
        f"line ends that do not rhyme as they should: {missed}"
        if missed
        else "line ends rhyme as they should"
    )
    return judged(sum(values) / len(values), reason, findings)


def _section(section: SungSection, scheme: str, strength: rhyme.Strength) -> tuple[float, list[Finding]]:
    ends = [line.end for line in section.lines]
    followed = rhyme.judge(ends, scheme or rhyme.likeliest_scheme(ends, strength), strength)
    if not scheme and followed.value < _TRIES:
        message = f"{section.section.heading} follows no rhyme scheme"
        return followed.value, [Finding("UNRHYMED", message, section=section.index)]
    found = [Finding(f.code, f.message, section=section.index, line=f.line) for f in followed.faults]
    return followed.value, found


def _ears(code: str, ends: list[str]) -> rhyme.Strength | str:
    """What tells how well two words of a language rhyme; or why nothing can."""
    if code == "en":
        return pronunciation.rhyme_strength
    if code not in espeak.VOICES:
        return f"rhyme in {code} is not judged"
    if not espeak.is_installed():
        return f"rhyme in {code} needs espeak-ng, which is not installed"
    known = espeak.sounds(ends, code)
    if not known:
        return f"espeak-ng could not say the words in {code}"
    return partial(_by_sound, known)


def _by_sound(known: dict[str, espeak.Sound], a: str, b: str) -> float:
    return espeak.strength(known.get(a), known.get(b))


def _scheme(section: SungSection, brief: Brief | None) -> str:
    """A letter per line, "free", or empty when nobody said."""
    scheme = section.section.rhyme_scheme or _asked(section, brief)
    if scheme.lower() == FREE or (scheme and len(set(scheme)) == len(scheme)):
        return FREE
    return rhyme.stretched(scheme, len(section.lines)) if scheme else ""


def _asked(section: SungSection, brief: Brief | None) -> str:
    if brief is None:
        return ""
    if section.index < len(brief.structure) and brief.structure[section.index].tag is section.tag:
        return brief.structure[section.index].rhyme_scheme or brief.rhyme_scheme
    return brief.rhyme_scheme
