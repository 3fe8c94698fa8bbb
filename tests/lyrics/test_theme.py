"""What of a theme may be sung: noun phrases and gerunds, never tempo, genre or somebody's name as a style."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lyrics.builtin import bank, theme


def read(text: str) -> theme.Theme:
    return theme.read(text, "", "", bank.load())


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Nujabes-inspired jazz hop about rainy Tokyo nights, 86 BPM", "rainy Tokyo nights"),
        ("A melancholic ballad for my grandmother who taught me to sing", "my grandmother"),
        ("In the style of Daft Punk: robots falling in love", "robots falling in love"),
        ("song like Taylor Swift about breakups", "breakups"),
        ("Miles Davis and rain", "rain"),
        ("Write a song about how we met in Paris", "Paris"),
        ("My cat Luna knocked over my coffee again", "my cat Luna"),
        ("birthday song for Anna", "Anna"),
        ("a waltz about Max and me", "Max and me"),
        ("a lonely robot in space", "a lonely robot in space"),
        ("lighthouse", "the lighthouse"),
        ("grandma", "my grandma"),
        ("losing my dog", "losing my dog"),
        ("climate change", "climate change"),
        ("love love love!!!", "love"),
        ("epic orchestral battle in the mountains", "the battle"),
        ("dark techno warehouse 130bpm industrial", "the warehouse"),
        ("lo-fi hip hop beats to study to", ""),
        ("I miss you", ""),
        ("happy", ""),
        ("asdf qwer", ""),
        ("Ein Lied über den Regen", ""),
        ("💔🌧️", ""),
    ],
)
def test_only_a_safe_phrase_is_sung(text: str, phrase: str) -> None:
    assert read(text).phrase == phrase


def test_theme_names_tempo_genre_and_mood() -> None:
    found = read("melancholic drum and bass about the sea at 174 bpm")
    assert found.genre is not None
    assert found.mood is not None
    assert (found.tempo_bpm, "drum and bass" in found.genre.names, "sad" in found.mood.names) == (
        174.0,
        True,
        True,
    )
    assert "sea" in found.keywords


def test_words_of_the_request_win_over_the_theme() -> None:
    found = theme.read("dark techno", "reggae", "happy", bank.load())
    assert found.genre is not None
    assert found.mood is not None
    assert ("reggae" in found.genre.names, "happy" in found.mood.names) == (True, True)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=500))
def test_any_theme_is_read(text: str) -> None:
    found = read(text)
    assert len(found.phrase.split()) <= 6
    assert found.phrase == "" or found.phrase.replace("'", "").replace("-", "").replace(" ", "").isalpha()
