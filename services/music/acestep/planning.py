"""What is to be done for a song: which latents are sampled how, and which of its samples are new.

Turns seconds and samples into latent frames. Knows seeds, options and where a source lies; samples nothing
before it is told to, and encodes no words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from services.common.errors import InvalidField
from services.music.acestep import edits, schedule
from services.music.acestep.branches import Branches
from services.music.acestep.codec import SAMPLES_PER_LATENT, latent_frames
from services.music.acestep.edits import WINDOW_FRAMES, Region
from services.music.acestep.flow_edit import LYRIC_EDITS, edit_lyrics
from services.music.acestep.making import SECOND_STREAM, Making, MakingError, Seeds
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions
from services.music.acestep.sampling import OnStep, sample
from services.music.acestep.state import SongState, StateError
from services.music.acestep.transformer import Transformer
from services.music.edit import Extend, LyricEdit, Repaint, Source, Variation
from services.music.engine import SAMPLE_RATE_HZ, RenderRequest

Run = Callable[[Transformer, Branches, OnStep], Tensor]
"""The sampling of a plan: (1, 8, 16, T) latents of the whole song."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A song to make. Positions are samples of the new song."""

    options: SamplingOptions
    run: Run | None  # None: the source comes back as it is
    costs: Callable[[int], Sequence[int]]  # of every step that `run` reports, by the number of branches
    seeds: Seeds | None
    samples: int
    new: tuple[range, ...]
    start: int = 0  # the song's first sample within its latents
    offset: int = 0  # where the source begins
    # A lyric edit hears the source's words beside its own.
    source_words: Making | None = None
    # Samplings of the same number of steps, one after the other; only the last knows of all of the song.
    passes: int = 1

    def preview_step(self, steps: int) -> int:
        """After how many of all `steps` the song can be foreseen: half of the (last) sampling's.

        0, which is none, where that sampling has a single step or there is none.
        """
        last = steps // self.passes
        return steps - last + last // 2 if last > 1 else 0


def plan(request: RenderRequest, options: SamplingOptions) -> tuple[Plan, SongState | None]:
    """The plan of a request, sampled with `options`, and what is kept of its source; None without one.

    A variation takes its source's options in place of `options`.

    Raises:
        InvalidField: the source's state is none of this engine's, is that of other samples, or does not
            stand the edit.
    """
    if request.edit is None or request.source is None:
        return _from_nothing(request, options), None
    state, making = _read(request.source)
    match request.edit:
        case Variation(variance):
            whole = (range(state.samples),)
            return _variation(request, state, making, variance, whole, making.options), state
        case Repaint() as edit:
            return _repaint(request, state, making, edit, options), state
        case LyricEdit() as edit:
            return _lyric_edit(request, state, making, edit, options), state
        case Extend() as edit:
            return _extend(request, state, edit, options), state


def _read(source: Source) -> tuple[SongState, Making]:
    try:
        state = SongState.from_bytes(source.state)
        making = Making.from_bytes(state.making)
    except (StateError, MakingError) as error:
        limit = "the state of a song of this engine"
        raise InvalidField("MALFORMED", "state", f"the source's state: {error}", limit=limit) from None
    if len(source.pcm) != state.samples:
        message = f"the state is that of {state.samples} samples, the master has {len(source.pcm)}"
        raise InvalidField("SOURCE_MISMATCH", "state", message, limit="state and master of one song")
    return state, making


def _from_nothing(request: RenderRequest, options: SamplingOptions) -> Plan:
    samples = request.samples

    def run(model: Transformer, branches: Branches, on_step: OnStep) -> Tensor:
        noise = NoiseSource([request.seed])
        start = noise.draw(latent_frames(samples))
        return sample(model, branches, start, options, noise=noise, on_step=on_step)

    return Plan(
        options,
        run,
        lambda count: schedule.step_costs(options, count),
        Seeds(request.seed),
        samples,
        (range(samples),),
    )


def _variation(
    request: RenderRequest,
    state: SongState,
    making: Making,
    variance: float,
    new: tuple[range, ...],
    options: SamplingOptions,
) -> Plan:
    """From the source's noise, which gives the source under its own options only; else from its latents.

    A song that is an edit itself has nothing but its latents.
    """
    frames = state.latents.shape[-1]
    if frames > WINDOW_FRAMES:
        message = f"the song has {frames} latent frames, a variation makes all of them at once"
        raise InvalidField("TOO_LONG", "edit", message, limit=f"{WINDOW_FRAMES} latent frames (240 s)")
    if schedule.skipped_steps(options.steps, variance) >= options.steps:
        return _unchanged(state, options, making.seeds)
    if making.seeds is None or options != making.options:

        def renew(model: Transformer, branches: Branches, on_step: OnStep) -> Tensor:
            source, noise = state.latents[None], NoiseSource([request.seed])
            return edits.renew(model, branches, source, variance, options, noise=noise, on_step=on_step)

        first = schedule.skipped_steps(options.steps, variance)
        return Plan(
            options,
            renew,
            lambda count: schedule.step_costs(options, count)[first:],
            None,
            state.samples,
            new,
            start=state.start,
        )
    seeds = making.seeds.varied(request.seed, variance)

    def run(model: Transformer, branches: Branches, on_step: OnStep) -> Tensor:
        noise = NoiseSource([request.seed])
        return sample(model, branches, seeds.noise(frames), options, noise=noise, on_step=on_step)

    costs = schedule.step_costs
    return Plan(options, run, lambda count: costs(options, count), seeds, state.samples, new, state.start)


def _repaint(
    request: RenderRequest, state: SongState, making: Making, edit: Repaint, options: SamplingOptions
) -> Plan:
    start, stop = round(edit.start_s * SAMPLE_RATE_HZ), round(edit.end_s * SAMPLE_RATE_HZ)
    if not 0 <= start < stop <= state.samples:
        message = f"samples {start} to {stop} are no part of the song's {state.samples}"
        limit = f"within 0 to {state.samples / SAMPLE_RATE_HZ:g} seconds"
        raise InvalidField("OUT_OF_RANGE", "edit", message, limit=limit)
    frames = state.latents.shape[-1]
    region = Region((state.start + start) // SAMPLES_PER_LATENT, latent_frames(state.start + stop))
    new = (range(start, stop),)
    if region == Region(0, frames):
        options = options if request.sampling else making.options
        return _variation(request, state, making, edit.variance, new, options)
    region.surroundings(frames)  # refuses what is too long
    skipped = schedule.skipped_steps(options.steps, edit.variance)
    if skipped >= options.steps:
        return _unchanged(state, options, making.seeds)

    def run(model: Transformer, branches: Branches, on_step: OnStep) -> Tensor:
        noise, second = _streams(request.seed)
        return edits.repaint(
            model, branches, state.latents[None], region, edit.variance, options,
            noise=noise, second_noise=second, on_step=on_step,
        )  # fmt: skip

    return Plan(
        options,
        run,
        lambda count: schedule.step_costs(options, count)[skipped:],
        None,
        state.samples,
        new,
        start=state.start,
    )


def _lyric_edit(
    request: RenderRequest, state: SongState, making: Making, edit: LyricEdit, options: SamplingOptions
) -> Plan:
    if not request.lyrics:
        raise InvalidField("REQUIRED", "lyrics", "a lyric edit needs the new words", limit="at least a line")
    frames = state.latents.shape[-1]
    if frames > WINDOW_FRAMES:
        message = f"the song has {frames} latent frames, a lyric edit hears all of them at once"
        raise InvalidField("TOO_LONG", "edit", message, limit=f"{WINDOW_FRAMES} latent frames (240 s)")
    way = LYRIC_EDITS[edit.mode]

    def run(model: Transformer, branches: Branches, on_step: OnStep) -> Tensor:
        noise = NoiseSource([request.seed])
        return edit_lyrics(model, branches, state.latents[None], way, options, noise=noise, on_step=on_step)

    first, last = int(options.steps * way.start), int(options.steps * way.stop)
    return Plan(
        options,
        run,
        # Both songs' branches while the one is carried over to the other, then the new one's alone.
        lambda count: [count] * (last - first) + [count // 2] * (options.steps - last),
        None,
        state.samples,
        (range(state.samples),),
        start=state.start,
        source_words=making,
    )


def _extend(request: RenderRequest, state: SongState, edit: Extend, options: SamplingOptions) -> Plan:
    left, right = round(edit.left_s * SAMPLE_RATE_HZ), round(edit.right_s * SAMPLE_RATE_HZ)
    if min(left, right) < 0 or left + right == 0:
        message = f"{left} samples before and {right} behind make no extension"
        raise InvalidField("OUT_OF_RANGE", "edit", message, limit="something on a side, never less than 0")
    frames = state.latents.shape[-1]
    before = latent_frames(max(left - state.start, 0))
    start = state.start + before * SAMPLES_PER_LATENT - left
    samples = left + state.samples + right
    behind = max(latent_frames(start + samples) - before - frames, 0)
    passes = len(edits.extension_passes(frames, before, behind)) if before + behind else 0

    def run(model: Transformer, branches: Branches, on_step: OnStep) -> Tensor:
        if not passes:  # the first and the last frame already hold more than the song had of them
            return state.latents[None].float()
        noise, second = _streams(request.seed)
        return edits.extend(
            model, branches, state.latents[None], before, behind, 1.0, options,
            noise=noise, second_noise=second, on_step=on_step,
        )  # fmt: skip

    spans = (range(left), range(left + state.samples, samples))
    return Plan(
        options,
        run,
        lambda count: schedule.step_costs(options, count) * passes,
        None,
        samples,
        tuple(span for span in spans if span),
        start=start,
        offset=left,
        passes=max(passes, 1),
    )


def _unchanged(state: SongState, options: SamplingOptions, seeds: Seeds | None) -> Plan:
    return Plan(options, None, lambda count: (), seeds, state.samples, (), start=state.start)


def _streams(seed: int) -> tuple[NoiseSource, NoiseSource]:
    return NoiseSource([seed]), NoiseSource([seed + SECOND_STREAM])
