"""Audio to log-mel spectrogram, as the autoencoder was trained on it.

Knows the short-time Fourier transform and the mel scale; not how the autoencoder scales what comes out.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from services.music.acestep.config import VocoderConfig

# The first keeps the root's slope finite at silence, the second the logarithm (−11.5).
POWER_FLOOR = 1e-6
MEL_FLOOR = 1e-5


@dataclass(frozen=True)
class LogMel:
    """Log-mel spectrogram with slaney's mel scale and norm, in float64 on the CPU.

    Bins near silence lie five decades below the loudest: float32's rounding in the transform alone moves
    their logarithm by 1e-3. Only the encoder listens to audio, once for a song.
    """

    sample_rate_hz: int
    n_fft: int
    win_length: int
    hop_length: int
    bands: int
    low_hz: float
    high_hz: float

    @classmethod
    def of(cls, config: VocoderConfig) -> "LogMel":
        """The spectrogram that this vocoder turns back into audio: its checkpoint keeps the sizes."""
        return cls(
            sample_rate_hz=config.sampling_rate,
            n_fft=config.n_fft,
            win_length=config.win_length,
            hop_length=config.hop_length,
            bands=config.n_mels,
            low_hz=config.f_min,
            high_hz=config.f_max,
        )

    def __call__(self, pcm: Tensor) -> Tensor:
        """(…, N) samples, N > win_length − hop_length, to (…, bands, N // hop_length) float32 on the CPU."""
        signal = pcm.cpu().double().reshape(-1, 1, pcm.shape[-1])  # (B, 1, N): reflection wants channels
        overlap = self.win_length - self.hop_length
        signal = F.pad(signal, (overlap // 2, overlap - overlap // 2), mode="reflect").squeeze(1)
        spectrum = torch.stft(
            signal,
            self.n_fft,
            hop_length=self.hop_length,
            win_length=self.win_length,
            window=torch.hann_window(self.win_length).double(),  # rounded to float32, as in training
            center=False,
            return_complex=True,
        )  # (B, bins, frames)
        magnitude = torch.sqrt(torch.view_as_real(spectrum).square().sum(-1) + POWER_FLOOR)
        mel = self.filterbank() @ magnitude  # (B, bands, frames)
        return mel.clamp(min=MEL_FLOOR).log().float().reshape(*pcm.shape[:-1], *mel.shape[1:])

    def filterbank(self) -> Tensor:
        """(bands, n_fft // 2 + 1): triangles of area 1 Hz, corners even on the mel scale, low to high."""
        bins_hz = torch.linspace(0, self.sample_rate_hz / 2, self.n_fft // 2 + 1, dtype=torch.float64)
        low, high = hz_to_mel(torch.tensor([self.low_hz, self.high_hz], dtype=torch.float64)).tolist()
        corners_hz = mel_to_hz(torch.linspace(low, high, self.bands + 2, dtype=torch.float64))
        left, peak, right = (corners_hz[i : self.bands + i, None] for i in range(3))  # (bands, 1) each
        rising = (bins_hz - left) / (peak - left)
        falling = (right - bins_hz) / (right - peak)
        return torch.minimum(rising, falling).clamp(min=0) * 2 / (right - left)


# Slaney's Auditory Toolbox (1998): linear to 1 kHz at 200/3 Hz a mel, then 27 mels for every factor of 6.4.
HZ_PER_MEL = 200 / 3
KNEE_HZ = 1000.0
KNEE_MEL = KNEE_HZ / HZ_PER_MEL
MELS_PER_E = 27 / math.log(6.4)


def hz_to_mel(hz: Tensor) -> Tensor:
    return torch.where(hz < KNEE_HZ, hz / HZ_PER_MEL, KNEE_MEL + MELS_PER_E * (hz / KNEE_HZ).log())


def mel_to_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < KNEE_MEL, mel * HZ_PER_MEL, KNEE_HZ * ((mel - KNEE_MEL) / MELS_PER_E).exp())
