"""The same transformer written the released way, to measure against: same weights, same velocities.

Branches one after another, keys and values of the conditioning made anew at every step, 1×1 convolutions as
convolutions, transposes made in memory, a dense mask for every head and frame, guidance in float64.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from services.music.acestep import schedule
from services.music.acestep.conditioning import Conditioning
from services.music.acestep.erg import TAU, TRANSFORMER_BLOCKS
from services.music.acestep.guidance import APG_MOMENTUM, APG_NORM_THRESHOLD
from services.music.acestep.options import SamplingOptions
from services.music.acestep.rope import Rotation
from services.music.acestep.sampling import follow
from services.music.acestep.solvers import Euler
from services.music.acestep.transformer import Transformer


class PlainTransformer:
    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._heads, self._layers = model.config.num_attention_heads, model.config.num_layers
        # as convolutions and single projections have them in memory, not as views
        self._weights = {name: t.detach().contiguous() for name, t in model.released_tensors().items()}

    def velocity(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, weak: bool) -> Tensor:
        """latents (B, 8, 16, T), timestep (B,), conditioning (B, S, D) → (B, 8, 16, T)."""
        config, device, length = self._model.config, latents.device, latents.shape[-1]
        frames = torch.ones(latents.shape[0], length, device=device, dtype=self._model.dtype)
        tokens = conditioning.full_mask().to(self._model.dtype)
        hidden = conditioning.hidden.to(self._model.dtype)
        rotations = [
            Rotation.of(n, config.attention_head_dim, config.rope_theta, device)
            for n in (length, hidden.shape[1])
        ]
        time, modulation = self._model.time(timestep)
        x = self._patches(latents.to(self._model.dtype))
        for layer in range(self._layers):
            q_scale = TAU if weak and layer in TRANSFORMER_BLOCKS else 1.0
            block = f"transformer_blocks.{layer}"
            table = self._weights[f"{block}.scale_shift_table"]
            shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = (table[None] + modulation).chunk(6, dim=1)
            normed = F.rms_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale_1) + shift_1
            x = gate_1 * self._self_attention(f"{block}.attn", normed, rotations[0], frames, q_scale) + x
            x = (
                self._cross_attention(f"{block}.cross_attn", x, hidden, rotations, frames, tokens, q_scale)
                + x
            )
            normed = F.rms_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale_2) + shift_2
            x = x + gate_2 * self._feed_forward(f"{block}.ff", normed)
        velocity: Tensor = self._model.final(x, time)
        return velocity.to(latents.dtype)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _patches(self, latents: Tensor) -> Tensor:
        w = self._weights
        layers = "proj_in.early_conv_layers"
        x = F.conv2d(latents, w[f"{layers}.0.weight"], w[f"{layers}.0.bias"], stride=(16, 1))
        x = F.group_norm(x, 32, w[f"{layers}.1.weight"], w[f"{layers}.1.bias"], eps=1e-6)
        x = F.conv2d(x, w[f"{layers}.2.weight"], w[f"{layers}.2.bias"])
        return x.flatten(2).transpose(1, 2)

    def _self_attention(
        self, name: str, x: Tensor, rotation: Rotation, frames: Tensor, q_scale: float
    ) -> Tensor:
        batch, length, width = x.shape
        by_head = (batch, self._heads, width // self._heads, length)
        q, k, v = (self._linear(f"{name}.to_{part}", x) for part in "qkv")
        q, k, v = (part.transpose(1, 2).reshape(by_head) for part in (q * q_scale, k, v))  # (B, H, d, T)
        mask = frames[:, None, :, None]
        q = _turned(q.transpose(2, 3), rotation) * mask
        k = _turned(k.transpose(2, 3), rotation) * mask
        v = v * mask.transpose(2, 3)
        q, k, v = F.relu(q.transpose(2, 3)).float(), F.relu(k).float(), v.float()
        weighted = F.pad(v, (0, 0, 0, 1), value=1.0) @ k @ q  # (B, H, d + 1, T)
        out = weighted[:, :, :-1] / (weighted[:, :, -1:] + 1e-15)
        out = out.reshape(batch, width, length).permute(0, 2, 1).to(x.dtype)
        return self._linear(f"{name}.to_out.0", out)

    def _cross_attention(
        self,
        name: str,
        x: Tensor,
        hidden: Tensor,
        rotations: Sequence[Rotation],
        frames: Tensor,
        tokens: Tensor,
        q_scale: float,
    ) -> Tensor:
        batch, length, width = x.shape
        q = self._linear(f"{name}.to_q", x) * q_scale
        k, v = self._linear(f"{name}.to_k", hidden), self._linear(f"{name}.to_v", hidden)
        q, k, v = (
            part.view(batch, -1, self._heads, width // self._heads).transpose(1, 2) for part in (q, k, v)
        )
        q, k = _turned(q, rotations[0]), _turned(k, rotations[1])
        mask = frames[:, :, None] * tokens[:, None, :]
        mask = torch.where(mask == 1, 0.0, -torch.inf).to(x.dtype)
        mask = mask[:, None].expand(-1, self._heads, -1, -1).contiguous()
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self._linear(f"{name}.to_out.0", out.transpose(1, 2).reshape(batch, length, width))

    def _feed_forward(self, name: str, x: Tensor) -> Tensor:
        w = self._weights
        x = x.transpose(1, 2)
        x = F.silu(F.conv1d(x, w[f"{name}.inverted_conv.conv.weight"], w[f"{name}.inverted_conv.conv.bias"]))
        neighbours = w[f"{name}.depth_conv.conv.weight"]
        x = F.conv1d(x, neighbours, w[f"{name}.depth_conv.conv.bias"], padding=1, groups=x.shape[1])
        x, gate = x.chunk(2, dim=1)
        return F.conv1d(x * F.silu(gate), w[f"{name}.point_conv.conv.weight"]).transpose(1, 2)


@torch.no_grad()
def plain_sample(
    model: PlainTransformer,
    words: Conditioning,
    nothing: Conditioning,
    start: Tensor,
    options: SamplingOptions,
) -> Tensor:
    """What `sampling.sample` does for one song with APG, ERG and Euler."""
    guided, average = schedule.guided_steps(options), torch.zeros_like(start)

    def field(x: Tensor, step: int, sigma: float) -> Tensor:
        nonlocal average
        timestep = torch.full((len(x),), schedule.timestep(sigma), device=x.device)
        cond = model.velocity(x, timestep, words, False)
        if step not in guided:
            return cond
        uncond = model.velocity(x, timestep, nothing, options.erg_diffusion)
        average = cond - uncond + APG_MOMENTUM * average
        norm = average.norm(p=2, dim=(-1, -2), keepdim=True)
        update = average * torch.minimum(torch.ones_like(norm), APG_NORM_THRESHOLD / norm)
        direction = F.normalize(cond.double().flatten(2), dim=-1).view_as(cond)
        along = (update.double() * direction).sum((-1, -2), keepdim=True) * direction
        return cond + (options.guidance_scale - 1) * (update.double() - along).to(cond.dtype)

    solver = Euler(schedule.omega_gain(options.omega))
    return follow(field, solver, start, schedule.sigmas(options.steps))


def _turned(x: Tensor, rotation: Rotation) -> Tensor:
    """x (B, H, L, d) rotated as the released code writes it."""
    first, second = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    swapped = torch.stack((-second, first), dim=-1).flatten(3)
    return (x.float() * rotation.cos + swapped.float() * rotation.sin).to(x.dtype)
