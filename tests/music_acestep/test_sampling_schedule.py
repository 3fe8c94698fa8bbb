"""Noise levels, guided steps and scales."""

from itertools import pairwise

import pytest

from services.music.acestep import schedule
from services.music.acestep.options import SamplingOptions


@pytest.mark.parametrize("steps", [1, 2, 27, 60, 200])
def test_sigmas_fall_from_1_to_0_with_one_more_than_there_are_steps(steps: int) -> None:
    sigmas = schedule.sigmas(steps)
    assert len(sigmas) == steps + 1
    assert sigmas[0] == 1
    assert sigmas[-1] == 0
    assert all(later < earlier for earlier, later in pairwise(sigmas))


@pytest.mark.parametrize(
    ("steps", "interval", "guided"),
    [
        (60, 0.5, range(15, 45)),
        (27, 0.5, range(6, 20)),
        (12, 1.0, range(12)),
        (12, 0.0, range(6, 6)),
        (1, 0.5, range(0)),
    ],
)
def test_the_middle_of_the_steps_is_guided(steps: int, interval: float, guided: range) -> None:
    assert schedule.guided_steps(SamplingOptions(steps=steps, guidance_interval=interval)) == guided


def test_nothing_is_guided_without_a_scale() -> None:
    assert not schedule.guided_steps(SamplingOptions(guidance_scale=1.0, guidance_interval=1.0))


def test_the_scale_falls_to_its_minimum_over_the_interval() -> None:
    options = SamplingOptions(
        steps=5, guidance_interval=1.0, guidance_interval_decay=1.0, guidance_scale=15, min_guidance_scale=3
    )
    assert [schedule.guidance_scale(options, step) for step in range(5)] == [15, 12, 9, 6, 3]


def test_an_interval_of_one_step_with_decay_has_the_whole_scale() -> None:
    options = SamplingOptions(steps=1, guidance_interval=1.0, guidance_interval_decay=1.0, guidance_scale=15)
    assert schedule.guided_steps(options) == range(1)
    assert schedule.guidance_scale(options, 0) == 15


def test_omega_stretches_within_a_tenth_and_not_at_0() -> None:
    assert schedule.omega_gain(0) == 1
    assert 0.9 < schedule.omega_gain(-100) < schedule.omega_gain(10) < schedule.omega_gain(100) < 1.1


def test_variance_says_how_many_steps_an_edit_leaves_out() -> None:
    assert [schedule.skipped_steps(10, variance) for variance in (0.0, 0.25, 0.5, 1.0)] == [10, 7, 5, 0]
