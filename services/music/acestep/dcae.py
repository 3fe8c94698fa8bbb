"""The deep compression autoencoder (DCAE, arXiv 2410.10733): diffusers' modules, the decoder cut in two.

Knows that the decoder's deepest stage attends over the whole song while everything after it is convolution;
not how latents and mels are scaled, nor how a song is cut into windows.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from diffusers.models.attention_processor import SanaMultiscaleLinearAttention
from diffusers.models.autoencoders.autoencoder_dc import (
    AutoencoderDC,
    DCUpBlock2d,
    Decoder,
    EfficientViTBlock,
    ResBlock,
)
from diffusers.models.normalization import RMSNorm
from torch import Tensor, nn
from torch.nn import functional as F

from services.music.acestep.config import ConfigError
from services.music.acestep.receptive_field import Span

# One latent frame is 8 × 8 times smaller than its mel image, in time and in frequency.
MEL_FRAMES_PER_LATENT = 8
KERNEL = 3  # of every convolution in the decoder that is neither 1 × 1 nor an attention's
# The deepest stage works on the whole song, but in pieces of this many latent frames (24 s). At once, a song
# of 240 s would take 3 GB for a moment, beside a model that leaves less than 2 of 8.
PIECE_FRAMES = 256


def build_autoencoder(config_file: Path) -> AutoencoderDC:
    """The autoencoder of `music_dcae_f8c8/config.json`, on the current device and without weights.

    Raises:
        ConfigError: no such configuration, or one of an autoencoder that cannot be decoded in windows.
    """
    try:
        settings = json.loads(config_file.read_text()).items()
        autoencoder: AutoencoderDC = AutoencoderDC(
            **{name: value for name, value in settings if not name.startswith("_")}
        )
        _check(autoencoder)
    except (OSError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise ConfigError(f"{config_file}: {error}") from None
    return autoencoder


def deepest_stage(decoder: Decoder, latents: Tensor, piece_frames: int = PIECE_FRAMES) -> Tensor:
    """(B, 8, 16, T) unscaled latents to (B, C, 16, T) features, each of which has seen the whole song."""
    features: Tensor = decoder.conv_in(latents)
    if decoder.in_shortcut:
        features = features + latents.repeat_interleave(decoder.in_shortcut_repeats, dim=1)
    for block in _deepest_blocks(decoder):
        features = _attend(block.attn, features, piece_frames)
        features = _map_pieces(block.conv_out, features, piece_frames, halo=KERNEL // 2)
    return features


def later_stages(decoder: Decoder, features: Tensor) -> Tensor:
    """(B, C, 16, t) features to a (B, 2, 128, 8·t) normalised mel, by convolutions of `later_stages_halo`."""
    for block in _later_blocks(decoder):
        features = block(features)
    features = decoder.norm_out(features.movedim(1, -1)).movedim(-1, 1)
    mel: Tensor = decoder.get_submodule("conv_out")(decoder.conv_act(features))
    return mel


def later_stages_halo(decoder: Decoder) -> int:
    """How many latent frames on either side the 8 mel frames of one depend on, in `later_stages`."""
    span = Span(0, MEL_FRAMES_PER_LATENT - 1).before_conv(KERNEL)
    for block in reversed(_later_blocks(decoder)):
        if isinstance(block, ResBlock):
            span = span.before_conv(KERNEL).before_conv(KERNEL)
        else:
            span = span.before_conv(KERNEL).before_upsampling(2)
    return span.beyond(0, 0)


def _deepest_blocks(decoder: Decoder) -> list[EfficientViTBlock]:
    return [block for block in decoder.up_blocks[-1].children() if isinstance(block, EfficientViTBlock)]


def _later_blocks(decoder: Decoder) -> list[nn.Module]:
    """In the order of their work: stages are stored from the last to the deepest."""
    return [block for stage in reversed(decoder.up_blocks[:-1]) for block in stage.children()]


def _attend(attention: SanaMultiscaleLinearAttention, features: Tensor, piece_frames: int) -> Tensor:
    """Linear attention over every position of (B, C, 16, T), in two passes: only features are ever whole.

    Σ v⁺kᵀ over all positions is all that a query needs of them: one pass sums it, one asks it. Diffusers' own
    forward has q, k and v of the whole song in memory, in float32.
    """
    scales = (scale.get_parameter("proj_in.weight") for scale in attention.to_qkv_multiscale)
    halo = max((kernel.shape[-1] // 2 for kernel in scales), default=0)
    memory = torch.zeros((), device=features.device)
    for outer, inner in _pieces(features.shape[-1], piece_frames, halo):
        _, key, value = (
            part[..., inner].flatten(-2) for part in _query_key_value(attention, features[..., outer])
        )
        memory = memory + F.pad(value, (0, 0, 0, 1), value=1.0) @ key.mT  # (B, heads, d + 1, d); last row Σ k

    def ask(piece: Tensor) -> Tensor:  # (B, C, 16, t) → (B, C, 16, t)
        query, _, _ = _query_key_value(attention, piece)
        weighted = memory @ query.flatten(-2)  # (B, heads, d + 1, 16·t)
        mixed = weighted[:, :, :-1] / (weighted[:, :, -1:] + attention.eps)
        mixed = mixed.reshape(len(piece), -1, *piece.shape[2:]).to(piece.dtype).movedim(1, -1)
        told: Tensor = attention.norm_out(attention.to_out(mixed)).movedim(-1, 1)
        return piece + told

    return _map_pieces(ask, features, piece_frames, halo)


def _query_key_value(
    attention: SanaMultiscaleLinearAttention, piece: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """q, k (both ≥ 0) and v of a piece (B, C, 16, t), each (B, heads · scales, d, 16, t) in float32."""
    last = piece.movedim(1, -1)  # (B, 16, t, C)
    projected = torch.cat([attention.to_q(last), attention.to_k(last), attention.to_v(last)], dim=-1)
    projected = projected.movedim(-1, 1)  # (B, 3C, 16, t)
    scales = torch.cat([projected, *(scale(projected) for scale in attention.to_qkv_multiscale)], dim=1)
    # Head by head: d channels of the query, d of the key, d of the value, whatever the projections are named.
    heads = scales.float().reshape(len(piece), -1, 3, attention.attention_head_dim, *piece.shape[2:])
    query, key, value = heads.unbind(2)
    return query.relu(), key.relu(), value


def _map_pieces(layer: Callable[[Tensor], Tensor], features: Tensor, piece_frames: int, halo: int) -> Tensor:
    """`layer`, which looks `halo` frames to either side, over (B, C, 16, T) in the memory of a piece."""
    result = torch.empty_like(features)
    for outer, inner in _pieces(features.shape[-1], piece_frames, halo):
        result[..., outer][..., inner] = layer(features[..., outer])[..., inner]
    return result


def _pieces(frames: int, piece_frames: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """What to read of `frames`, and which part of that to keep: the halo stops at the song's borders."""
    for start in range(0, frames, piece_frames):
        stop = min(start + piece_frames, frames)
        outer = slice(max(start - halo, 0), min(stop + halo, frames))
        yield outer, slice(start - outer.start, stop - outer.start)


def _check(autoencoder: AutoencoderDC) -> None:
    if autoencoder.spatial_compression_ratio != MEL_FRAMES_PER_LATENT:
        raise ValueError(
            f"compresses by {autoencoder.spatial_compression_ratio}, not {MEL_FRAMES_PER_LATENT}"
        )
    for block in autoencoder.decoder.up_blocks[-1].children():
        if not (isinstance(block, EfficientViTBlock) and isinstance(block.attn.norm_out, RMSNorm)):
            raise ValueError("the deepest decoder stage must consist of EfficientViT blocks with rms_norm")
    for block in _later_blocks(autoencoder.decoder):
        if not (isinstance(block, ResBlock) or (isinstance(block, DCUpBlock2d) and block.interpolate)):
            raise ValueError("later decoder stages must consist of ResBlocks and interpolating upsamplings")
