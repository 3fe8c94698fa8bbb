"""How the engine llama runs: what the settings choose of device, batch and sampling.

Knows values. Imports no torch, so settings can be read where there is none.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DeviceChoice = Literal["auto", "cuda", "mps", "cpu"]
DtypeChoice = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Sampling:
    """Of each token. The penalty is CTRL's (Keskar et al. 2019, section 4.1), over a song's own words."""

    temperature: float = 0.8
    top_p: float = 0.9
    repetition_penalty: float = 1.1


@dataclass(frozen=True)
class LlamaOptions:
    """`batch` songs are written at once, each in at most `max_new_tokens` tokens."""

    weights: Path
    device: DeviceChoice = "auto"
    dtype: DtypeChoice = "auto"
    batch: int = 8
    constrained: bool = True
    languages: tuple[str, ...] = ("en",)
    max_new_tokens: int = 2048
    sampling: Sampling = Sampling()


class CannotStart(Exception):
    """Why the engine cannot be opened, in one line that says what to do."""
