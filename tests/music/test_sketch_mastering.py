"""The last stage holds its promises for any sound and any cut into blocks."""

import itertools

import numpy as np
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.listening import true_peak_db
from services.music.engine import Pcm
from services.music.sketch.genres import genres
from services.music.sketch.mastering import Master
from services.music.sketch.tones import RATE

TOTAL = 40_000


def mastered(sound: NDArray[np.float32], cuts: tuple[int, ...] = (), seed: int = 3) -> Pcm:
    master = Master(genres()["pop"], 1.0, seed, TOTAL, 2_000)
    master.set_level(sound[:20_000])
    bounds = [0, *sorted(cuts), len(sound)]
    blocks = [master.block(sound[a:b]) for a, b in itertools.pairwise(bounds) if b > a]
    return np.concatenate([*blocks, master.flush()])


def music(seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    swell = np.linspace(0.05, 0.6, 44_000, dtype=np.float32)[:, None]
    return rng.standard_normal((44_000, 2), dtype=np.float32) * swell


WHOLE = mastered(music())


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 43_999), min_size=1, max_size=4, unique=True).map(tuple))
def test_any_cut_into_blocks_gives_the_same_samples(cuts: tuple[int, ...]) -> None:
    assert np.array_equal(mastered(music(), cuts), WHOLE)


def test_a_peak_between_two_samples_is_seen() -> None:
    # A quarter of the rate, an eighth of a turn late: every sample is 3 dB below the wave's crest.
    t = np.arange(44_000)
    tone = np.sin(2 * np.pi * (t / 4 + 1 / 8)) * np.repeat([0.2, 1.4, 0.2, 3.0], 11_000)
    sound = np.stack([tone, tone], axis=1).astype(np.float32)
    pcm = mastered(sound) / 32_768
    assert true_peak_db(pcm) < -1.5
    assert np.max(np.abs(pcm)) < 0.65  # the samples alone are never near the ceiling


def test_loud_passages_are_held_and_soft_ones_left() -> None:
    level = np.repeat([0.01, 0.1], 22_000)[:, None]
    warm = scipy.signal.lfilter([1], [1, -0.9], np.random.default_rng(1).standard_normal((44_000, 2)), axis=0)
    sound = (warm * level).astype(np.float32)
    master = Master(genres()["pop"], 1.0, 3, TOTAL, 2_000)
    master.set_level(sound[22_000:])
    pcm = np.concatenate([master.block(sound), master.flush()]) / 32_768
    soft, loud = (float(np.sqrt(np.mean(pcm[a : a + RATE // 10] ** 2))) for a in (5_000, 30_000))
    assert 10 ** (12 / 20) < loud / soft < 10 ** (19 / 20)  # 20 dB came in


def test_a_song_that_keeps_much_in_reserve_is_brought_up_further() -> None:
    levels = []
    for reserve in (0.1, 0.2, 0.4):
        master = Master(genres()["pop"], 1.0, 3, TOTAL, 2_000)
        master.set_level(music()[:20_000], reserve)
        levels.append(20 * np.log10(master.level))
    assert 0.4 < levels[1] - levels[0] < 1.5
    assert 1.0 < levels[2] - levels[1] < 3.0
