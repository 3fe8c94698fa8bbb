"""How words sound: the dictionary, words that it lacks, rhyme and its strengths."""

import time

import pytest

from services.lyrics import dictionary, pronunciation
from services.lyrics.guessing import guess
from services.lyrics.numerals import spoken
from services.lyrics.pronunciation import last_word, rhyme_key, rhyme_strength, syllables
from tests.lyrics import cmudict


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("night", ("AY", "T")),
        ("tonight", ("AY", "T")),
        ("river", ("IH", "V", "ER")),
        ("lullaby", ("AY",)),  # the second stress counts too
        ("the", ("AH",)),  # no stress at all
    ],
)
def test_rhyme_runs_from_the_last_stressed_vowel(word: str, key: tuple[str, ...]) -> None:
    assert rhyme_key(word) == key


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("Rainy Tokyo nights", 6),
        ("I’m walking home, half-asleep", 7),
        ("rainin' on Luna's rooftop", 7),
        ("room 27", 5),
        ("さくら", 3),
        ("voilà, Straße, любовь", 6),
        ("...", 0),
        ("", 0),
    ],
)
def test_syllables_are_counted_in_what_people_write(line: str, count: int) -> None:
    assert syllables(line) == count


@pytest.mark.parametrize(
    ("word", "like"),
    [
        ("rainin'", "cabin"),
        ("zorbtown", "down"),
        ("luna's", "lunas"),
        ("hummed", "numbed"),
        ("kids'", "lids"),
    ],
)
def test_word_that_the_dictionary_lacks_is_read_from_its_parts(word: str, like: str) -> None:
    assert rhyme_key(word)[-1] == rhyme_key(like)[-1]


@pytest.mark.parametrize(
    ("a", "b", "strength"),
    [
        ("rain", "train", 1.0),
        ("again", "rain", 1.0),  # said in two ways, one of which rhymes
        ("rain", "reign", 0.4),
        ("rain", "rain", 0.4),
        ("time", "line", 0.6),
        ("rain", "stone", 0.0),
        ("rain", "", 0.0),
    ],
)
def test_rhyme_strength(a: str, b: str, strength: float) -> None:
    assert rhyme_strength(a, b) == rhyme_strength(b, a) == strength


def test_usual_pronunciation_agrees_with_the_raw_dictionary() -> None:
    for word in list(cmudict.dictionary())[::97]:
        if word.isalpha():
            assert pronunciation.pronunciations(word)[0].phonemes == tuple(cmudict.dictionary()[word][0])


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("moonglow", "M UW1 N G L OW2"),
        ("sparkler", "S P AA1 R K L ER0"),
        ("heyyy", "HH EY1"),
        ("27", "T W EH1 N T IY0 S EH1 V AH0 N"),
        ("vibin'", "V AY1 B IH0 N"),
        ("ghosted", "G OW1 S T IH0 D"),
        ("café", "K AH0 F EY1"),
    ],
)
def test_word_that_the_dictionary_lacks_is_guessed_from_what_it_is_made_of(word: str, sounds: str) -> None:
    assert " ".join(pronunciation.pronunciations(word)[0].phonemes) == sounds


@pytest.mark.parametrize("word", ["любовь", "²", "٣", "skrrt", "'", "ß"])
def test_nothing_is_guessed_of_what_has_no_english_sound(word: str) -> None:
    assert pronunciation.syllables(word) >= 0
    assert not pronunciation.rhyme_key(word) or word == "٣"


def test_words_held_out_of_the_dictionary_are_guessed_well_enough_to_count_syllables() -> None:
    words = [word for word in dictionary.words()[::97] if word.isalpha() and len(word) > 3]
    guesses = [(guess(word), dictionary.read(word)) for word in words]
    counted = sum(said[0].syllables in {p.syllables for p in true} for said, true in guesses if said)
    rhymed = sum(bool({p.rhyme_key for p in said} & {p.rhyme_key for p in true}) for said, true in guesses)
    assert counted > 0.91 * len(words)
    assert rhymed > 0.54 * len(words)


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (27, "twenty seven"), (100, "one hundred"), (1999, "nineteen ninety nine"),
     (1905, "nineteen oh five"), (2024, "two thousand twenty four"), (1_000_000, "one million")],
)  # fmt: skip
def test_numbers_are_read_as_they_are_sung(number: int, words: str) -> None:
    assert " ".join(spoken(number)) == words


def test_last_word_passes_over_punctuation() -> None:
    assert last_word("Won’t you come home?!") == "home"


def test_dictionary_is_read_in_less_than_a_second() -> None:
    dictionary._entries.cache_clear()
    dictionary._by_ending.cache_clear()
    began = time.monotonic()
    assert pronunciation.load() > 130_000
    assert time.monotonic() - began < 1.0
