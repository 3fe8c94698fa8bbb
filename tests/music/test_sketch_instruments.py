"""An instrument that is named changes the song as that instrument would: brighter, sharper, purer."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
import scipy.signal

from bench.listening import at_low_rate, attack_sharpness, centroid_hz, harmonic_share
from bench.music_listeners import full_scale, rendered
from services.music.sketch.instruments import SOUNDS
from services.music.sketch.tones import RATE, cycles, midi_hz, overdriven, saw, sine

SONG = "house, 122 BPM, A minor"


@dataclass(frozen=True)
class Impression:
    brightness: float  # centroid, Hz
    sharpness: float  # of attacks
    harmonic: float  # share of the energy that flows


@lru_cache
def heard(words: str) -> Impression:
    pcm, _ = rendered(f"{SONG}{words}", 8.0, 3)
    mono = at_low_rate(full_scale(pcm))
    return Impression(centroid_hz(mono), attack_sharpness(mono), harmonic_share(mono))


# Against the same song without the word: its lead is a soft, detuned triangle, its chords are stabs of saws.
@pytest.mark.parametrize(
    ("word", "quality", "direction"),
    [
        ("violin", "brightness", 1),  # formants around 2.7 kHz
        ("violin", "sharpness", -1),  # a bow takes 80 ms
        ("cello", "sharpness", -1),
        ("flute", "sharpness", -1),  # breath before tone
        ("trumpet", "brightness", 1),
        ("trumpet", "sharpness", -1),
        ("saxophone", "brightness", 1),
        ("brass", "brightness", 1),
        ("piano", "sharpness", 1),  # a hammer
        ("acoustic guitar", "sharpness", 1),  # a plectrum
        ("strings", "sharpness", -1),
        ("percussion", "sharpness", 1),
    ],
)
def test_a_named_instrument_changes_the_song_in_its_own_direction(
    word: str, quality: str, direction: int
) -> None:
    without, with_it = getattr(heard(""), quality), getattr(heard(f" with {word}"), quality)
    assert direction * (with_it / without - 1) > 0.005


def test_leads_are_ordered_by_brightness_as_in_an_orchestra() -> None:
    flute, violin, trumpet = (heard(f" with {word}").brightness for word in ("flute", "violin", "trumpet"))
    assert flute < violin < trumpet


def test_without_drums_what_is_left_flows() -> None:
    assert heard(", no drums").harmonic > heard("").harmonic + 0.2


@pytest.mark.parametrize("hz", [220.0, 880.0, 1_760.0, 3_520.0])
def test_sawtooths_have_nothing_between_their_harmonics(hz: float) -> None:
    wave = saw(hz, 1 << 16) * scipy.signal.windows.blackmanharris(1 << 16)
    power, axis = np.abs(np.fft.rfft(wave)) ** 2, np.fft.rfftfreq(1 << 16, 1 / RATE)
    aliased = (np.abs(axis / hz - np.round(axis / hz)) * hz > 8) & (axis < 10_000)
    assert 10 * np.log10(np.sum(power[aliased]) / np.sum(power)) < -55


@pytest.mark.parametrize(
    "name", ["piano", "steel_guitar", "bells", "epiano", "supersaw", "saw_lead", "trumpet"]
)
def test_high_notes_stay_below_what_an_ear_takes_for_hiss(name: str) -> None:
    instrument = SOUNDS[name]
    sound = instrument.timbre.sound(midi_hz(min(instrument.highest, 96)), 1.0, 1.0, np.random.default_rng(1))
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    power = np.abs(np.fft.rfft(mono[4_410:] * np.hanning(len(mono) - 4_410))) ** 2
    axis = np.fft.rfftfreq(len(mono) - 4_410, 1 / RATE)
    assert 10 * np.log10(np.sum(power[axis > 15_500]) / np.sum(power) + 1e-15) < -45


@pytest.mark.parametrize("hz", [1_397.0, 2_093.0])
def test_distortion_adds_overtones_and_little_else(hz: float) -> None:
    tone = overdriven(np.float32(7) * sine(cycles(hz, 1 << 16)))
    power = np.abs(np.fft.rfft(tone * scipy.signal.windows.blackmanharris(1 << 16))) ** 2
    axis = np.fft.rfftfreq(1 << 16, 1 / RATE)
    aliased = (np.abs(axis / hz - np.round(axis / hz)) * hz > 8) & (axis < 8_000)
    assert 10 * np.log10(np.sum(power[aliased]) / np.sum(power)) < -70
