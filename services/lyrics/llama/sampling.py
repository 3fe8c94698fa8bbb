"""The next token of each row: penalty, temperature, nucleus, and a draw that a song's seed repeats.

Knows tensors. Which tokens a song may have, and which it has had, it is told.
"""

import random

import torch
from torch import Tensor

from services.lyrics.llama.options import Sampling

# The nucleus is cut out of so many: the rest of 128,256 tokens is noise, and sorting it takes time.
_CANDIDATES = 512


class BrokenModel(Exception):
    """The model's output is no number."""


def uniform(seed: int, draw: int) -> float:
    """A number in [0, 1) of a song's seed and of how many tokens it has drawn; of nothing else."""
    return random.Random(seed << 32 | draw).random()


def draw(
    logits: Tensor, allowed: Tensor, had: Tensor, uniforms: list[float], sampling: Sampling
) -> list[int]:
    """A token for each row: `logits` (rows, vocabulary), `allowed` and `had` the same shape in bool.

    The draw inverts the nucleus's distribution at the row's uniform number, so that it is the row's own
    whatever else is in the batch. Of equal logits in another order of summation it can only differ where
    the number falls on the edge between two tokens.

    Raises:
        BrokenModel: a logit is NaN or all that is allowed is minus infinity.
    """
    logits = logits.float()
    penalty = sampling.repetition_penalty
    logits = torch.where(had, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
    logits = (logits / sampling.temperature).masked_fill(~allowed, -torch.inf)
    total = logits.logsumexp(-1, keepdim=True)
    if not torch.isfinite(total).all():
        raise BrokenModel("the model gives no numbers")
    best, tokens = logits.topk(min(_CANDIDATES, logits.shape[-1]))
    shares = (best - total).exp()
    upto = shares.cumsum(-1)
    kept = (upto - shares < sampling.top_p) & (shares > 0)
    kept[:, 0] = True
    mass = (shares * kept).sum(-1, keepdim=True)
    at = torch.tensor(uniforms, device=logits.device, dtype=upto.dtype)[:, None] * mass
    index = torch.searchsorted(upto, at, right=True).minimum(kept.sum(-1, keepdim=True) - 1)
    chosen: list[int] = tokens.gather(-1, index)[:, 0].tolist()
    return chosen
