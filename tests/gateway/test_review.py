"""What is refused, what is not, and what is advised."""

import random
import time
import unicodedata

import pytest

from services.common.errors import FailedPrecondition, InvalidField
from services.gateway.review import admit, checked_text, review


def rules(prompt: str, *, refuses: bool) -> set[str]:
    return {finding.rule for finding in review(prompt) if finding.refuses is refuses}


@pytest.mark.parametrize(
    "prompt",
    [
        "cover of night",
        "under cover of Night, dark techno",
        "queen of the dance floor",
        "Bach-inspired counterpoint",
        "Nujabes-inspired jazz hop",
        "Taylor Swift style pop",
        "in the style of Bob Dylan",
        "sounds like The Beatles",
        "a ballad in the voice of a weary sailor",
        "in the voice of the narrator",
        "with a singer's voice full of longing",
        "a lullaby sung by a children's choir",
        "performed by an orchestra, sung by the sea",
        "sounds exactly like rain on a tin roof",
        "sounds just like Christmas morning",
        "imitate the sound of waves",
        "a remix of emotions, a better version of myself",
        "recreate the feeling of summer",
        "a clone army march, copy that",
        "cover me with love",
        "the cover of the moon",
        "with Bulgarian voices and Spanish guitar",
    ],
)
def test_a_prompt_that_only_looks_forbidden_passes(prompt: str) -> None:
    assert rules(prompt, refuses=True) == set()


@pytest.mark.parametrize(
    ("rule", "prompt"),
    [
        ("VOICE_CLONING", "clone the voice of Adele"),
        ("VOICE_CLONING", "a voice clone of a friend singing"),
        ("VOICE_CLONING", "a ballad in the voice of Freddie Mercury"),
        ("VOICE_CLONING", "in the voice of drake"),
        ("VOICE_CLONING", "pop with Billie Eilish's voice"),
        ("VOICE_CLONING", "with the vocals of The Weeknd"),
        ("VOICE_CLONING", "deepfake vocals"),
        ("ARTIST_IMITATION", "should sound exactly like The Beatles"),
        ("ARTIST_IMITATION", "a crooner tune sung by Frank Sinatra"),
        ("ARTIST_IMITATION", "impersonate Elvis"),
        ("SONG_RECREATION", "a cover of the song Yesterday"),
        ("SONG_RECREATION", 'cover of "Yesterday"'),
        ("SONG_RECREATION", "an acoustic cover of Bohemian Rhapsody"),
        ("SONG_RECREATION", "recreate the hit song Imagine"),
        ("SONG_RECREATION", "remake “Billie Jean”"),
        ("SONG_RECREATION", "a piano cover of Für Elise"),
    ],
)
def test_what_the_platform_does_not_make_is_refused_by_its_rule(rule: str, prompt: str) -> None:
    assert rule in rules(prompt, refuses=True)
    with pytest.raises(FailedPrecondition) as caught:
        admit(prompt)
    assert (caught.value.reason, caught.value.metadata["field"]) == ("PROMPT_REFUSED", "prompt")


@pytest.mark.parametrize(
    ("prompt", "advice"),
    [
        ("a song about my cat", {"GENRE_MISSING", "MOOD_MISSING", "TEMPO_MISSING"}),
        ("melancholic jazz hop at 84 bpm", set()),
        ("slow, sad folk", set()),
        ("techno", {"MOOD_MISSING", "TEMPO_MISSING"}),
        ("popular opinion", {"GENRE_MISSING", "MOOD_MISSING", "TEMPO_MISSING"}),  # no pop, no pinion
    ],
)
def test_what_is_missing_is_advised(prompt: str, advice: set[str]) -> None:
    assert rules(prompt, refuses=False) == advice


def test_a_long_prompt_is_reviewed_at_once() -> None:
    begun = time.perf_counter()
    for prompt in ("in the voice of a " * 55, "copy a b " * 110, "a cover of " * 90, "x" * 1000):
        review(prompt)
    assert time.perf_counter() - begun < 0.5


def test_texts_are_normalised_once() -> None:
    assert checked_text("prompt", "  a\n\tsong \r\n ", 20, required=True) == "a song"
    assert checked_text("lyrics", " [verse]\r\n\none\ttwo \n", 20, lines=True) == "[verse]\n\none two"
    assert checked_text("title", unicodedata.normalize("NFD", "Blüte"), 20) == "Blüte"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "REQUIRED"), (" \n ", "REQUIRED"), ("x" * 11, "TOO_LONG"), ("a\x00b", "MALFORMED")],
)
def test_texts_out_of_their_limits_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidField) as caught:
        checked_text("prompt", text, 10, required=True)
    assert (caught.value.reason, caught.value.field) == (reason, "prompt")


def test_masses_of_marks_are_refused_before_they_are_sorted() -> None:
    marks = list("\u0316\u0345\u0300\u0334\u0591" * 25_000)
    random.Random(7).shuffle(marks)
    text = "".join(marks)
    begun = time.perf_counter()
    for field, given, longest, lines in (
        ("prompt", text, 1_000, False),
        ("title", text, 120, False),
        ("lyrics", text, 20_000, True),
        ("lyrics", text[:20_000], 20_000, True),
    ):
        with pytest.raises(InvalidField) as caught:
            checked_text(field, given, longest, lines=lines)
        assert caught.value.reason == ("TOO_LONG" if len(given) > longest else "MALFORMED")
    assert time.perf_counter() - begun < 0.5


def test_composing_may_not_lengthen_a_text_past_its_limit() -> None:
    assert len(unicodedata.normalize("NFC", "\u0958" * 10)) == 20
    with pytest.raises(InvalidField, match="has 20 characters"):
        checked_text("title", "\u0958" * 10, 10)


def test_letters_with_many_marks_pass() -> None:
    assert checked_text("lyrics", "Tiếng Việt שָׁלוֹם", 40) == unicodedata.normalize("NFC", "Tiếng Việt שָׁלוֹם")
