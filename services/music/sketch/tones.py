"""Oscillators, envelopes and filters: the arithmetic of sound, on mono float32 arrays (n,).

Knows no notes and no instruments. Frequencies are in Hz, times in seconds, phases in cycles.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import scipy.signal
from numpy.typing import NDArray

RATE = 44_100

Signal = NDArray[np.float32]
Cycles = NDArray[np.float64]

_TWO_PI = 2 * math.pi


def samples(seconds: float) -> int:
    return max(round(seconds * RATE), 1)


def seconds_axis(n: int) -> Cycles:
    return np.arange(n, dtype=np.float64) / RATE


def cycles(frequency: float | Cycles, n: int, start: float = 0.0) -> Cycles:
    """Phase of an oscillator; `frequency` may change from sample to sample."""
    if isinstance(frequency, np.ndarray):
        return start + np.cumsum(frequency) / RATE
    return start + np.arange(n, dtype=np.float64) * (frequency / RATE)


def sine(phase: Cycles) -> Signal:
    # wrapped in float64 first: float32 would lose the phase of a long note
    wave: Signal = np.sin(((phase - np.floor(phase)) * _TWO_PI).astype(np.float32))
    return wave


def harmonics(phase: Cycles, count: int) -> Iterator[Signal]:
    """sin(2πk·phase) for k = 1 … count, by Chebyshev's recurrence: one sine computed, the others added up.

    Each is valid until the next but one is asked for: the buffers are used again.
    """
    angle = ((phase - np.floor(phase)) * _TWO_PI).astype(np.float32)
    twice_cosine = np.float32(2) * np.cos(angle)
    previous, current, following = np.zeros_like(angle), np.sin(angle), angle
    for _ in range(count):
        yield current
        np.multiply(twice_cosine, current, out=following)
        np.subtract(following, previous, out=following)
        previous, current, following = current, following, previous


def saw(frequency: float | Cycles, n: int, start: float = 0.0) -> Signal:
    """Sawtooth: a quartic, differentiated three times (Välimäki & al. 2010, "DPW" of order 4).

    Below 10 kHz its aliases are 58 to 78 dB under the tone; those of the usual parabola 32 to 51.
    """
    if isinstance(frequency, np.ndarray):
        ramp = cycles(frequency, n, start)
        step = frequency[0] / RATE
        phase = np.concatenate((ramp[0] - step * np.arange(3, 0, -1), ramp))
    else:
        phase = cycles(frequency, n + 3, start)
    wave = 2.0 * (phase - np.floor(phase)) - 1.0
    wave *= wave
    slope = np.diff(wave * (wave - 2.0), 3)
    slope /= 24.0 * (2.0 / RATE * frequency) ** 3
    return np.asarray(slope, dtype=np.float32)


def pulse(frequency: float | Cycles, n: int, start: float = 0.0, width: float = 0.5) -> Signal:
    """Band-limited rectangle: two sawtooths, one against the other."""
    return np.asarray(saw(frequency, n, start) - saw(frequency, n, start + width), dtype=np.float32)


def noise(n: int, rng: np.random.Generator) -> Signal:
    return rng.standard_normal(n, dtype=np.float32)


def decay(n: int, time_s: float) -> Signal:
    """Exponential that falls by 60 dB in `time_s`."""
    level: Signal = np.exp(np.arange(n, dtype=np.float32) * np.float32(-6.9078 / (time_s * RATE)))
    return level


def envelope(n: int, hold: int, attack_s: float, decay_s: float, sustain: float, release_s: float) -> Signal:
    """Attack, exponential fall to `sustain`, and from sample `hold` on a release that ends in silence."""
    level = np.float32(sustain) + np.float32(1 - sustain) * decay(n, decay_s * 3)
    rise = min(samples(attack_s), n)
    level[:rise] *= _half_cosine(rise)
    if hold < n:
        level[hold:] *= decay(n - hold, release_s)
    fade_out(level, min(256, n))
    return level


def fade_out(x: Signal, n: int) -> None:
    """In place: the last `n` samples go to zero, so that no tone ends with a click."""
    x[len(x) - n :] *= _half_cosine(n)[::-1]


@lru_cache(maxsize=256)
def _half_cosine(n: int) -> Signal:
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)).astype(np.float32)


@lru_cache(maxsize=512)
def _sections(kind: str, hz: tuple[float, ...], order: int) -> NDArray[np.float64]:
    edges = [min(max(f, 10.0), RATE * 0.49) for f in hz]
    design = scipy.signal.butter(order, edges if len(edges) > 1 else edges[0], kind, fs=RATE, output="sos")
    return np.asarray(design, dtype=np.float64)


def lowpass(x: Signal, hz: float, order: int = 2) -> Signal:
    return _filtered(x, "lowpass", (round(hz, 1),), order)


def highpass(x: Signal, hz: float, order: int = 2) -> Signal:
    return _filtered(x, "highpass", (round(hz, 1),), order)


def bandpass(x: Signal, low_hz: float, high_hz: float, order: int = 1) -> Signal:
    return _filtered(x, "bandpass", (round(low_hz, 1), round(high_hz, 1)), order)


def _filtered(x: Signal, kind: str, hz: tuple[float, ...], order: int) -> Signal:
    return np.asarray(scipy.signal.sosfilt(_sections(kind, hz, order), x), dtype=np.float32)


def swept_lowpass(x: Signal, low_hz: float, high_hz: float, opening: Signal, order: int = 2) -> Signal:
    """A low-pass that moves with `opening` (0 to 1): a cross-fade of three fixed ones."""
    middle_hz = math.sqrt(low_hz * high_hz)
    low, middle, high = (lowpass(x, hz, order) for hz in (low_hz, middle_hz, high_hz))
    position = np.clip(opening, 0, 1) * np.float32(2)
    to_middle, to_high = np.minimum(position, 1), np.maximum(position - 1, 0)
    return np.asarray(low + (middle - low) * to_middle + (high - middle) * to_high, dtype=np.float32)


def overdriven(x: Signal) -> Signal:
    """tanh at twice the rate: what it adds above the audible would else come back, 38 dB under a guitar."""
    twice = np.tanh(scipy.signal.resample_poly(x, 2, 1))
    return np.asarray(scipy.signal.resample_poly(twice, 1, 2)[: len(x)], dtype=np.float32)


def leveled(x: Signal, rms: float = 0.12) -> Signal:
    """Scaled so that its loudest 50 ms have this RMS: instruments are then balanced by gains alone."""
    window = min(2205, x.shape[0])
    blocks = x[: x.shape[0] // window * window].reshape(-1, window, *x.shape[1:])
    loudest = float(np.sqrt(np.max(np.mean(np.square(blocks), axis=1))))
    return x if loudest < 1e-6 else np.asarray(x * np.float32(rms / loudest), dtype=np.float32)


def midi_hz(pitch: float) -> float:
    """Equal temperament, A4 (69) = 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))
