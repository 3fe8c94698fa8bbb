"""A spliced song: the source wherever it is kept, nothing else inside what is new, and no click between."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.music.splice import FADE_SAMPLES, Pcm, Splice

N = 6_000


def noise(samples: int, seed: int) -> Pcm:
    return np.random.default_rng(seed).integers(-32_768, 32_767, (samples, 2), np.int16, endpoint=True)


def whole(splice: Splice, new: Pcm, block: int) -> Pcm:
    """The song, its new samples given in blocks."""
    parts = []
    for piece in splice.pieces():
        if piece.kept:
            parts.append(splice.kept(piece))
            continue
        for at in range(piece.start, piece.stop, block):
            parts.append(splice.joined(new[at : min(at + block, piece.stop)], at, piece))
    return np.concatenate(parts)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, N - 1), st.integers(1, N), st.integers(1, 3_000), st.integers(1, 3_000))
def test_outside_the_interval_the_song_is_the_source_and_deep_inside_it_is_new(
    start: int, length: int, block: int, other_block: int
) -> None:
    stop = min(start + length, N)
    source, new = noise(N, 1), noise(N, 2)
    splice = Splice(source, 0, N, (range(start, stop),))
    song = whole(splice, new, block)
    assert len(song) == N
    assert np.array_equal(song[:start], source[:start])
    assert np.array_equal(song[stop:], source[stop:])
    inner = slice(start + FADE_SAMPLES * (start > 0), max(stop - FADE_SAMPLES * (stop < N), 0))
    assert np.array_equal(song[inner], new[inner])
    assert np.array_equal(song, whole(splice, new, other_block))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3_000), st.integers(0, 3_000), st.integers(1, 3_000))
def test_an_extended_song_holds_the_source_whole(left: int, right: int, block: int) -> None:
    source, new = noise(N, 1), noise(left + N + right, 2)
    spans = tuple(span for span in (range(left), range(left + N, left + N + right)) if span)
    song = whole(Splice(source, left, left + N + right, spans), new, block)
    assert np.array_equal(song[left : left + N], source)
    assert np.array_equal(song[: max(left - FADE_SAMPLES, 0)], new[: max(left - FADE_SAMPLES, 0)])
    assert np.array_equal(song[left + N + FADE_SAMPLES :], new[left + N + FADE_SAMPLES :])


@pytest.mark.parametrize(("offset", "span"), [(0, range(2_000, 4_000)), (0, range(N, N + 2_000))])
def test_where_source_and_new_meet_no_step_is_larger_than_in_either(offset: int, span: range) -> None:
    samples = max(N, span.stop)
    times = np.arange(samples)[:, None] * [1, 1]
    source = np.rint(20_000 * np.sin(times[:N] * 0.01)).astype(np.int16)
    new = np.rint(20_000 * np.cos(times * 0.013)).astype(np.int16)
    song = whole(Splice(source, offset, samples, (span,)), new, 700).astype(int)
    plain = source.astype(int).copy() if samples == N else np.concatenate((source, new[N:])).astype(int)
    plain[span.start : span.stop] = new[span.start : span.stop]
    assert np.abs(np.diff(plain, axis=0)).max() > 5_000  # without a fade it clicks
    assert np.abs(np.diff(song, axis=0)).max() < 600


def test_a_fade_keeps_the_power_of_unlike_sounds() -> None:
    source, new = noise(N, 1) // 4, noise(N, 2) // 4
    song = whole(Splice(source, 0, N, (range(2_000, 4_000),)), new, 512).astype(float)
    assert song[2_000:2_882].std() == pytest.approx(source.astype(float).std(), rel=0.1)


@pytest.mark.parametrize(
    ("offset", "spans"),
    [
        (0, (range(5, 4),)), (0, (range(10, N + 1),)), (0, (range(10, 20), range(20, 30))),
        (0, (range(30, 40), range(10, 20))), (1, ()), (1, (range(1, 5),)),
    ],
)  # fmt: skip
def test_intervals_that_leave_a_gap_or_overlap_are_refused(offset: int, spans: tuple[range, ...]) -> None:
    with pytest.raises(ValueError, match=r"interval|kept"):
        Splice(noise(N, 1), offset, N, spans)
