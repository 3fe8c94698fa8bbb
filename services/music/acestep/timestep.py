"""What a block learns of the time: one embedding per item and six modulation vectors that all blocks share.

adaLN-single (PixArt-α, arXiv 2310.00426): every block adds its own small table to the shared vectors.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from services.music.acestep.weights_loading import prefixed, tensors_of

FREQUENCIES = 128
MAX_PERIOD = 10_000.0


def sinusoidal(timestep: Tensor) -> Tensor:
    """(B,) in 0 … 1000 → (B, 256) float32, cosines first."""
    index = torch.arange(FREQUENCIES, device=timestep.device, dtype=torch.float32)
    frequency = torch.exp(index * (-math.log(MAX_PERIOD) / FREQUENCIES))
    angle = timestep.float()[:, None] * frequency
    return torch.cat((angle.cos(), angle.sin()), dim=1)


class TimestepEmbedding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * FREQUENCIES, width)
        self.out = nn.Linear(width, width)
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) → embedding (B, D), modulation (B, 6, D): shift, scale, gate of attention, then of the MLP."""
        embedding: Tensor = self.out(silu(self.hidden(sinusoidal(timestep).to(self.hidden.weight.dtype))))
        modulation: Tensor = self.modulation(silu(embedding))
        return embedding, modulation.view(len(embedding), 6, -1)

    def released_tensors(self) -> dict[str, Tensor]:
        return (
            prefixed("timestep_embedder.linear_1", tensors_of(self.hidden))
            | prefixed("timestep_embedder.linear_2", tensors_of(self.out))
            | prefixed("t_block.1", tensors_of(self.modulation))
        )
