"""Configuration files: what is read, and what is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.music.acestep.config import ConfigError, TransformerConfig, VocoderConfig
from services.music.acestep.tiny_checkpoint import VOCODER, transformer_settings

RELEASED = {
    "_class_name": "Transformer2DModel",
    "_diffusers_version": "0.27.2",
    "in_channels": 8,
    "num_layers": 24,
    "inner_dim": 2560,
    "attention_head_dim": 128,
    "num_attention_heads": 20,
    "mlp_ratio": 2.5,
    "out_channels": 8,
    "max_position": 32768,
    "rope_theta": 1000000.0,
    "speaker_embedding_dim": 512,
    "text_embedding_dim": 768,
    "ssl_encoder_depths": [8, 8],
    "ssl_names": ["mert", "m-hubert"],
    "ssl_latent_dims": [1024, 768],
    "patch_size": [16, 1],
    "max_height": 16,
    "max_width": 32768,
    "lyric_encoder_vocab_size": 6693,
    "lyric_hidden_size": 1024,
}


def test_the_released_configuration_is_read_with_the_sizes_that_its_code_fixes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(RELEASED))
    config = TransformerConfig.from_file(tmp_path / "config.json")
    assert (config.lyric_encoder_heads, config.lyric_encoder_ff_dim, config.lyric_encoder_layers) == (
        16,
        4096,
        6,
    )
    assert (config.patch_size, config.mlp_width, config.patch_channels) == ((16, 1), 6400, 2048)


def test_the_extra_sizes_of_a_tiny_checkpoint_are_read() -> None:
    config = TransformerConfig.from_mapping(transformer_settings(3, 26))
    assert (config.inner_dim, config.num_layers) == (48, 26)
    assert (config.lyric_encoder_heads, config.lyric_encoder_ff_dim) == (4, 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": None}, "num_layers is missing"),
        ({"hidden_layers": 3}, "unknown key 'hidden_layers'"),
        ({"num_layers": 24.0}, "num_layers must be int, not 24.0"),
        ({"num_layers": True}, "num_layers must be int, not True"),
        ({"num_layers": 0}, "num_layers must be at least 1, not 0"),
        ({"in_channels": -8}, "in_channels must be at least 1, not -8"),
        ({"mlp_ratio": -2.5}, "mlp_ratio -2.5 leaves the feed-forward without width"),
        ({"mlp_ratio": "2.5"}, "mlp_ratio must be float, not '2.5'"),
        ({"patch_size": 16}, "patch_size must be a list of integers, not 16"),
        ({"patch_size": [16, 2]}, r"patch_size must be \[16, 1\], not \[16, 2\]"),
        ({"inner_dim": 1000}, "inner_dim is 1000, but 20 heads of 128 make 2560"),
        ({"lyric_hidden_size": 1000}, "lyric_hidden_size 1000 must divide into 16 heads"),
    ],
)
def test_a_wrong_configuration_is_refused_by_key(changes: dict[str, Any], message: str) -> None:
    settings = {key: value for key, value in (RELEASED | changes).items() if value is not None}
    with pytest.raises(ConfigError, match=f"^config.json: .*{message}"):
        TransformerConfig.from_mapping(settings)


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", '"text"'])
def test_a_file_that_is_no_json_object_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=str(tmp_path / "config.json")):
        TransformerConfig.from_file(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dims": [16, 24, 32]}, "depths .* and dims .* must be as many"),
        ({"num_mels": 47}, "num_mels 47 must be the backbone's last width 48"),
        ({"resblock_dilation_sizes": [[1, 3], [1, "3"]]}, "resblock_dilation_sizes must be a list of lists"),
        ({"upsample_rates": [4, 4]}, "upsample_rates and upsample_kernel_sizes"),
    ],
)
def test_a_wrong_vocoder_configuration_is_refused_by_key(changes: dict[str, Any], message: str) -> None:
    assert VocoderConfig.from_mapping(VOCODER).f_min == 40.0
    with pytest.raises(ConfigError, match=message):
        VocoderConfig.from_mapping(VOCODER | changes)
