"""A goldens file: the arguments of each case, and every recorded tensor by its name.

Reads; computes nothing. `PREFIX.json` holds the cases and says which tiny checkpoint they are of;
`PREFIX.safetensors`, and any `PREFIX.*.safetensors` beside it, hold the tensors.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

INT16_SCALE = 1 / 32768
"""Samples may be kept as 16-bit PCM, a sixth of the tolerance: half the size."""


class GoldensError(ValueError):
    """The files are not goldens of this format; the message names the file and what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """The released pipeline's arguments of one case, under the names that the file gives them."""

    task: str
    prompt: str
    lyric_ids: tuple[int, ...] | None
    seeds: tuple[int, ...]
    retake_seeds: tuple[int, ...]
    steps: int
    duration: float
    guidance_scale: float
    omega: float
    scheduler: str
    cfg_type: str
    guidance_interval: float
    guidance_interval_decay: float
    min_guidance_scale: float
    erg_tag: bool
    erg_lyric: bool
    erg_diffusion: bool
    retake_variance: float
    guidance_scale_text: float
    guidance_scale_lyric: float
    repaint_start: float
    repaint_end: float
    edit_n_min: float
    edit_n_max: float
    edit_n_avg: int
    target_prompt: str | None
    target_lyric_ids: tuple[int, ...] | None
    source: str | None  # the case whose latents it edits


@dataclass(frozen=True)
class TinyCheckpoint:
    """Which checkpoint to build: see `tiny_checkpoint.write`."""

    seed: int = 0
    heads: Annotated[int, Field(ge=1)] = 2
    layers: Annotated[int, Field(ge=1)] = 24


@dataclass(frozen=True, eq=False)
class Goldens:
    checkpoint: TinyCheckpoint
    cases: Mapping[str, Case]
    tensors: Mapping[str, Tensor]

    @classmethod
    def read(cls, prefix: Path) -> "Goldens":
        """Raises GoldensError."""
        file = prefix.with_name(f"{prefix.name}.json")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            checkpoint: TinyCheckpoint = _read(_CHECKPOINT, TinyCheckpoint, content.get("checkpoint", {}))
            cases: dict[str, Case] = {
                name: _read(_CASE, Case, arguments) for name, arguments in content["cases"].items()
            }
        except OSError as error:
            raise GoldensError(f"{file}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GoldensError(f"{file}: not cases of goldens: {error}") from None
        tensors: dict[str, Tensor] = {}
        first = prefix.with_name(f"{prefix.name}.safetensors")
        for part in (first, *sorted(prefix.parent.glob(f"{prefix.name}.*.safetensors"))):
            try:
                tensors |= load_file(part)
            except OSError as error:
                raise GoldensError(f"{part}: {error.strerror or error}") from None
            except SafetensorError as error:
                raise GoldensError(f"{part}: not a safetensors file: {error}") from None
        return cls(checkpoint, cases, {name: _float(tensor) for name, tensor in tensors.items()})


_CASE, _CHECKPOINT = TypeAdapter(Case), TypeAdapter(TinyCheckpoint)


def _read(adapter: TypeAdapter[Any], kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Raises ValueError for what is unknown, missing or of another type."""
    if unknown := values.keys() - {field.name for field in fields(kind)}:
        raise ValueError(f"unknown arguments {sorted(unknown)}")
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _float(tensor: Tensor) -> Tensor:
    return tensor * INT16_SCALE if tensor.dtype == torch.int16 else tensor
