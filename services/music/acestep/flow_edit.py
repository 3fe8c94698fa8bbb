"""Lyric edit: a song moved from its words to others by FlowEdit, without going back to noise.

Knows latents and the branches of source and target; not how lyrics are written. The scheduler of a song
does not matter here: the ODE is followed by Euler's method, as released for all but ping-pong, which there
draws noise and leaves the source where it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from services.common.errors import InvalidField
from services.music.acestep import guidance, schedule
from services.music.acestep.branches import Branches
from services.music.acestep.edits import WINDOW_FRAMES
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions, check_range
from services.music.acestep.sampling import GuidedField, OnStep, follow, unheard
from services.music.acestep.solvers import Euler
from services.music.acestep.transformer import Transformer

MAX_AVERAGED = 8
"""Each noise that a lyric edit averages over costs a whole sampling."""


@dataclass(frozen=True, kw_only=True)
class LyricEdit:
    """Which part of the steps carries the source over to the target; what is left renders the target freely.

    `start`: share of the noisiest steps left out, so that the song's shape stays; `stop`: where the
    carrying over ends; `averaged`: how many noises each of its steps averages over.

    Raises InvalidField (OUT_OF_RANGE).
    """

    start: float = 0.0
    stop: float = 1.0
    averaged: int = 1

    def __post_init__(self) -> None:
        check_range("edit_n_min", self.start, 0, 1)
        check_range("edit_n_max", self.stop, self.start, 1)
        check_range("edit_n_avg", self.averaged, 1, MAX_AVERAGED)


LYRIC_EDITS: Mapping[str, LyricEdit] = {
    "only_lyrics": LyricEdit(start=0.6, stop=1.0),
    "remix": LyricEdit(start=0.2, stop=0.4),
}
"""The released user interface's two ways."""


@torch.no_grad()
def edit_lyrics(
    model: Transformer,
    branches: Branches,
    source: Tensor,
    edit: LyricEdit,
    options: SamplingOptions,
    *,
    noise: NoiseSource,
    on_step: OnStep = unheard,
) -> Tensor:
    """FlowEdit (arXiv 2412.08629): `source` moved by how the target's velocity differs from the source's.

    `branches` are those of `branches.edit_branches`. As released every step is guided by APG, of the options
    only steps and scale count, and in the steps that carry over only the source's guidance has a momentum.

    Raises InvalidField (TOO_LONG) for a song longer than the model renders in one go.
    """
    frames = source.shape[-1]
    if frames > WINDOW_FRAMES:
        message = f"the song has {frames} latent frames, a lyric edit hears all of them at once"
        raise InvalidField("TOO_LONG", "source", message, limit=f"{WINDOW_FRAMES} latent frames (240 s)")
    source = source.to(model.device, torch.float32)
    sigmas = schedule.sigmas(options.steps)
    first, last = int(options.steps * edit.start), int(options.steps * edit.stop)
    difference = _Difference(model, branches, source, options.guidance_scale if options.guided else None)
    x = source
    for step in range(first, last):
        sigma, next_sigma = sigmas[step], sigmas[step + 1]
        draws = [noise.draw(frames).to(source) for _ in range(edit.averaged)]
        move = torch.stack([difference(x, drawn, sigma) for drawn in draws]).mean(0)
        clean = x - sigma * move
        x = x + (next_sigma - sigma) * move
        on_step(step + 1 - first, options.steps - first, clean)
    if last == options.steps:
        return x

    def report(done: int, _: int, clean: Tensor) -> None:
        on_step(last - first + done, options.steps - first, clean)

    x = x + sigmas[last] * (noise.draw(frames).to(source) - source)
    always = replace(
        options, cfg_type="apg", guidance_interval=1.0, guidance_interval_decay=0.0, guidance_scale_text=0.0
    )
    field = GuidedField(model, difference.target, always)
    return follow(field, Euler(), x, sigmas, first_step=last, on_step=report)


class _Difference:
    """How the target's velocity differs from the source's; remembers what the source's APG averages."""

    def __init__(self, model: Transformer, branches: Branches, source: Tensor, scale: float | None) -> None:
        self._model = model
        self._branches = branches
        self._source = source
        self._scale = scale  # None: not guided
        self._average: Tensor | None = None

    @property
    def target(self) -> Branches:
        return Branches(self._branches.cache[: self._branches.cache.batch // 2], self._branches.items)

    def __call__(self, x: Tensor, noise: Tensor, sigma: float) -> Tensor:
        noisy = (1 - sigma) * self._source + sigma * noise
        half = self._branches.count // 2  # branches of the target, and as many of the source
        latents = torch.cat([x + noisy - self._source] * half + [noisy] * half)
        timesteps = torch.full((latents.shape[0],), schedule.timestep(sigma), device=latents.device)
        velocities = self._model.velocity(latents, timesteps, self._branches.cache).chunk(2 * half)
        if self._scale is None:
            target, source = velocities
        else:
            target, _ = guidance.apg(velocities[0], velocities[1], self._scale, None)
            source, self._average = guidance.apg(velocities[2], velocities[3], self._scale, self._average)
        return target - source
