"""The last stage: bus compression, warmth, drive, no direct current, level, true-peak limiter, 16 bit.

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
TARGET_LUFS = -13.1
# Songs that are mostly softer than that come out softer: measured over all genres, so many dB for each energy
# that their bars keep in reserve, against a usual song's.
_RESERVE_DB, _USUAL_RESERVE = 7.3, 0.2
_CEILING = 10 ** (-2.0 / 20)  # true peak; leaves room for what the MP3 encoder adds
_LOOK_AHEAD = 1_024  # samples in which the limiter moves: 23 ms
LATENCY = _LOOK_AHEAD  # samples that go in before the first comes out

# The compressor of the whole mix: gentle, and slow enough to leave the drums their attack.
_RATIO, _ATTACK_S, _RELEASE_S = 1.6, 0.02, 0.25
_THRESHOLD = 10 ** ((TARGET_LUFS - 5) / 10)  # power: 5 dB under the loudness of the fullest bar

# Three points between every two samples, as BS.1770 measures true peaks: sincs of eight taps.
_POINTS = (0.25, 0.5, 0.75)
_TAPS = 8


def _fraction(of_sample: float) -> NDArray[np.float32]:
    offsets = np.arange(_TAPS) - (_TAPS / 2 - 1) - of_sample
    taps = np.sinc(offsets) * np.cos(np.pi * offsets / (_TAPS + 1))
    return np.asarray(taps / np.sum(taps), dtype=np.float32)


_BETWEEN = np.stack([_fraction(point) for point in _POINTS])  # (points, taps)

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
        self._glue_state = np.zeros((2, 1))
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

    def set_level(self, fullest: Stereo, reserve: float = _USUAL_RESERVE) -> None:
        """Fix the song's level by its loudest bar (sound check), and by what all others keep in reserve."""
        target = TARGET_LUFS + _RESERVE_DB * (reserve - _USUAL_RESERVE)
        self._gain = np.float32(0.5)
        for _ in range(3):  # drive is not linear: approach it
            self._glue_state[:] = 0
            colored, _ = self._colored(fullest, np.zeros_like(self._filter_state))
            missing_db = target - loudness_lufs(colored)
            self._gain = np.float32(np.clip(self._gain * 10 ** (missing_db / 20), 0.02, 12.0))
        self._glue_state[:] = 0

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
        """Compression, saturation, then the filters: what saturation shifts, the high-pass centres again."""
        drive = np.float32(self._genre.drive)
        gain = drive * self._gain * self._glue(x)
        driven = np.tanh(x * gain[:, None]) * np.float32(np.tanh(1.0) / np.tanh(drive))
        colored, after = scipy.signal.sosfilt(self._filter, driven, axis=0, zi=state)
        return colored.astype(np.float32), after

    def _glue(self, x: Stereo) -> NDArray[np.float32]:
        """Gain of the bus compressor, (n,): the louder of a quick and a slow listener decides."""
        power = np.square(x * self._gain).sum(axis=1)
        levels = []
        for listener, time_s in enumerate((_ATTACK_S, _RELEASE_S)):
            slow = float(np.exp(-1 / (time_s * RATE)))
            level, self._glue_state[listener] = scipy.signal.lfilter(
                [1 - slow], [1, -slow], power, zi=self._glue_state[listener]
            )
            levels.append(level)
        over = np.maximum(np.maximum(*levels) / _THRESHOLD, 1)
        return np.asarray(over ** (-0.5 * (1 - 1 / _RATIO)), dtype=np.float32)

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
    """Peaks between each sample and the next, (n,), where either is half-way to the ceiling; 0 elsewhere."""
    peaks = np.zeros(len(x), np.float32)
    before = _TAPS // 2 - 1
    for channel in (0, 1):
        side = np.ascontiguousarray(x[:, channel])
        high = np.abs(side[before : len(x) - _TAPS + before + 1]) > np.float32(_CEILING / 2)
        high[:-1] |= high[1:]
        at = np.flatnonzero(high)
        points = side[at[:, None] + np.arange(_TAPS)] @ _BETWEEN.T  # (places, points)
        peaks[at + before] = np.maximum(peaks[at + before], np.max(np.abs(points), axis=1))
    return peaks


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
