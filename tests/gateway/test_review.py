"""What is refused, what is not, and what is advised."""

import random
import time
import unicodedata

import pytest

from services.common.errors import FailedPrecondition, InvalidField
from services.gateway.review import admit, checked_text, require_allowed, review
from services.gateway.review.rules import refusals


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
        "Beatlesque harmonies, Beatles-inspired",
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
        ("COVER_VERSION", "a cover of the song Yesterday"),
        ("COVER_VERSION", 'cover of "Yesterday"'),
        ("COVER_VERSION", "an acoustic cover of Bohemian Rhapsody"),
        ("SONG_RECREATION", "recreate the hit song Imagine"),
        ("SONG_RECREATION", "remake “Billie Jean”"),
        ("COVER_VERSION", "a piano cover of Für Elise"),
    ],
)
def test_what_the_platform_does_not_make_is_refused_by_its_rule(rule: str, prompt: str) -> None:
    assert rule in rules(prompt, refuses=True)
    with pytest.raises(FailedPrecondition) as caught:
        admit(prompt)
    assert (caught.value.reason, caught.value.metadata["field"]) == ("PROMPT_REFUSED", "prompt")
    assert caught.value.metadata["instead"]


@pytest.mark.parametrize(
    ("prompt", "advice"),
    [
        (
            "a song about my cat",
            {"GENRE_MISSING", "MOOD_MISSING", "INSTRUMENTS_MISSING", "TEMPO_MISSING"},
        ),
        ("melancholic jazz hop at 84 bpm, muted trumpet", set()),
        ("slow, sad folk with a violin", set()),
        ("dark techno", {"INSTRUMENTS_MISSING", "TEMPO_MISSING", "PROMPT_SHORT"}),
        # no pop, no pinion
        ("popular opinion now", {"GENRE_MISSING", "MOOD_MISSING", "INSTRUMENTS_MISSING", "TEMPO_MISSING"}),
        ("a nice song, calm jazz piano, 90 bpm", {"VAGUE_WORDS"}),
        ("slow sad folk with a violin, 150 bpm", {"TEMPO_CONTRADICTION"}),
        ("fast happy ska, brass, 70 bpm", {"TEMPO_CONTRADICTION"}),
        ("peaceful but brutal metal, electric guitar, fast", {"MOODS_CONTRADICT"}),
        ("calm gamelan, percussion, slow", {"GENRE_LESS_SUPPORTED"}),
    ],
)
def test_what_would_make_it_better_is_advised(prompt: str, advice: set[str]) -> None:
    assert rules(prompt, refuses=False) == advice


def test_the_length_is_advised_on() -> None:
    prompt = "calm jazz hop, piano, 84 bpm"
    assert [f.rule for f in review(prompt, duration_s=180.0)] == ["LONG_SONG"]
    assert [f.rule for f in review(prompt, duration_s=10.0, sung=True)] == ["SHORT_WITH_WORDS"]
    assert review(prompt, duration_s=120.0, sung=True) == review(prompt) == ()


def test_title_and_lyrics_are_reviewed_by_the_rules_that_are_for_them() -> None:
    refused = review("calm folk", "AI cover of Bohemian Rhapsody", "heil hitler")
    assert [(f.field, f.rule) for f in refused if f.refuses] == [
        ("title", "COVER_VERSION"),
        ("lyrics", "HATE"),
    ]
    # Names are welcome in words that are sung.
    assert not any(f.refuses for f in review("calm folk", "", "Adele sings in the voice of Elvis Presley"))
    for field, text, reason in (
        ("title", "Bohemian Rhapsody remake", "TITLE_REFUSED"),
        ("lyrics", "kill all muslims", "LYRICS_REFUSED"),
    ):
        with pytest.raises(FailedPrecondition) as caught:
            require_allowed(field, text, called="song.x")
        assert (caught.value.reason, caught.value.metadata["field"]) == (reason, "song.x")


@pytest.mark.parametrize(
    "disguise",
    [
        "TAYLOR SWIFT SONG",
        "t4yl0r sw1ft song",
        "T a y l o r S w i f t song",
        "T.a.y.l.o.r S.w.i.f.t song",
        "Taylor-Swift song",
        "Tay\u200blor Sw\u00adift song",
        "Тауlоr Ѕwіft song",
        "Ｔａｙｌｏｒ Ｓｗｉｆｔ song",
        "TaylorSwift song",
        "Täylor Swíft song",
        "𝓣𝓪𝔂𝓵𝓸𝓻 𝓢𝔀𝓲𝓯𝓽 song",
    ],
)
def test_a_name_is_known_in_any_dress(disguise: str) -> None:
    assert rules(f"a new {disguise}", refuses=True) == {"ARTIST_IMITATION"}


def test_the_time_to_review_grows_with_the_text_and_no_faster() -> None:
    """Whatever is in it: an expression that backtracks would take a thousand times as long."""
    cues = "sing like copy the voice of cover version kill all teach how to encourage in style by Drake 's a"
    choose = random.Random(5)

    def worst_s(length: int) -> float:
        texts = [" ".join(choose.choice(cues.split()) for _ in range(length)) for _ in range(20)]
        texts += ["in the voice of a " * (length // 5), '"a ' * length, "a-" * length, "x" * length]
        begun = time.thread_time()
        for text in texts:
            refusals("prompt", text)
        return time.thread_time() - begun

    worst_s(50)
    assert worst_s(1600) < 40 * worst_s(200)


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
