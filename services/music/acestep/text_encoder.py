"""UMT5: prompts to hidden states, whole or weakened for entropy rectifying guidance.

Knows the checkpoint's text encoder and its tokenizer. Nothing is cut: a prompt that is too long is an error.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import UMT5Config, UMT5EncoderModel

from services.common.errors import InvalidField
from services.music.acestep import weights_loading
from services.music.acestep.config import (
    CONFIG_FILE,
    MAX_PROMPT_TOKENS,
    TEXT_ENCODER_FOLDER,
    TEXT_ENCODER_WEIGHTS_FILE,
    TOKENIZER_FILE,
    ConfigError,
    read_json,
)
from services.music.acestep.erg import TAU, TEXT_LAYERS

EMBEDDING_NAMES = ("shared.weight", "encoder.embed_tokens.weight")
"""One matrix; a file may carry either name or both."""


class Weakened(nn.Module):
    """A linear whose output is scaled by τ."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = self.linear(x) * TAU
        return scaled


def with_replaced(module: nn.Module, path: str, replacement: nn.Module) -> nn.Module:
    """A module like `module` that shares its memory, but has another submodule at the dotted `path`."""
    name, _, rest = path.partition(".")
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    twin._modules[name] = (
        with_replaced(module.get_submodule(name), rest, replacement) if rest else replacement
    )
    return twin


def _model(file: Path) -> UMT5EncoderModel:
    """On the meta device. Raises ConfigError."""
    settings = read_json(file)
    try:
        with torch.device("meta"):
            model = UMT5EncoderModel(UMT5Config(**settings))
    except Exception as error:  # of many kinds, by what is wrong and where the library stumbles on it
        raise ConfigError(f"{file}: {' '.join(str(error).split())}") from None
    if len(model.encoder.block) < TEXT_LAYERS.stop:
        raise ConfigError(f"{file}: num_layers must be at least {TEXT_LAYERS.stop}")
    return model


def _tokenizer(file: Path) -> Tokenizer:
    if not file.is_file():
        raise ConfigError(f"{file}: no such file")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ConfigError(f"{file}: not a tokenizer: {error}") from None
    tokenizer.no_truncation()  # a file may ask for either
    tokenizer.no_padding()
    return tokenizer


class TextEncoder:
    """Thread-safe: the weakened model is a second object over the same memory, not a switch."""

    def __init__(self, model: UMT5EncoderModel, tokenizer: Tokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer
        weak: nn.Module = model
        for layer in TEXT_LAYERS:
            path = f"encoder.block.{layer}.layer.0.SelfAttention.q"
            weak = with_replaced(weak, path, Weakened(model.get_submodule(path)))
        self._weak = weak

    @classmethod
    def load(cls, checkpoint: Path, device: torch.device | str, dtype: torch.dtype) -> Self:
        """The text encoder of a checkpoint folder. Raises ConfigError and CheckpointMismatch."""
        folder = checkpoint / TEXT_ENCODER_FOLDER
        model = _model(folder / CONFIG_FILE)
        # The library ties them only where the configuration says so, which is about the decoder's head.
        model.encoder.embed_tokens = model.shared
        weights_loading.materialise(model, device, dtype)
        weights_loading.load(
            folder / TEXT_ENCODER_WEIGHTS_FILE, weights_loading.tensors_of(model), tied=[EMBEDDING_NAMES]
        )
        return cls(model.train(False), _tokenizer(folder / TOKENIZER_FILE))

    def tokens(self, prompts: Sequence[str]) -> list[list[int]]:
        """Ids of every prompt. Raises InvalidField (TOO_LONG) above 256 tokens."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(prompts))]
        longest = max(len(prompt) for prompt in ids)
        if longest > MAX_PROMPT_TOKENS:
            message = f"the prompt has {longest} tokens, at most {MAX_PROMPT_TOKENS} are understood"
            raise InvalidField("TOO_LONG", "prompt", message, limit=f"{MAX_PROMPT_TOKENS} tokens")
        return ids

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str], *, erg: bool = False) -> tuple[Tensor, Tensor]:
        """Hidden states (B, L, width) and mask (B, L) bool, L the tokens of the longest prompt.

        `erg` weakens the attention of layers 8–9. Raises InvalidField (TOO_LONG) above 256 tokens.
        """
        ids = self.tokens(prompts)
        longest = max(len(prompt) for prompt in ids)
        padding = self._model.config.pad_token_id or 0
        padded = torch.tensor([prompt + [padding] * (longest - len(prompt)) for prompt in ids])
        mask = torch.tensor([[True] * len(prompt) + [False] * (longest - len(prompt)) for prompt in ids])
        padded, mask = padded.to(self._model.device), mask.to(self._model.device)
        model = self._weak if erg else self._model
        hidden: Tensor = model(input_ids=padded, attention_mask=mask.long()).last_hidden_state
        return hidden, mask
