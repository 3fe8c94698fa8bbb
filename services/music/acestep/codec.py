"""Latents to audio and back: DCAE and vocoder behind one face, a song decoded window by window.

Knows the scaling of latents and mels, and how windows are cut so that they leave no seam; not where latents
come from, what becomes of the samples, or who listens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from torch import Tensor
from torch.nn import functional as F

from services.music.acestep.config import (
    CONFIG_FILE,
    DCAE_FOLDER,
    DIFFUSERS_WEIGHTS_FILE,
    VOCODER_FOLDER,
    ConfigError,
    VocoderConfig,
)
from services.music.acestep.dcae import (
    MEL_FRAMES_PER_LATENT,
    build_autoencoder,
    deepest_stage,
    later_stages,
    later_stages_halo,
)
from services.music.acestep.log_mel import LogMel
from services.music.acestep.vocoder import Vocoder, halo_frames, is_unused, weight_normed
from services.music.acestep.weights_loading import load, materialise, tensors_of
from services.music.acestep.windows import WindowPlan, ceil_div, surroundings

SAMPLE_RATE_HZ = 44_100
SAMPLES_PER_MEL_FRAME = 512
SAMPLES_PER_LATENT = MEL_FRAMES_PER_LATENT * SAMPLES_PER_MEL_FRAME  # 4096: 10.77 latent frames a second

# The released constants: latents of about zero mean and unit variance, mels of −1 … 1 for the autoencoder.
LATENT_SHIFT = -1.9091
LATENT_SCALE = 0.1786
MEL_LOW = -11.0
MEL_HIGH = 3.0


def latent_frames(samples: int) -> int:
    """Latent frames that hold `samples` samples: rounded up, so that audio is trimmed and never missing."""
    return ceil_div(samples, SAMPLES_PER_LATENT)


@dataclass(frozen=True)
class Codec:
    """Stereo 44.1 kHz audio ↔ latents (B, 8, 16, T), on the weights' device, in their dtype; mels in float32.

    Raises:
        ConfigError: autoencoder and vocoder are not made for 44.1 kHz and one another.
    """

    autoencoder: AutoencoderDC
    vocoder: Vocoder
    windows: WindowPlan = field(default_factory=WindowPlan)

    def __post_init__(self) -> None:
        made_for = (self.vocoder.config.sampling_rate, self.vocoder.config.hop_length)
        if made_for != (SAMPLE_RATE_HZ, SAMPLES_PER_MEL_FRAME):
            raise ConfigError(f"vocoder: sampling_rate and hop_length must be 44100 and 512, not {made_for}")

    @classmethod
    def from_checkpoint(
        cls, folder: Path, device: torch.device | str, dtype: torch.dtype, windows: WindowPlan | None = None
    ) -> Self:
        """Reads `music_dcae_f8c8/` and `music_vocoder/`, tensor by tensor to their place.

        Raises:
            ConfigError, CheckpointMismatch: a configuration or weights file is not that of these models.
        """
        with torch.device("meta"):
            autoencoder = build_autoencoder(folder / DCAE_FOLDER / CONFIG_FILE)
            vocoder = Vocoder(VocoderConfig.from_file(folder / VOCODER_FOLDER / CONFIG_FILE))
        for module in (autoencoder, vocoder):
            materialise(module, device, dtype)
            module.eval()
        load(folder / DCAE_FOLDER / DIFFUSERS_WEIGHTS_FILE, tensors_of(autoencoder))
        load(
            folder / VOCODER_FOLDER / DIFFUSERS_WEIGHTS_FILE,
            tensors_of(vocoder),
            unused=is_unused,
            weight_normed=weight_normed(vocoder),
        )
        return cls(autoencoder, vocoder, windows or WindowPlan())

    @torch.no_grad()
    def encode(self, pcm: Tensor) -> Tensor:
        """(B, 2, N) samples at 44.1 kHz to latents (B, 8, 16, T), float32; silence fills the last frame."""
        samples = pcm.shape[-1]
        padded = F.pad(pcm, (0, latent_frames(samples) * SAMPLES_PER_LATENT - samples))
        mel = LogMel.of(self.vocoder.config)(padded)  # (B, 2, 128, 8·T)
        mel = (mel - MEL_LOW) / (MEL_HIGH - MEL_LOW) * 2 - 1
        latents: Tensor = self.autoencoder.encoder(mel.to(self._device, self._dtype))
        return (latents.float() - LATENT_SHIFT) * LATENT_SCALE

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """(B, 8, 16, T) latents to (B, 2, 4096 · T) samples at once: what windows equal, in more memory."""
        return self._to_pcm(self.decode_mel(latents))

    @torch.no_grad()
    def decode_mel(self, latents: Tensor) -> Tensor:
        """(B, 8, 16, T) latents to the (B, 2, 128, 8·T) log-mel that the vocoder hears, in float32."""
        return _natural_mel(later_stages(self.autoencoder.decoder, self._features(latents)))

    def decode_windows(self, latents: Tensor, n_samples: int, start_sample: int = 0) -> Iterator[Tensor]:
        """One song's latents (8, 16, T) to (2, n) float32 blocks on the codec's device, one after another.

        Together they are samples `start_sample` to `n_samples` of the whole decode: every window is decoded
        with all the surroundings that its samples depend on, and not before it is asked for.

        Raises:
            ValueError: latents of another shape, or an interval that they do not hold.
        """
        frames = latents.shape[-1]
        if latents.ndim != 3:
            raise ValueError(f"latents: one song (8, 16, T), not {tuple(latents.shape)}")
        if not 0 <= start_sample < n_samples <= frames * SAMPLES_PER_LATENT:
            raise ValueError(f"samples {start_sample} to {n_samples} of {frames * SAMPLES_PER_LATENT}")
        return self._windows(latents, n_samples, start_sample)

    @torch.no_grad()
    def _windows(self, latents: Tensor, n_samples: int, start_sample: int) -> Iterator[Tensor]:
        features = self._features(latents[None])  # (1, C, 16, T): all that grows with the song
        begin, end = start_sample // SAMPLES_PER_LATENT, latent_frames(n_samples)
        for starts, frames in self.windows.batches(begin, end):
            for start, pcm in zip(starts, self._decode_batch(features, starts, frames), strict=True):
                origin = start * SAMPLES_PER_LATENT
                yield pcm[:, max(start_sample - origin, 0) : n_samples - origin]

    def _features(self, latents: Tensor) -> Tensor:
        unscaled = latents.to(self._device).float() / LATENT_SCALE + LATENT_SHIFT
        return deepest_stage(self.autoencoder.decoder, unscaled.to(self._dtype))

    def _decode_batch(self, features: Tensor, starts: Sequence[int], frames: int) -> Iterator[Tensor]:
        """Windows of `frames` latent frames as samples (2, 4096 · frames), or what is left of the song."""
        total = features.shape[-1]
        mel_halo = halo_frames(self.vocoder.config)
        halo = later_stages_halo(self.autoencoder.decoder) + ceil_div(mel_halo, MEL_FRAMES_PER_LATENT)
        read = [surroundings(start, frames, halo, total) for start in starts]
        mels = _natural_mel(
            later_stages(self.autoencoder.decoder, torch.cat([features[..., r] for r in read]))
        )  # (W, 2, 128, 8 · read)
        # The vocoder hears less: only its own halo, and nothing within the DCAE's halo of a cut.
        eight = MEL_FRAMES_PER_LATENT
        heard = [surroundings(start * eight, frames * eight, mel_halo, total * eight) for start in starts]
        parts = [
            mel[..., h.start - r.start * eight : h.stop - r.start * eight]
            for mel, h, r in zip(mels, heard, read, strict=True)
        ]
        for pcm, start, h in zip(self._to_pcm(torch.stack(parts)), starts, heard, strict=True):
            first = start * SAMPLES_PER_LATENT - h.start * SAMPLES_PER_MEL_FRAME
            yield pcm[:, first : first + frames * SAMPLES_PER_LATENT]

    def _to_pcm(self, mel: Tensor) -> Tensor:
        """(B, 2, 128, frames) log-mel to (B, 2, 512 · frames) samples; channels are items of the batch."""
        samples: Tensor = self.vocoder(mel.flatten(0, 1))
        return samples.reshape(len(mel), 2, -1)

    @property
    def _device(self) -> torch.device:
        return self.autoencoder.decoder.conv_in.weight.device

    @property
    def _dtype(self) -> torch.dtype:
        return self.autoencoder.decoder.conv_in.weight.dtype


def _natural_mel(mel: Tensor) -> Tensor:
    """−1 … 1 as the autoencoder has it to the natural logarithm that the vocoder hears, in float32."""
    return (mel.float() + 1) / 2 * (MEL_HIGH - MEL_LOW) + MEL_LOW
