"""Rotary position embedding with the released model's own pairing of angles and components.

The tables hold the frequencies twice, one half after the other, while the rotation turns neighbouring
components (x₀, x₁), (x₂, x₃) …: the two of a pair turn by different angles. So the weights were trained.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines of the angles of positions 0 … T-1, both (T, d) float32."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, length: int, head_dim: int, theta: float, device: torch.device) -> Self:
        exponent = torch.arange(0, head_dim, 2, device=device, dtype=torch.float32) / head_dim
        position = torch.arange(length, device=device, dtype=torch.float32)
        angle = torch.outer(position, 1.0 / theta**exponent).repeat(1, 2)  # (T, d)
        return cls(angle.cos(), angle.sin())

    def turn(self, x: Tensor) -> Tensor:
        """Rotates (…, T, d) of any float type; float32, contiguous."""
        first, second = x[..., 0::2], x[..., 1::2]
        turned = (
            first * self.cos[:, 0::2] - second * self.sin[:, 0::2],
            second * self.cos[:, 1::2] + first * self.sin[:, 1::2],
        )
        return torch.stack(turned, dim=-1).flatten(-2)
