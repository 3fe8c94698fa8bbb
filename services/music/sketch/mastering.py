"""The last stage: direct current out, warmth and drive in, level, limiter, ending, 16 bit.

Works on blocks of any length and gives the same samples for any. Knows no notes.
Source of the loudness weighting: ITU-R BS.1770-4, for 44.1 kHz.
"""

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

from services.music.engine import Pcm
from services.music.sketch.genres import Genre
from services.music.sketch.randomness import Seed, stream
from services.music.sketch.tones import RATE, samples

Stereo = NDArray[np.float32]

# The fullest bar is brought to this; whole songs then come out near -14 LUFS.
TARGET_LUFS = -12.7
_CEILING = 10 ** (-1.6 / 20)  # leaves room for peaks between samples and for the MP3 encoder
_LOOK_AHEAD = 1_024  # samples in which the limiter moves: 23 ms
LATENCY = _LOOK_AHEAD  # samples that go in before the first comes out

_OFFSETS = np.arange(8) - 3.5
_HALF_SAMPLE = (np.sinc(_OFFSETS) * np.cos(np.pi * _OFFSETS / 9)).astype(np.float32)

# BS.1770 filters: high shelf, then high-pass.
_K_WEIGHTING = np.array(
    [
        [1.53084123005, -2.65097999515, 1.16907907992, 1.0, -1.66365511326, 0.71259542807],
        [1.0, -2.0, 1.0, 1.0, -1.98916967363, 0.98919903579],
    ]
)


def loudness_lufs(x: Stereo) -> float:
    """Ungated loudness of a block."""
    weighted = scipy.signal.sosfilt(_K_WEIGHTING, x.astype(np.float64), axis=0)
    return float(-0.691 + 10 * np.log10(max(float(np.sum(np.mean(weighted**2, axis=0))), 1e-12)))


class Master:
    def __init__(
        self, genre: Genre, brightness: float, seed: Seed, total: int, fade: int, start: int = 0
    ) -> None:
        """`total` samples of song, of which the last `fade` die away; it begins at its sample `start`."""
        self._genre, self._total, self._fade = genre, total, fade
        self._seed, self._taken = seed, start
        sections = [scipy.signal.butter(2, 30, "highpass", fs=RATE, output="sos")]
        # presence, and more or less light by the prompt's mood
        sections.append(_high_shelf(1_300, 3.5 + 12 * (brightness - 1)))
        if genre.warmth < 16_000:
            sections.append(scipy.signal.butter(2, genre.warmth, fs=RATE, output="sos"))
        self._filter = np.concatenate(sections)
        self._filter_state = np.zeros((len(self._filter), 2, 2))
        self._gain = np.float32(1)  # by the sound check
        # The limiter sees _LOOK_AHEAD samples more than it gives away, on either side.
        self._held = np.zeros((2 * _LOOK_AHEAD, 2), np.float32)
        self._skip, self._done = _LOOK_AHEAD, start

    @property
    def level(self) -> float:
        """What `set_level` found; given back, the song is as loud again."""
        return float(self._gain)

    @level.setter
    def level(self, level: float) -> None:
        self._gain = np.float32(level)

    def set_level(self, fullest: Stereo) -> None:
        """Fix the song's level by the loudest bar it will have (sound check)."""
        self._gain = np.float32(0.5)
        for _ in range(3):  # drive is not linear: approach it
            colored, _ = self._colored(fullest, np.zeros_like(self._filter_state))
            missing_db = TARGET_LUFS - loudness_lufs(colored)
            self._gain = np.float32(np.clip(self._gain * 10 ** (missing_db / 20), 0.02, 12.0))

    def block(self, x: Stereo) -> Pcm:
        """Mastered samples, as many as can be given yet."""
        colored, self._filter_state = self._colored(x, self._filter_state)
        if self._genre.dust:
            colored += self._crackle(len(colored))
        self._taken += len(x)
        return self._sampled(self._limited(colored))

    def flush(self) -> Pcm:
        """What is still held, up to the exact length of the song."""
        return self._sampled(self._limited(np.zeros((2 * _LOOK_AHEAD, 2), np.float32)))

    def _colored(self, x: Stereo, state: NDArray[np.float64]) -> tuple[Stereo, NDArray[np.float64]]:
        """Soft saturation, then the filters: what saturation shifts off centre, the high-pass brings back."""
        drive = np.float32(self._genre.drive)
        driven = np.tanh(x * (drive * self._gain)) * np.float32(np.tanh(1.0) / np.tanh(drive))
        colored, after = scipy.signal.sosfilt(self._filter, driven, axis=0, zi=state)
        return colored.astype(np.float32), after

    def _limited(self, x: Stereo) -> Stereo:
        """Peaks brought under the ceiling by a gain that moves smoothly and early."""
        window = np.concatenate((self._held, x))
        self._held = window[len(window) - 2 * _LOOK_AHEAD :]
        peaks = np.maximum(np.max(np.abs(window), axis=1), _between(window))
        needed = np.minimum(np.float32(_CEILING) / np.maximum(peaks, np.float32(_CEILING)), 1)
        lowest = scipy.ndimage.minimum_filter1d(needed, _LOOK_AHEAD + 1, mode="nearest")
        smooth = scipy.ndimage.uniform_filter1d(lowest, _LOOK_AHEAD // 2 + 1, mode="nearest")
        middle = slice(_LOOK_AHEAD, len(window) - _LOOK_AHEAD)
        return np.asarray(window[middle] * smooth[middle, None], dtype=np.float32)

    def _crackle(self, n: int) -> Stereo:
        """Vinyl: a little hiss and a few clicks a second."""
        rng = stream(self._seed, "dust", self._taken)  # so that a block sounds alike wherever one begins
        dust = rng.standard_normal((n, 2), dtype=np.float32) * np.float32(0.0011 * self._genre.dust)
        for at in rng.integers(0, n, rng.poisson(7 * n / RATE)):
            size = rng.uniform(0.008, 0.03) * self._genre.dust
            length = min(int(rng.integers(8, 40)), n - at)
            shape = np.exp(-np.arange(length, dtype=np.float32) / 6) * np.float32(size)
            dust[at : at + length] += shape[:, None] * np.float32(rng.choice((-1.0, 1.0)))
        return dust

    def _sampled(self, x: Stereo) -> Pcm:
        """16 bit, without the look-ahead before the first sample and nothing after the last."""
        skipped = min(self._skip, len(x))
        self._skip -= skipped
        x = x[skipped : skipped + self._total - self._done]
        first_faded = self._total - self._fade
        if self._done + len(x) > first_faded:
            position = (np.arange(self._done, self._done + len(x)) - first_faded) / self._fade
            x = x * (np.cos(np.clip(position, 0, 1) * np.pi / 2) ** 2).astype(np.float32)[:, None]
        self._done += len(x)
        return np.round(x * np.float32(32_767)).astype("<i2")


def _between(x: Stereo) -> NDArray[np.float32]:
    """Peaks half-way between samples, (n,), by an eight-point sinc: what a converter would put out."""
    out = np.zeros((len(x) - 7, 2), np.float32)
    for tap, weight in enumerate(_HALF_SAMPLE):
        out += x[tap : len(x) - 7 + tap] * weight
    return np.pad(np.max(np.abs(out), axis=1), (3, 4))


def _high_shelf(hz: float, gain_db: float) -> NDArray[np.float64]:
    """A shelf of slope 0.7, as one second-order section (Bristow-Johnson, "Audio EQ cookbook")."""
    a, w = 10 ** (gain_db / 40), 2 * np.pi * hz / RATE
    cosine, alpha = np.cos(w), np.sin(w) / 2 * np.sqrt((a + 1 / a) * (1 / 0.7 - 1) + 2)
    root = 2 * np.sqrt(a) * alpha
    up, down = a + 1, a - 1
    b0, b1, b2 = (
        a * (up + down * cosine + root),
        -2 * a * (down + up * cosine),
        a * (up + down * cosine - root),
    )
    a0, a1, a2 = up - down * cosine + root, 2 * (down - up * cosine), up - down * cosine - root
    return np.array([[b0 / a0, b1 / a0, b2 / a0, 1.0, a1 / a0, a2 / a0]])


def fade_samples(ending: int) -> int:
    """How much of the ending fades: most of it, up to three seconds."""
    return max(min(int(ending * 0.8), samples(3.0)), 1)
