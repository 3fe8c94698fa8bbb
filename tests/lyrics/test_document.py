"""The parser of messy text and the printer: what people paste, round trips, and text that nobody wrote."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.lyrics.document import (
    Line,
    LyricDocument,
    Parsed,
    Section,
    SectionTag,
    canonical_label,
    clean,
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
        ("pre-chorus", "Pre-Chorus", ["Almost"]),
        ("solo", "Guitar Solo", []),
        ("bridge", "Middle 8: quiet", ["What if", "we stay"]),
        ("outro", "Outro", []),
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
        ("Verse Two", SectionTag.VERSE),
        ("2nd Verse", SectionTag.VERSE),
        ("Vers 1", SectionTag.VERSE),
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


def test_label_with_brackets_of_its_own_reads_back() -> None:
    sections = parse("## Verse 2 - [Anna]\nla\n**Chorus - {all}**\nlo").sections
    assert [s.label for s in sections] == ["Verse 2 - Anna", "Chorus - all"]
    assert parse(print_display(sections)).sections == sections


def test_wide_brackets_hold_headings_too() -> None:
    parsed = parse("［Verse 1］\n雨の夜\n【Chorus】\nそばにいて\n【サビ】")
    assert [(s.tag.value, [line.text for line in s.lines]) for s in parsed.sections] == [
        ("verse", ["雨の夜"]),
        ("chorus", ["そばにいて"]),
    ]
    assert parsed.unknown_headings == ("サビ",)


def test_bare_text_has_only_the_tags_that_the_music_model_knows() -> None:
    assert print_bare(parse("[Verse 1]\na\n\n[Final Chorus]\nb").sections) == "[verse]\na\n\n[chorus]\nb"


CHAT = """Sure! Here are your lyrics:

**Title: "Rain on Tin"**
Genre: folk

```
[Verse 1]
*Rain &amp; thunder*
> Over the hill

(Chorus)
Sure, I am here
Let me know

Chorus (repeat)

Verse 2: I walk alone
---
Verse 3
- Another line
```

I hope you like this song!
Let me know if you want changes.
"""


def test_talk_around_a_song_is_no_part_of_it_and_is_told() -> None:
    parsed = parse(CHAT)
    chorus = ["Sure, I am here", "Let me know"]
    assert shape(CHAT) == [
        ("verse", "Verse 1", ["Rain &amp; thunder", "Over the hill"]),
        ("chorus", "Chorus", chorus),
        ("chorus", "Chorus (repeat)", chorus),
        ("verse", "Verse 2", ["I walk alone"]),
        ("verse", "Verse 3", ["Another line"]),
    ]
    assert parsed.title == "Rain on Tin"
    assert parsed.remarks == (
        "Sure! Here are your lyrics:",
        "Genre: folk",
        "I hope you like this song!",
        "Let me know if you want changes.",
    )


@pytest.mark.parametrize(
    ("text", "title", "sung"),
    [
        ("# Rain\n\n## Verse 1\nla", "Rain", ["la"]),
        ("**Rain**\n\n[Verse]\nla", "Rain", ["la"]),
        ("Title - Rain\nla", "Rain", ["la"]),
        ("Song title: “Rain”\n\nla", "Rain", ["la"]),
        ("[Verse]\nTitle: a word\nla", "", ["Title: a word", "la"]),
        ("**Rain**\nla", "", ["Rain", "la"]),
    ],
)
def test_title_is_read_before_the_first_section(text: str, title: str, sung: list[str]) -> None:
    parsed = parse(text)
    assert (parsed.title, [line.text for s in parsed.sections for line in s.lines]) == (title, sung)


@pytest.mark.parametrize(
    "text",
    [
        "Here is my song for you\nSure, I will sing it",
        "Okay\nI hope you know this song\n\nEnjoy the silence",
        "[Verse]\nI hope you like this song\nHere are the lyrics of my life",
        "Note to self",
        "One - two - three\n-- and four",
        "Break\nmy heart\n\nDrop\nthe needle",
    ],
)
def test_words_that_sound_like_talk_are_sung(text: str) -> None:
    parsed = parse(text)
    assert [line.text for s in parsed.sections for line in s.lines] == [
        line for line in text.splitlines() if line and line != "[Verse]"
    ]


def test_words_behind_a_tag_are_sung_and_repeats_without_words_take_those_of_before() -> None:
    text = "[Chorus] la la\nlo\n\n[Verse 1]: so\n\n[Repeat Chorus]\n[Chorus x2]\nli\n\n[Chorus]"
    assert shape(text) == [
        ("chorus", "Chorus", ["la la", "lo"]),
        ("verse", "Verse 1", ["so"]),
        ("chorus", "Repeat Chorus", ["la la", "lo"]),
        ("chorus", "Chorus x2", ["li"]),
        ("chorus", "Chorus", ["li"]),  # people write a chorus out once, and then its name only
    ]
    assert shape("[Verse]\n\n[Chorus]\n\n[Verse]\nso") == [
        ("verse", "Verse", []),
        ("chorus", "Chorus", []),  # there is none before
        ("verse", "Verse", ["so"]),
    ]


@pytest.mark.parametrize(
    ("label", "canonical"),
    [
        ("CHORUS", "Chorus"), ("chorus", ""), ("Chorus 2", "Chorus 2"), ("Anna", "Anna"),
        ("Chorus: Anna", "Anna"), ("Chorus: Chorus 2", "Chorus: Chorus 2"),
    ],
)  # fmt: skip
def test_labels_are_kept_as_they_read_back(label: str, canonical: str) -> None:
    assert canonical_label(SectionTag.CHORUS, label) == canonical


def kept(text: str) -> list[str]:
    """Everything that was read of a text."""
    parsed = parse(text)
    sung = [line.text for section in parsed.sections for line in section.lines]
    labels = [section.heading for section in parsed.sections]
    return [*sung, *labels, *parsed.unknown_headings, parsed.title, *parsed.remarks]


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
lines = words.filter(lambda text: not is_heading(text))
headings = st.sampled_from(
    [
        "[Verse 1]", "Chorus:", "## Bridge", "[whatever]", "[Solo]", "**Outro**", "", "", "[]", "{Hook}",
        "[Verse: (", "Verse 2", "(Chorus)", "[Chorus] la", "Verse 3: la", "Chorus (repeat)", "```", "---",
        "Sure! Here are your lyrics:", "Title: Rain", "# Rain", "*la*", "> la", "- la", "* [Verse] *",
        "Let me know if you want changes.", "[Repeat Chorus]", "**Verse 1:** la", "[Verse] [Chorus] ```",
    ]
)  # fmt: skip
texts = st.lists(st.one_of(words, headings)).map("\n".join) | st.text(max_size=300)


@settings(max_examples=500, deadline=None)
@given(texts)
@example("[Verse 1]\r\n\x0b\x1c[\u2028]")
@example("\u200b\u0301\ufeff")
@example("*```*\n* *a* *\n> > #")
def test_any_text_is_read_and_what_was_read_reads_the_same_again(text: str) -> None:
    parsed = parse(text)
    again = parse(print_display(parsed.sections, parsed.title))
    assert (again.sections, again.title) == (parsed.sections, parsed.title)
    assert (again.unknown_headings, again.remarks) == ((), ())
    assert [s.lines for s in parse(print_bare(parsed.sections)).sections] == [
        s.lines for s in parsed.sections
    ]
    review(LyricDocument(parsed.sections), 60.0, parsed.unknown_headings)


@settings(max_examples=500, deadline=None)
@given(texts)
def test_no_word_is_lost_silently(text: str) -> None:
    letters = re.compile(r"[^\W_]+")
    found = {word.casefold() for part in kept(text) for word in letters.findall(part)}
    for line in map(clean, text.splitlines()):
        words = {word.casefold() for word in letters.findall(line)}
        assert words <= found | {"title", "song"} or is_heading(line) or not line


labelled = st.builds(
    lambda tag, label: (tag, canonical_label(tag, label.replace("#", tag.display))),
    st.sampled_from(list(SectionTag)),
    st.sampled_from(
        ["", "#", "# 1", "# 12", "Anna", "Final #", "#: Anna", "Verse", "the end: of it", "break"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(labelled, st.lists(lines, max_size=6)), max_size=8), st.sampled_from(["", "Rain"]))
def test_document_survives_print_and_parse(
    parts: list[tuple[tuple[SectionTag, str], list[str]]], title: str
) -> None:
    cleaned = [
        [line.text for section in parse("\n".join(["[verse]", *ls])).sections for line in section.lines]
        for _, ls in parts
    ]
    returning = {SectionTag.CHORUS: [], SectionTag.HOOK: [], SectionTag.PRE_CHORUS: []}
    for ((tag, _), _), words in zip(parts, cleaned, strict=True):
        if tag in returning:  # one without words is the one before it
            words[:] = returning[tag] = words or returning[tag]
    sections = tuple(
        Section(tag, tuple(map(Line, ls)), label)
        for ((tag, label), _), ls in zip(parts, cleaned, strict=True)
    )
    assert parse(print_display(sections, title)) == Parsed(sections, title=title)
    bare = tuple(Section(section.tag, section.lines) for section in sections)
    assert parse(print_bare(sections)).sections == bare
