"""A checkpoint folder as tokenizer and model, on one device.

Knows transformers' loaders and what can be wrong with a folder. Reads local safetensors only and runs no code
that a checkpoint brings.
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from services.common.weights import WeightsError, digest_in
from services.lyrics.llama.options import CannotStart, DeviceChoice, DtypeChoice
from services.lyrics.weights import RELEASE, layout

_log = logging.getLogger(__name__)

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """`tokenizer` is a fast one of transformers, `model` its LlamaForCausalLM."""

    tokenizer: Any
    model: Any
    weights_digest: str
    dtype: torch.dtype

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device


def load(folder: Path, device: DeviceChoice = "auto", dtype: DtypeChoice = "auto") -> Checkpoint:
    """Reads a folder in the layout of the release, or with all tensors in one file. Takes seconds to minutes.

    Raises:
        CannotStart: no weights there, other ones than Llama's, or no room or no such device for them.
    """
    began = time.monotonic()
    place = _device(device)
    kind = _DTYPES.get(dtype) or (torch.bfloat16 if place.type == "cuda" else torch.float32)
    try:
        digest = digest_in(folder, layout(folder))
    except WeightsError as error:
        raise CannotStart(str(error)) from None
    safe = {"local_files_only": True, "trust_remote_code": False}
    quiet: Any = transformers.logging.disable_progress_bar  # untyped
    quiet()
    try:
        model_type = AutoConfig.from_pretrained(folder, **safe).model_type
        if model_type != "llama":
            raise ValueError(f"its model is a {model_type}, not a llama")
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        if not tokenizer.chat_template:
            raise ValueError("its tokenizer has no chat template")
        read: Any = AutoModelForCausalLM.from_pretrained  # whose types leave out the report
        model, report = read(
            folder,
            dtype=kind,
            use_safetensors=True,
            attn_implementation="sdpa",
            output_loading_info=True,
            **safe,
        )
        if wrong := [*report["missing_keys"], *report["mismatched_keys"], *report["unexpected_keys"]]:
            raise ValueError(f"its tensors are not the model's: {', '.join(map(str, sorted(wrong)[:3]))}")
        if len(tokenizer) > model.config.vocab_size:
            raise ValueError(
                f"its tokenizer has {len(tokenizer)} tokens, the model {model.config.vocab_size}"
            )
        model = model.eval().requires_grad_(False).to(place)
    except torch.OutOfMemoryError:
        raise CannotStart(f"the model does not fit into the memory of {place}") from None
    except Exception as error:  # of any reader: JSON, tokenizers, safetensors, transformers
        told = " ".join(str(error).split())[:200] or type(error).__name__
        raise CannotStart(
            f"{folder} cannot be loaded: {told}; run: {RELEASE.command} verify {folder}"
        ) from error
    took = round(time.monotonic() - began, 1)
    _log.info("weights loaded", extra={"weights_digest": digest, "device": str(place), "load_s": took})
    return Checkpoint(tokenizer, model, digest, kind)


def _device(choice: DeviceChoice) -> torch.device:
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if choice == "auto":
        return torch.device(next(name for name, here in there.items() if here))
    if not there[choice]:
        raise CannotStart(f"LYRICS_DEVICE is {choice}, which torch does not find here")
    return torch.device(choice)
