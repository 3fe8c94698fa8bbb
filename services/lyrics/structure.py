"""The form of a song to order: what its brief asks for, its length and its tempo, made into sections.

Knows which choices a brief leaves open, and when it asks for too much. Writes no words.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_uppercase

from services.common.errors import InvalidField
from services.lyrics import forms, timing
from services.lyrics.document import SectionTag
from services.lyrics.engine import FREE, AskedSection, Brief, Form, SectionPlan

_INTRO_FROM_S, _OUTRO_FROM_S, _SOLO_FROM_S = 45.0, 60.0, 150.0
# Nobody sings a line in less; whoever asks for as many lines gets them, fast as they are.
_SHORTEST_LINE_S = 2.0
_RAP_LINE_S = 2.4  # a bar of rap in one breath
_RAP = re.compile(r"\b(rap|hip[ -]?hop|trap|drill|grime|boom[ -]?bap)\b", re.IGNORECASE)
# What comes back comes back with the same words.
_REPEATED = (SectionTag.CHORUS, SectionTag.HOOK, SectionTag.PRE_CHORUS)


def plan(brief: Brief, tempo_bpm: float) -> tuple[SectionPlan, ...]:
    """Sections in song order for a brief at `tempo_bpm`, 40 to 220. The same brief has the same sections.

    Raises:
        InvalidField: DOES_NOT_FIT, there is no room for as many lines (the field is structure, form or
            lines_per_section); OUT_OF_RANGE, a chorus that comes back is asked for in another shape.
    """
    if brief.structure:
        sections = _of_structure(brief, tempo_bpm)
    else:
        shape = _of_form(brief, brief.form, tempo_bpm) if brief.form else _of_nothing(brief, tempo_bpm)
        sections = _with_instruments(shape, brief.duration_s)
    return _labelled(brief, sections)


def spread(scheme: str, lines: int) -> str:
    """A scheme over a section: a letter for each of its lines; "free" and an empty one stay.

    A pattern that rhymes within itself comes back with rhymes of its own, AABB over eight lines is
    AABBCCDD; what is left takes the letters before it, over six AABBAA. One that does not is repeated as
    it is: AB over four is ABAB. Where a cut leaves nothing that rhymes, all lines do.
    """
    if scheme in ("", FREE):
        return scheme
    if lines < len(scheme):
        cut = scheme[:lines]
        return cut if _rhymes(cut) or not _rhymes(scheme) else scheme[0] * lines
    unused = iter(letter for letter in ascii_uppercase if letter not in scheme)
    whole, left = divmod(lines, len(scheme))
    blocks = [scheme]
    while len(blocks) < whole:
        own = {letter: next(unused) for letter in dict.fromkeys(scheme)} if _rhymes(scheme) else {}
        blocks.append("".join(own.get(letter, letter) for letter in scheme))
    return "".join(blocks) + blocks[-1][:left]


def _rhymes(letters: str) -> bool:
    return len(set(letters)) < len(letters)


def _room(brief: Brief) -> int:
    """Lines that can be sung at all; more are refused."""
    syllables = brief.syllables[0] if brief.syllables else 0
    line_s = max(_SHORTEST_LINE_S, syllables / timing.MAX_SYLLABLES_PER_S)
    return max(1, int(timing.sung_seconds(brief.duration_s) / line_s + 1e-9))


def _easy(brief: Brief, tempo_bpm: float, *, rap: bool = False) -> int:
    """Lines that are sung without haste."""
    if not rap:
        return min(timing.lines_that_fit(brief.duration_s, tempo_bpm), _room(brief))
    line_s = max(240.0 / tempo_bpm, _RAP_LINE_S)
    return min(max(1, int(timing.sung_seconds(brief.duration_s) / line_s)), _room(brief))


def _does_not_fit(brief: Brief, field: str, message: str, limit: int) -> InvalidField:
    lines = f"{limit} line" if limit == 1 else f"{limit} lines"
    where = " in each" if field == "lines_per_section" else ""
    message = f"{message}; {brief.duration_s:g} seconds have room for {lines}{where}"
    return InvalidField("DOES_NOT_FIT", field, message, limit=lines)


def _of_nothing(brief: Brief, tempo_bpm: float) -> forms.Shape:
    """Genre, duration and seed decide."""
    each, lines = brief.lines_per_section, _easy(brief, tempo_bpm)
    if _RAP.search(brief.genre):
        bars = _easy(brief, tempo_bpm, rap=True)
        if forms.lines_of(shape := forms.filled(Form.RAP, bars, each)) <= bars:
            return shape
    if each:
        shape = forms.stanzas(lines, each)
        if forms.lines_of(shape) > _room(brief):
            message = f"not even one section of {each} lines fits"
            raise _does_not_fit(brief, "lines_per_section", message, _room(brief))
        return shape
    if lines < 6:
        return ((SectionTag.CHORUS, lines if lines <= 2 else 2 if lines == 3 else forms.STANZA),)
    if lines < 8:
        return ((SectionTag.VERSE, forms.STANZA), (SectionTag.CHORUS, 2))
    options = [forms.stanzas(lines)]
    if lines >= 4 * forms.STANZA:
        named = (Form.VERSE_CHORUS, Form.VERSE_CHORUS_BRIDGE, Form.PRE_CHORUS)
        shapes = [forms.filled(form, lines) for form in named]
        options += [s for s in shapes if forms.is_full(s, lines) and forms.has_stanzas(s)]
    # a generator of its own: the engine's own draws do not move with it
    return random.Random(f"form {brief.seed}").choice(options)


def _of_form(brief: Brief, form: Form, tempo_bpm: float) -> forms.Shape:
    each, room = brief.lines_per_section, _room(brief)
    shape = forms.filled(form, _easy(brief, tempo_bpm, rap=form is Form.RAP), each)
    if (lines := forms.lines_of(shape)) <= room:
        return shape
    least = forms.least_sections(form)
    if each and room >= least:
        message = f"{least} sections of {each} lines are {lines} lines"
        raise _does_not_fit(brief, "lines_per_section", message, room // least)
    message = f"a song of this form has at least {least if each else lines} lines"
    raise _does_not_fit(brief, "form", message, room)


def _of_structure(brief: Brief, tempo_bpm: float) -> list[AskedSection]:
    """The sections asked for, each with its number of lines. As many lines as are sung without haste where
    the brief leaves that open."""
    each, room = brief.lines_per_section, _room(brief)
    asked = _agreed(brief.structure)
    rap = brief.form is Form.RAP or bool(_RAP.search(brief.genre))
    easy = _easy(brief, tempo_bpm, rap=rap)

    def sized(verse: int, *, exact: bool = False) -> list[AskedSection]:
        return [
            _sized(section, verse if exact else forms.section_lines(section.tag, verse)) for section in asked
        ]

    def lines(sections: Sequence[AskedSection]) -> int:
        return sum(section.lines for section in sections)

    if each:
        exact = sized(each, exact=True)
        if lines(exact) <= room:
            return exact
        open_ones = sum(has_words(section.tag) and not section.lines for section in asked)
        if open_ones and lines(sized(1, exact=True)) <= room:
            limit = max(n for n in range(1, each) if lines(sized(n, exact=True)) <= room)
            message = f"the structure with {each} lines in each section has {lines(exact)} lines"
            raise _does_not_fit(brief, "lines_per_section", message, limit)
    # Stanzas of four are worth a line in three seconds.
    brisk = max(easy, 2 * room // 3)
    for verse, most in (*(((16, easy),) if rap else ()), (8, easy), (4, brisk), (2, room), (1, room)):
        if lines(sections := sized(verse)) <= most:
            return sections
    message = f"the structure has {lines(sections)} lines"
    raise _does_not_fit(brief, "structure", message, room)


def has_words(tag: SectionTag) -> bool:
    """Whether a section of this tag that is asked for has lines."""
    return tag.needs_words or tag is SectionTag.OUTRO


def _sized(section: AskedSection, lines: int) -> AskedSection:
    """With its own number of lines, else with `lines`, and never fewer than its scheme has letters."""
    if section.lines or not has_words(section.tag):
        return section
    letters = 0 if section.rhyme_scheme == FREE else len(section.rhyme_scheme)
    return replace(section, lines=max(lines, letters))


def _agreed(sections: Sequence[AskedSection]) -> list[AskedSection]:
    """Sections that come back as they were asked for the first or any later time.

    Raises:
        InvalidField: OUT_OF_RANGE, the same words are asked for in two shapes.
    """
    agreed: dict[tuple[SectionTag, str], AskedSection] = {}
    for index, section in enumerate(sections):
        if section.tag not in _REPEATED:
            continue
        first = agreed.setdefault((section.tag, section.label), section)
        for name, none, one, other in (
            ("lines", "0", first.lines, section.lines),
            ("rhyme_scheme", "empty", first.rhyme_scheme, section.rhyme_scheme),
        ):
            if one and other and one != other:
                message = f"a {section.tag.value} that comes back has the same words; label it to have others"
                field, limit = f"structure[{index}].{name}", f"{none} or {one}"
                raise InvalidField("OUT_OF_RANGE", field, message, limit=limit)
        both = replace(
            first,
            lines=first.lines or section.lines,
            rhyme_scheme=first.rhyme_scheme or section.rhyme_scheme,
        )
        if both.lines and both.rhyme_scheme != FREE and len(both.rhyme_scheme) > both.lines:
            message = (
                f"{both.rhyme_scheme} is too long for {both.lines} lines, which this {section.tag.value} has"
            )
            field, limit = f"structure[{index}].rhyme_scheme", f"{both.lines} letters"
            raise InvalidField("OUT_OF_RANGE", field, message, limit=limit)
        agreed[section.tag, section.label] = both
    return [agreed.get((section.tag, section.label), section) for section in sections]


def _with_instruments(shape: forms.Shape, duration_s: float) -> list[AskedSection]:
    """With an intro, a solo and an outro where the song is long enough for them."""
    sections = [AskedSection(tag, lines) for tag, lines in shape]
    tags = [section.tag for section in sections]
    rap = SectionTag.HOOK in tags
    if duration_s >= _SOLO_FROM_S and not rap:
        centre = SectionTag.CHORUS if SectionTag.CHORUS in tags else SectionTag.VERSE
        last = len(tags) - 1 - tags[::-1].index(centre)
        # what leads into a chorus stays with it
        sections.insert(last - (tags[last - 1] is SectionTag.PRE_CHORUS), AskedSection(SectionTag.SOLO))
    if duration_s >= _INTRO_FROM_S:
        sections.insert(0, AskedSection(SectionTag.INTRO))
    if duration_s >= _OUTRO_FROM_S and tags[-1] is not SectionTag.OUTRO:
        sections.append(AskedSection(SectionTag.OUTRO))
    return sections


def _labelled(brief: Brief, sections: Sequence[AskedSection]) -> tuple[SectionPlan, ...]:
    """With labels, schemes, and what comes back."""
    plans: list[SectionPlan] = []
    first: dict[tuple[SectionTag, str], int] = {}
    last_verse: int | None = None
    refrain = brief.form is Form.STROPHIC and not brief.structure
    for index, section in enumerate(sections):
        scheme = section.rhyme_scheme or brief.rhyme_scheme if section.lines else ""
        same_as = first.setdefault((section.tag, section.label), index) if section.tag in _REPEATED else index
        plans.append(
            SectionPlan(
                section.tag,
                section.lines,
                section.label or _label(sections, index),
                spread(scheme, section.lines),
                same_as=same_as if same_as != index else None,
                refrain_of=last_verse if refrain and section.tag is SectionTag.VERSE else None,
            )
        )
        if section.tag is SectionTag.VERSE and last_verse is None:
            last_verse = index
    return tuple(plans)


def _label(sections: Sequence[AskedSection], index: int) -> str:
    """The tag's name, numbered where there are several of it; a verse always is."""
    tag = sections[index].tag
    if tag in _REPEATED:
        return tag.display
    alike = [i for i, section in enumerate(sections) if section.tag is tag]
    if tag is not SectionTag.VERSE and len(alike) == 1:
        return tag.display
    return f"{tag.display} {alike.index(index) + 1}"
