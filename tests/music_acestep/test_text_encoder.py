"""Prompts to hidden states: the goldens, batches, limits, threads."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from services.common.errors import InvalidField
from services.music.acestep.config import ConfigError
from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.weights_loading import CheckpointMismatch
from tests.music_acestep.tiny_checkpoint import tiny_checkpoint_folder

GOLDENS = Path(__file__).parents[1] / "goldens" / "ace_step_v1"
PROMPT = "ambient, 90 BPM, Rhodes"


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.load(tiny_checkpoint_folder(), "cpu", torch.float32)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of the text encoder's folder, to be changed."""
    shutil.copytree(tiny_checkpoint_folder() / "umt5-base", tmp_path / "umt5-base")
    return tmp_path


def load(checkpoint: Path) -> TextEncoder:
    return TextEncoder.load(checkpoint, "cpu", torch.float32)


def change(file: Path, changes: dict[str, Any]) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(("erg", "name"), [(False, "text/hidden"), (True, "text/hidden_weak")])
def test_hidden_states_agree_with_the_goldens(encoder: TextEncoder, erg: bool, name: str) -> None:
    goldens: dict[str, Tensor] = load_file(GOLDENS / "goldens.safetensors")
    prompt = json.loads((GOLDENS / "goldens.json").read_text())["cases"]["default"]["prompt"]
    hidden, mask = encoder([prompt], erg=erg)
    assert hidden.shape == goldens[name].shape
    assert ((hidden - goldens[name]).abs() <= 1e-4 * goldens[name].abs().clamp(min=1)).all()
    assert torch.equal(mask, goldens["text/mask"].bool())


@pytest.mark.parametrize("erg", [False, True])
def test_a_prompt_in_a_padded_batch_equals_the_prompt_alone(encoder: TextEncoder, erg: bool) -> None:
    prompts = [PROMPT, "drum and bass, 174 BPM, liquid, female vocals", "歌"]
    hidden, mask = encoder(prompts, erg=erg)
    assert mask.sum(1).tolist() == [len(prompt.encode()) + 1 for prompt in prompts]
    for i, prompt in enumerate(prompts):
        alone, _ = encoder([prompt], erg=erg)
        torch.testing.assert_close(hidden[i, mask[i]], alone[0], rtol=0, atol=1e-5)


def test_256_tokens_are_encoded_and_257_are_an_error_that_names_the_limit(encoder: TextEncoder) -> None:
    hidden, _ = encoder(["a" * 255])  # and the end token
    assert hidden.shape[1] == 256
    with pytest.raises(InvalidField, match="257 tokens") as refused:
        encoder(["short", "a" * 256])
    assert (refused.value.reason, refused.value.field, refused.value.limit) == (
        "TOO_LONG",
        "prompt",
        "256 tokens",
    )


def test_the_weakened_encoder_leaves_the_other_as_it_was_also_between_threads(encoder: TextEncoder) -> None:
    expected = {erg: encoder([PROMPT], erg=erg)[0] for erg in (False, True)}
    assert (expected[True] - expected[False]).abs().max() > 0.01
    turns = [i % 2 == 0 for i in range(24)]
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda erg: encoder([PROMPT], erg=erg)[0], turns))
    for erg, hidden in zip(turns, results, strict=True):
        torch.testing.assert_close(hidden, expected[erg], rtol=0, atol=1e-6)


def test_an_exception_in_the_weakened_encoder_weakens_nothing_else(encoder: TextEncoder) -> None:
    before, _ = encoder([PROMPT])
    with pytest.raises(InvalidField):
        encoder(["a" * 300], erg=True)
    assert torch.equal(encoder([PROMPT])[0], before)


@pytest.mark.parametrize("names", [["shared.weight"], ["encoder.embed_tokens.weight"], None])
@pytest.mark.parametrize("tied", [True, False])
def test_the_embedding_may_have_either_name_or_both_whatever_the_configuration_says_of_tying(
    encoder: TextEncoder, checkpoint: Path, names: list[str] | None, tied: bool
) -> None:
    file = checkpoint / "umt5-base" / "model.safetensors"
    tensors = load_file(file)
    embedding = tensors.pop("shared.weight")
    for name in names or ["shared.weight", "encoder.embed_tokens.weight"]:
        tensors[name] = embedding.clone()
    save_file(tensors, file)
    change(checkpoint / "umt5-base" / "config.json", {"tie_word_embeddings": tied})
    assert torch.equal(load(checkpoint)([PROMPT])[0], encoder([PROMPT])[0])


def test_a_tokenizer_file_that_cuts_or_pads_is_told_not_to(encoder: TextEncoder, checkpoint: Path) -> None:
    change(
        checkpoint / "umt5-base" / "tokenizer.json",
        {
            "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
            "padding": {
                "strategy": {"Fixed": 64},
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": "<pad>",
            },
        },
    )
    assert torch.equal(load(checkpoint)([PROMPT])[0], encoder([PROMPT])[0])


def test_missing_files_and_tensors_are_named(checkpoint: Path) -> None:
    folder = checkpoint / "umt5-base"
    tensors = load_file(folder / "model.safetensors")
    del tensors["shared.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointMismatch, match=r"shared.weight \[259, 32\] is missing"):
        load(checkpoint)
    shutil.copy(tiny_checkpoint_folder() / "umt5-base" / "model.safetensors", folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"tokenizer.json: no such file"):
        load(checkpoint)
    (folder / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"config.json: no such file"):
        load(checkpoint)


@pytest.mark.parametrize(
    "changes", [{"d_model": "wide"}, {"d_model": -32}, {"feed_forward_proj": "maxout"}, {"num_layers": 9}]
)
def test_a_configuration_that_makes_no_such_encoder_is_one_line_that_names_the_file(
    checkpoint: Path, changes: dict[str, Any]
) -> None:
    change(checkpoint / "umt5-base" / "config.json", changes)
    with pytest.raises(ConfigError, match=r"umt5-base/config.json: .+") as refused:
        load(checkpoint)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": "1.0"'])
def test_a_file_that_is_no_tokenizer_is_named(checkpoint: Path, content: str) -> None:
    (checkpoint / "umt5-base" / "tokenizer.json").write_text(content)
    with pytest.raises(ConfigError, match=r"tokenizer\.json: not a tokenizer"):
        load(checkpoint)
