"""One step from a noise level to the next, given a field of velocities: Euler, Heun, ping-pong.

Knows latents (B, 8, 16, T), each item for itself, and no model. The velocity points from latents to noise:
x(sigma) = (1 - sigma) · clean + sigma · noise, so that clean = x - sigma · velocity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from services.music.acestep.guidance import SONG

Field = Callable[[Tensor, int, float], Tensor]
"""(latents, step, sigma) to velocity."""


class Solver(Protocol):
    def step(
        self, field: Field, x: Tensor, step: int, sigma: float, next_sigma: float
    ) -> tuple[Tensor, Tensor]:
        """Latents at `next_sigma`, and the clean latents that the first evaluation predicts."""
        ...


@dataclass(frozen=True)
class Euler:
    """First order. `gain` stretches the move about its mean: `schedule.omega_gain`, 1 for the plain step."""

    gain: float = 1.0

    def step(
        self, field: Field, x: Tensor, step: int, sigma: float, next_sigma: float
    ) -> tuple[Tensor, Tensor]:
        velocity = field(x, step, sigma)
        return x + _stretched(velocity * (next_sigma - sigma), self.gain), x - sigma * velocity


@dataclass(frozen=True)
class Heun:
    """Second order: moves by the mean of the velocities at both ends. The last step, to 0, is Euler's."""

    gain: float = 1.0

    def step(
        self, field: Field, x: Tensor, step: int, sigma: float, next_sigma: float
    ) -> tuple[Tensor, Tensor]:
        velocity = field(x, step, sigma)
        clean = x - sigma * velocity
        if next_sigma > 0:
            there = x + _stretched(velocity * (next_sigma - sigma), self.gain)
            velocity = (velocity + field(there, step, next_sigma)) / 2
        return x + _stretched(velocity * (next_sigma - sigma), self.gain), clean


@dataclass(frozen=True)
class PingPong:
    """Jumps to the predicted clean latents and back up with fresh noise: a stochastic sampler.

    `draw` gives standard noise like the latents, asked once for every step, also for the last, whose noise is
    multiplied by 0: the released order of draws.
    """

    draw: Callable[[], Tensor]

    def step(
        self, field: Field, x: Tensor, step: int, sigma: float, next_sigma: float
    ) -> tuple[Tensor, Tensor]:
        clean = x - sigma * field(x, step, sigma)
        return (1 - next_sigma) * clean + next_sigma * self.draw(), clean


def _stretched(move: Tensor, gain: float) -> Tensor:
    """`move` with what differs from its mean, over each song, times `gain`."""
    if gain == 1:
        return move
    mean = move.mean(SONG, keepdim=True)
    return mean + (move - mean) * gain
