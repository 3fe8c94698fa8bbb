"""What is kept of a song so that it can be edited: its latents as they were decoded, and its exact length.

Knows the bytes; nothing of models. A header of 32 bytes (magic with the format's version, channels, height,
frames, samples, the song's first sample within the latents, length of what is behind them), then fp16 latents
(8, 16, T), little-endian, in C order, then how the song was made (see `making`).
"""

import struct
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from services.music.acestep.codec import SAMPLES_PER_LATENT, latent_frames
from services.music.acestep.config import LATENT_CHANNELS, LATENT_HEIGHT

_MAGIC = b"acestep\x01"
_HEADER = struct.Struct("<8sHHIQII")


class StateError(ValueError):
    """Bytes that are not the state of a song of this engine; says why."""


@dataclass(frozen=True, eq=False)
class SongState:
    latents: Tensor  # (8, 16, T) float16 on the CPU, finite
    samples: int
    # Within the latents: a song that was extended to the left need not begin on a frame.
    start: int = 0
    making: bytes = b""

    def __post_init__(self) -> None:
        shape = (LATENT_CHANNELS, LATENT_HEIGHT, latent_frames(self.start + self.samples))
        if self.samples < 1 or not 0 <= self.start < SAMPLES_PER_LATENT or self.latents.shape != shape:
            held = f"{self.samples} samples from {self.start}"
            raise StateError(f"latents {tuple(self.latents.shape)} do not hold {held}")
        if not bool(self.latents.isfinite().all()):
            raise StateError("latents are not finite numbers")

    @classmethod
    def of(cls, latents: Tensor, samples: int, *, start: int = 0, making: bytes = b"") -> Self:
        """Of latents (8, 16, T) as sampled: rounded to fp16, which is what is to be decoded."""
        return cls(latents.to(torch.float16).cpu(), samples, start, making)

    def to_bytes(self) -> bytes:
        header = _HEADER.pack(_MAGIC, *self.latents.shape, self.samples, self.start, len(self.making))
        return header + self.latents.numpy().astype("<f2").tobytes() + self.making

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Raises StateError."""
        if len(state) < _HEADER.size or state[: len(_MAGIC)] != _MAGIC:
            raise StateError("not a state of the engine acestep")
        _, channels, height, frames, samples, start, behind = _HEADER.unpack_from(state)
        count = channels * height * frames
        if len(state) != _HEADER.size + 2 * count + behind:
            raise StateError(
                f"{len(state)} bytes are not a header, {frames} latent frames and {behind} bytes"
            )
        numbers = np.frombuffer(state, "<f2", count, _HEADER.size).astype(np.float16)
        making = state[len(state) - behind :]
        return cls(torch.from_numpy(numbers).view(channels, height, frames), samples, start, making)
