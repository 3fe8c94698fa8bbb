"""Seeds to noise, drawn on the CPU by a generator for every item.

So a seed is the same song on any device and beside any other songs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from services.music.acestep.config import LATENT_CHANNELS, LATENT_HEIGHT


class NoiseSource:
    """Standard normal latents, item by item; every draw goes on where the last one ended."""

    def __init__(self, seeds: Sequence[int]) -> None:
        """`seeds`: one for every item, 0 to 2^64 - 1."""
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def draw(self, frames: int) -> Tensor:
        """(B, 8, 16, frames) float32 on the CPU."""
        shape = (LATENT_CHANNELS, LATENT_HEIGHT, frames)
        return torch.stack([torch.randn(shape, generator=g) for g in self._generators])
