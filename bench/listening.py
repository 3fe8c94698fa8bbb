"""Ears that know nothing of the engine: tempo, key, loudness, peaks, colour and borders of a recording.

librosa, pyloudnorm and scipy do the listening. Knows audio only: no plan, no prompt.
"""

import itertools
import warnings
from collections.abc import Sequence

import librosa
import numpy as np
import pyloudnorm
import scipy.signal
from numpy.typing import NDArray

RATE = 44_100
LOW_RATE = 22_050  # what librosa listens at

Stereo = NDArray[np.float64]  # (n, 2), full scale is 1
Mono = NDArray[np.float32]
Vector = NDArray[np.float64]

_HOP = 256
# How well each pitch class fits a major and a minor key (Krumhansl & Kessler 1982).
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def wake() -> None:
    """Have numba compile what is used here. Two processes that do so at once leave a cache that crashes."""
    hiss = np.random.default_rng(0).standard_normal(3 * LOW_RATE).astype(np.float32)
    for listener in (tempo_bpm, key_of, colour, harmonic_share):
        listener(hiss)


def at_low_rate(sound: Stereo) -> Mono:
    return np.asarray(scipy.signal.resample_poly(sound.mean(axis=1), 1, RATE // LOW_RATE), np.float32)


def tempo_bpm(mono: Mono) -> float:
    """librosa's tempo, by autocorrelated onsets; read four beats on, where a lag is four times as fine."""
    onsets = librosa.onset.onset_strength(y=mono, sr=LOW_RATE, hop_length=_HOP)
    tempo = float(librosa.feature.tempo(onset_envelope=onsets, sr=LOW_RATE, hop_length=_HOP)[0])
    beat = 60 * LOW_RATE / _HOP / tempo
    alike = librosa.autocorrelate(onsets - onsets.mean())
    around = np.arange(round(4 * beat - 0.06 * beat), round(4 * beat + 0.06 * beat) + 1)
    if around[-1] >= len(alike) // 2:
        return tempo
    return float(4 * 60 * LOW_RATE / _HOP / around[np.argmax(alike[around])])


def key_of(mono: Mono) -> tuple[int, bool]:
    """(tonic from C upwards, whether minor) of the key whose profile correlates best with the chroma."""
    chroma = librosa.feature.chroma_cens(y=mono, sr=LOW_RATE, hop_length=1_024).mean(axis=1)
    fits = {
        (tonic, minor): float(np.corrcoef(np.roll(profile, tonic), chroma)[0, 1])
        for minor, profile in ((False, _MAJOR), (True, _MINOR))
        for tonic in range(12)
    }
    return max(fits, key=lambda key: fits[key])


def are_neighbours(a: tuple[int, bool], b: tuple[int, bool]) -> bool:
    """The same key, its dominant, its subdominant or its relative: one step on the circle of fifths."""
    if a[1] == b[1]:
        return (a[0] - b[0]) % 12 in (0, 5, 7)
    major, minor = (a, b) if b[1] else (b, a)
    return (major[0] + 9) % 12 == minor[0]


def lufs(sound: Stereo) -> float:
    """Gated loudness of a whole song (ITU-R BS.1770-4, EBU R 128)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(pyloudnorm.Meter(RATE).integrated_loudness(sound))


def true_peak_db(sound: Stereo) -> float:
    """dBTP by fourfold oversampling (BS.1770-4, annex 2)."""
    return float(20 * np.log10(np.max(np.abs(scipy.signal.resample_poly(sound, 4, 1, axis=0))) + 1e-9))


def correlation(sound: Stereo) -> float:
    """Of left and right: 1 is mono, below 0 a mono loudspeaker loses more than it plays."""
    left, right = sound[:, 0], sound[:, 1]
    return float(np.sum(left * right) / np.sqrt(np.sum(left**2) * np.sum(right**2) + 1e-12))


def colour(mono: Mono) -> Vector:
    """What a recording sounds like, as one vector: timbre, brightness, noise, attack, bass and pulse."""
    spectrum = np.abs(librosa.stft(mono, n_fft=2_048, hop_length=1_024))
    power = spectrum**2
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=LOW_RATE, n_mels=64), top_db=80)
    mfcc = librosa.feature.mfcc(S=mel, n_mfcc=14)[1:]
    onsets = librosa.onset.onset_strength(y=mono, sr=LOW_RATE, hop_length=_HOP)
    pulse = librosa.autocorrelate(onsets - onsets.mean(), max_size=2 * LOW_RATE // _HOP)
    bands = (0, 60, 120, 250, 500, 1_000, 2_000, 4_000, 8_000, 11_025)
    edges = np.searchsorted(librosa.fft_frequencies(sr=LOW_RATE, n_fft=2_048), bands)
    shares = np.array([power[a:b].sum() for a, b in itertools.pairwise(edges)])
    rms = librosa.feature.rms(S=spectrum, frame_length=2_048)
    frames = (
        librosa.feature.spectral_centroid(S=spectrum, sr=LOW_RATE),
        librosa.feature.spectral_bandwidth(S=spectrum, sr=LOW_RATE),
        librosa.feature.spectral_flatness(S=spectrum),
        librosa.feature.spectral_contrast(S=spectrum, sr=LOW_RATE),
        librosa.feature.zero_crossing_rate(mono, hop_length=1_024),
    )
    parts = [mfcc.mean(axis=1), mfcc.std(axis=1), 10 * np.log10(shares / shares.sum() + 1e-6)]
    for frame in frames:
        parts += [frame.mean(axis=1), frame.std(axis=1)]
    parts += [np.array([onsets.mean(), onsets.std(), rms.std() / rms.mean()])]
    parts += [np.array([pulse[10:].max() / max(float(pulse[0]), 1e-9)])]
    return np.concatenate(parts).astype(np.float64)


def centroid_hz(mono: Mono) -> float:
    """Mean frequency by power, over the whole recording."""
    power = (np.abs(librosa.stft(mono)) ** 2).sum(axis=1)
    return float(np.sum(librosa.fft_frequencies(sr=LOW_RATE) * power) / np.sum(power))


def attack_sharpness(mono: Mono) -> float:
    """How much the onsets stand out of what flows: 95th percentile of the onset strength to its mean."""
    onsets = librosa.onset.onset_strength(y=mono, sr=LOW_RATE, hop_length=_HOP)
    return float(np.percentile(onsets, 95) / np.mean(onsets))


def harmonic_share(mono: Mono) -> float:
    """The part of the energy that flows rather than strikes (median filtering, Fitzgerald 2010)."""
    harmonic, struck = librosa.decompose.hpss(np.abs(librosa.stft(mono)))
    return float(np.sum(harmonic**2) / (np.sum(harmonic**2) + np.sum(struck**2)))


def novelty(mono: Mono, beat_s: float) -> Vector:
    """Foote's novelty (2000), a value for each beat: a checkerboard of 8 beats along the self-similarity."""
    hop = 1_024
    mel = librosa.power_to_db(
        librosa.feature.melspectrogram(y=mono, sr=LOW_RATE, hop_length=hop, n_mels=48), top_db=80
    )
    chroma = librosa.feature.chroma_stft(y=mono, sr=LOW_RATE, hop_length=hop)
    beats = np.arange(0, mel.shape[1], beat_s * LOW_RATE / hop).astype(int).tolist()
    frames = np.concatenate(
        (
            librosa.util.sync(librosa.feature.mfcc(S=mel, n_mfcc=14), beats) / 20,
            librosa.util.sync(mel.mean(axis=0, keepdims=True), beats) / 2,
            librosa.util.sync(chroma, beats),
        )
    )
    distance = np.sqrt(np.maximum(np.square(frames[:, :, None] - frames[:, None, :]).sum(axis=0), 0))
    similarity = np.exp(-distance / np.median(distance))
    half = 8
    taper = scipy.signal.windows.gaussian(2 * half, half / 2)
    sign = np.sign(np.arange(2 * half) - half + 0.5)
    kernel = np.outer(taper * sign, taper * sign)
    padded = np.pad(similarity, half, mode="edge")
    count = similarity.shape[0]
    curve = [float(np.sum(kernel * padded[i : i + 2 * half, i : i + 2 * half])) for i in range(count)]
    return np.maximum(np.array(curve, np.float64), 0.0)


def peaks_of(curve: Vector) -> NDArray[np.intp]:
    found, _ = scipy.signal.find_peaks(curve, prominence=0.1 * float(np.max(curve)))
    return np.asarray(found, np.intp)


def border_jump(sound: Stereo, borders: Sequence[int]) -> float:
    """The sharpest bend at any border against the sharpest 0.1 % elsewhere: clicks stand out above 1."""
    bend = np.abs(np.diff(sound, 2, axis=0)).max(axis=1)
    usual = float(np.percentile(bend, 99.9))
    return max((float(bend[max(b - 3, 0) : b + 3].max()) / usual for b in borders), default=0.0)
