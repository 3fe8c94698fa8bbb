"""GLUMBConv, a block's gated feed-forward, which also looks one frame back and one ahead.

From SANA (arXiv 2410.10629). Its 1×1 convolutions are linears here (on a CPU `Linear` knows better).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, silu

from services.music.acestep.linear import Linear


class GLUMBConv(nn.Module):
    """Widen, SiLU, depthwise convolution over three frames, gate, narrow."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.widen = Linear(width, 2 * hidden)
        self.neighbours = nn.Parameter(torch.empty(2 * hidden, 1, 3))
        self.neighbours_bias = nn.Parameter(torch.empty(2 * hidden))
        self.narrow = Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, frames: Tensor | None) -> Tensor:
        """(B, T, D) → (B, T, D); what is not in `frames` (B, T) is silent to its neighbours."""
        x = silu(self.widen(x))  # (B, T, 2·hidden)
        if frames is not None:
            x = x * frames[:, :, None]
        # As an image one frame high, (B, T, C) is already what a channels-last convolution reads: nothing is
        # transposed.
        image = x.mT[:, :, None]  # (B, C, 1, T)
        image = conv2d(
            image, self.neighbours[:, :, None], self.neighbours_bias, padding=(0, 1), groups=image.shape[1]
        )
        x, gate = image[:, :, 0].mT.chunk(2, dim=-1)  # (B, T, hidden) each
        out: Tensor = self.narrow(x * silu(gate))
        return out

    def released_tensors(self) -> dict[str, Tensor]:
        return {
            "inverted_conv.conv.weight": self.widen.weight[..., None],
            "inverted_conv.conv.bias": self.widen.bias,
            "depth_conv.conv.weight": self.neighbours,
            "depth_conv.conv.bias": self.neighbours_bias,
            "point_conv.conv.weight": self.narrow.weight[..., None],
        }
