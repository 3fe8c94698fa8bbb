"""The parser of messy text and the printer: what people paste, round trips, and text that nobody wrote."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.lyrics.document import (
    Line,
    LyricDocument,
    Section,
    SectionTag,
    is_heading,
    parse,
    print_bare,
    print_display,
    tag_of,
)
from services.lyrics.review import review

MESSY = """\ufeffWoke before the alarm\r
Walked into the day\r
\r
**[Verse 1]**\r
   The   kettle sings\r
\r
Rain on the glass
## Chorus x2
(Oh) stay
Pre-Chorus:
Almost
[Guitar Solo]
[Middle 8: quiet]
What if
[whispered]
we stay
OUTRO:
"""


def shape(text: str) -> list[tuple[str, str, list[str]]]:
    return [(s.tag.value, s.label, [line.text for line in s.lines]) for s in parse(text).sections]


def test_messy_text_becomes_sections() -> None:
    assert shape(MESSY) == [
        ("verse", "Verse 1", ["Woke before the alarm", "Walked into the day"]),
        ("verse", "Verse 1", ["The kettle sings", "Rain on the glass"]),
        ("chorus", "Chorus x2", ["(Oh) stay"]),
        ("pre-chorus", "", ["Almost"]),
        ("solo", "Guitar Solo", []),
        ("bridge", "Middle 8: quiet", ["What if", "we stay"]),
        ("outro", "", []),
    ]
    assert parse(MESSY).unknown_headings == ("whispered",)


def test_untagged_text_becomes_verses_of_four_lines() -> None:
    text = "one\ntwo\nthree\nfour\nfive\n\n\nsix"
    assert shape(text) == [
        ("verse", "Verse 1", ["one", "two", "three", "four"]),
        ("verse", "Verse 2", ["five"]),
        ("verse", "Verse 3", ["six"]),
    ]


@pytest.mark.parametrize(
    ("heading", "tag"),
    [
        ("Verse 2", SectionTag.VERSE),
        ("pre chorus", SectionTag.PRE_CHORUS),
        ("Final Chorus", SectionTag.CHORUS),
        ("Refrain", SectionTag.CHORUS),
        ("Instrumental", SectionTag.INST),
        ("verse iv", SectionTag.VERSE),
        ("Verse 3 (Anna)", SectionTag.VERSE),
        ("versed in love", None),
        ("the end of the night", None),
        ("", None),
    ],
)
def test_headings_name_their_tag(heading: str, tag: SectionTag | None) -> None:
    assert tag_of(heading) is tag


@pytest.mark.parametrize("line", ["Chorus", "I said: stay", "(chorus of birds)", "The bridge is out"])
def test_sung_line_is_no_heading(line: str) -> None:
    assert not is_heading(line)


def test_bare_text_has_only_the_tags_that_the_music_model_knows() -> None:
    assert print_bare(parse("[Verse 1]\na\n\n[Final Chorus]\nb").sections) == "[verse]\na\n\n[chorus]\nb"


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
lines = words.filter(lambda text: not is_heading(text))
headings = st.sampled_from(
    [
        "[Verse 1]",
        "Chorus:",
        "## Bridge",
        "[whatever]",
        "[Solo]",
        "**Outro**",
        "",
        "[]",
        "{Hook}",
        "[Verse: (",
    ]
)
texts = st.lists(st.one_of(words, headings)).map("\n".join) | st.text(max_size=300)


@settings(max_examples=400, deadline=None)
@given(texts)
@example("[Verse 1]\r\n\x0b\x1c[\u2028]")
@example("\u200b\u0301\ufeff")
def test_any_text_is_read_and_what_was_read_reads_the_same_again(text: str) -> None:
    parsed = parse(text)
    again = parse(print_display(parsed.sections))
    assert again.sections == parsed.sections
    assert again.unknown_headings == ()
    assert [s.lines for s in parse(print_bare(parsed.sections)).sections] == [
        s.lines for s in parsed.sections
    ]
    review(LyricDocument(parsed.sections), 60.0, parsed.unknown_headings)


labelled = st.builds(
    lambda tag, number: (tag, f"{tag.display} {number}" if number else ""),
    st.sampled_from(list(SectionTag)),
    st.integers(0, 40),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(labelled, st.lists(lines, max_size=6)), max_size=8))
def test_document_survives_print_and_parse(parts: list[tuple[tuple[SectionTag, str], list[str]]]) -> None:
    cleaned = [
        [line.text for section in parse("\n".join(ls)).sections for line in section.lines] for _, ls in parts
    ]
    sections = tuple(
        Section(tag, tuple(map(Line, ls)), label)
        for ((tag, label), _), ls in zip(parts, cleaned, strict=True)
    )
    assert parse(print_display(sections)).sections == sections
