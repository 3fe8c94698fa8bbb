"""Latents to tokens and back: one token per latent frame, its 8×16 numbers together."""

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm

from services.music.acestep.config import LATENT_HEIGHT, TransformerConfig
from services.music.acestep.weights_loading import prefixed, tensors_of

GROUPS = 32
EPSILON = 1e-6


class PatchEmbedding(nn.Module):
    """Linear, GroupNorm over groups of channels and all frames, linear."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.channels = config.in_channels
        self.frame = nn.Linear(config.in_channels * LATENT_HEIGHT, config.patch_channels)
        self.norm = nn.GroupNorm(GROUPS, config.patch_channels, eps=EPSILON)
        self.out = nn.Linear(config.patch_channels, config.inner_dim)

    def forward(self, latents: Tensor, frames: Tensor | None) -> Tensor:
        """(B, 8, 16, T) → (B, T, D); the norm's statistics are those of `frames` (B, T)."""
        x: Tensor = self.frame(latents.flatten(1, 2).mT).mT  # (B, C, T)
        x = self.norm(x) if frames is None else self._norm_of(x, frames)
        out: Tensor = self.out(x.mT)
        return out

    def _norm_of(self, x: Tensor, frames: Tensor) -> Tensor:
        groups = x.float().view(x.shape[0], GROUPS, -1, x.shape[-1])  # (B, G, C / G, T)
        weight = frames[:, None, None].float()
        count = weight.sum(-1, keepdim=True) * groups.shape[2]
        mean = (groups * weight).sum((2, 3), keepdim=True) / count
        centred = (groups - mean) * weight
        variance = centred.square().sum((2, 3), keepdim=True) / count
        normed = (centred * (variance + EPSILON).rsqrt()).view_as(x).to(x.dtype)
        return normed * self.norm.weight[:, None] + self.norm.bias[:, None]

    def released_tensors(self) -> dict[str, Tensor]:
        weight = self.frame.weight
        return {
            "early_conv_layers.0.weight": weight.view(len(weight), self.channels, LATENT_HEIGHT, 1),
            "early_conv_layers.0.bias": self.frame.bias,
            **prefixed("early_conv_layers.1", tensors_of(self.norm)),
            "early_conv_layers.2.weight": self.out.weight[..., None, None],
            "early_conv_layers.2.bias": self.out.bias,
        }


class FinalLayer(nn.Module):
    """RMSNorm, modulation by the time, linear to the numbers of a frame."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.channels = config.out_channels
        self.scale_shift_table = nn.Parameter(torch.empty(2, config.inner_dim))
        self.linear = nn.Linear(config.inner_dim, LATENT_HEIGHT * config.out_channels)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, T, D), time (B, D) → (B, 8, 16, T)."""
        shift, scale = (self.scale_shift_table + time[:, None]).chunk(2, dim=1)  # (B, 1, D) each
        x = rms_norm(x, x.shape[-1:], eps=EPSILON) * (1 + scale) + shift
        numbers: Tensor = self.linear(x)
        return numbers.view(*x.shape[:2], LATENT_HEIGHT, self.channels).permute(0, 3, 2, 1).contiguous()

    def released_tensors(self) -> dict[str, Tensor]:
        return tensors_of(self)
