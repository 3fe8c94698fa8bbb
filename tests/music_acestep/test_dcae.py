"""The decoder in two parts: diffusers' whole, by pieces of any size, and how far its later part looks."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC

from services.music.acestep.config import ConfigError
from services.music.acestep.dcae import build_autoencoder, deepest_stage, later_stages, later_stages_halo
from services.music.acestep.weights_loading import check, tensors_of
from tests.music_acestep import released_sizes

GOLDENS = Path(__file__).parents[1] / "goldens" / "ace_step_v1"


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)


def autoencoder_of(settings: dict[str, Any], folder: Path) -> AutoencoderDC:
    config_file = folder / "config.json"
    config_file.write_text(json.dumps(settings))
    return build_autoencoder(config_file)


def test_full_size_takes_exactly_the_released_tensors(tmp_path: Path) -> None:
    released = json.loads((GOLDENS / "full_shapes.json").read_text())["music_dcae_f8c8"]
    with torch.device("meta"):
        autoencoder = autoencoder_of(released_sizes.DCAE, tmp_path)
    check(released, tensors_of(autoencoder))


@pytest.mark.parametrize("frames", [1, 2, 5, 23])
@pytest.mark.parametrize("piece_frames", [1, 4, 23, 256])
@torch.no_grad()
def test_two_parts_in_pieces_are_the_whole_decoder(tmp_path: Path, frames: int, piece_frames: int) -> None:
    decoder = autoencoder_of(released_sizes.NARROW_DCAE, tmp_path).decoder
    latents = torch.randn(2, 8, 16, frames)
    mel = later_stages(decoder, deepest_stage(decoder, latents, piece_frames))
    torch.testing.assert_close(mel, decoder(latents), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_every_feature_has_seen_the_whole_song(tmp_path: Path) -> None:
    decoder = autoencoder_of(released_sizes.NARROW_DCAE, tmp_path).decoder
    latents = torch.randn(1, 8, 16, 40)
    elsewhere = latents.clone()
    elsewhere[..., -1] += 1
    difference = deepest_stage(decoder, elsewhere, 7) - deepest_stage(decoder, latents, 7)
    assert difference[..., 0].abs().max() > 1e-4


@pytest.mark.parametrize(("layers", "frames"), [([3, 3, 3, 3], 7), ([1, 1, 1, 1], 3), ([2, 1, 4, 1], 6)])
@torch.no_grad()
def test_a_frame_is_seen_as_far_as_the_halo_and_no_further(
    tmp_path: Path, layers: list[int], frames: int
) -> None:
    settings = released_sizes.NARROW_DCAE | {"decoder_layers_per_block": layers}
    decoder = autoencoder_of(settings, tmp_path).decoder
    assert later_stages_halo(decoder) == frames
    features = torch.zeros(1, 8, 16, 2 * frames + 21)
    features[..., frames + 10] = torch.nan  # spreads to every mel frame that depends on it
    spoilt = later_stages(decoder, features).isnan().any(dim=2).any(dim=1).reshape(-1, 8).any(dim=1)
    assert spoilt.nonzero().flatten().tolist() == list(range(10, 2 * frames + 11))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_colour": 3}, "latent_colour"),
        ({"upsample_block_type": "pixel_shuffle"}, "interpolating"),
        (
            {"decoder_block_types": ["ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock"]},
            "later",
        ),
        ({"decoder_block_types": "ResBlock"}, "deepest"),
        ({"encoder_block_out_channels": [8, 8, 8]}, "compresses by 4"),
    ],
)
def test_an_autoencoder_that_windows_do_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        autoencoder_of(released_sizes.NARROW_DCAE | changes, tmp_path)


@pytest.mark.parametrize("text", [None, "{", "[1]"])
def test_a_missing_or_broken_configuration_names_its_file(tmp_path: Path, text: str | None) -> None:
    config_file = tmp_path / "config.json"
    if text is not None:
        config_file.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.json"):
        build_autoencoder(config_file)
