"""What independent listeners hear in sixty songs: librosa, pyloudnorm, a true-peak meter, a classifier.

They are in bench/listening.py; none of them knows the engine. Chance is stated where a share is asked for.
"""

import numpy as np
import pytest

from bench.listening import are_neighbours
from bench.music_listeners import Heard, catalogue, family_of, guessed, listen_to_all

PROMPTS = 60


@pytest.fixture(scope="module")
def songs() -> list[Heard]:
    """Through all genres, tempi and keys: the first of each genre 30 s long, the others 12 s."""
    return listen_to_all(catalogue(PROMPTS))


@pytest.fixture(scope="module")
def long_songs(songs: list[Heard]) -> list[Heard]:
    return [song for song in songs if song.order.seconds >= 30]


def told(songs: list[Heard], what: str) -> str:
    return "; ".join(f"{song.order.prompt}: {getattr(song, what)}" for song in songs)


def test_the_asked_tempo_is_heard_within_two_percent(songs: list[Heard]) -> None:
    # Octaves are allowed, and triplets against pairs where the genre swings in triplets.
    missed = [song for song in songs if abs(song.tempo_ratio - 1) > 0.02]
    assert len(missed) <= 2, told(missed, "bpm")


def test_the_asked_key_or_its_neighbour_is_heard(songs: list[Heard]) -> None:
    # Krumhansl's profiles on chroma: same, dominant, subdominant or relative; chance is 4 in 24.
    missed = [song for song in songs if not are_neighbours(song.key, song.order.key)]
    assert len(missed) <= 0.15 * len(songs), told(missed, "key")
    assert sum(song.key == song.order.key for song in songs) >= 0.5 * len(songs)


def test_songs_of_half_a_minute_are_as_loud_as_streaming_wants_them(long_songs: list[Heard]) -> None:
    off = [song for song in long_songs if abs(song.lufs + 14) > 2]
    assert not off, told(off, "lufs")


def test_true_peaks_stay_a_decibel_below_full_scale_also_in_the_mp3(songs: list[Heard]) -> None:
    over = [song for song in songs if max(song.peak_db, song.mp3_peak_db) > -1]
    assert not over, told(over, "mp3_peak_db")


def test_there_is_no_direct_current(songs: list[Heard]) -> None:
    assert max(song.offset for song in songs) < 1e-3


def test_borders_of_bars_bend_no_sharper_than_the_rest(songs: list[Heard]) -> None:
    # A stroke falls on most borders, and may be the sharpest thing there is; a click would be far above it.
    assert np.median([song.border for song in songs]) < 1
    assert max(song.border for song in songs) < 2.5, told(songs, "border")


def test_songs_are_stereo_and_survive_a_mono_loudspeaker(songs: list[Heard]) -> None:
    assert min(song.side for song in songs) > 0.003  # -25 dB
    narrow = [song for song in songs if song.correlation < 0.1]
    assert not narrow, told(narrow, "correlation")


def test_songs_end_in_silence(songs: list[Heard]) -> None:
    assert max(song.end for song in songs) < 1e-3  # -60 dB


def test_families_of_genres_are_told_apart_by_colour_alone(songs: list[Heard]) -> None:
    placed = [song for song in songs if family_of(song)]
    labels = [family_of(song) for song in placed]
    guesses = guessed(np.stack([s.colour for s in placed]), labels, [s.order.seed for s in placed])
    right = np.mean([guess == label for guess, label in zip(guesses, labels, strict=True)])
    # Shuffled labels show what chance gives the same classifier.
    rng = np.random.default_rng(0)
    colours = np.stack([song.colour for song in placed])
    by_chance = []
    for _ in range(5):
        shuffled = [str(label) for label in rng.permutation(labels)]
        chance = guessed(colours, shuffled, [song.order.seed for song in placed])
        by_chance.append(np.mean([a == b for a, b in zip(chance, shuffled, strict=True)]))
    assert right > 0.5
    assert right > 2 * max(by_chance)


def test_sections_are_heard_where_the_plan_has_them(long_songs: list[Heard]) -> None:
    # Peaks of Foote's novelty within two beats of a border, against within two beats of any beat.
    found = np.array([hit for song in long_songs for hit in song.sections], float)
    chance = np.array([song.elsewhere for song in long_songs for _ in song.sections])
    assert found.mean() > 1.5 * chance.mean()
    # The count of hits is a sum of Bernoulli draws; four standard deviations are no accident.
    assert found.sum() - chance.sum() > 4 * np.sqrt(np.sum(chance * (1 - chance)))
