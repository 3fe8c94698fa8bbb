"""Cutting a song into windows: nothing missing, nothing twice, batches of one length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.music.acestep.windows import WindowPlan, surroundings

sizes = st.integers(1, 40)
plans = st.builds(WindowPlan, first=sizes, frames=sizes, batch=st.integers(1, 5))


@given(plans, st.integers(0, 100), st.integers(1, 300))
def test_windows_follow_one_another_without_gap(plan: WindowPlan, begin: int, frames: int) -> None:
    reached = begin
    for starts, length in plan.batches(begin, begin + frames):
        for start in starts:
            assert start == reached < begin + frames
            reached += length
    assert reached >= begin + frames


@given(plans, st.integers(0, 100), st.integers(1, 300))
def test_the_first_window_goes_alone_and_none_is_larger_than_planned(
    plan: WindowPlan, begin: int, frames: int
) -> None:
    (first, first_length), *others = plan.batches(begin, begin + frames)
    assert (list(first), first_length) == ([begin], min(plan.first, frames))
    assert all(len(starts) <= plan.batch and length <= plan.frames for starts, length in others)


def test_the_last_window_is_not_a_crumb() -> None:
    plan = WindowPlan(first=10, frames=100, batch=4)
    assert [(list(starts), length) for starts, length in plan.batches(0, 211)] == [
        ([0], 10),
        ([10, 77, 144], 67),
    ]


@given(st.integers(0, 200), sizes, st.integers(0, 30), st.integers(1, 200))
def test_surroundings_reach_a_halo_further_or_to_the_border(
    start: int, frames: int, halo: int, total: int
) -> None:
    start %= total
    read = surroundings(start, frames, halo, total)
    assert 0 <= read.start <= max(start - halo, 0)
    assert total >= read.stop >= min(start + frames + halo, total)
    assert read.stop - read.start == min(frames + 2 * halo, total)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_empty_windows_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        WindowPlan(*sizes)
