"""Sizes of the models, as the checkpoint's `config.json` files give them, and where its files lie.

Reading is strict: a key that is missing, unknown or of another type is an error, so that a checkpoint of
another model is refused before a tensor is read. The DCAE and UMT5 read their own configurations.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self, get_type_hints

TRANSFORMER_FOLDER = "ace_step_transformer"
DCAE_FOLDER = "music_dcae_f8c8"
VOCODER_FOLDER = "music_vocoder"
TEXT_ENCODER_FOLDER = "umt5-base"
CONFIG_FILE = "config.json"
DIFFUSERS_WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
"""Weights of the transformer, the DCAE and the vocoder."""
TEXT_ENCODER_WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"

LATENT_CHANNELS = 8
LATENT_HEIGHT = 16
MAX_PROMPT_TOKENS = 256


class ConfigError(ValueError):
    """A `config.json` is not that of the model it should describe; names the file and the key."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ConfigError."""
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: must be a JSON object")
    return config


def _typed(value: Any, kind: Any) -> Any:
    """`value` as `kind`: JSON lists become tuples, integers stand for floats; TypeError otherwise."""
    if isinstance(value, list):
        value = tuple(tuple(item) if isinstance(item, list) else item for item in value)
    if kind is float and type(value) is int:
        return float(value)
    if kind in (int, float, bool) and type(value) is not kind:
        raise TypeError(f"must be {kind.__name__}, not {value!r}")
    if kind is int and value < 1:  # all of them are sizes
        raise TypeError(f"must be at least 1, not {value}")
    if kind == tuple[int, ...] and not (
        isinstance(value, tuple) and all(type(item) is int for item in value)
    ):
        raise TypeError(f"must be a list of integers, not {value!r}")
    if kind == tuple[tuple[int, ...], ...] and not (
        isinstance(value, tuple)
        and all(isinstance(row, tuple) and all(type(item) is int for item in row) for row in value)
    ):
        raise TypeError(f"must be a list of lists of integers, not {value!r}")
    return value


@dataclass(frozen=True)
class _StrictConfig:
    """Reads itself from a mapping. Keys with a leading underscore are diffusers' own, not about sizes."""

    not_used: ClassVar[frozenset[str]] = frozenset()
    """Keys that the released files carry and inference has no use for."""

    @classmethod
    def from_file(cls, path: Path) -> Self:
        return cls.from_mapping(read_json(path), source=str(path))

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any], source: str = CONFIG_FILE) -> Self:
        kinds = get_type_hints(cls)
        known = {field.name: field for field in fields(cls)}
        values = {}
        for key, value in config.items():
            if key.startswith("_") or key in cls.not_used:
                continue
            if key not in known:
                raise ConfigError(f"{source}: unknown key {key!r}")
            try:
                values[key] = _typed(value, kinds[key])
            except TypeError as error:
                raise ConfigError(f"{source}: {key} {error}") from None
        for name, field in known.items():
            if name not in values and field.default is MISSING:
                raise ConfigError(f"{source}: {name} is missing")
        try:
            return cls(**values)
        except ValueError as error:
            raise ConfigError(f"{source}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(_StrictConfig):
    """`ace_step_transformer/config.json`."""

    num_layers: int
    num_attention_heads: int
    attention_head_dim: int
    inner_dim: int
    mlp_ratio: float
    in_channels: int
    out_channels: int
    patch_size: tuple[int, ...]
    max_position: int
    rope_theta: float
    speaker_embedding_dim: int
    text_embedding_dim: int
    lyric_encoder_vocab_size: int
    lyric_hidden_size: int
    ssl_latent_dims: tuple[int, ...] = ()
    """Widths of the projections to speech and music features: for training, never loaded."""
    # The released code fixes these three; small checkpoints for tests say them.
    lyric_encoder_heads: int = 16
    lyric_encoder_ff_dim: int = 4096
    lyric_encoder_layers: int = 6

    not_used = frozenset({"ssl_encoder_depths", "ssl_names", "max_height", "max_width"})

    def __post_init__(self) -> None:
        if self.inner_dim != self.num_attention_heads * self.attention_head_dim:
            raise ValueError(
                f"inner_dim is {self.inner_dim}, but {self.num_attention_heads} heads of "
                f"{self.attention_head_dim} make {self.num_attention_heads * self.attention_head_dim}"
            )
        if self.mlp_width < 1:
            raise ValueError(f"mlp_ratio {self.mlp_ratio} leaves the feed-forward without width")
        if self.patch_size != (LATENT_HEIGHT, 1):
            raise ValueError(f"patch_size must be [{LATENT_HEIGHT}, 1], not {list(self.patch_size)}")
        if self.attention_head_dim % 2:
            raise ValueError(f"attention_head_dim must be even, not {self.attention_head_dim}")
        if self.lyric_hidden_size % (2 * self.lyric_encoder_heads):
            raise ValueError(
                f"lyric_hidden_size {self.lyric_hidden_size} must divide into "
                f"{self.lyric_encoder_heads} heads of even width"
            )

    @property
    def mlp_width(self) -> int:
        """Width after the gate of GLUMBConv."""
        return int(self.inner_dim * self.mlp_ratio)

    @property
    def patch_channels(self) -> int:
        """Width of one latent frame after the first convolution of the patch embedding."""
        return self.in_channels * 256


@dataclass(frozen=True, kw_only=True)
class VocoderConfig(_StrictConfig):
    """`music_vocoder/config.json`: ConvNeXt backbone, HiFi-GAN head and the log-mel both were trained on."""

    input_channels: int
    depths: tuple[int, ...]
    dims: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    upsample_rates: tuple[int, ...]
    upsample_kernel_sizes: tuple[int, ...]
    resblock_kernel_sizes: tuple[int, ...]
    resblock_dilation_sizes: tuple[tuple[int, ...], ...]
    num_mels: int
    """Width of the backbone's output (the released name; the log-mel has `n_mels` bands)."""
    upsample_initial_channel: int
    pre_conv_kernel_size: int
    post_conv_kernel_size: int
    sampling_rate: int
    n_fft: int
    win_length: int
    hop_length: int
    f_min: float
    f_max: float
    n_mels: int

    not_used = frozenset({"drop_path_rate", "use_template"})

    def __post_init__(self) -> None:
        if len(self.depths) != len(self.dims):
            raise ValueError(f"depths {self.depths} and dims {self.dims} must be as many")
        if len(self.upsample_rates) != len(self.upsample_kernel_sizes):
            raise ValueError("upsample_rates and upsample_kernel_sizes must be as many")
        if len(self.resblock_kernel_sizes) != len(self.resblock_dilation_sizes):
            raise ValueError("resblock_kernel_sizes and resblock_dilation_sizes must be as many")
        if self.dims[-1] != self.num_mels:
            raise ValueError(f"num_mels {self.num_mels} must be the backbone's last width {self.dims[-1]}")
