"""The review's scores: songs of known form, changes that must cost, changes that must not."""

import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from services.lyrics import espeak
from services.lyrics.document import Line, LyricDocument, SectionTag, parse
from services.lyrics.engine import AskedSection, Brief
from services.lyrics.review import Score, review
from services.lyrics.rhyme import stretched
from tests.lyrics.known_songs import FREE, HARBOR, STANZAS, WATER_IS_WIDE, song, stanza, with_line, with_lines

DURATION_S = 75.0
BRIEF = Brief("a harbor town", 1, DURATION_S)


def scores(document: LyricDocument, brief: Brief | None = None) -> dict[str, float]:
    judged = review(document, DURATION_S, brief=brief)
    return {name: score.value for name, score in judged.scores.items() if score.assessed}


def rhyme(document: LyricDocument, brief: Brief | None = None) -> Score:
    return review(document, brief=brief).scores["rhyme"]


@pytest.mark.parametrize("scheme", STANZAS)
def test_stanza_scores_best_by_its_own_scheme(scheme: str) -> None:
    assert rhyme(stanza(scheme)).value == rhyme(stanza(scheme, named=True)).value == 1.0
    for other in STANZAS:
        claimed = replace(stanza(scheme).sections[0], rhyme_scheme=other)
        if other != scheme and (scheme, other) not in {("ABAB", "ABCB")}:
            assert rhyme(replace(stanza(scheme), sections=(claimed,))).value < 1.0, other


def test_verse_is_free_only_when_it_was_asked_to_be() -> None:
    document = song("[Verse]\n" + FREE)
    assert rhyme(document).assessed
    assert rhyme(document).value < 0.4
    assert [f.code for f in review(document).findings if f.code == "UNRHYMED"] == ["UNRHYMED"]
    free = rhyme(document, replace(BRIEF, rhyme_scheme="free"))
    assert (free.assessed, free.reason) == (False, "the sections are free of rhyme")


def test_scheme_of_the_brief_is_what_a_section_is_held_against() -> None:
    assert rhyme(stanza("AABB"), replace(BRIEF, rhyme_scheme="AABB")).value == 1.0
    assert rhyme(stanza("AABB"), replace(BRIEF, rhyme_scheme="ABAB")).value < 0.5
    asked = AskedSection(SectionTag.VERSE, rhyme_scheme="ABAB")
    assert rhyme(stanza("AABB"), replace(BRIEF, structure=(asked,), rhyme_scheme="AABB")).value < 0.5


def test_short_scheme_is_repeated_with_letters_of_its_own() -> None:
    assert stretched("AABB", 8) == "AABBCCDD"
    assert stretched("aba", 4) == "ABAC"


def test_slant_rhyme_counts_partly_and_the_same_word_little() -> None:
    ends = {end: rhyme(song(f"[Verse]\nI came to you in time\nAnd gave you all my {end}")).value
            for end in ("rhyme", "line", "life", "time", "water")}  # fmt: skip
    assert ends["rhyme"] == 1.0
    assert ends["rhyme"] > ends["line"] > ends["time"] >= ends["life"] > ends["water"] == 0.0


def test_traditional_song_is_read_as_the_form_it_has() -> None:
    judged = review(song(WATER_IS_WIDE), 45.0)
    assert judged.passed
    assert judged.scores["rhyme"].value > 0.7
    assert judged.scores["syllables"].value > 0.9


def other_end(document: LyricDocument) -> LyricDocument:
    text = document.sections[0].lines[1].text.rsplit(" ", 1)[0]
    return with_line(document, 0, 1, text + " orange")


def section_gone(document: LyricDocument) -> LyricDocument:
    return replace(document, sections=document.sections[:-1])


def longer_line(document: LyricDocument) -> LyricDocument:
    return with_line(document, 2, 2, "Underneath all " + document.sections[2].lines[2].text)


def foreign_line(document: LyricDocument) -> LyricDocument:
    return with_line(document, 1, 2, "Ich habe nichts als Brot und auch kein Geld")


def verse_again(document: LyricDocument) -> LyricDocument:
    return with_lines(document, 2, document.sections[0].lines)


def worn(document: LyricDocument) -> LyricDocument:
    return with_line(document, 0, 0, "The neon lights ignite the sand, electric in my hand")


def off_theme(document: LyricDocument) -> LyricDocument:
    return with_line(document, 0, 1, "My father sold the motorbike and never bought the land")


@pytest.mark.parametrize(
    ("change", "name"),
    [(other_end, "rhyme"), (section_gone, "fit"), (section_gone, "structure"), (section_gone, "brief"),
     (longer_line, "syllables"), (foreign_line, "language"), (verse_again, "repetition"), (worn, "cliches"),
     (off_theme, "brief")],
)  # fmt: skip
def test_change_for_the_worse_costs(change: Callable[[LyricDocument], LyricDocument], name: str) -> None:
    document = song(HARBOR)
    asked = tuple(AskedSection(section.tag, len(section.lines)) for section in document.sections)
    brief = replace(BRIEF, theme="sailing to Alaska", structure=asked)
    before, after = (
        review(document, DURATION_S, brief=brief),
        review(change(document), DURATION_S, brief=brief),
    )
    assert after.scores[name].value < before.scores[name].value
    assert after.score < before.score
    assert after.rank < before.rank


def words_of(document: LyricDocument, change: Callable[[str], str]) -> LyricDocument:
    return replace(
        document,
        sections=tuple(
            replace(section, lines=tuple(Line(change(line.text)) for line in section.lines))
            for section in document.sections
        ),
    )


@pytest.mark.parametrize(
    "change",
    [str.upper, str.lower, lambda text: text.replace(",", "") + "!", lambda text: f"“{text}…”",
     lambda text: text.replace("'", "’"), lambda text: text.replace(" ", "  ")],
)  # fmt: skip
def test_case_and_punctuation_change_no_score(change: Callable[[str], str]) -> None:
    document = song(HARBOR)
    assert scores(words_of(document, change), BRIEF) == scores(document, BRIEF)


def test_line_endings_and_names_of_sections_change_no_score() -> None:
    plain = song(HARBOR)
    crlf = song(HARBOR.replace("\n", "\r\n"))
    renamed = song(HARBOR.replace("[Verse 1]", "Strophe 1:").replace("[Chorus]", "**Refrain**"))
    labelled = replace(
        plain, sections=tuple(replace(s, label=f"Verse {9 - i}") for i, s in enumerate(plain.sections))
    )
    assert scores(plain) == scores(crlf) == scores(renamed) == scores(labelled)


def test_song_that_is_better_in_everything_ranks_first_however_many_scores_were_assessed() -> None:
    good, bad = review(song(HARBOR), DURATION_S), review(other_end(longer_line(song(HARBOR))), DURATION_S)
    refused = review(song("[Outro]\nbye\n" + HARBOR), DURATION_S)
    assert good.rank > bad.rank > refused.rank


def test_advice_names_what_to_leave_out_and_how_long_the_words_would_take() -> None:
    verses = "\n\n".join(f"[Verse {i}]\n" + "\n".join([f"I walk the {w} road to you"] * 4)
                         for i, w in enumerate(["old", "long", "low", "wide", "wet", "dry"], 1))  # fmt: skip
    advice = review(song(verses), 45.0, tempo_bpm=120.0).scores["fit"].reason
    left_out = "Verse 3 and Verse 4 and Verse 5 and Verse 6"
    assert advice == f"24 lines in 45 s, where about 9 fit: leave out {left_out}, or make it 120 s"
    few = review(song("[Verse]\nI am here\nYou are there"), 240.0)
    assert "or make it 10 s" in few.scores["fit"].reason
    assert "TOO_FEW_LINES" in {f.code for f in few.findings}


def test_asked_syllables_and_lines_are_held_line_by_line() -> None:
    brief = replace(BRIEF, syllables=(6, 10), lines_per_section=3)
    judged = review(song(HARBOR), DURATION_S, brief=brief)
    codes = [(f.code, f.section, f.line) for f in judged.findings]
    assert ("SYLLABLES_OUT_OF_RANGE", 0, 0) in codes
    assert ("SYLLABLES_OUT_OF_RANGE", 1, 0) not in codes
    assert ("LINES_DIFFER", 1, -1) in codes


@pytest.mark.skipif(not espeak.is_installed(), reason="needs espeak-ng (Debian package espeak-ng)")
@pytest.mark.parametrize(
    ("code", "good", "bad"),
    [("de", "Ich gehe heute Nacht allein\nUnd will nicht bei dir sein", "Und will nicht bei dir liegen"),
     ("fr", "Je rêve encore de ton amour\nEt je t'attends depuis toujours", "Et je t'attends depuis la mer"),
     ("es", "Te canto mi canción\nCon todo el corazón", "Con toda la verdad"),
     ("it", "Non so più dove andare\nE sento solo il mare", "E sento solo il vento"),
     ("ru", "Я помню тёмной ночью кровь\nИ нашу первую любовь", "И нашу первую весну")],
)  # fmt: skip
def test_rhyme_of_other_languages_is_heard(code: str, good: str, bad: str) -> None:
    first = good.splitlines()[0]
    assert rhyme(song("[Verse]\n" + good, code)).value >= 0.6
    assert rhyme(song(f"[Verse]\n{first}\n{bad}", code)).value < 0.5


def test_rhyme_is_not_claimed_without_the_program_that_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    espeak.is_installed.cache_clear()
    try:
        unheard = rhyme(
            song("[Verse]\nIch gehe heute Nacht allein\nUnd will nicht länger bei dir sein", "de")
        )
    finally:
        espeak.is_installed.cache_clear()
    assert (unheard.assessed, unheard.reason) == (
        False,
        "rhyme in de needs espeak-ng, which is not installed",
    )


@pytest.mark.parametrize(
    ("ipa", "onset", "key"),
    [("ʃtɾˈɑːsə", "ʃtɾ", "ɑsə"), ("amˈuʁ", "m", "uʁ"), ("nˈaxt", "n", "axt"), ("kanθjˈon", "nθj", "on")],
)
def test_rhyme_begins_at_the_last_stressed_vowel_of_the_ipa(ipa: str, onset: str, key: str) -> None:
    assert espeak.sound_of(ipa) == (tuple(onset), tuple(key))
    assert espeak.sound_of("(en)wˈiːkɛnd(de)") is espeak.sound_of("") is None


def test_full_song_is_reviewed_in_a_few_milliseconds() -> None:
    texts = [
        HARBOR.replace("window", word) for word in random.Random(1).sample(["door", "gate", "letter"], 3)
    ]
    review(song(HARBOR), DURATION_S, brief=BRIEF, clean=True)
    began = time.process_time()
    for text in texts:
        review(LyricDocument(parse("\n".join([text] * 2)).sections), 200.0, brief=BRIEF, clean=True)
    assert (time.process_time() - began) / len(texts) < 0.05
