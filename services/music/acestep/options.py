"""How a song is sampled, as one frozen value that was checked when it was made.

Knows names, defaults and limits; the defaults are those of the released user interface.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args

from services.common.errors import InvalidField
from services.music.sampling import Guidance, Sampling, Scheduler

MAX_STEPS = 200
STEP_PRESETS: Mapping[str, int] = {"fast": 27, "quality": 60}
"""Published timings are of these two."""
MAX_SCALE = 100.0
"""Of any guidance scale: far above what sounds good (15), and finite."""


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Raises InvalidField (OUT_OF_RANGE, UNKNOWN_VALUE) where a field is out of its limits."""

    steps: int = STEP_PRESETS["quality"]
    scheduler: Scheduler = "euler"
    cfg_type: Guidance = "apg"
    # 0 and 1 both mean no guidance at all.
    guidance_scale: float = 15.0
    # Middle part of the steps that is guided: too early it saturates, too late it changes nothing.
    guidance_interval: float = 0.5
    # How far the scale falls over the interval: 0 not at all, 1 down to `min_guidance_scale`.
    guidance_interval_decay: float = 0.0
    min_guidance_scale: float = 3.0
    # Both above 1: text and lyrics guide with scales of their own, in place of `cfg_type`.
    guidance_scale_text: float = 0.0
    guidance_scale_lyric: float = 0.0
    # Entropy rectifying guidance: the branch to guide away from hears text and lyrics dimly, not nothing.
    erg_text: bool = True
    erg_lyric: bool = True
    erg_diffusion: bool = True
    # Stretches every step about its mean, by 0.9 (far below 0) to 1.1 (far above).
    omega: float = 10.0

    def __post_init__(self) -> None:
        check_range("steps", self.steps, 1, MAX_STEPS)
        _check_choice("scheduler", self.scheduler, get_args(Scheduler))
        _check_choice("cfg_type", self.cfg_type, get_args(Guidance))
        for field in ("guidance_scale", "min_guidance_scale", "guidance_scale_text", "guidance_scale_lyric"):
            check_range(field, getattr(self, field), 0, MAX_SCALE)
        for field in ("guidance_interval", "guidance_interval_decay"):
            check_range(field, getattr(self, field), 0, 1)
        check_range("omega", self.omega, -100, 100)

    def overridden(self, sampling: Sampling | None) -> "SamplingOptions":
        """These options, but for what `sampling` says.

        Raises InvalidField (OUT_OF_RANGE), with `sampling.` before the name of the field.
        """
        given = sampling.given if sampling else {}
        if "guidance" in given:
            given["cfg_type"] = given.pop("guidance")
        try:
            return replace(self, **given)
        except InvalidField as error:
            field = f"sampling.{error.field}"
            raise InvalidField(error.reason, field, error.message, limit=error.limit) from None

    @property
    def guided(self) -> bool:
        return self.guidance_scale not in (0.0, 1.0)

    @property
    def double_condition(self) -> bool:
        return self.guided and self.guidance_scale_text > 1 and self.guidance_scale_lyric > 1


def check_range(field: str, value: float, least: float, most: float) -> None:
    """Raises InvalidField (OUT_OF_RANGE) unless least ≤ value ≤ most; NaN is never in range."""
    if not (math.isfinite(value) and least <= value <= most):
        raise InvalidField("OUT_OF_RANGE", field, f"{field} is {value}", limit=f"{least:g} to {most:g}")


def _check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidField("UNKNOWN_VALUE", field, f"{field} {value!r} is unknown", limit=", ".join(choices))
