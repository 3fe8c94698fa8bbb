"""What is kept of a song so that it can be edited: its latents as they were decoded, and its exact length.

Knows the bytes; nothing of models. A header of 32 bytes (magic with the format's version, channels, height,
frames, samples, zeros), then fp16 latents (8, 16, T), little-endian, in C order.
"""

import struct
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from services.music.acestep.codec import latent_frames
from services.music.acestep.config import LATENT_CHANNELS, LATENT_HEIGHT

_MAGIC = b"acestep\x01"
_HEADER = struct.Struct("<8sHHIQ8x")


class StateError(ValueError):
    """Bytes that are not the state of a song of this engine; says why."""


@dataclass(frozen=True, eq=False)
class SongState:
    latents: Tensor  # (8, 16, T) float16 on the CPU, finite
    samples: int

    def __post_init__(self) -> None:
        shape = (LATENT_CHANNELS, LATENT_HEIGHT, latent_frames(self.samples))
        if self.samples < 1 or self.latents.shape != shape:
            raise StateError(f"latents {tuple(self.latents.shape)} do not hold {self.samples} samples")
        if not bool(self.latents.isfinite().all()):
            raise StateError("latents are not finite numbers")

    @classmethod
    def of(cls, latents: Tensor, samples: int) -> Self:
        """Of latents (8, 16, T) as sampled: rounded to fp16, which is what is to be decoded."""
        return cls(latents.to(torch.float16).cpu(), samples)

    def to_bytes(self) -> bytes:
        header = _HEADER.pack(_MAGIC, *self.latents.shape, self.samples)
        return header + self.latents.numpy().astype("<f2").tobytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Raises StateError."""
        if len(state) < _HEADER.size or state[: len(_MAGIC)] != _MAGIC:
            raise StateError("not a state of the engine acestep")
        _, channels, height, frames, samples = _HEADER.unpack_from(state)
        if len(state) != _HEADER.size + 2 * channels * height * frames:
            raise StateError(f"{len(state)} bytes are not a header and {frames} latent frames")
        numbers = np.frombuffer(state, "<f2", offset=_HEADER.size).astype(np.float16)
        return cls(torch.from_numpy(numbers).view(channels, height, frames), samples)
