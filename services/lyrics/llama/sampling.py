"""The next token of each row: penalty, temperature, nucleus, and a draw that a song's seed repeats.

Knows tensors. Which tokens a song may have, and which it has had, it is told.
"""

import random

import torch
from torch import Tensor

from services.lyrics.llama.options import Sampling

# The nucleus is cut out of so many: the rest of 128,256 tokens is noise, and sorting it takes time.
_CANDIDATES = 512
_MASK = 0xFFFF_FFFF


class BrokenModel(Exception):
    """The model's output is no number."""


def noise_key(seed: int, draw: int) -> tuple[int, int]:
    """The key of a draw's noise: of a song's seed and of how many tokens it has drawn; of nothing else."""
    bits = random.Random(seed << 32 | draw).getrandbits(64)
    return bits >> 32, bits & _MASK


def draw(
    logits: Tensor, allowed: Tensor, had: Tensor, keys: list[tuple[int, int]], sampling: Sampling
) -> list[int]:
    """A token for each row: `logits` (rows, vocabulary), `allowed` and `had` the same shape in bool.

    Gumbel noise of the row's own key, and the greatest sum wins: that is a draw from the nucleus. Sums in
    another order, as in another batch, change the winner only where two are equal to the last digits; with
    one uniform number over the cumulative shares a flat distribution would have hundreds of such edges.

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
    outside = shares.cumsum(-1) - shares >= sampling.top_p
    outside[:, 0] = False
    scores = (best.double() + gumbel(tokens, keys)).masked_fill(outside, -torch.inf)
    chosen: list[int] = tokens.gather(-1, scores.argmax(-1, keepdim=True))[:, 0].tolist()
    return chosen


def gumbel(tokens: Tensor, keys: list[tuple[int, int]]) -> Tensor:
    """Gumbel noise (rows, n) for token ids (rows, n): hashed, so it is the same on every device."""
    key = torch.tensor(keys, device=tokens.device)
    hashed = _hash(_hash((tokens + key[:, :1]) & _MASK) ^ key[:, 1:])
    return -torch.log(-torch.log((hashed + 0.5) / (_MASK + 1.0)))


def _hash(x: Tensor) -> Tensor:
    """A bijection of 32-bit integers that mixes every bit into every bit (lowbias32 of Chris Wellons)."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _MASK
    return x ^ (x >> 16)
