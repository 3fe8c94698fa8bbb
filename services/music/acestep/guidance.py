"""How predictions with and without the words make one: velocities (B, 8, 16, T) in, a velocity out.

Pure functions in float32, each item for itself. Which scale holds at which step is the schedule's matter.
"""

import torch
from torch import Tensor

APG_MOMENTUM = -0.75
APG_NORM_THRESHOLD = 2.5
FRAME = (-2, -1)
"""APG measures every latent channel by itself, over its 16 × T plane."""
SONG = (1, 2, 3)


def cfg(cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (arXiv 2207.12598)."""
    return torch.lerp(uncond, cond, scale)


def double_condition(
    cond: Tensor, text_only: Tensor, uncond: Tensor, text_scale: float, lyric_scale: float
) -> Tensor:
    """From nothing to the text by one scale, from the text to the lyrics by another."""
    return uncond + text_scale * (text_only - uncond) + lyric_scale * (cond - text_only)


def cfg_zero_star(cond: Tensor, uncond: Tensor, scale: float, *, zero: bool) -> Tensor:
    """CFG-zero* (arXiv 2503.18886): guides away from the part of `uncond` that lies along `cond`.

    `zero` in the first steps: at the noisiest levels standing still was found better than any prediction.
    """
    if zero:
        return torch.zeros_like(cond)
    along = (cond * uncond).sum(SONG, keepdim=True) / (uncond.square().sum(SONG, keepdim=True) + 1e-8)
    return cfg(cond, uncond * along, scale)


def apg(cond: Tensor, uncond: Tensor, scale: float, average: Tensor | None) -> tuple[Tensor, Tensor]:
    """Adaptive projected guidance (arXiv 2410.02416): the guided velocity, and the average for the next step.

    The difference of the predictions, averaged over steps with a negative momentum, is bounded in its norm;
    only its part orthogonal to `cond` guides, as the part along it just saturates.
    """
    difference = cond - uncond
    average = difference if average is None else difference + APG_MOMENTUM * average
    norm = torch.linalg.vector_norm(average, dim=FRAME, keepdim=True)
    update = average * (APG_NORM_THRESHOLD / norm).clamp(max=1)
    direction = torch.nn.functional.normalize(cond.flatten(2), dim=-1).view_as(cond)
    update = update - (update * direction).sum(FRAME, keepdim=True) * direction
    return cond + (scale - 1) * update, average
