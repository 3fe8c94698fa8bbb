"""The sketch engine understands prompts as people mean them."""

import pytest

from services.music.engine import Reading
from services.music.sketch.genres import genres
from services.music.sketch.prompt import read
from services.music.sketch.syllables import syllables


@pytest.mark.parametrize(
    ("prompt", "genre"),
    [
        ("upbeat house for the summer", "house"),
        ("Nujabes-inspired jazz hop", "lo-fi hip hop"),
        ("lofi hip hop beats to study to", "lo-fi hip hop"),
        ("ambient techno", "techno"),
        ("trap beat with orchestral strings", "trap"),
        ("slow piano ballad", "piano"),
        ("rock ballad with piano", "rock"),
        ("drum'n'bass roller", "drum and bass"),
        ("K-Pop anthem", "k-pop"),
        ("bossa nova on the beach", "latin"),
        ("neo-soul groove", "r&b"),
        ("symphonic metal", "metal"),
    ],
)
def test_a_genre_is_read(prompt: str, genre: str) -> None:
    assert read(prompt, 1).genre.name == genre


@pytest.mark.parametrize("name", list(genres()))
def test_every_genre_is_known_by_its_own_name(name: str) -> None:
    assert read(f"a {name} song", 5).genre.name == name


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("in C# minor", "C# minor"),
        ("house, Bb major", "Bb major"),
        ("key of d minor", "D minor"),
        ("F♯ major anthem", "F# major"),
        ("pop in E flat major", "Eb major"),
    ],
)
def test_a_key_is_read(prompt: str, key: str) -> None:
    assert str(read(prompt, 1).key) == key


@pytest.mark.parametrize(
    ("prompt", "bpm"),
    [("techno 131 bpm", 131), ("Tempo: 96, folk", 96), ("90.5 BPM", 90.5), ("900 bpm of 999 BPM", 220)],
)
def test_a_tempo_is_read_and_kept_playable(prompt: str, bpm: float) -> None:
    assert read(prompt, 1).tempo_bpm == bpm


def test_mood_words_choose_mode_and_tempo() -> None:
    sad, happy = read("sad pop", 3), read("happy pop", 3)
    assert sad.key.is_minor
    assert not happy.key.is_minor
    assert sad.tempo_bpm < happy.tempo_bpm


def test_instruments_are_given_their_roles_and_forbidden_ones_none() -> None:
    reading = read("jazz with saxophone, rhodes and strings, no drums", 1)
    assert reading.wanted["lead"] == ("sax",)
    assert reading.wanted["chords"] == ("epiano",)
    assert reading.wanted["pad"] == ("strings",)
    assert reading.silent == {"drums"}
    assert reading.instruments == ("saxophone", "rhodes", "strings")


@pytest.mark.parametrize("prompt", ["日本語の歌", "%%% {} \\", "a", "no no no without", "x" * 1_000])
def test_any_text_can_be_read(prompt: str) -> None:
    assert read(prompt, 1).genre.name in genres()


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("Walking down the empty street", 7),
        ("I loved the times we had", 6),
        ("Señor, ¿qué pasó?", 5),
        ("夜の街", 3),
        ("Я тебя люблю", 5),
        ("24/7", 3),
        ("hmm", 1),
        ("— … —", 0),
    ],
)
def test_syllables_are_counted(line: str, count: int) -> None:
    assert len(syllables(line)) == count


def test_what_is_stated_goes_before_what_is_read() -> None:
    stated = Reading("dance pop", "sad", 97.0, "F# minor", ("flute",))
    reading = read("happy techno at 130 BPM in C major with piano", 1, stated)
    assert (reading.genre.name, reading.mood, reading.tempo_bpm) == ("dance pop", "sad", 97.0)
    assert (str(reading.key), reading.tempo_asked) == ("F# minor", True)
    assert set(reading.instruments) == {"piano", "flute"}


@pytest.mark.parametrize("stated", [None, Reading(), Reading(genre="gagaku", mood="beige", key="H minor")])
def test_what_is_not_stated_or_not_known_is_read_from_the_prompt(stated: Reading | None) -> None:
    prompt = "happy techno at 130 BPM in C major with piano"
    assert read(prompt, 7, stated) == read(prompt, 7)


def test_stating_what_the_prompt_says_changes_nothing() -> None:
    prompt = "happy techno at 130 BPM in C major with piano"
    assert read(prompt, 7, Reading("techno", "happy", 130.0, "C major", ("piano",))) == read(prompt, 7)
