"""A case of the goldens, rendered by our engine: which function answers for a task, and frames from seconds.

Frames are rounded as the released code rounds them, down; the product itself rounds up and trims.
"""

from collections.abc import Iterator, Mapping
from typing import cast

from torch import Tensor

from services.common.errors import ServiceError
from services.music.acestep import edits, flow_edit
from services.music.acestep.branches import Words, edit_branches, guidance_branches, hear
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions
from services.music.acestep.sampling import sample
from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.transformer import Transformer
from services.music.conformance.comparison import Measure, Row, compare, failed
from services.music.conformance.goldens import Case, Goldens
from services.music.sampling import Guidance, Scheduler

RENDERED_ANEW = ("retake", "repaint", "extend")


def check_cases(goldens: Goldens, model: Transformer, text_encoder: TextEncoder) -> Iterator[Row]:
    """One row for every case, as soon as it is rendered. An edit starts from its source's golden latents."""
    for name, case in goldens.cases.items():
        key = f"latents/{name}"
        if key not in goldens.tensors:
            yield failed(key, Measure.RELATIVE_L2, "no golden latents")
            continue
        try:
            latents = render(case, model, text_encoder, goldens.tensors)
        except (ServiceError, ValueError, RuntimeError) as error:  # the last: of other sizes than the model
            yield failed(key, Measure.RELATIVE_L2, str(error))
            continue
        yield compare(key, latents, goldens.tensors[key], Measure.RELATIVE_L2)


def render(
    case: Case, model: Transformer, text_encoder: TextEncoder, tensors: Mapping[str, Tensor]
) -> Tensor:
    """Final latents (B, 8, 16, T), one item for each seed.

    Raises:
        InvalidField: arguments that our engine refuses.
        ValueError: a task or a source that does not exist.
    """
    options = options_of(case)
    words = [hear(text_encoder, case.prompt, case.lyric_ids or (), options)] * len(case.seeds)
    noise, second = NoiseSource(case.seeds), NoiseSource(case.retake_seeds)
    if case.task == "edit":
        target = hear(text_encoder, case.target_prompt or "", case.target_lyric_ids or (), options)
        return _edit(case, model, words, [target] * len(words), options, second, _source(case, tensors))
    branches = guidance_branches(model, words, options)
    if case.task == "text2music":
        return sample(model, branches, noise.draw(_frames(case.duration)), options, noise=noise)
    if case.task not in RENDERED_ANEW:
        raise ValueError(f"unknown task {case.task!r}")
    if case.task == "retake":
        frames = _frames(case.duration)
        start = edits.vary(noise.draw(frames), second.draw(frames), case.retake_variance)
        return sample(model, branches, start, options, noise=noise)
    source = _source(case, tensors)
    region = edits.Region(_frames(case.repaint_start), _frames(case.repaint_end))
    left, right = max(-region.start, 0), max(region.stop - source.shape[-1], 0)
    if left or right:
        return edits.extend(
            model,
            branches,
            source,
            left,
            right,
            case.retake_variance,
            options,
            noise=noise,
            second_noise=second,
        )
    return edits.repaint(
        model, branches, source, region, case.retake_variance, options, noise=noise, second_noise=second
    )


def options_of(case: Case) -> SamplingOptions:
    """Raises InvalidField."""
    return SamplingOptions(
        steps=case.steps,
        scheduler=cast(Scheduler, case.scheduler),  # the constructor refuses others
        cfg_type=cast(Guidance, case.cfg_type),
        guidance_scale=case.guidance_scale,
        guidance_interval=case.guidance_interval,
        guidance_interval_decay=case.guidance_interval_decay,
        min_guidance_scale=case.min_guidance_scale,
        guidance_scale_text=case.guidance_scale_text,
        guidance_scale_lyric=case.guidance_scale_lyric,
        erg_text=case.erg_tag,
        erg_lyric=case.erg_lyric,
        erg_diffusion=case.erg_diffusion,
        omega=case.omega,
    )


def _edit(
    case: Case,
    model: Transformer,
    words: list[Words],
    targets: list[Words],
    options: SamplingOptions,
    noise: NoiseSource,
    source: Tensor,
) -> Tensor:
    edit = flow_edit.LyricEdit(start=case.edit_n_min, stop=case.edit_n_max, averaged=case.edit_n_avg)
    branches = edit_branches(model, words, targets, options)
    return flow_edit.edit_lyrics(model, branches, source, edit, options, noise=noise)


def _source(case: Case, tensors: Mapping[str, Tensor]) -> Tensor:
    key = f"latents/{case.source}"
    if key not in tensors:
        raise ValueError(f"no source {key}")
    source = tensors[key]
    return source.expand(len(case.seeds), *source.shape[1:])


def _frames(seconds: float) -> int:
    return int(seconds * 44_100 / 512 / 8)  # the released expression, which rounds the same way
