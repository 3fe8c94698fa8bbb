"""The built-in lyricist: schemes hold by a second reading of the dictionary, seeds decide, grammar holds."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from functools import cache
from itertools import pairwise
from statistics import median
from typing import Any

import pytest

from bench.lyrics_builtin import grammar_faults
from services.common.errors import FailedPrecondition
from services.lyrics import pronunciation, timing
from services.lyrics.builtin import bank, composer
from services.lyrics.builtin.engine import BuiltinEngine
from services.lyrics.document import Line, LyricDocument, Section, SectionTag, parse, print_display
from services.lyrics.engine import (
    FREE,
    RHYME_SCHEMES,
    AskedSection,
    Brief,
    Finished,
    Form,
    LineWritten,
    Planned,
    SectionWritten,
)
from services.lyrics.review import review
from tests.lyrics import cmudict

THEMES = (
    "Nujabes-inspired jazz hop about rainy Tokyo nights, 86 BPM",
    "the ocean at midnight",
    "A melancholic ballad for my grandmother who taught me to sing",
    "heartbreak",
    "robots falling in love",
    "growing up in a small town",
    "asdf qwer",
    "a rap about the hustle",
    "New York City",
    "being stuck in traffic",
    "Christmas morning with my family",
)
GENRES = (
    "",
    "rock",
    "hip hop",
    "jazz hop",
    "country",
    "techno",
    "gospel",
    "lullaby",
    "reggae",
    "no such genre",
)
MOODS = ("", "sad", "happy", "dark", "epic", "nostalgic", "unheard-of")
DURATIONS = (5.0, 12.0, 30.0, 60.0, 120.0)
SEEDS = 66


def write(brief: Brief) -> LyricDocument:
    *_, last = composer.compose(brief)
    assert isinstance(last, Finished)
    return last.document


def brief_of(seed: int) -> Brief:
    return Brief(
        theme=THEMES[seed % len(THEMES)],
        seed=seed,
        duration_s=DURATIONS[seed % len(DURATIONS)],
        genre=GENRES[seed % len(GENRES)],
        mood=MOODS[seed % len(MOODS)],
        rhyme_scheme=("", *RHYME_SCHEMES)[seed % 6 if seed % 2 else 0],
    )


@cache
def songs() -> list[tuple[Brief, LyricDocument]]:
    return [(brief, write(brief)) for brief in map(brief_of, range(SEEDS))]


def verse_lines(document: LyricDocument) -> set[str]:
    return {line.text for s in document.sections if s.tag is SectionTag.VERSE for line in s.lines}


def test_every_stanza_follows_its_scheme() -> None:
    faults = [
        (brief.seed, fault)
        for brief, document in songs()
        for section in document.sections
        if len(section.lines) > 1
        for fault in cmudict.scheme_faults([line.text for line in section.lines], section.rhyme_scheme)
    ]
    assert faults == []


def test_scheme_that_is_asked_for_is_the_scheme_of_every_stanza_of_four() -> None:
    for brief, document in songs():
        for section in document.sections:
            if brief.rhyme_scheme and len(section.lines) == 4:
                assert section.rhyme_scheme == brief.rhyme_scheme


def test_every_song_passes_the_review() -> None:
    for brief, document in songs():
        judged = review(document, brief.duration_s)
        assert judged.passed, (brief.seed, judged.findings)
        assert judged.score > 0.85, (brief.seed, judged)


def test_grammar_that_can_be_checked_is_kept() -> None:
    for brief, document in songs():
        assert grammar_faults(document) == [], brief.seed
        for text in (*(line.text for line in document.lines), document.title):
            assert next(letter for letter in text if letter.isalpha()).isupper(), (brief.seed, text)


@pytest.mark.parametrize(
    "text",
    [
        "I found a apple",
        "An letter in the rain",
        "The the rain",
        "I is alone",
        "We was young",
        "I gave me time",
        "The {thing} is gone",
        "Those letters is old",
        "Every windows are lit",
        "All the candles was lit",
    ],
)
def test_checker_of_grammar_sees_what_is_wrong(text: str) -> None:
    line = Section(SectionTag.VERSE, (Line(text),))
    assert grammar_faults(LyricDocument((line,), "en", "", "", 0)) == [text]


def test_lines_do_not_come_back_but_in_choruses() -> None:
    for brief, document in songs():
        others = [
            line.text
            for section in document.sections
            if section.tag not in (SectionTag.CHORUS, SectionTag.PRE_CHORUS)
            for line in section.lines
        ]
        assert len(others) == len(set(others)), brief.seed


def test_seeds_of_one_theme_share_few_lines() -> None:
    counts = Counter(
        line for seed in range(12) for line in verse_lines(write(Brief("the ocean at midnight", seed, 60.0)))
    )
    shared = sum(count - 1 for count in counts.values())
    assert shared <= 0.05 * counts.total()


def test_the_same_brief_gives_the_same_document() -> None:
    for brief, document in songs()[:20]:
        assert write(brief) == document


def test_document_survives_print_and_parse() -> None:
    for _, document in songs()[::10]:
        again = parse(print_display(document.sections)).sections
        assert [(s.tag, s.lines) for s in again] == [(s.tag, s.lines) for s in document.sections]


def test_theme_is_sung_and_its_tempo_genre_and_artist_are_not() -> None:
    for seed in range(8):
        document = write(Brief(THEMES[0], seed, 120.0))
        text = " ".join(line.text for line in document.lines).lower()
        assert "rainy tokyo nights" in text
        assert not re.search(r"nujabes|bpm|jazz hop|\d", text)


@pytest.mark.parametrize(
    ("duration_s", "low", "high"),
    [(5.0, 1, 2), (10.0, 2, 2), (30.0, 4, 6), (180.0, 24, 40), (600.0, 60, 120)],
)
def test_length_decides_the_number_of_lines(duration_s: float, low: int, high: int) -> None:
    for tempo_bpm in (40.0, 86.0, 120.0, 220.0):
        document = write(Brief("the sea", 7, duration_s, tempo_bpm=tempo_bpm))
        assert low <= len(document.lines) <= high, tempo_bpm
        sung = sum(pronunciation.syllables(line.text) for line in document.lines)
        assert sung / timing.sung_seconds(duration_s) < timing.WARN_SYLLABLES_PER_S


def test_facts_of_three_minutes() -> None:
    assert timing.lines_that_fit(180.0, 120.0) == 36


def test_title_is_the_hook() -> None:
    for brief, document in songs():
        text = " ".join(line.text for line in document.lines).lower()
        assert re.sub(r"\W", "", document.title.lower()) in re.sub(r"\W", "", text), brief.seed


def test_every_ending_rhymes_in_one_way_only_and_with_something() -> None:
    for key, endings in bank.load().endings.items():
        assert len({ending.onset for ending in endings}) > 1, key
        for ending in endings:
            assert pronunciation.has_one_rhyme(ending.word), ending


def test_words_of_the_bank_that_the_dictionary_lacks_are_counted_right() -> None:
    words = bank.load()
    texts = [e.text for kind in words.fillers.values() for e in kind]
    texts += [e.text for kind in words.endings.values() for e in kind]
    texts += [f.text for kind in words.frames.values() for f in kind] + [h.text for h in words.hooks]
    spoken = " ".join(re.sub(r"\{[^}]*\}", " ", text) for text in texts)
    unknown = {w for w in pronunciation.words(spoken) if not pronunciation.is_known(w)}
    assert {word: pronunciation.word_syllables(word) for word in unknown} == {
        "amps": 1, "backbeat": 2, "bassline": 2, "bluesman": 2, "bluesmen": 2, "breakbeat": 2, "buskers": 2,
        "café": 2, "carolers": 3, "carousels": 3, "congas": 2, "creaks": 1, "dragonflies": 3, "foghorn": 2,
        "goalies": 2, "handclap": 2, "headbangers": 3, "headbanging": 3, "hummed": 1, "insomniacs": 4,
        "kettledrum": 3, "lamplight": 2, "lumberjacks": 3, "matchstick": 2, "mixtape": 2, "pillowcase": 3,
        "pocketknife": 3, "ravers": 2, "sandlot": 2, "sauntering": 3, "seawall": 2, "sequencer": 3,
        "sleeplessness": 3, "snowdrift": 2, "snowmen": 2, "sparkler": 2, "speakeasy": 3, "stargazing": 3,
        "streetlight": 2, "streetlights": 2, "sunbeams": 2, "taillight": 2, "teacups": 2, "thunderheads": 3,
        "unicorns": 3, "vibraphone": 3, "votive": 2, "wizard's": 2,
    }  # fmt: skip


def test_bank_is_as_large_as_it_is_meant_to_be() -> None:
    words = bank.load()
    assert len({frame.text for frames in words.frames.values() for frame in frames}) >= 1_800
    assert sum(map(len, words.endings.values())) >= 3_500
    assert sum(map(len, words.fillers.values())) >= 2_000


def one_verse(lines: int, scheme: str = "", **asked: Any) -> Brief:
    structure = (AskedSection(SectionTag.VERSE, lines, rhyme_scheme=scheme),)
    return Brief("the sea", 5, 240.0, structure=structure, **asked)


@pytest.mark.parametrize("scheme", ["AABB", "ABAB", "ABCB", "ABBA", "AAAA", "ABCABC", "AABCCB", FREE])
@pytest.mark.parametrize("lines", [1, 2, 3, 7, 8, 16])
def test_any_number_of_lines_follows_any_scheme(lines: int, scheme: str) -> None:
    (section,) = write(one_verse(lines, "" if lines < len(scheme) else scheme)).sections
    assert len(section.lines) == lines
    texts = [line.text for line in section.lines]
    letters = "ABCDEFGHIJKLMNOP"[:lines] if scheme == FREE and lines >= 4 else section.rhyme_scheme
    assert len(letters) == lines
    assert cmudict.scheme_faults(texts, letters) == []


def test_sixteen_lines_on_one_sound_rhyme_with_their_neighbours() -> None:
    (section,) = write(one_verse(16, "A" * 16)).sections
    texts = [line.text for line in section.lines]
    assert len(set(texts)) == 16
    for pair in pairwise(texts):
        assert cmudict.scheme_faults(list(pair), "AA") == []


@pytest.mark.parametrize("syllables", [(3, 4), (5, 5), (6, 8), (10, 10), (13, 16), (18, 20)])
def test_every_line_keeps_to_the_syllables_asked_for(syllables: tuple[int, int]) -> None:
    for seed in range(3):
        document = write(Brief("my grandmother's garden", seed, 60.0, syllables=syllables))
        counts = [pronunciation.syllables(line.text) for line in document.lines]
        assert all(syllables[0] <= count <= syllables[1] for count in counts), counts


REQUIRED = ("serendipity", "blue", "running", "quickly", "river", "Nairobi", "kissed", "the")


def test_required_words_are_sung_and_no_song_without_them_is_written() -> None:
    for seed in range(4):
        document = write(Brief("the night train", seed, 120.0, required_words=REQUIRED))
        said = {word for line in document.lines for word in pronunciation.words(line.text)}
        assert {word.lower() for word in REQUIRED} <= said


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"required_words": ("zxqvy",)}, "required_words"),
        ({"required_words": ("river",), "avoided_words": ("rivers",)}, "required_words"),
        ({"required_words": REQUIRED, "duration_s": 10.0}, "required_words"),
        ({"syllables": (3, 3), "rhyme_scheme": "A", "lines_per_section": 16}, "syllables_per_line"),
    ],
)
def test_brief_that_cannot_be_met_is_refused_by_its_field(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(FailedPrecondition) as refused:
        write(replace(Brief("the sea", 1, 90.0), **asked))
    assert (refused.value.reason, refused.value.metadata["field"]) == ("BRIEF_UNMET", field)


def test_avoided_words_are_sung_in_none_of_their_forms() -> None:
    avoided = ("love", "sing", "night", "sea", "go")
    forms = re.compile(
        r"\b(?:lov(?:e[sdr]?|ing|ers)|s[aiu]ng|sing(?:s|ing|ers?)|nights?|seas?|go(?:es|ing|ne)?|went)\b"
    )
    plain = " ".join(
        line.text.lower() for seed in range(4) for line in write(Brief("the sea", seed, 90.0)).lines
    )
    assert forms.search(plain)
    for seed in range(4):
        document = write(Brief("the sea", seed, 90.0, avoided_words=avoided))
        text = " ".join(line.text.lower() for line in document.lines)
        assert not forms.search(f"{text} {document.title.lower()}"), forms.findall(text)


def test_chorus_comes_back_with_its_words_and_a_refrain_ends_every_verse() -> None:
    document = write(Brief("the sea", 4, 120.0, form=Form.VERSE_CHORUS))
    choruses = [section.lines for section in document.sections if section.tag is SectionTag.CHORUS]
    assert len(choruses) > 1
    assert len(set(choruses)) == 1
    verses = [s for s in write(Brief("the sea", 4, 90.0, form=Form.STROPHIC)).sections if s.lines]
    assert len({verse.lines[-1] for verse in verses}) == 1
    for verse in verses:
        assert cmudict.scheme_faults([line.text for line in verse.lines], verse.rhyme_scheme) == []


def test_song_is_the_same_in_another_process() -> None:
    code = (
        "from services.lyrics.builtin import composer; from services.lyrics.engine import Brief;"
        "*_, last = composer.compose(Brief('a road trip', 11, 60.0, avoided_words=('car', 'sun')));"
        "print(*(line.text for line in last.document.lines), sep='|')"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(said) == 1


async def test_events_come_in_song_order_and_match_the_document() -> None:
    engine = BuiltinEngine()
    events = [event async for event in engine.write(Brief("the sea", 3, 90.0))]
    engine.close()
    first, *middle, last = events
    assert isinstance(first, Planned)
    assert isinstance(last, Finished)
    sections = [event for event in middle if isinstance(event, SectionWritten)]
    assert tuple(event.section for event in sections) == last.document.sections
    lines = [event for event in middle if not isinstance(event, SectionWritten)]
    assert first.lines_total == len(lines) == len(last.document.lines)
    for line in lines:
        assert isinstance(line, LineWritten)
        section = last.document.sections[line.section_index]
        assert (section.tag, section.label) == (line.tag, line.label)
        assert section.lines[line.line_index].text == line.text


async def test_event_loop_goes_on_while_a_long_song_is_written() -> None:
    engine, gaps = BuiltinEngine(), []
    await engine.open()

    async def tick() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            gaps.append(time.monotonic() - began)

    ticking = asyncio.create_task(tick())
    for seed in range(3):
        async with aclosing(engine.write(Brief("the sea", seed, 600.0))) as events:
            assert len([event async for event in events]) > 60
    ticking.cancel()
    engine.close()
    assert median(gaps) < 0.02  # the odd one is the machine's


async def test_song_that_is_closed_leaves_the_thread_to_the_next() -> None:
    engine = BuiltinEngine()
    await engine.open()
    waiting = [engine.write(Brief("the sea", seed, 600.0)) for seed in range(20)]
    firsts = [await anext(song) for song in waiting[:1]]
    for song in waiting:
        await song.aclose()
    began = time.monotonic()
    *_, last = [event async for event in engine.write(Brief("the sea", 99, 5.0))]
    engine.close()
    assert firsts
    assert isinstance(last, Finished)
    assert time.monotonic() - began < 2.0  # twenty long songs take longer
