"""ACE-Step's diffusion transformer (arXiv 2506.00045): the conditioning, and the velocity of latents.

Knows one evaluation; schedules, guidance and steps are elsewhere. No state besides the weights: every call
gets all it depends on. Letters: B items, T latent frames, S conditioning tokens, D width.
"""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm

from services.music.acestep import weights_loading
from services.music.acestep.attention import CrossAttention, LinearAttention
from services.music.acestep.conditioning import Conditioning, CrossAttentionCache
from services.music.acestep.config import (
    CONFIG_FILE,
    DIFFUSERS_WEIGHTS_FILE,
    LATENT_HEIGHT,
    TRANSFORMER_FOLDER,
    TransformerConfig,
)
from services.music.acestep.erg import TAU, TRANSFORMER_BLOCKS
from services.music.acestep.feed_forward import GLUMBConv
from services.music.acestep.lyric_encoder import LyricEncoder
from services.music.acestep.patches import FinalLayer, PatchEmbedding
from services.music.acestep.rope import Rotation
from services.music.acestep.timestep import TimestepEmbedding
from services.music.acestep.weights_loading import prefixed, tensors_of

EPSILON = 1e-6


class Block(nn.Module):
    """Linear self-attention, cross-attention, GLUMBConv, all residual; the time modulates the outer two."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, heads = config.inner_dim, config.num_attention_heads
        self.scale_shift_table = nn.Parameter(torch.empty(6, width))
        self.attention = LinearAttention(width, heads)
        self.cross_attention = CrossAttention(width, heads)
        self.feed_forward = GLUMBConv(width, config.mlp_width)

    def forward(
        self,
        x: Tensor,  # (B, T, D)
        modulation: Tensor,  # (B, 6, D)
        rotation: Rotation,
        k: Tensor,  # (B, H, S, d)
        v: Tensor,
        attended: Tensor | None,  # conditioning that is no padding (B, 1, 1, S)
        q_scale: Tensor | None,  # (B, 1, 1, 1)
        frames: Tensor | None,  # latent frames that are no padding (B, T)
        heard: Tensor | None,  # latent frames that the convolution may hear (B, T)
    ) -> Tensor:
        # (B, 1, D) each
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = (self.scale_shift_table + modulation).chunk(
            6, dim=1
        )
        normed = rms_norm(x, x.shape[-1:], eps=EPSILON) * (1 + scale_1) + shift_1
        x = x + gate_1 * self.attention(normed, rotation, frames)
        x = x + self.cross_attention(x, rotation, k, v, frames, attended, q_scale)
        normed = rms_norm(x, x.shape[-1:], eps=EPSILON) * (1 + scale_2) + shift_2
        out: Tensor = x + gate_2 * self.feed_forward(normed, heard)
        return out

    def released_tensors(self) -> dict[str, Tensor]:
        return (
            {"scale_shift_table": self.scale_shift_table}
            | prefixed("attn", self.attention.released_tensors())
            | prefixed("cross_attn", self.cross_attention.released_tensors())
            | prefixed("ff", self.feed_forward.released_tensors())
        )


class Transformer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.speaker = nn.Linear(config.speaker_embedding_dim, config.inner_dim)
        self.text = nn.Linear(config.text_embedding_dim, config.inner_dim)
        self.lyrics = LyricEncoder(config)
        self.time = TimestepEmbedding(config.inner_dim)
        self.patches = PatchEmbedding(config)
        self.blocks = [Block(config) for _ in range(config.num_layers)]
        self.final = FinalLayer(config)
        for i, block in enumerate(self.blocks):
            self.add_module(f"block_{i}", block)

    @classmethod
    def load(cls, checkpoint: Path, device: torch.device | str, dtype: torch.dtype) -> Self:
        """The transformer of a checkpoint folder. Raises ConfigError and CheckpointMismatch."""
        folder = checkpoint / TRANSFORMER_FOLDER
        with torch.device("meta"):
            model = cls(TransformerConfig.from_file(folder / CONFIG_FILE))
        weights_loading.materialise(model, device, dtype)
        weights_loading.load(
            folder / DIFFUSERS_WEIGHTS_FILE, model.released_tensors(), unused=is_for_training
        )
        return model.eval()

    @property
    def dtype(self) -> torch.dtype:
        return self.speaker.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.speaker.weight.device

    def encode(
        self,
        text_hidden: Tensor,
        text_mask: Tensor,
        speaker: Tensor,
        lyric_ids: Tensor,
        lyric_mask: Tensor,
        *,
        erg: bool = False,
        released_padding: bool = False,
    ) -> Conditioning:
        """The sequence speaker, text, lyrics of every item.

        Args:
            text_hidden: (B, Lt, 768), any float type.
            text_mask: (B, Lt), nonzero where a token is no padding.
            speaker: (B, 512), any float type.
            lyric_ids: (B, Ll) int64; Ll is 0 for no lyrics at all.
            lyric_mask: (B, Ll), as `text_mask`.
            erg: weakens the attention of the lyric encoder's layers 4–5.
            released_padding: leaves the text's padding between text and lyrics, as the released code does,
                where it moves the lyrics to later positions than they have when the item is alone.

        Raises:
            ValueError: a lyric id that the vocabulary does not have.
        """
        text_mask, lyric_mask = text_mask.bool(), lyric_mask.bool()
        vocabulary = self.config.lyric_encoder_vocab_size
        if lyric_ids.numel() and not 0 <= int(lyric_ids.min()) <= int(lyric_ids.max()) < vocabulary:
            raise ValueError(f"lyric ids must be from 0 to {vocabulary - 1}")
        parts = (
            self.speaker(speaker.to(self.dtype))[:, None],
            self.text(text_hidden.to(self.dtype)),
            self.lyrics(lyric_ids, None if bool(lyric_mask.all()) else lyric_mask, erg=erg),
        )
        mask = torch.cat((text_mask.new_ones(len(text_mask), 1), text_mask, lyric_mask), dim=1)
        conditioning = Conditioning(torch.cat(parts, dim=1), None if bool(mask.all()) else mask)
        return conditioning if released_padding else conditioning.compact()

    def precompute(self, conditioning: Conditioning) -> CrossAttentionCache:
        """Keys and values of every block. They depend on the conditioning alone: once per song is enough."""
        hidden = conditioning.hidden
        rotation = self._rotation(hidden.shape[1], hidden.device)
        pairs = [block.cross_attention.keys_and_values(hidden, rotation) for block in self.blocks]
        keys, values = zip(*pairs, strict=True)
        return CrossAttentionCache(keys, values, conditioning.mask)

    def velocity(
        self,
        latents: Tensor,
        timestep: Tensor,
        cache: CrossAttentionCache,
        latent_mask: Tensor | None = None,
        *,
        erg: Tensor | None = None,
        released_padding: bool = False,
    ) -> Tensor:
        """d latents / d sigma.

        Args:
            latents: (B, 8, 16, T), any float type; the result has the same shape and type.
            timestep: (B,) in 0 … 1000.
            cache: of the B items, in their order.
            latent_mask: (B, T), nonzero where a frame is no padding; None when none is. Padding may hold any
                finite number, and holds no meaning in the result.
            erg: (B,) bool, items whose attention in blocks 15–19 is weakened; None for no item.
            released_padding: lets padding into the norm of the patch embedding and, by the convolutions, over
                the edge of the last frame, as the released code does. Without, an item is as if alone.

        Raises:
            ValueError: shapes that do not fit.
        """
        batch, *height, length = latents.shape
        if height != [self.config.in_channels, LATENT_HEIGHT]:
            expected = f"(B, {self.config.in_channels}, {LATENT_HEIGHT}, T)"
            raise ValueError(f"latents are {tuple(latents.shape)}, expected {expected}")
        if cache.batch != batch or len(timestep) != batch:
            raise ValueError(
                f"{batch} items of latents, {cache.batch} of conditioning, {len(timestep)} timesteps"
            )
        rotation = self._rotation(length, latents.device)
        frames = None if latent_mask is None else latent_mask.to(self.dtype)
        heard = None if released_padding else frames
        attended = None if cache.mask is None else cache.mask[:, None, None]
        weakened = None if erg is None else torch.where(erg, TAU, 1.0)[:, None, None, None]
        time, modulation = self.time(timestep)
        x = self.patches(latents.to(self.dtype), heard)
        for i, (block, k, v) in enumerate(zip(self.blocks, cache.keys, cache.values, strict=True)):
            q_scale = weakened if i in TRANSFORMER_BLOCKS else None
            x = block(x, modulation, rotation, k, v, attended, q_scale, frames, heard)
        velocity: Tensor = self.final(x, time)
        return velocity.to(latents.dtype)

    def compile_blocks(self) -> None:
        """Compiles one block for any length and batch, on first use; all share its graphs."""
        for block in self.blocks:
            block.compile(dynamic=True)

    def released_tensors(self) -> dict[str, Tensor]:
        """Released name → view of our parameter in its shape: where a file's tensors, or an adapter's, go."""
        tensors = (
            prefixed("speaker_embedder", tensors_of(self.speaker))
            | prefixed("genre_embedder", tensors_of(self.text))
            | self.lyrics.released_tensors()
            | self.time.released_tensors()
            | prefixed("proj_in", self.patches.released_tensors())
            | prefixed("final_layer", self.final.released_tensors())
        )
        for i, block in enumerate(self.blocks):
            tensors |= prefixed(f"transformer_blocks.{i}", block.released_tensors())
        return tensors

    def _rotation(self, length: int, device: torch.device) -> Rotation:
        config = self.config
        if length > config.max_position:
            raise ValueError(f"{length} positions, at most {config.max_position}")
        return Rotation.of(length, config.attention_head_dim, config.rope_theta, device)


def is_for_training(name: str) -> bool:
    """Whether a released tensor takes no part in inference: 0.7 of 3.3 billion parameters."""
    parts = name.split(".")
    if parts[0] == "projectors":  # to features of speech and music models
        return True
    return (
        parts[0] == "transformer_blocks"
        and parts[2] == "cross_attn"
        and parts[3] in ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
    )
