"""What a song is conditioned on, as values: tokens, and the keys and values that each block makes of them.

Both are batches that can be joined and cut: a song's guided branches, or several songs, run as one batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad


def _padded(tensor: Tensor, length: int, dim: int) -> Tensor:
    """Zeros behind the end of dimension `dim` (negative) up to `length`."""
    missing = length - tensor.shape[dim]
    return pad(tensor, (0, 0) * (-dim - 1) + (0, missing)) if missing else tensor


@dataclass(frozen=True)
class Conditioning:
    """Speaker, text and lyric tokens in the transformer's width: hidden (B, S, D), mask (B, S) bool.

    The mask is None when no token is padding: attention without a mask is the fast one.
    """

    hidden: Tensor
    mask: Tensor | None

    def full_mask(self) -> Tensor:
        if self.mask is not None:
            return self.mask
        return torch.ones(self.hidden.shape[:2], dtype=torch.bool, device=self.hidden.device)

    def __getitem__(self, items: slice) -> "Conditioning":
        return Conditioning(self.hidden[items], None if self.mask is None else self.mask[items])

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> "Conditioning":
        """One batch of all items in order, the shorter ones padded at the end."""
        longest = max(part.hidden.shape[1] for part in parts)
        hidden = torch.cat([_padded(part.hidden, longest, -2) for part in parts])
        if all(part.mask is None and part.hidden.shape[1] == longest for part in parts):
            return Conditioning(hidden, None)
        return Conditioning(hidden, torch.cat([_padded(part.full_mask(), longest, -1) for part in parts]))

    def compact(self) -> "Conditioning":
        """Every item's own tokens in a row, padding only at the end: positions as if it were alone."""
        if self.mask is None:
            return self
        items = [Conditioning(h[m][None], None) for h, m in zip(self.hidden, self.mask, strict=True)]
        return Conditioning.concatenate(items)


@dataclass(frozen=True)
class CrossAttentionCache:
    """Keys (rotated) and values of every block, each (B, H, S, d); mask (B, S) as in Conditioning."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    mask: Tensor | None

    @property
    def batch(self) -> int:
        return self.keys[0].shape[0]

    def full_mask(self) -> Tensor:
        if self.mask is not None:
            return self.mask
        keys = self.keys[0]
        return torch.ones(self.batch, keys.shape[2], dtype=torch.bool, device=keys.device)

    def __getitem__(self, items: slice) -> "CrossAttentionCache":
        """The cache of some items, as views: cache[:1] is the first item's."""
        return CrossAttentionCache(
            tuple(k[items] for k in self.keys),
            tuple(v[items] for v in self.values),
            None if self.mask is None else self.mask[items],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> "CrossAttentionCache":
        """All items in order, the shorter ones padded. A copy: better join the Conditionings first."""
        longest = max(part.keys[0].shape[2] for part in parts)

        def join(blocks: tuple[tuple[Tensor, ...], ...]) -> tuple[Tensor, ...]:
            return tuple(torch.cat([_padded(t, longest, -2) for t in b]) for b in zip(*blocks, strict=True))

        keys, values = join(tuple(p.keys for p in parts)), join(tuple(p.values for p in parts))
        if all(part.mask is None and part.keys[0].shape[2] == longest for part in parts):
            return CrossAttentionCache(keys, values, None)
        mask = torch.cat([_padded(part.full_mask(), longest, -1) for part in parts])
        return CrossAttentionCache(keys, values, mask)
