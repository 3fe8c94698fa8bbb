"""Lyric token ids to hidden states: six pre-norm Conformer layers that kept neither convolution nor macaron.

Positions are relative, as in ESPnet and Transformer-XL (arXiv 1901.02860, appendix B): the score of query i
and key j is (qᵢ + u)·kⱼ + (qᵢ + v)·p(i - j). Letters: B items, L tokens, N queries, H heads of width d, D =
H·d.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from services.music.acestep.config import TransformerConfig
from services.music.acestep.erg import LYRIC_LAYERS, TAU
from services.music.acestep.linear import Linear
from services.music.acestep.weights_loading import prefixed, tensors_of

NORM_EPSILON = 1e-5
MAX_PERIOD = 10_000.0
QUERIES = 256
"""How many queries attend at a time: the scores of all those of long lyrics would be gigabytes."""


def relative_positions(length: int, width: int, device: torch.device) -> Tensor:
    """Sinusoids of the distances i - j from L-1 to 1-L: (2·L - 1, D) float32, sines and cosines in turn."""
    distance = torch.arange(length - 1, -length, -1, device=device, dtype=torch.float32)
    index = torch.arange(0, width, 2, device=device, dtype=torch.float32)
    angle = torch.outer(distance, torch.exp(index * (-math.log(MAX_PERIOD) / width)))
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


def by_key(scores: Tensor) -> Tensor:
    """Scores of N queries in a row: (B, H, N, N + L - 1) by distance → (B, H, N, L) by key, a view.

    Distances fall from the last query's to the first key, so the keys of the last query begin at once, those
    of the one before an entry later: each row of the view begins one entry less far in its own row.
    """
    scores = scores.contiguous()
    batch, heads, queries, distances = scores.shape
    size = (batch, heads, queries, distances - queries + 1)
    strides = (*scores.stride()[:2], distances - 1, 1)
    return scores.as_strided(size, strides, scores.storage_offset() + queries - 1)


class RelativeAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.position = Linear(width, width, bias=False)
        self.key_bias = nn.Parameter(torch.empty(heads, width // heads))  # u
        self.position_bias = nn.Parameter(torch.empty(heads, width // heads))  # v
        self.out = Linear(width, width)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None, q_scale: float) -> Tensor:
        """x (B, L, D), positions (2·L - 1, D), mask (B, L) bool, False at padding → (B, L, D)."""
        batch, length, _ = x.shape
        qkv: Tensor = self.qkv(x)
        # (B, H, L, d) each
        q, k, v = qkv.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        q = q * q_scale
        position: Tensor = self.position(positions)
        p = position.view(len(positions), self.heads, -1).permute(1, 2, 0)  # (H, d, 2·L - 1)
        scale = k.shape[-1] ** -0.5
        padding = None
        if mask is not None:
            # Not -inf, and no values behind it: an item without any lyrics gets zeros, on every backend.
            padding = torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, torch.finfo(x.dtype).min / 2)
            padding = padding[:, None, None, :]
            v = v * mask[:, None, :, None]
        attended = []
        for start in range(0, length, QUERIES):
            stop = min(start + QUERIES, length)
            some = q[:, :, start:stop]  # (B, H, N, d)
            distances = p[:, :, length - stop : 2 * length - 1 - start]  # (H, d, N + L - 1)
            bias = by_key((some + self.position_bias[:, None]) @ distances) * scale  # (B, H, N, L)
            bias = bias if padding is None else bias + padding
            some = some + self.key_bias[:, None]
            attended.append(scaled_dot_product_attention(some, k, v, attn_mask=bias, scale=scale))
        out: Tensor = self.out(torch.cat(attended, dim=2).transpose(1, 2).reshape(x.shape))
        return out

    def released_tensors(self) -> dict[str, Tensor]:
        tensors = {
            "pos_bias_u": self.key_bias,
            "pos_bias_v": self.position_bias,
            "linear_pos.weight": self.position.weight,
            **prefixed("linear_out", tensors_of(self.out)),
        }
        for i, name in enumerate(("linear_q", "linear_k", "linear_v")):
            tensors[f"{name}.weight"] = self.qkv.weight.chunk(3)[i]
            tensors[f"{name}.bias"] = self.qkv.bias.chunk(3)[i]
        return tensors


class LyricLayer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, hidden = config.lyric_hidden_size, config.lyric_encoder_ff_dim
        self.attention_norm = nn.LayerNorm(width, NORM_EPSILON)
        self.attention = RelativeAttention(width, config.lyric_encoder_heads)
        self.mlp_norm = nn.LayerNorm(width, NORM_EPSILON)
        self.widen = Linear(width, hidden)
        self.narrow = Linear(hidden, width)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None, q_scale: float) -> Tensor:
        x = x + self.attention(self.attention_norm(x), positions, mask, q_scale)
        mlp: Tensor = self.narrow(silu(self.widen(self.mlp_norm(x))))
        return x + mlp

    def released_tensors(self) -> dict[str, Tensor]:
        return (
            prefixed("norm_mha", tensors_of(self.attention_norm))
            | prefixed("self_attn", self.attention.released_tensors())
            | prefixed("norm_ff", tensors_of(self.mlp_norm))
            | prefixed("feed_forward.w_1", tensors_of(self.widen))
            | prefixed("feed_forward.w_2", tensors_of(self.narrow))
        )


class LyricEncoder(nn.Module):
    """Embedding, layers, and the projection to the transformer's width."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.lyric_hidden_size
        self.embedding = nn.Embedding(config.lyric_encoder_vocab_size, width)
        self.inlet = Linear(width, width)
        self.inlet_norm = nn.LayerNorm(width, NORM_EPSILON)
        self.layers = nn.ModuleList(LyricLayer(config) for _ in range(config.lyric_encoder_layers))
        self.norm = nn.LayerNorm(width, NORM_EPSILON)
        self.out = Linear(width, config.inner_dim)

    def forward(self, ids: Tensor, mask: Tensor | None, *, erg: bool) -> Tensor:
        """ids (B, L) int64, mask (B, L) bool → (B, L, width of the transformer); L may be 0.

        `erg` weakens the attention of layers 4–5.
        """
        x: Tensor = self.inlet_norm(self.inlet(self.embedding(ids)))
        if ids.shape[1]:
            x = x * x.shape[2] ** 0.5
            positions = relative_positions(x.shape[1], x.shape[2], x.device).to(x.dtype)
            for i, layer in enumerate(self.layers):
                x = layer(x, positions, mask, TAU if erg and i in LYRIC_LAYERS else 1.0)
        out: Tensor = self.out(self.norm(x))
        return out

    def released_tensors(self) -> dict[str, Tensor]:
        tensors = (
            prefixed("lyric_embs", tensors_of(self.embedding))
            | prefixed("lyric_encoder.embed.out.0", tensors_of(self.inlet))
            | prefixed("lyric_encoder.embed.out.1", tensors_of(self.inlet_norm))
            | prefixed("lyric_encoder.after_norm", tensors_of(self.norm))
            | prefixed("lyric_proj", tensors_of(self.out))
        )
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, LyricLayer)
            tensors |= prefixed(f"lyric_encoder.encoders.{i}", layer.released_tensors())
        return tensors
