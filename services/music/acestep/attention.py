"""The two attentions of a transformer block: linear over the latent frames, softmax on the conditioning.

Letters: B items, T latent frames, S conditioning tokens, H heads of width d, D = H·d.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

from services.music.acestep.linear import Linear
from services.music.acestep.rope import Rotation
from services.music.acestep.weights_loading import prefixed, tensors_of

EPSILON = 1e-15


class LinearAttention(nn.Module):
    """relu(q)·(relu(k)ᵀ·v) / relu(q)·Σ relu(k), in float32 (SANA, arXiv 2410.10629).

    Two products with d×d matrices instead of a T×T one.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def forward(self, x: Tensor, rotation: Rotation, frames: Tensor | None) -> Tensor:
        """(B, T, D) → (B, T, D); what is not in `frames` (B, T) is not attended, gets the output's bias."""
        batch, length, width = x.shape
        qkv: Tensor = self.qkv(x)
        # (3, B, H, T, d), a view; the rotation writes q and k in this order
        qkv = qkv.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        qk = relu(rotation.turn(qkv[:2]))
        if frames is not None:
            qk = qk * frames[:, None, :, None]
        q, k, v = qk[0], qk[1], qkv[2].float()
        # The sums of k are one more column of kᵀv: one product gives numerator and denominator.
        kv = torch.cat((k.mT @ v, k.sum(2)[..., None]), dim=-1)  # (B, H, d, d + 1)
        attended = q @ kv  # (B, H, T, d + 1)
        attended = attended[..., :-1] / (attended[..., -1:] + EPSILON)
        out: Tensor = self.out(attended.transpose(1, 2).reshape(batch, length, width).to(x.dtype))
        return out

    def released_tensors(self) -> dict[str, Tensor]:
        tensors = prefixed("to_out.0", tensors_of(self.out))
        for i, name in enumerate(("to_q", "to_k", "to_v")):
            tensors[f"{name}.weight"] = self.qkv.weight.chunk(3)[i]
            tensors[f"{name}.bias"] = self.qkv.bias.chunk(3)[i]
        return tensors


class CrossAttention(nn.Module):
    """Softmax attention on the conditioning, whose keys and values are made once per song."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = Linear(width, width)
        self.k = Linear(width, width)
        self.v = Linear(width, width)
        self.out = Linear(width, width)

    def keys_and_values(self, conditioning: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor]:
        """(B, S, D) → rotated keys and values, each (B, H, S, d)."""
        k = self._by_head(self.k(conditioning))
        return rotation.turn(k).to(k.dtype), self._by_head(self.v(conditioning))

    def forward(
        self,
        x: Tensor,
        rotation: Rotation,
        k: Tensor,
        v: Tensor,
        frames: Tensor | None,
        attended: Tensor | None,
        q_scale: Tensor | None,
    ) -> Tensor:
        """x (B, T, D), k and v (B, H, S, d) → (B, T, D).

        What is not in `frames` (B, T) gets the output's bias; `attended` is bool, broadcastable to (B, H, T,
        S); q_scale (B, 1, 1, 1).
        """
        q = rotation.turn(self._by_head(self.q(x)))  # (B, H, T, d) float32
        if q_scale is not None:
            q = q * q_scale
        result = scaled_dot_product_attention(q.to(x.dtype), k, v, attn_mask=attended)
        result = result.transpose(1, 2).reshape(x.shape)
        out: Tensor = self.out(result if frames is None else result * frames[:, :, None])
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        """(B, L, D) → (B, H, L, d), a view."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def released_tensors(self) -> dict[str, Tensor]:
        return (
            prefixed("to_q", tensors_of(self.q))
            | prefixed("to_k", tensors_of(self.k))
            | prefixed("to_v", tensors_of(self.v))
            | prefixed("to_out.0", tensors_of(self.out))
        )
