"""The review: gates, scores of songs whose form is known, and mutations that must cost."""

import random
from dataclasses import replace

import pytest

from services.lyrics.builtin import composer
from services.lyrics.document import Line, LyricDocument, Section, SectionTag, parse
from services.lyrics.engine import AskedSection, Brief, Finished
from services.lyrics.review import review
from services.lyrics.review.song import read
from services.lyrics.review.verdict import WEIGHTS
from services.lyrics.rhyme import judge, likeliest_scheme

DURATION_S = 150.0


def written(seed: int, scheme: str = "ABAB") -> LyricDocument:
    *_, last = composer.compose(
        Brief("the winter sea", seed, DURATION_S, tempo_bpm=120.0, rhyme_scheme=scheme)
    )
    assert isinstance(last, Finished)
    return last.document


def score(document: LyricDocument) -> float:
    return review(document, DURATION_S).score


def with_line(document: LyricDocument, section: int, line: int, text: str) -> LyricDocument:
    old = document.sections[section]
    lines = (*old.lines[:line], Line(text), *old.lines[line + 1 :])
    sections = (*document.sections[:section], replace(old, lines=lines), *document.sections[section + 1 :])
    return replace(document, sections=sections)


def sung(document: LyricDocument) -> list[int]:
    return [index for index, section in enumerate(document.sections) if section.lines]


def not_short(document: LyricDocument) -> list[tuple[int, int]]:
    """(section, line) of the lines that no other of their section or place outruns: four syllables more
    may make a short line even."""
    counts = {s.index: [line.syllables for line in s.lines] for s in read(document).sections if s.lines}
    verses = [counts[i] for i in counts if document.sections[i].tag is SectionTag.VERSE]
    return [
        (section, line)
        for section, own in counts.items()
        for line, count in enumerate(own)
        if count >= max(own) - 1 and all(count >= verse[line] - 1 for verse in verses)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_another_end_word_costs(seed: int) -> None:
    document, rng = written(seed), random.Random(seed)
    section, line = rng.choice(sung(document)), rng.randrange(4)
    text = document.sections[section].lines[line].text
    changed = with_line(document, section, line, text.rsplit(" ", 1)[0] + " orange")
    assert score(changed) < score(document)
    assert {"RHYME_MISSED"} <= {f.code for f in review(changed).findings}


@pytest.mark.parametrize("seed", range(12))
def test_a_section_less_costs(seed: int) -> None:
    document = written(seed)
    gone = random.Random(seed).choice(sung(document))
    changed = replace(document, sections=document.sections[:gone] + document.sections[gone + 1 :])
    before, after = review(document, DURATION_S).scores, review(changed, DURATION_S).scores
    assert after["fit"].value < before["fit"].value
    asked = tuple(AskedSection(s.tag, len(s.lines)) for s in document.sections)
    brief = Brief("the winter sea", seed, DURATION_S, structure=asked)
    assert review(changed, DURATION_S, brief=brief).score < review(document, DURATION_S, brief=brief).score


@pytest.mark.parametrize("seed", range(12))
def test_four_more_syllables_cost(seed: int) -> None:
    document, rng = written(seed), random.Random(seed)
    section, line = rng.choice(not_short(document))
    text = document.sections[section].lines[line].text
    assert score(with_line(document, section, line, "Underneath all " + text)) < score(document)


@pytest.mark.parametrize("seed", range(6))
def test_a_line_said_twice_costs(seed: int) -> None:
    document = written(seed)
    verses = [i for i, s in enumerate(document.sections) if s.tag is SectionTag.VERSE]
    changed = with_line(document, verses[1], 2, document.sections[verses[0]].lines[2].text)
    judged, before = review(changed, DURATION_S), review(document, DURATION_S)
    assert judged.scores["repetition"].value < before.scores["repetition"].value
    repeated = [(f.section, f.line) for f in judged.findings if f.code == "LINE_REPEATED"]
    assert repeated == [(verses[1], 2)]


def test_order_of_words_within_lines_and_case_change_nothing_of_the_form() -> None:
    document = written(1)
    loud = replace(
        document,
        sections=tuple(
            replace(s, lines=tuple(Line(line.text.upper()) for line in s.lines)) for s in document.sections
        ),
    )
    assert review(loud, DURATION_S).scores == review(document, DURATION_S).scores


@pytest.mark.parametrize(
    ("ends", "scheme"),
    [
        (["rain", "train", "stone", "alone"], "AABB"),
        (["rain", "stone", "train", "alone"], "ABAB"),
        (["rain", "stone", "sea", "alone"], "ABCB"),
        (["rain", "stone", "alone", "train"], "ABBA"),
        (["rain", "train", "plain", "chain"], "AAAA"),
        (["rain", "train", "stone", "alone", "sea", "free"], "AABBEE"),
    ],
)
def test_scheme_of_a_stanza_is_recognised_and_scores_best(ends: list[str], scheme: str) -> None:
    assert likeliest_scheme(ends) == scheme
    assert judge(ends, scheme).value == 1.0
    for other in ("AABB", "ABAB", "ABBA", "AAAA"):
        if other != scheme and scheme != "ABCB" and len(ends) == 4:
            assert judge(ends, other).value < 1.0


def test_one_sound_throughout_does_not_pass_for_alternate_rhyme() -> None:
    judged = judge(["rain", "train", "plain", "chain"], "ABAB")
    assert judged.value <= 0.5
    assert {fault.code for fault in judged.faults} == {"RHYME_ACROSS"}


def test_same_word_twice_is_said_not_to_rhyme() -> None:
    assert [fault.code for fault in judge(["rain", "rain"], "AA").faults] == ["RHYME_SAME_WORD"]


def document_of(text: str) -> LyricDocument:
    return LyricDocument(parse(text).sections)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "EMPTY"),
        ("[Intro]\n[Solo]", "EMPTY"),
        ("[Verse]\n...\n!?", "EMPTY"),
        ("[Verse]\n[Chorus]\nla la", "SECTION_EMPTY"),
        ("[Verse]\n" + "word " * 50, "LINE_TOO_LONG"),
        ("[Verse]\n" + "\n".join(["many many syllables in here"] * 200), "TOO_DENSE"),
    ],
)
def test_gate_fails(text: str, code: str) -> None:
    judged = review(document_of(text), 60.0)
    assert not judged.passed
    assert code in {finding.code for finding in judged.findings if finding.gate}


def test_stage_direction_is_left_out_and_told_and_no_gate() -> None:
    parsed = parse("[Verse]\nla la\n[whispered]\nla")
    judged = review(LyricDocument(parsed.sections), 0.0, parsed.unknown_headings)
    told = [(f.code, f.gate) for f in judged.findings if "whispered" in f.message]
    assert (judged.passed, told) == (True, [("TAG_UNKNOWN", False)])


def test_nothing_but_stage_directions_is_a_gate() -> None:
    parsed = parse("[whispered]\n[applause]")
    judged = review(LyricDocument(parsed.sections), 0.0, parsed.unknown_headings)
    assert [f.code for f in judged.findings if f.gate] == ["EMPTY"]


def test_line_that_reads_as_a_tag_is_a_gate() -> None:
    sections = (Section(SectionTag.VERSE, (Line("[Chorus]"), Line("la la"))),)
    finding = next(f for f in review(LyricDocument(sections)).findings if f.gate)
    assert (finding.code, finding.section, finding.line) == ("LINE_IS_TAG", 0, 0)


def test_too_few_and_too_many_lines_are_said() -> None:
    few, many = document_of("[Verse]\nI am here"), document_of("[Verse]\n" + "hey you\n" * 60)
    assert "TOO_FEW_LINES" in {f.code for f in review(few, 240.0).findings}
    assert "TOO_MANY_LINES" in {f.code for f in review(many, 60.0).findings}


def test_fit_is_judged_only_when_the_length_is_known() -> None:
    document = written(2)
    assert review(document, DURATION_S).scores["fit"].assessed
    unjudged = review(document).scores["fit"]
    assert (unjudged.assessed, unjudged.reason) == (False, "the length of the song is not known")


def test_every_score_is_there_with_its_reason_whether_it_was_assessed_or_not() -> None:
    for document in (written(2), document_of("")):
        scores = review(document).scores
        assert list(scores) == list(WEIGHTS)
        assert all(score.reason and 0.0 <= score.value <= 1.0 for score in scores.values())
