"""The log-mel spectrogram against the goldens, its filters against triangles drawn from their definition."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from services.music.acestep.config import VocoderConfig
from services.music.acestep.log_mel import LogMel
from tests.music_acestep import released_sizes

GOLDENS = Path(__file__).parents[1] / "goldens" / "ace_step_v1"


@pytest.fixture
def log_mel() -> LogMel:
    return LogMel.of(VocoderConfig.from_mapping(released_sizes.VOCODER))


def slaney_hz(mel: float) -> float:
    """Slaney's scale by its definition: 15 even steps to 1 kHz, then 27 for a factor of 6.4."""
    return mel * 200 / 3 if mel <= 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def test_spectrogram_agrees_with_the_golden_one(log_mel: LogMel) -> None:
    goldens = load_file(GOLDENS / "goldens.audio.safetensors")
    golden = goldens["audio/encode_mel"]
    difference = (log_mel(goldens["audio/encode_input"]) - golden).abs()
    assert (difference <= 1e-4 * golden.abs().clamp(min=1)).all()


def test_filters_are_triangles_between_even_mels(log_mel: LogMel) -> None:
    bins_hz = np.arange(1025) * 44_100 / 2048
    low, high = 40 * 3 / 200, 15 + 27 * math.log(16) / math.log(6.4)  # 40 Hz and 16 kHz in mels
    corners = [slaney_hz(low + (high - low) * i / 129) for i in range(130)]
    for band, filter_ in enumerate(log_mel.filterbank().numpy()):
        left, peak, right = corners[band : band + 3]
        triangle = np.interp(bins_hz, [left, peak, right], [0, 2 / (right - left), 0])
        np.testing.assert_allclose(filter_, triangle, atol=1e-12)


def test_noise_of_one_level_is_equally_loud_in_every_wide_band(log_mel: LogMel) -> None:
    sums = log_mel.filterbank().sum(dim=1) * 44_100 / 2048  # the area of a triangle, in bins
    assert ((sums[60:] - 1).abs() < 0.05).all()


def test_a_tone_is_loudest_in_the_band_around_it(log_mel: LogMel) -> None:
    tone = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(44_100) / 44_100)
    band = int(log_mel(tone)[:, 40].argmax())
    step = (15 + 27 * math.log(16) / math.log(6.4) - 0.6) / 129
    assert slaney_hz(0.6 + step * band) < 440 < slaney_hz(0.6 + step * (band + 2))


@pytest.mark.parametrize("samples", [4096, 5000, 44_100])
def test_there_is_one_frame_per_hop(log_mel: LogMel, samples: int) -> None:
    assert log_mel(torch.zeros(3, 2, samples)).shape == (3, 2, 128, samples // 512)


def test_channels_do_not_hear_one_another(log_mel: LogMel) -> None:
    stereo = torch.randn(2, 8192, generator=torch.Generator().manual_seed(1))
    assert torch.equal(log_mel(stereo)[1], log_mel(stereo[1]))
