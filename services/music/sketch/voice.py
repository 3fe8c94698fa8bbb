"""A voice that sings vowels and lisps consonants: words can be followed, nobody is imitated.

Additive synthesis: harmonics of a gliding pitch, weighted by formants of vowels that turn into one another.
Knows no harmony and no tempo. Formants: Peterson & Barney 1952, between their men's and women's means.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.music.sketch.syllables import Syllable
from services.music.sketch.tones import (
    RATE,
    Signal,
    bandpass,
    decay,
    fade_out,
    harmonics,
    highpass,
    leveled,
    noise,
    samples,
)

Frames = NDArray[np.float64]
_Float = TypeVar("_Float", np.float32, np.float64)

# Hz of the first three formants
_FORMANTS: Mapping[str, tuple[float, float, float]] = {
    "a": (780, 1_250, 2_650), "e": (560, 1_950, 2_700), "i": (310, 2_350, 3_050),
    "o": (560, 900, 2_600), "u": (350, 800, 2_400), "m": (280, 1_100, 2_300),
}  # fmt: skip
_WIDTHS = (110.0, 150.0, 220.0)
_GAINS = (1.0, 0.55, 0.28)

_FRICATIVES = {"s": (5_000, 11_000, 0.10), "z": (4_500, 10_000, 0.07), "f": (2_500, 9_000, 0.07),
               "v": (1_500, 6_000, 0.05), "h": (1_000, 5_000, 0.06), "c": (4_000, 9_000, 0.06),
               "x": (3_500, 9_000, 0.07), "j": (2_500, 7_000, 0.06)}  # fmt: skip
_PLOSIVES = {"t": 4_500, "k": 2_200, "p": 1_100, "d": 3_000, "g": 1_600, "b": 800, "q": 2_200}

# Vowels and pitch are computed once per frame and joined by straight lines.
_FRAME = 128
LEAD = 5_292  # samples, 0.12 s: a consonant comes before its beat
_LEAD_S = LEAD / RATE


@dataclass(frozen=True)
class SungNote:
    start_s: float
    end_s: float
    pitch: int
    syllable: Syllable
    accent: float


def sing(notes: Sequence[SungNote], rng: np.random.Generator) -> Signal:
    """One line, sung in one breath. It begins `LEAD` samples before the line does: second 0 of its notes."""
    origin_s = -_LEAD_S
    frames = int(np.ceil((notes[-1].end_s + 0.25 - origin_s) * RATE / _FRAME)) + 1
    times: Frames = origin_s + np.arange(frames, dtype=np.float64) * (_FRAME / RATE)
    pitch = _pitch(notes, times, rng)
    loudness, weights_of = _loudness(notes, times), _formants(notes, times)

    n = (frames - 1) * _FRAME
    hz = 440.0 * np.exp2((_joined(pitch) - 69) / 12)
    phase = np.cumsum(hz, dtype=np.float64) / RATE
    frame_hz = 440.0 * np.exp2((pitch - 69) / 12)
    count = int(min(32, 7_000 / float(np.min(frame_hz))))
    out = np.zeros(n, dtype=np.float32)
    for k, wave in enumerate(harmonics(phase, count), start=1):
        out += wave * _joined(
            (loudness * _envelope_at(frame_hz * k, weights_of) * k**-0.55).astype(np.float32)
        )
    out = leveled(out)
    out += np.float32(0.012) * _joined(loudness.astype(np.float32)) * highpass(noise(n, rng), 2_500)
    for note in notes:
        _consonant(out, note, note.start_s - origin_s, rng)
    fade_out(out, min(n, 512))
    return out


def _joined(control: NDArray[_Float]) -> NDArray[_Float]:
    """Frames to samples, by straight lines: (frames,) → ((frames - 1) · _FRAME,)."""
    ramp = np.arange(_FRAME, dtype=control.dtype) / _FRAME
    return np.asarray((control[:-1, None] + np.diff(control)[:, None] * ramp).ravel(), dtype=control.dtype)


def _pitch(notes: Sequence[SungNote], times: Frames, rng: np.random.Generator) -> Frames:
    out = np.full(len(times), float(notes[0].pitch))
    for before, note in itertools.pairwise(notes):
        glide_s = min(0.09, 0.5 * (note.end_s - note.start_s))
        bend = np.clip((times - note.start_s + glide_s / 2) / glide_s, 0, 1)
        out += (note.pitch - before.pitch) * (3 * bend**2 - 2 * bend**3)
    for note in notes:
        held = np.clip((times - note.start_s - 0.22) / 0.3, 0, 1) * (times < note.end_s + 0.05)
        out += 0.28 * held * np.sin(2 * np.pi * 5.3 * (times - note.start_s))
        out -= 0.5 * np.exp(-np.abs(times - note.start_s) / 0.03) * 0.4  # scoops into the note
    # nobody holds a pitch exactly
    sway = np.cumsum(rng.normal(0, 1, len(times)))
    sway -= np.linspace(sway[0], sway[-1], len(sway))
    return np.asarray(out + 0.05 * sway / max(float(np.max(np.abs(sway))), 1e-9), dtype=np.float64)


def _loudness(notes: Sequence[SungNote], times: Frames) -> Frames:
    out = np.zeros(len(times))
    for note, after in zip(notes, [*notes[1:], None], strict=True):
        joined = after is not None and after.start_s - note.end_s < 0.06
        rise = np.clip((times - note.start_s + 0.03) / 0.05, 0, 1)
        fall = np.clip((note.end_s + (0.03 if joined else 0.16) - times) / (0.05 if joined else 0.2), 0, 1)
        swell = 0.85 + 0.15 * np.sin(
            np.pi * np.clip((times - note.start_s) / (note.end_s - note.start_s), 0, 1)
        )
        out = np.maximum(out, rise**2 * fall**2 * swell * (0.7 + 0.3 * note.accent))
        if note.syllable.onset:
            closed_s = 0.045 if note.syllable.onset[-1] in "lrwymn" else 0.03
            out *= 1 - 0.85 * np.exp(-(((times - note.start_s + 0.02) / closed_s) ** 2))
    return out


def _formants(notes: Sequence[SungNote], times: Frames) -> Frames:
    """(3, frames): Hz of each formant; vowels slide into one another within 70 ms."""
    out = np.repeat(np.array(_FORMANTS[notes[0].syllable.vowel], np.float64)[:, None], len(times), axis=1)
    current = np.array(_FORMANTS[notes[0].syllable.vowel])
    for note in notes:
        targets = [(note.start_s, note.syllable.vowel)]
        if note.syllable.onset[-1:] in tuple("mnlrwy"):
            targets.insert(0, (note.start_s - 0.09, "m"))
        for at, vowel in targets:
            target = np.array(_FORMANTS[vowel])
            out += (target - current)[:, None] * np.clip((times - at + 0.035) / 0.07, 0, 1)
            current = target
    return np.asarray(out, dtype=np.float64)


def _envelope_at(hz: Frames, formants: Frames) -> Frames:
    gain = np.full(len(hz), 0.02)
    for centre, width, weight in zip(formants, _WIDTHS, _GAINS, strict=True):
        gain += weight / (1 + ((hz - centre) / width) ** 2)
    return gain


def _consonant(out: Signal, note: SungNote, at_s: float, rng: np.random.Generator) -> None:
    """Adds the noise of the syllable's first consonant, ending where the vowel begins."""
    letter = note.syllable.onset[:1]
    if letter in _FRICATIVES:
        low_hz, high_hz, length_s = _FRICATIVES[letter]
        n = samples(length_s)
        sound = bandpass(noise(n, rng), low_hz, high_hz) * np.sin(np.pi * np.arange(n, dtype=np.float32) / n)
        gain, at_s = 0.05, at_s - length_s * 0.85
    elif letter in _PLOSIVES:
        n = samples(0.05)
        sound = bandpass(noise(n, rng), _PLOSIVES[letter] * 0.6, _PLOSIVES[letter] * 1.6) * decay(n, 0.03)
        gain, at_s = 0.10, at_s - 0.03
    else:
        return
    start = max(int(at_s * RATE), 0)
    piece = sound[: len(out) - start]
    out[start : start + len(piece)] += np.float32(gain) * piece


def register(seed_draw: float) -> int:
    """Centre pitch of the singer, between a tenor's Bb3 and an alto's Eb4."""
    return 58 + round(seed_draw * 5)
