"""The vocoder: released names and sizes, how far a sample looks, and what its precision costs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from services.music.acestep.config import ConfigError, VocoderConfig
from services.music.acestep.vocoder import Vocoder, halo_frames, is_unused, weight_normed
from services.music.acestep.weights_loading import check, tensors_of
from tests.music_acestep import released_sizes

GOLDENS = Path(__file__).parents[1] / "goldens" / "ace_step_v1"


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)


def vocoder_of(settings: dict[str, Any]) -> Vocoder:
    return Vocoder(VocoderConfig.from_mapping(settings)).eval()


def test_full_size_takes_exactly_the_released_tensors() -> None:
    released = json.loads((GOLDENS / "full_shapes.json").read_text())["music_vocoder"]
    with torch.device("meta"):
        vocoder = vocoder_of(released_sizes.VOCODER)
    check(released, tensors_of(vocoder), unused=is_unused, weight_normed=weight_normed(vocoder))


@pytest.mark.parametrize(
    ("changes", "frames"),
    [
        ({}, 91),
        ({"depths": [1, 0, 1, 0], "resblock_kernel_sizes": [3, 3, 3, 3]}, 21),
        ({"resblock_dilation_sizes": [[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 9, 1]]}, 96),
    ],
)
@torch.no_grad()
def test_a_frame_is_heard_as_far_as_the_halo_and_no_further(changes: dict[str, Any], frames: int) -> None:
    vocoder = vocoder_of(released_sizes.NARROW_VOCODER | changes)
    assert halo_frames(vocoder.config) == frames
    mel = torch.zeros(1, 128, 2 * frames + 21)
    mel[..., frames + 10] = torch.nan  # spreads to every sample that depends on it
    spoilt = vocoder(mel)[0].isnan().reshape(-1, 512).any(dim=1).nonzero().flatten()
    assert spoilt.tolist() == list(range(10, 2 * frames + 11))


@torch.no_grad()
def test_an_item_of_a_batch_sounds_as_it_does_alone() -> None:
    vocoder = vocoder_of(released_sizes.NARROW_VOCODER)
    mels = torch.randn(3, 128, 20) * 2 - 5
    torch.testing.assert_close(vocoder(mels)[1:2], vocoder(mels[1:2]), atol=1e-6, rtol=0)


@torch.no_grad()
def test_samples_are_float32_whatever_the_weights_are() -> None:
    vocoder = vocoder_of(released_sizes.NARROW_VOCODER)
    mel = torch.randn(1, 128, 20) * 2 - 5
    full = vocoder(mel)
    half = vocoder.bfloat16()(mel)
    assert half.dtype == torch.float32
    assert torch.linalg.vector_norm(half - full) < 0.02 * torch.linalg.vector_norm(full)
    assert (half != half.bfloat16()).float().mean() > 0.9  # no steps of eight bits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"upsample_rates": [4, 4, 2, 2, 2, 2, 4]}, "upsample_rates"),
        ({"kernel_sizes": [3, 7]}, "kernel_sizes"),
    ],
)
def test_sizes_that_do_not_fit_one_another_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        vocoder_of(released_sizes.NARROW_VOCODER | changes)
