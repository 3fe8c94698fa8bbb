"""When a song is evaluated and how strongly it is guided then: noise levels and scales, as plain numbers.

The flow goes from noise (sigma 1) to latents (sigma 0); the model hears sigma · 1000 as its timestep.
"""

import math

import numpy as np

from services.music.acestep.options import SamplingOptions

TRAINING_TIMESTEPS = 1000
SHIFT = 3.0
"""Moves steps towards the noisy end (Stable Diffusion 3, arXiv 2403.03206, section 5.3.2)."""


def sigmas(steps: int) -> list[float]:
    """The noise levels of `steps` steps, from 1 down, and then 0.

    As released the shift is applied twice: to both ends of the range, then to what is spread between them.
    """
    spread = np.linspace(1.0, _shifted(1 / TRAINING_TIMESTEPS), steps)
    return [*(_shifted(float(sigma)) for sigma in spread), 0.0]


def timestep(sigma: float) -> float:
    return sigma * TRAINING_TIMESTEPS


def guided_steps(options: SamplingOptions) -> range:
    """The steps in the middle `guidance_interval` of all; none without guidance.

    A step is a step of the solver: Heun's second evaluation is guided as its first.
    """
    if not options.guided:
        return range(0)
    half = options.guidance_interval / 2
    # Not 0.5 - half: the released expression, which rounds the same way.
    return range(
        int(options.steps * ((1 - options.guidance_interval) / 2)), int(options.steps * (half + 0.5))
    )


def guidance_scale(options: SamplingOptions, step: int) -> float:
    """The scale at a guided step: falls linearly, by `guidance_interval_decay` of the way to the minimum."""
    guided = guided_steps(options)
    # An interval of one step has nowhere to fall to.
    progress = (step - guided.start) / (len(guided) - 1) if len(guided) > 1 else 0.0
    fall = (options.guidance_scale - options.min_guidance_scale) * options.guidance_interval_decay
    return options.guidance_scale - fall * progress


def step_costs(options: SamplingOptions, branches: int) -> list[int]:
    """How many songs' velocities each step evaluates: what its time is about proportional to."""
    guided = guided_steps(options)
    costs = [branches if step in guided else 1 for step in range(options.steps)]
    return [2 * cost for cost in costs[:-1]] + costs[-1:] if options.scheduler == "heun" else costs


def omega_gain(omega: float) -> float:
    """How far a step is stretched about its mean: a logistic curve through 1 at 0, within 0.9 and 1.1."""
    return 0.9 + 0.2 / (1 + math.exp(-0.1 * omega))


def skipped_steps(steps: int, variance: float) -> int:
    """How many of the noisiest steps an edit leaves out to stay near its source: all at variance 0."""
    return int(steps * (1 - variance))


def _shifted(sigma: float) -> float:
    return SHIFT * sigma / (1 + (SHIFT - 1) * sigma)
