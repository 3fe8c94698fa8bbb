"""How a song is to be sampled, as far as its request says so: values that stand in for the engine's own.

Values only, already validated. Knows no limits, no defaults and no model.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Scheduler = Literal["euler", "heun", "pingpong"]
Guidance = Literal["apg", "cfg", "cfg_star"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Fields as in the proto, a preset as its steps; None where the engine's own value holds."""

    steps: int | None = None
    scheduler: Scheduler | None = None
    guidance: Guidance | None = None
    guidance_scale: float | None = None
    guidance_interval: float | None = None
    guidance_interval_decay: float | None = None
    min_guidance_scale: float | None = None
    guidance_scale_text: float | None = None
    guidance_scale_lyric: float | None = None
    erg_text: bool | None = None
    erg_lyric: bool | None = None
    erg_diffusion: bool | None = None
    omega: float | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What is said, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}
