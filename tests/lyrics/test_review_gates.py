"""The review's gates: what is refused, where, and what looks like it and is sung all the same."""

from dataclasses import replace

import pytest

from services.lyrics.document import Line, LyricDocument, parse
from services.lyrics.engine import Brief
from services.lyrics.review import Review, profanity, review
from tests.lyrics.known_songs import HARBOR, song, with_line, with_lines


def gates(judged: Review) -> list[tuple[str, int, int]]:
    return [(f.code, f.section, f.line) for f in judged.findings if f.gate]


BRIEF = Brief("a harbor town", 1, 120.0)


def test_song_without_fault_passes_every_gate() -> None:
    assert gates(review(song(HARBOR), 75.0, tempo_bpm=90.0, brief=BRIEF, clean=True)) == []


@pytest.mark.parametrize(
    "said",
    [
        "Sure! Here are the lyrics to a sad song:",
        "Here's a song about the sea in the style of folk:",
        "These lyrics capture the feeling of leaving home",
        "I hope you like this song!",
        "As an AI language model, I do not feel",
        "Let me know if you'd like any changes",
        "Title: The Harbor",
        "(Repeat Chorus x2)",
    ],
)
def test_commentary_before_the_song_is_found(said: str) -> None:
    document = song(HARBOR)
    changed = with_lines(document, 0, (Line(said), *document.sections[0].lines))
    assert ("COMMENTARY", 0, 0) in gates(review(changed))


@pytest.mark.parametrize("said", ["I hope you enjoy this song!", "Let me know what you think", "Enjoy!"])
def test_commentary_behind_the_song_is_found(said: str) -> None:
    document = song(HARBOR)
    changed = with_lines(document, 3, (*document.sections[3].lines, Line(said)))
    assert gates(review(changed)) == [("COMMENTARY", 3, 4)]


@pytest.mark.parametrize(
    "sung",
    [
        "Here is my heart and here is my hand",
        "This song is for you, the lonely one",
        "I can't help falling for the boy next door",
        "Let me know if you change your mind",
        "I hope you love the winter by the sea",
        "I wrote you a song and I burned it down",
        "Note by note the radio dies",
        "Sure as the river runs to the sea",
    ],
)
def test_what_only_sounds_like_commentary_is_sung(sung: str) -> None:
    assert gates(review(with_line(song(HARBOR), 0, 2, sung))) == []


def test_prompt_that_is_sung_word_by_word_is_found_and_its_words_alone_are_not() -> None:
    theme = "write a song about a harbor town where my father sold the sailing boat"
    asked = replace(BRIEF, theme=theme)
    assert gates(review(song(HARBOR), brief=asked)) == []
    echoed = with_line(song(HARBOR), 2, 1, "A song about a harbor town, where my father sold")
    assert ("PROMPT_ECHOED", 2, 1) in gates(review(echoed, brief=asked))


@pytest.mark.parametrize(
    "text",
    ["what the fuck", "f**k you all", "F***ing fool", "this sh1t again", "s h i t", "f.u.c.k", "$hit happens",
     "fuuuuck", "motherfuckin' night", "you b!tch", "bulls**t", "ASSHOLE", "shitting", "a$$", "n1gga"],
)  # fmt: skip
def test_profanity_is_found_in_its_disguises(text: str) -> None:
    assert profanity.found(text, "en")


@pytest.mark.parametrize(
    "text",
    ["Scunthorpe in the rain", "the assassin passes by the grass", "cocktails in Essex", "shiitake",
     "a class act", "Dickens wrote it", "what the hell", "hello darkness", "bass and brass", "s o s", "* * *",
     "I am 5 years old", "Sussex, Penistone and Lightwater", "l'amour est là", "pass the hat",
     "a titanic wave", "she swears **", "A - B - C", "button up the shirt", "I wish it was"],
)  # fmt: skip
def test_harmless_words_are_not_taken_for_profanity(text: str) -> None:
    assert not profanity.found(text, "en")


def test_profanity_is_of_a_language_and_a_gate_only_when_clean_words_are_asked_for() -> None:
    assert profanity.found("so eine Scheiße", "de")
    assert not profanity.found("das ist ein dick geschriebenes Buch", "de")
    rude = with_line(song(HARBOR), 1, 0, "So shut the fucking window when I go")
    assert gates(review(rude)) == []
    assert gates(review(rude, clean=True))[0] == ("PROFANITY", 1, 0)
    assert gates(review(rude, brief=replace(BRIEF, clean=True)))[0] == ("PROFANITY", 1, 0)


def test_avoided_word_is_found_in_any_of_its_forms() -> None:
    found = gates(review(song(HARBOR), brief=replace(BRIEF, avoided_words=("sail", "wonders", "tell"))))
    assert found == [("WORD_AVOIDED", 0, 1), ("WORD_AVOIDED", 0, 3), ("WORD_AVOIDED", 2, 3)]


def test_required_word_or_phrase_may_be_sung_in_any_form_and_must_be_sung() -> None:
    kept = replace(BRIEF, required_words=("compasses", "Leave a Window", "carries"))
    assert gates(review(song(HARBOR), brief=kept)) == []
    missing = review(song(HARBOR), brief=replace(BRIEF, required_words=("lighthouse",)))
    assert gates(missing) == [("WORD_MISSING", -1, -1)]
    assert missing.scores["brief"].value < review(song(HARBOR), brief=kept).scores["brief"].value


@pytest.mark.parametrize(
    ("order", "where"),
    [("[Verse]\nla la\n[Intro]\n[Chorus]\nla", 1), ("[Outro]\nbye bye\n[Chorus]\nla la", 0),
     ("[Verse]\nla la\n[End]\n[Chorus]\nla", 1), ("[Intro]\n[Start]\n[Verse]\nla la", 1)],
)  # fmt: skip
def test_order_that_no_song_has_is_refused(order: str, where: int) -> None:
    assert gates(review(LyricDocument(parse(order).sections))) == [("OUT_OF_ORDER", where, -1)]


GERMAN = "Ich habe dich so lange nicht gesehen\nDie Nacht ist kalt und ich bin hier allein"


def test_section_in_another_language_is_refused_where_the_document_says_its_own() -> None:
    text = HARBOR + "\n\n[Bridge]\n" + GERMAN
    judged = review(song(text))
    assert gates(judged) == [("LANGUAGE_OTHER", 4, -1)]
    lines = [(f.section, f.line) for f in judged.findings if f.code == "LANGUAGE_LINE"]
    assert lines == [(4, 0), (4, 1)]
    assert gates(review(song(text, language=""))) == []


def test_foreign_greeting_and_vocables_do_not_make_a_section_foreign() -> None:
    bridge = "\n\n[Bridge]\nOh la la la, mon amour\nAnd the river went on without us\nLa la la, hey hey"
    assert gates(review(song(HARBOR + bridge))) == []


def test_more_syllables_than_can_be_sung_are_refused_and_many_are_warned_of() -> None:
    assert ("TOO_DENSE", -1, -1) in gates(review(song(HARBOR), 30.0))
    assert "DENSE" in {f.code for f in review(song(HARBOR), 50.0).findings}
