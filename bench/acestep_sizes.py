"""Models of acestep with random weights at named sizes, straight into the memory of a device: no checkpoint.

tiny is that of the tests; mid is for comparisons on a CPU, its codec a quarter as wide as the released; full
is ACE-Step v1 3.5B.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from torch import nn
from transformers import UMT5Config, UMT5EncoderModel

from services.music.acestep import tiny_checkpoint
from services.music.acestep.codec import Codec
from services.music.acestep.config import TransformerConfig, VocoderConfig
from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.transformer import Transformer
from services.music.acestep.vocoder import Vocoder
from services.music.acestep.weights_loading import materialise


@dataclass(frozen=True)
class Size:
    transformer: TransformerConfig
    text_encoder: Mapping[str, Any]
    dcae: Mapping[str, Any]
    vocoder: VocoderConfig


def _transformer(layers: int, heads: int, head_dim: int) -> TransformerConfig:
    """The released sizes but for these three."""
    return TransformerConfig(
        num_layers=layers, num_attention_heads=heads, attention_head_dim=head_dim, inner_dim=heads * head_dim,
        mlp_ratio=2.5, in_channels=8, out_channels=8, patch_size=(16, 1), max_position=32_768,
        rope_theta=1e6, speaker_embedding_dim=512, text_embedding_dim=768, lyric_encoder_vocab_size=6_693,
        lyric_hidden_size=1_024,
    )  # fmt: skip


def _vocoder(narrower: int) -> VocoderConfig:
    return VocoderConfig(
        input_channels=128, depths=(3, 3, 9, 3), dims=tuple(d // narrower for d in (128, 256, 384, 512)),
        kernel_sizes=(7,), upsample_rates=(4, 4, 2, 2, 2, 2, 2), upsample_kernel_sizes=(8, 8, 4, 4, 4, 4, 4),
        resblock_kernel_sizes=(3, 7, 11, 13), resblock_dilation_sizes=((1, 3, 5),) * 4,
        num_mels=512 // narrower, upsample_initial_channel=1_024 // narrower, pre_conv_kernel_size=13,
        post_conv_kernel_size=13, sampling_rate=44_100, n_fft=2_048, win_length=2_048, hop_length=512,
        f_min=40.0, f_max=16_000.0, n_mels=128,
    )  # fmt: skip


def _dcae(narrower: int) -> dict[str, Any]:
    widths = [width // narrower for width in (128, 256, 512, 1_024)]
    layers = {"encoder_layers_per_block": [2, 2, 3, 3], "decoder_layers_per_block": [3, 3, 3, 3]}
    channels = {"encoder_block_out_channels": widths, "decoder_block_out_channels": widths}
    return {**tiny_checkpoint.DCAE, **layers, **channels, "attention_head_dim": 32}


_UMT5_BASE = {
    **tiny_checkpoint.TEXT_ENCODER,
    **{"vocab_size": 256_384, "d_model": 768, "d_kv": 64, "d_ff": 2_048, "num_heads": 12},
}
SIZES: Mapping[str, Size] = {
    "tiny": Size(
        TransformerConfig.from_mapping(tiny_checkpoint.transformer_settings(heads=2, layers=24)),
        tiny_checkpoint.TEXT_ENCODER,
        tiny_checkpoint.DCAE,
        VocoderConfig.from_mapping(tiny_checkpoint.VOCODER),
    ),
    "mid": Size(_transformer(8, 8, 64), {**_UMT5_BASE, "vocab_size": 259}, _dcae(4), _vocoder(4)),
    "full": Size(_transformer(24, 20, 128), _UMT5_BASE, _dcae(1), _vocoder(1)),
}


@dataclass(frozen=True, eq=False)
class RandomModels:
    transformer: Transformer
    text_encoder: TextEncoder
    codec: Codec


def random_models(size: Size, device: torch.device, dtype: torch.dtype) -> RandomModels:
    with torch.device("meta"):
        transformer, vocoder = Transformer(size.transformer), Vocoder(size.vocoder)
        autoencoder: AutoencoderDC = AutoencoderDC(**size.dcae)
        text = UMT5EncoderModel(UMT5Config(**size.text_encoder))
    text.encoder.embed_tokens = text.shared
    generator = torch.Generator(device).manual_seed(0)
    for module in (transformer, vocoder, autoencoder, text):
        materialise(module, device, dtype)
        module.train(False)
        _fill(module, generator)
    encoder = TextEncoder(text, tiny_checkpoint.byte_tokenizer())
    return RandomModels(transformer, encoder, Codec(autoencoder, vocoder))


@torch.no_grad()
def _fill(module: nn.Module, generator: torch.Generator) -> None:
    """Weights by their fan-in, gains of 1 and biases of 0: what is computed stays of order one."""
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(generator=generator).mul_(parameter[0].numel() ** -0.5)
        else:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
