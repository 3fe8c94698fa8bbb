"""What sampling options may say."""

import math
from typing import Any

import pytest

from services.common.errors import InvalidField
from services.music.acestep.options import STEP_PRESETS, SamplingOptions


def test_defaults_are_the_released_ones() -> None:
    options = SamplingOptions()
    assert (options.steps, options.scheduler, options.cfg_type) == (60, "euler", "apg")
    assert (options.guidance_scale, options.guidance_interval, options.omega) == (15.0, 0.5, 10.0)
    assert options.erg_text
    assert options.erg_lyric
    assert options.erg_diffusion


def test_presets_are_the_published_step_counts() -> None:
    assert sorted(SamplingOptions(steps=steps).steps for steps in STEP_PRESETS.values()) == [27, 60]


@pytest.mark.parametrize("steps", [1, 200])
def test_the_limits_of_steps_are_allowed(steps: int) -> None:
    assert SamplingOptions(steps=steps).steps == steps


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("steps", 0, "OUT_OF_RANGE"),
        ("steps", 201, "OUT_OF_RANGE"),
        ("scheduler", "ddim", "UNKNOWN_VALUE"),
        ("cfg_type", "CFG", "UNKNOWN_VALUE"),
        ("guidance_scale", -0.1, "OUT_OF_RANGE"),
        ("guidance_scale", math.nan, "OUT_OF_RANGE"),
        ("guidance_scale_text", math.inf, "OUT_OF_RANGE"),
        ("guidance_scale_lyric", 101.0, "OUT_OF_RANGE"),
        ("min_guidance_scale", -1.0, "OUT_OF_RANGE"),
        ("guidance_interval", 1.01, "OUT_OF_RANGE"),
        ("guidance_interval_decay", -0.01, "OUT_OF_RANGE"),
        ("omega", math.nan, "OUT_OF_RANGE"),
    ],
)
def test_a_field_out_of_its_limits_is_named(field: str, value: Any, reason: str) -> None:
    with pytest.raises(InvalidField) as caught:
        SamplingOptions(**{field: value})
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert caught.value.limit


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_scale_of_0_or_1_means_no_guidance(scale: float) -> None:
    options = SamplingOptions(guidance_scale=scale, guidance_scale_text=5, guidance_scale_lyric=5)
    assert not options.guided
    assert not options.double_condition
