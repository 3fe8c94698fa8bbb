"""New latents from a song's own: variation, repaint, extension. The lyric edit is in `flow_edit`.

Knows latents and frames; seconds, audio and where a source comes from are its callers' matter. Whatever the
scheduler of a song, its edits follow the plain ODE, as released: Heun's method for Heun, Euler's for all
else. Sources are (B, 8, 16, T) latents; what an edit keeps of one comes out as it went in.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from services.common.errors import InvalidField
from services.music.acestep import schedule
from services.music.acestep.branches import Branches
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions, check_range
from services.music.acestep.sampling import GuidedField, OnStep, follow, sample, unheard
from services.music.acestep.solvers import Euler, Heun, Solver
from services.music.acestep.transformer import Transformer

FRAMES_PER_S = 44_100 / 4096
WINDOW_FRAMES = math.ceil(240 * FRAMES_PER_S) + 1
"""What the model renders in one go: the latent frames that 240 s touch, wherever on a frame they begin."""


@dataclass(frozen=True)
class Region:
    """Latent frames `start` to `stop`, without `stop`."""

    start: int
    stop: int

    def check(self, frames: int) -> None:
        """Raises InvalidField (OUT_OF_RANGE) unless the region holds something and lies within the song."""
        if not 0 <= self.start < self.stop <= frames:
            message = f"frames {self.start} to {self.stop} are no part of the song's {frames}"
            raise InvalidField(
                "OUT_OF_RANGE", "interval", message, limit=f"within 0 to {frames} latent frames"
            )

    def surroundings(self, frames: int) -> "Region":
        """What the model hears of a song of `frames`: all of it, or a window with the region in its middle.

        Raises InvalidField (OUT_OF_RANGE) for a region longer than the window.
        """
        length = self.stop - self.start
        if length > WINDOW_FRAMES:
            message = f"{length} frames are more than the model renders in one go"
            raise InvalidField(
                "OUT_OF_RANGE", "interval", message, limit=f"{WINDOW_FRAMES} latent frames (240 s)"
            )
        room = min(WINDOW_FRAMES, frames)
        start = min(max((self.start + self.stop - room) // 2, 0), frames - room)
        return Region(start, start + room)


def vary(first: Tensor, second: Tensor, variance: float) -> Tensor:
    """Noise between two noises, still of variance one; at 0 it is `first` to the bit: the song comes back.

    Raises InvalidField (OUT_OF_RANGE).
    """
    check_range("variance", variance, 0, 1)
    angle = variance * math.pi / 2
    return math.cos(angle) * first + math.sin(angle) * second


@torch.no_grad()
def repaint(
    model: Transformer,
    branches: Branches,
    source: Tensor,
    region: Region,
    variance: float,
    options: SamplingOptions,
    *,
    noise: NoiseSource,
    second_noise: NoiseSource,
    on_step: OnStep = unheard,
) -> Tensor:
    """`source` with `region` rendered anew, as far from what was there as `variance` (0: not at all) says.

    A region that is the whole song makes a variation, from the noise alone, as released. Of a song longer
    than the model renders in one go, it hears the part around the region.

    Raises InvalidField (OUT_OF_RANGE).
    """
    region.check(source.shape[-1])
    check_range("variance", variance, 0, 1)
    source = source.to(model.device, torch.float32)
    if schedule.skipped_steps(options.steps, variance) >= options.steps:
        return source
    heard = region.surroundings(source.shape[-1])
    frames = heard.stop - heard.start
    first = noise.draw(frames)
    varied = vary(first, second_noise.draw(frames), variance)
    if region == heard:
        part = sample(model, branches, varied, options, noise=noise, on_step=on_step)
    else:
        new = torch.zeros(frames, dtype=torch.bool)
        new[region.start - heard.start : region.stop - heard.start] = True
        renewal = _Renewal(source[..., heard.start : heard.stop], torch.where(new, varied, first), new)
        part = renewal.run(model, branches, variance, options, on_step)
    return torch.cat((source[..., : heard.start], part, source[..., heard.stop :]), dim=-1)


@torch.no_grad()
def renew(
    model: Transformer,
    branches: Branches,
    source: Tensor,
    variance: float,
    options: SamplingOptions,
    *,
    noise: NoiseSource,
    on_step: OnStep = unheard,
) -> Tensor:
    """All of `source` rendered anew from its own latents: a variation where no noise is known to vary.

    Variance 0 gives it back, 1 keeps nothing of it; between, the noisiest steps are left out.

    Raises InvalidField (OUT_OF_RANGE), also for a song longer than the model renders in one go.
    """
    frames = source.shape[-1]
    Region(0, frames).surroundings(frames)
    check_range("variance", variance, 0, 1)
    source = source.to(model.device, torch.float32)
    if schedule.skipped_steps(options.steps, variance) >= options.steps:
        return source
    everything = torch.ones(frames, dtype=torch.bool)
    return _Renewal(source, noise.draw(frames), everything).run(model, branches, variance, options, on_step)


@torch.no_grad()
def extend(
    model: Transformer,
    branches: Branches,
    source: Tensor,
    left: int,
    right: int,
    variance: float,
    options: SamplingOptions,
    *,
    noise: NoiseSource,
    second_noise: NoiseSource,
    on_step: OnStep = unheard,
) -> Tensor:
    """`source` with `left` new frames before and `right` behind it: (B, 8, 16, left + T + right).

    What the model cannot render in one go is rendered in several, each hearing as much of the song as there
    is room for. Variance 1 renders the new frames from noise; less leaves out the noisiest steps, as
    released.

    Raises:
        InvalidField: nothing to add, or a variance out of 0 to 1 or so small that no step is left.
    """
    check_range("variance", variance, 0, 1)
    if min(left, right) < 0 or left + right == 0:
        message = f"{left} frames before and {right} behind make no extension"
        raise InvalidField(
            "OUT_OF_RANGE", "interval", message, limit="at least 1 frame on a side, never less than 0"
        )
    if schedule.skipped_steps(options.steps, variance) >= options.steps:
        message = f"variance {variance:g} leaves none of {options.steps} steps to render what is new"
        raise InvalidField("OUT_OF_RANGE", "variance", message, limit="above 0, to 1")

    def grown(song: Tensor, before: int, behind: int, on_step: OnStep) -> Tensor:
        frames = song.shape[-1]
        room = min(WINDOW_FRAMES - before - behind, frames)  # for what is there, at the side that grows
        heard = Region(frames - room, frames) if behind else Region(0, room)
        head, tail = song[..., : heard.start], song[..., heard.stop :]
        kept = pad(song[..., heard.start : heard.stop], (before, behind))
        first, padding = noise.draw(room), second_noise.draw(max(room, before + behind))
        start = torch.cat((padding[..., :before], first, padding[..., padding.shape[-1] - behind :]), dim=-1)
        new = torch.ones(kept.shape[-1], dtype=torch.bool)
        new[before : before + room] = False

        def report(done: int, steps: int, clean: Tensor) -> None:
            on_step(done, steps, torch.cat((head, clean, tail), dim=-1))

        part = _Renewal(kept, start, new).run(model, branches, variance, options, report)
        return torch.cat((head, part, tail), dim=-1)

    song = source.to(model.device, torch.float32)
    passes = extension_passes(source.shape[-1], left, right)
    for index, (before, behind) in enumerate(passes):
        song = grown(song, before, behind, _part(on_step, index, len(passes)))
    return song


def extension_passes(frames: int, left: int, right: int) -> list[tuple[int, int]]:
    """How many frames each pass adds before and behind a song of `frames`: all at once where they fit.

    Otherwise one side after the other, the end first. A pass leaves half of its window to what is there.
    """
    if frames + left + right <= WINDOW_FRAMES:
        return [(left, right)]
    passes = []
    for missing, behind in ((right, True), (left, False)):
        while missing:
            added = min(missing, max(WINDOW_FRAMES - frames, WINDOW_FRAMES // 2))
            passes.append((0, added) if behind else (added, 0))
            missing -= added
            frames += added
    return passes


def _part(on_step: OnStep, index: int, parts: int) -> OnStep:
    """Reports the steps of one of several samplings as a part of all of theirs."""
    return lambda done, steps, clean: on_step(index * steps + done, parts * steps, clean)


@dataclass(frozen=True, eq=False)
class _Renewal:
    """A source of which some frames are rendered anew; all others hold to it at every noise level."""

    source: Tensor  # (B, 8, 16, T)
    noise: Tensor  # (B, 8, 16, T)
    new: Tensor  # (T,) bool

    def run(
        self,
        model: Transformer,
        branches: Branches,
        variance: float,
        options: SamplingOptions,
        on_step: OnStep,
    ) -> Tensor:
        source, noise, new = self.source, self.noise.to(self.source), self.new.to(self.source.device)
        guided = GuidedField(model, branches, options)

        def keep(x: Tensor, sigma: float) -> Tensor:
            return torch.where(new, x, (1 - sigma) * source + sigma * noise if sigma else source)

        def field(x: Tensor, step: int, sigma: float) -> Tensor:
            # Heun's second evaluation, too, hears the source as it is at its noise level.
            return guided(keep(x, sigma), step, sigma)

        sigmas = schedule.sigmas(options.steps)
        first_step = schedule.skipped_steps(options.steps, variance)
        start = (1 - sigmas[first_step]) * source + sigmas[first_step] * noise
        solver: Solver = Heun() if options.scheduler == "heun" else Euler()
        return follow(field, solver, start, sigmas, first_step=first_step, keep=keep, on_step=on_step)
