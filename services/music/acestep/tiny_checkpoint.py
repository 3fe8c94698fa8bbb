"""A small random checkpoint in the released layout, for conformance, benchmarks and tests: no 8 GB needed.

Every tensor is drawn from its own name and a seed, so the same arguments give the same checkpoint anywhere
and golden outputs can be compared without shipping weights.
"""

import json
import zlib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from transformers import UMT5Config, UMT5EncoderModel

from services.music.acestep.config import (
    CONFIG_FILE,
    DCAE_FOLDER,
    DIFFUSERS_WEIGHTS_FILE,
    TEXT_ENCODER_FOLDER,
    TEXT_ENCODER_WEIGHTS_FILE,
    TOKENIZER_FILE,
    TRANSFORMER_FOLDER,
    VOCODER_FOLDER,
    TransformerConfig,
    VocoderConfig,
)
from services.music.acestep.transformer import Transformer

Shapes = dict[str, tuple[int, ...]]

HEAD_DIM = 16
VOCODER: dict[str, Any] = {
    "_class_name": "ADaMoSHiFiGANV1",
    "input_channels": 128,
    "depths": [1, 1, 2, 1],
    "dims": [16, 24, 32, 48],
    "drop_path_rate": 0.0,
    "kernel_sizes": [7],
    "upsample_rates": [4, 4, 2, 2, 2, 2, 2],
    "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4, 4],
    "resblock_kernel_sizes": [3, 7],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]],
    "num_mels": 48,
    "upsample_initial_channel": 128,
    "use_template": False,
    "pre_conv_kernel_size": 13,
    "post_conv_kernel_size": 13,
    "sampling_rate": 44100,
    "n_fft": 2048,
    "win_length": 2048,
    "hop_length": 512,
    "f_min": 40,
    "f_max": 16000,
    "n_mels": 128,
}
DCAE: dict[str, Any] = {
    "in_channels": 2,
    "latent_channels": 8,
    "attention_head_dim": 16,
    "encoder_block_types": ["ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock"],
    "decoder_block_types": ["ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock"],
    "encoder_block_out_channels": [8, 16, 32, 64],
    "decoder_block_out_channels": [8, 16, 32, 64],
    "encoder_layers_per_block": [1, 1, 1, 1],
    "decoder_layers_per_block": [1, 1, 1, 1],
    "encoder_qkv_multiscales": [[], [], [5], [5]],
    "decoder_qkv_multiscales": [[], [], [5], [5]],
    "upsample_block_type": "interpolate",
    "downsample_block_type": "Conv",
    "decoder_norm_types": "rms_norm",
    "decoder_act_fns": "silu",
    "scaling_factor": 0.41407,
}
TEXT_ENCODER: dict[str, Any] = {
    "vocab_size": 259,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 12,
    "num_heads": 4,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "dropout_rate": 0.0,
    "feed_forward_proj": "gated-gelu",
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}
EMBEDDINGS = ("lyric_embs.weight", "shared.weight", "embed_tokens.weight", "relative_attention_bias.weight")


def transformer_settings(heads: int, layers: int) -> dict[str, Any]:
    """`config.json` of the tiny transformer: `heads` of width 16."""
    return {
        "_class_name": "ACEStepTransformer2DModel",
        "in_channels": 8,
        "out_channels": 8,
        "patch_size": [16, 1],
        "max_height": 16,
        "max_width": 4096,
        "max_position": 4096,
        "rope_theta": 1_000_000.0,
        "num_layers": layers,
        "num_attention_heads": heads,
        "attention_head_dim": HEAD_DIM,
        "inner_dim": heads * HEAD_DIM,
        "mlp_ratio": 2.5,
        "speaker_embedding_dim": 512,
        "text_embedding_dim": TEXT_ENCODER["d_model"],
        "ssl_encoder_depths": [8, 8],
        "ssl_names": ["mert", "m-hubert"],
        "ssl_latent_dims": [16, 16],
        "lyric_encoder_vocab_size": 6693,
        "lyric_hidden_size": 32,
        "lyric_encoder_heads": 4,
        "lyric_encoder_ff_dim": 64,
        "lyric_encoder_layers": 6,
    }


def transformer_shapes(config: TransformerConfig) -> Shapes:
    """Every tensor of a released transformer file, those for training included."""
    with torch.device("meta"):
        shapes = {name: tuple(view.shape) for name, view in Transformer(config).released_tensors().items()}
    d = config.inner_dim
    for layer in range(config.num_layers):
        for name in ("add_k_proj", "add_v_proj", "add_q_proj", "to_add_out"):
            prefix = f"transformer_blocks.{layer}.cross_attn.{name}"
            shapes |= {f"{prefix}.weight": (d, d), f"{prefix}.bias": (d,)}
    for i, out in enumerate(config.ssl_latent_dims):
        for position, (rows, columns) in {0: (2 * d, d), 2: (2 * d, 2 * d), 4: (out, 2 * d)}.items():
            shapes |= {
                f"projectors.{i}.{position}.weight": (rows, columns),
                f"projectors.{i}.{position}.bias": (rows,),
            }
    return shapes


def _plain(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _weight_normed(name: str, *shape: int, bias: int) -> Shapes:
    return {
        f"{name}.bias": (bias,),
        f"{name}.weight_g": (shape[0],) + (1,) * (len(shape) - 1),
        f"{name}.weight_v": shape,
    }


def vocoder_shapes(config: VocoderConfig) -> Shapes:
    """Every tensor of a released vocoder file, weight norm unfolded."""
    dims, kernel = config.dims, config.kernel_sizes[0]
    shapes = _plain("backbone.channel_layers.0.0", dims[0], config.input_channels, kernel)
    shapes |= _plain("backbone.channel_layers.0.1", dims[0])
    for i, (narrow, wide) in enumerate(pairwise(dims), start=1):
        shapes |= _plain(f"backbone.channel_layers.{i}.0", narrow) | _plain(
            f"backbone.channel_layers.{i}.1", wide, narrow, 1
        )
    for i, (depth, d) in enumerate(zip(config.depths, dims, strict=True)):
        for j in range(depth):
            block = f"backbone.stages.{i}.{j}"
            shapes |= (
                {f"{block}.gamma": (d,)}
                | _plain(f"{block}.dwconv", d, 1, kernel)
                | _plain(f"{block}.norm", d)
            )
            shapes |= _plain(f"{block}.pwconv1", 4 * d, d) | _plain(f"{block}.pwconv2", d, 4 * d)
    shapes |= _plain("backbone.norm", dims[-1])

    channels = config.upsample_initial_channel
    shapes |= _weight_normed(
        "head.conv_pre", channels, config.num_mels, config.pre_conv_kernel_size, bias=channels
    )
    resblock = 0
    for i, size in enumerate(config.upsample_kernel_sizes):
        shapes |= _weight_normed(f"head.ups.{i}", channels, channels // 2, size, bias=channels // 2)
        channels //= 2
        for size, dilations in zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True):
            for j in range(len(dilations)):
                for convs in ("convs1", "convs2"):
                    name = f"head.resblocks.{resblock}.{convs}.{j}"
                    shapes |= _weight_normed(name, channels, channels, size, bias=channels)
            resblock += 1
    shapes |= _weight_normed("head.conv_post", 1, channels, config.post_conv_kernel_size, bias=1)
    return shapes


def tensor(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """The float32 tensor of this name, shape and seed; scaled so that activations stay of order one."""
    generator = torch.Generator().manual_seed((zlib.crc32(name.encode()) ^ seed * 2654435761) & 0x7FFFFFFF)
    noise: Tensor = torch.randn(shape, generator=generator)
    leaf = name.rpartition(".")[2]
    if leaf == "bias":
        return 0.1 * noise
    if leaf == "scale_shift_table":
        return 0.3 * noise
    if leaf == "weight_g" or noise.ndim == 1:  # magnitudes, gains and layer scales
        return 1.0 + 0.1 * noise
    if name.endswith(EMBEDDINGS):
        return noise
    by_fan_in: Tensor = noise * noise[0].numel() ** -0.5
    return by_fan_in


def tensors(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    return {name: tensor(name, shape, seed) for name, shape in shapes.items()}


def byte_tokenizer() -> Tokenizer:
    """One token per UTF-8 byte and `</s>` at the end: small, and defined on every string."""
    names = ["<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.add_special_tokens(names[:3])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def _write_json(file: Path, value: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2))


def _write_text_encoder(folder: Path, seed: int) -> None:
    with torch.device("meta"):
        shapes = {
            n: tuple(t.shape) for n, t in UMT5EncoderModel(UMT5Config(**TEXT_ENCODER)).state_dict().items()
        }
    del shapes["encoder.embed_tokens.weight"]  # the same matrix as shared.weight
    _write_json(folder / CONFIG_FILE, {"model_type": "umt5", **TEXT_ENCODER})
    save_file(tensors(shapes, seed), folder / TEXT_ENCODER_WEIGHTS_FILE)
    byte_tokenizer().save(str(folder / TOKENIZER_FILE))
    specials = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    _write_json(folder / "special_tokens_map.json", specials)
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **specials})


def write(folder: Path, *, seed: int = 0, heads: int = 2, layers: int = 24) -> Path:
    """Writes a checkpoint of some megabytes into `folder` and returns it."""
    transformer = transformer_settings(heads, layers)
    with torch.device("meta"):
        dcae = {n: tuple(t.shape) for n, t in AutoencoderDC(**DCAE).state_dict().items()}
    parts = (
        (TRANSFORMER_FOLDER, transformer, transformer_shapes(TransformerConfig.from_mapping(transformer))),
        (VOCODER_FOLDER, VOCODER, vocoder_shapes(VocoderConfig.from_mapping(VOCODER))),
        (DCAE_FOLDER, {"_class_name": "AutoencoderDC", **DCAE}, dcae),
    )
    for name, settings, shapes in parts:
        _write_json(folder / name / CONFIG_FILE, settings)
        save_file(tensors(shapes, seed), folder / name / DIFFUSERS_WEIGHTS_FILE)
    _write_text_encoder(folder / TEXT_ENCODER_FOLDER, seed)
    return folder
