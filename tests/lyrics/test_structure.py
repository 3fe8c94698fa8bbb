"""The form of a song to order: every way in which a brief can ask, and what there is no room for."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import InvalidField
from services.lyrics import timing
from services.lyrics.document import SectionTag
from services.lyrics.engine import AskedSection, Brief, Form, SectionPlan
from services.lyrics.structure import has_words, plan, spread

VERSE, CHORUS, HOOK = SectionTag.VERSE, SectionTag.CHORUS, SectionTag.HOOK
LETTERS = st.text("ABCDEF", min_size=1, max_size=6)
SCHEMES = st.just("") | st.just("free") | LETTERS
LABELS = st.sampled_from(["", "", "Refrain", "Part two"])


@st.composite
def asked_sections(draw: st.DrawFn) -> AskedSection:
    tag = draw(st.sampled_from(list(SectionTag)))
    scheme = draw(SCHEMES) if has_words(tag) else ""
    least = 0 if scheme == "free" else len(scheme)
    lines = draw(st.just(0) | st.integers(max(1, least), 16)) if has_words(tag) else 0
    return AskedSection(tag, lines, draw(LABELS), scheme)


@st.composite
def briefs(draw: st.DrawFn, **fixed: Any) -> Brief:
    structure = tuple(draw(st.lists(asked_sections(), max_size=14)))
    fields: dict[str, Any] = {
        "seed": draw(st.integers(0, 2**32 - 1)),
        "duration_s": draw(st.floats(5.0, 600.0)),
        "genre": draw(st.sampled_from(["", "folk", "boom bap hip hop", "trap"])),
        "rhyme_scheme": draw(SCHEMES),
        "structure": structure,
        "form": None if structure else draw(st.none() | st.sampled_from(Form)),
        "lines_per_section": draw(st.just(0) | st.integers(1, 16)),
        "syllables": draw(st.none() | st.just((3, 9)) | st.just((20, 20))),
    }
    return Brief(theme="rain", **fields | fixed)


def shape(sections: tuple[SectionPlan, ...]) -> list[tuple[str, int]]:
    return [(section.label, section.lines) for section in sections]


def planned(tempo_bpm: float = 120.0, **fields: Any) -> tuple[SectionPlan, ...]:
    return plan(Brief("rain", **{"seed": 1, "duration_s": 120.0} | fields), tempo_bpm)


def answer(brief: Brief, tempo_bpm: float) -> tuple[SectionPlan, ...] | InvalidField:
    try:
        return plan(brief, tempo_bpm)
    except InvalidField as error:
        return error


def refused(**fields: Any) -> tuple[str, str, str]:
    with pytest.raises(InvalidField) as caught:
        planned(**fields)
    return caught.value.reason, caught.value.field, caught.value.limit


@settings(max_examples=500, deadline=None)
@given(briefs(), st.floats(40.0, 220.0))
def test_every_plan_can_be_written_and_sung(brief: Brief, tempo_bpm: float) -> None:
    sections = answer(brief, tempo_bpm)
    if isinstance(sections, InvalidField):
        assert sections.reason in ("DOES_NOT_FIT", "OUT_OF_RANGE")
        assert sections.limit
        return
    assert plan(brief, tempo_bpm) == sections
    assert sum(section.lines for section in sections) <= timing.sung_seconds(brief.duration_s) / 2 + 1
    for index, section in enumerate(sections):
        assert section.label
        assert has_words(section.tag) or section.lines == 0
        assert 0 <= section.lines <= 16
        assert section.rhyme_scheme in ("", "free") or len(section.rhyme_scheme) == section.lines
        if section.same_as is not None:
            first = sections[section.same_as]
            assert section.same_as < index
            assert first.same_as is None
            assert (first.tag, first.lines, first.label, first.rhyme_scheme) == (
                section.tag, section.lines, section.label, section.rhyme_scheme
            )  # fmt: skip
    verses = [s.label for s in sections if s.tag is VERSE and s.label not in ("Refrain", "Part two")]
    assert len(set(verses)) == len(verses)


@settings(max_examples=300, deadline=None)
@given(briefs(), st.floats(40.0, 220.0))
def test_what_is_asked_for_is_kept_or_refused(brief: Brief, tempo_bpm: float) -> None:
    sections = answer(brief, tempo_bpm)
    if isinstance(sections, InvalidField):
        assert brief.structure or brief.form or brief.lines_per_section
        assert sections.field.split("[")[0] in ("structure", "form", "lines_per_section")
        return
    if brief.structure:
        assert [s.tag for s in sections] == [s.tag for s in brief.structure]
        for section, asked in zip(sections, brief.structure, strict=True):
            assert asked.label in ("", section.label)
            assert asked.lines in (0, section.lines)
            assert (section.lines > 0) == has_words(section.tag)
            if asked.rhyme_scheme:
                assert section.rhyme_scheme.startswith(asked.rhyme_scheme)
    elif brief.lines_per_section:
        assert {s.lines for s in sections if s.lines} == {brief.lines_per_section}


@settings(max_examples=200, deadline=None)
@given(st.floats(5.0, 600.0), st.floats(40.0, 220.0), st.integers(0, 2**32 - 1))
def test_song_of_which_nothing_is_said_is_sung_without_haste(
    duration_s: float, tempo_bpm: float, seed: int
) -> None:
    lines = sum(section.lines for section in plan(Brief("rain", seed, duration_s), tempo_bpm))
    room = timing.lines_that_fit(duration_s, tempo_bpm)
    assert min(room, 3) / 2 <= lines <= room
    assert lines >= 0.6 * room or room < 16


@settings(max_examples=300, deadline=None)
@given(LETTERS, st.integers(1, 16))
def test_scheme_has_a_letter_for_each_line_and_rhymes_wherever_it_can(scheme: str, lines: int) -> None:
    letters = spread(scheme, lines)
    assert len(letters) == lines
    assert letters.startswith(scheme) or lines < len(scheme)
    if len(set(scheme)) < len(scheme) and lines > 1:
        assert len(set(letters)) < len(letters)


@pytest.mark.parametrize(
    ("scheme", "lines", "letters"),
    [
        ("AABB", 4, "AABB"), ("AABB", 8, "AABBCCDD"), ("ABAB", 6, "ABABAB"), ("AABB", 2, "AA"),
        ("ABAB", 2, "AA"), ("ABCB", 3, "AAA"), ("AB", 4, "ABAB"), ("A", 3, "AAA"), ("XAXA", 8, "XAXABCBC"),
        ("AABB", 10, "AABBCCDDCC"), ("free", 4, "free"), ("", 4, ""),
    ],
)  # fmt: skip
def test_letters_are_repeated_over_longer_sections(scheme: str, lines: int, letters: str) -> None:
    assert spread(scheme, lines) == letters


@pytest.mark.parametrize("form", Form)
def test_every_form_has_its_sections(form: Form) -> None:
    sections = planned(form=form, duration_s=180.0)
    sung = [section for section in sections if section.lines]
    tags = [section.tag.value for section in sung]
    match form:
        case Form.VERSE_CHORUS:
            assert tags[0::2] == ["verse"] * (len(tags) // 2)
            assert tags[1::2] == ["chorus"] * (len(tags) // 2)
        case Form.VERSE_CHORUS_BRIDGE:
            assert tags[-3:] == ["chorus", "bridge", "chorus"]
            assert tags.count("bridge") == 1
        case Form.PRE_CHORUS:
            assert tags[:3] == ["verse", "pre-chorus", "chorus"]
            assert tags.count("pre-chorus") == tags.count("chorus")
        case Form.RAP:
            assert set(tags) == {"verse", "hook"}
            assert {s.lines for s in sung if s.tag is VERSE} <= set(range(8, 17))
        case Form.AABA:
            assert tags[:4] == ["verse", "verse", "bridge", "verse"]
            assert "chorus" not in tags
        case Form.STROPHIC:
            assert set(tags) == {"verse"}
            first = sections.index(sung[0])
            assert [s.refrain_of for s in sung] == [None] + [first] * (len(sung) - 1)
    assert 25 <= sum(section.lines for section in sung) <= 72


def test_choruses_come_back_with_the_same_words_and_verses_are_numbered() -> None:
    verse, chorus = AskedSection(VERSE), AskedSection(CHORUS)
    asked = (verse, chorus, verse, AskedSection(CHORUS, lines=4), AskedSection(CHORUS, label="Last"), chorus)
    sections = planned(structure=asked)
    assert [s.label for s in sections] == ["Verse 1", "Chorus", "Verse 2", "Chorus", "Last", "Chorus"]
    assert [s.same_as for s in sections] == [None, None, None, 1, None, 1]
    assert {s.lines for s in sections if s.label == "Chorus"} == {4}


def test_sections_without_words_have_no_lines_and_several_are_numbered() -> None:
    tags = [SectionTag.INTRO, VERSE, SectionTag.SOLO, CHORUS, SectionTag.SOLO, SectionTag.OUTRO]
    sections = planned(structure=tuple(map(AskedSection, tags)), rhyme_scheme="AABB")
    assert [(s.label, bool(s.lines), bool(s.rhyme_scheme)) for s in sections] == [
        ("Intro", False, False), ("Verse 1", True, True), ("Solo 1", False, False), ("Chorus", True, True),
        ("Solo 2", False, False), ("Outro", True, True),
    ]  # fmt: skip


def test_section_without_a_number_of_lines_has_as_many_as_its_scheme() -> None:
    asked = (AskedSection(VERSE, rhyme_scheme="AABBA"), AskedSection(CHORUS))
    verse, _ = planned(duration_s=30.0, structure=asked)
    assert (verse.lines, verse.rhyme_scheme) == (5, "AABBA")


def test_more_lines_than_can_be_sung_are_refused_by_field() -> None:
    verses = (AskedSection(VERSE, 16),) * 4
    assert refused(structure=verses, duration_s=60.0) == ("DOES_NOT_FIT", "structure", "24 lines")
    assert refused(structure=(AskedSection(VERSE),) * 8, duration_s=15.0) == (
        "DOES_NOT_FIT", "structure", "6 lines"
    )  # fmt: skip
    assert refused(form=Form.RAP, duration_s=20.0) == ("DOES_NOT_FIT", "form", "8 lines")
    assert refused(form=Form.AABA, lines_per_section=16, duration_s=60.0) == (
        "DOES_NOT_FIT", "lines_per_section", "6 lines"
    )  # fmt: skip
    assert refused(lines_per_section=16, duration_s=10.0) == ("DOES_NOT_FIT", "lines_per_section", "4 lines")
    two = (AskedSection(VERSE), AskedSection(CHORUS))
    assert refused(structure=two, lines_per_section=16, duration_s=60.0) == (
        "DOES_NOT_FIT", "lines_per_section", "12 lines"
    )  # fmt: skip
    assert refused(structure=(AskedSection(VERSE, 10),), syllables=(18, 20), duration_s=30.0) == (
        "DOES_NOT_FIT", "structure", "8 lines"
    )  # fmt: skip


def test_chorus_that_comes_back_in_another_shape_is_refused() -> None:
    longer = (AskedSection(CHORUS, 4), AskedSection(VERSE), AskedSection(CHORUS, 6))
    assert refused(structure=longer) == ("OUT_OF_RANGE", "structure[2].lines", "0 or 4")
    other = (AskedSection(HOOK, rhyme_scheme="AABB"), AskedSection(HOOK, rhyme_scheme="ABAB"))
    assert refused(structure=other) == ("OUT_OF_RANGE", "structure[1].rhyme_scheme", "empty or AABB")


def test_rap_has_long_verses_and_seeds_have_forms_of_their_own() -> None:
    rap = planned(90.0, genre="90s boom bap", duration_s=60.0)
    assert shape(tuple(s for s in rap if s.lines)) == [("Verse 1", 12), ("Hook", 4)]
    assert len({tuple(shape(planned(seed=seed, duration_s=180.0))) for seed in range(20)}) >= 3


def test_pre_chorus_leads_into_its_chorus() -> None:
    tags = [section.tag.value for section in planned(form=Form.PRE_CHORUS, duration_s=200.0)]
    assert tags.count("solo") == 1
    assert all(after == "chorus" for tag, after in pairwise(tags) if tag == "pre-chorus")
