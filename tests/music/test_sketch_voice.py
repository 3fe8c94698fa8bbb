"""What a listener hears of the sung voice alone: syllables in time, and which vowel is which."""

import itertools

import librosa
import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

from bench.listening import LOW_RATE, RATE, Mono, Stereo, lufs, true_peak_db
from bench.music_listeners import full_scale, rendered
from services.music.engine import LyricSection
from services.music.sketch.composer import write_bar
from services.music.sketch.plan import make_plan
from services.music.sketch.score import Phrase
from services.music.sketch.syllables import Syllable
from services.music.sketch.voice import LEAD, SungNote, sing

LINES = (
    "Walking down the empty street at night",
    "Every window holds a little light",
    "Summer rain is falling on my window pane",
    "I will love you till the morning comes again",
)
LYRICS = (LyricSection("verse", LINES),)


def phrases(prompt: str, seed: int) -> list[Phrase]:
    plan = make_plan(prompt, LYRICS, 20 * RATE, seed)
    return [phrase for bar in range(plan.form.clock.bars) for phrase in write_bar(plan, bar).phrases]


def stem(phrase: Phrase) -> Mono:
    sound = sing(phrase.notes, np.random.default_rng(1))
    return np.asarray(scipy.signal.resample_poly(sound, 1, RATE // LOW_RATE), np.float32)


def onsets_s(sound: Mono) -> NDArray[np.float64]:
    strength = librosa.onset.onset_strength(y=sound, sr=LOW_RATE, hop_length=128, lag=3)
    peaks, _ = scipy.signal.find_peaks(strength, prominence=0.15 * np.percentile(strength, 98))
    return np.asarray(peaks * 128 / LOW_RATE, np.float64)


@pytest.mark.parametrize(("prompt", "seed"), [("pop", 1), ("folk", 2), ("trap", 3), ("metal", 5)])
def test_syllables_are_heard_when_the_plan_says(prompt: str, seed: int) -> None:
    near, by_chance, rng = [], [], np.random.default_rng(0)
    for phrase in phrases(prompt, seed):
        sound = stem(phrase)
        heard = onsets_s(sound)
        planned = [note.start_s + LEAD / RATE for note in phrase.notes]
        near += [np.min(np.abs(heard - at)) < 0.07 for at in planned]
        anywhere = rng.uniform(0, len(sound) / LOW_RATE, 100)
        by_chance += [np.min(np.abs(heard - at)) < 0.07 for at in anywhere]
    assert np.mean(near) > 0.85
    assert np.mean(near) > 1.4 * np.mean(by_chance)


def test_a_line_that_begins_late_is_sung_late() -> None:
    note = SungNote(0.6, 1.2, 60, Syllable("a", ""), 1.0)
    sound = np.abs(sing([note], np.random.default_rng(1)))
    first = int(np.argmax(sound > 0.2 * np.max(sound)))
    assert abs((first - LEAD) / RATE - 0.6) < 0.05


def spectrum(vowel: str, pitch: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(Hz, power) of the held middle of a note."""
    sung = sing([SungNote(0, 1.2, pitch, Syllable(vowel, ""), 1.0)], np.random.default_rng(1))
    middle = sung[int(0.5 * RATE) : int(1.2 * RATE)].astype(np.float64)
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    return np.asarray(np.fft.rfftfreq(len(middle), 1 / RATE), np.float64), np.asarray(power, np.float64)


@pytest.mark.parametrize("pitch", [50, 57, 62])
def test_vowels_are_told_apart_by_their_formants(pitch: int) -> None:
    def below_a_kilohertz(vowel: str) -> float:
        hz, power = spectrum(vowel, pitch)
        band = (hz > 200) & (hz < 1_000)
        return float(np.sum(hz[band] * power[band]) / np.sum(power[band]))

    def front(vowel: str) -> float:
        """dB of where front vowels have their second formant to where back vowels have it."""
        hz, power = spectrum(vowel, pitch)
        high, low = power[(hz > 1_750) & (hz < 2_500)], power[(hz > 700) & (hz < 1_500)]
        return float(10 * np.log10(np.sum(high) / np.sum(low)))

    # The jaw opens from "i" over "e" to "a", and from "u" over "o" to "a"; "i" and "e" are made in front.
    for closed, open_ in itertools.pairwise("iea"):
        assert below_a_kilohertz(closed) < below_a_kilohertz(open_) - 30
    for closed, open_ in itertools.pairwise("uoa"):
        assert below_a_kilohertz(closed) < below_a_kilohertz(open_) - 30
    assert min(front("e"), front("i")) > max(front("a"), front("o"), front("u")) + 6


def test_a_sung_song_is_as_loud_and_as_safe_as_a_played_one() -> None:
    pcm, _ = rendered("pop", 30.0, 2, LYRICS)
    sound: Stereo = full_scale(pcm)
    assert abs(lufs(sound) + 14) < 2
    assert true_peak_db(sound) < -1
