"""From noise to latents: the guided model as a field of velocities, followed step by step.

Knows branches, options and noise; not how words become branches, what latents sound like, or who waits for
them. Latents stay in float32 between the steps, whatever type the model computes in.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from services.music.acestep import guidance, schedule
from services.music.acestep.branches import Branches
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions
from services.music.acestep.solvers import Euler, Field, Heun, PingPong, Solver
from services.music.acestep.transformer import Transformer

OnStep = Callable[[int, int, Tensor], None]
"""Called after every step with steps done, steps in all, and the clean latents (B, 8, 16, T) predicted so
far, which may be decoded as a preview. Whatever it raises ends the sampling: that is how a song is
cancelled."""

Keep = Callable[[Tensor, float], Tensor]
"""(latents, sigma) to the latents with what an edit keeps of its source put back at that noise level."""

CFG_ZERO_STEPS = 2
"""CFG-zero* stands still in the first two steps, as released."""


def unheard(done: int, steps: int, clean: Tensor) -> None:
    """An OnStep for callers that do not care."""


class GuidedField:
    """The velocity of a batch of songs. All branches of a guided step run as one batch of the model.

    Remembers, from step to step of one sampling, what APG averages.
    """

    def __init__(self, model: Transformer, branches: Branches, options: SamplingOptions) -> None:
        self._model = model
        self._branches = branches
        self._options = options
        self._guided = schedule.guided_steps(options)
        self._average: Tensor | None = None

    def __call__(self, x: Tensor, step: int, sigma: float) -> Tensor:
        timestep = torch.full((x.shape[0],), schedule.timestep(sigma), device=x.device)
        branches = self._branches
        if step not in self._guided:
            return self._model.velocity(x, timestep, branches.words_only)
        velocities = self._model.velocity(
            x.repeat(branches.count, 1, 1, 1),
            timestep.repeat(branches.count),
            branches.cache,
            erg=branches.weakened,
        )
        return self._mixed(list(velocities.chunk(branches.count)), step)

    def _mixed(self, velocities: list[Tensor], step: int) -> Tensor:
        options, scale = self._options, schedule.guidance_scale(self._options, step)
        cond, *others, uncond = velocities
        if options.double_condition:
            (text_only,) = others
            return guidance.double_condition(
                cond, text_only, uncond, options.guidance_scale_text, options.guidance_scale_lyric
            )
        if options.cfg_type == "cfg":
            return guidance.cfg(cond, uncond, scale)
        if options.cfg_type == "cfg_star":
            return guidance.cfg_zero_star(cond, uncond, scale, zero=step < CFG_ZERO_STEPS)
        guided, self._average = guidance.apg(cond, uncond, scale, self._average)
        return guided


@torch.no_grad()
def sample(
    model: Transformer,
    branches: Branches,
    start: Tensor,
    options: SamplingOptions,
    *,
    noise: NoiseSource,
    on_step: OnStep = unheard,
) -> Tensor:
    """`start` (B, 8, 16, T), standard noise, to clean latents (B, 8, 16, T) float32 on the model's device.

    A song: `start` is the first draw of `noise`. A variation: see `edits.vary`. Ping-pong goes on drawing.
    """
    x = start.to(model.device, torch.float32)
    field = GuidedField(model, branches, options)
    return follow(field, _solver(options, noise, x), x, schedule.sigmas(options.steps), on_step=on_step)


def follow(
    field: Field,
    solver: Solver,
    x: Tensor,
    sigmas: list[float],
    *,
    first_step: int = 0,
    keep: Keep | None = None,
    on_step: OnStep = unheard,
) -> Tensor:
    """`x` at the noise level of `first_step` to clean latents; `keep` is asked after every step."""
    steps = len(sigmas) - 1
    for step in range(first_step, steps):
        x, clean = solver.step(field, x, step, sigmas[step], sigmas[step + 1])
        if keep is not None:
            x, clean = keep(x, sigmas[step + 1]), keep(clean, 0.0)
        on_step(step + 1 - first_step, steps - first_step, clean)
    return x


def _solver(options: SamplingOptions, noise: NoiseSource, x: Tensor) -> Solver:
    if options.scheduler == "pingpong":
        return PingPong(lambda: noise.draw(x.shape[-1]).to(x.device))
    gain = schedule.omega_gain(options.omega)
    return Heun(gain) if options.scheduler == "heun" else Euler(gain)
