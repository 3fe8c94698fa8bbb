"""The recipe of tiny checkpoints: the goldens' tensors, for any seed and size."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from services.music.acestep import tiny_checkpoint
from services.music.acestep.config import TransformerConfig, VocoderConfig
from tests.music_acestep import released_sizes

GOLDENS = Path(__file__).parents[1] / "goldens" / "ace_step_v1"


@pytest.mark.parametrize(("heads", "layers"), [(2, 24), (3, 26)])
def test_shapes_are_those_of_the_recipe(heads: int, layers: int) -> None:
    recipe = json.loads((GOLDENS / "tiny_shapes.json").read_text())[f"heads={heads},layers={layers}"]
    settings = tiny_checkpoint.transformer_settings(heads, layers)
    transformer = tiny_checkpoint.transformer_shapes(TransformerConfig.from_mapping(settings))
    vocoder = tiny_checkpoint.vocoder_shapes(VocoderConfig.from_mapping(tiny_checkpoint.VOCODER))
    assert {name: list(shape) for name, shape in transformer.items()} == recipe["transformer"]
    assert {name: list(shape) for name, shape in vocoder.items()} == recipe["vocoder"]


def test_vocoder_shapes_of_the_released_size_are_the_released_ones() -> None:
    released = json.loads((GOLDENS / "full_shapes.json").read_text())["music_vocoder"]
    del released["mel_transform.spectrogram.window"]  # a constant, kept in the released file only
    shapes = tiny_checkpoint.vocoder_shapes(VocoderConfig.from_mapping(released_sizes.VOCODER))
    assert {name: list(shape) for name, shape in shapes.items()} == released


def test_a_tensor_depends_on_its_name_shape_and_seed_alone() -> None:
    weight = tiny_checkpoint.tensor("a.weight", (40, 50), 0)
    assert torch.equal(weight, tiny_checkpoint.tensor("a.weight", (40, 50), 0))
    assert not torch.equal(weight, tiny_checkpoint.tensor("a.weight", (40, 50), 1))
    assert not torch.equal(weight, tiny_checkpoint.tensor("b.weight", (40, 50), 0))
    assert weight.std().item() == pytest.approx(50**-0.5, rel=0.1)
    assert tiny_checkpoint.tensor("norm.weight", (400,), 0).mean().item() == pytest.approx(1, abs=0.05)
    assert tiny_checkpoint.tensor("a.bias", (400,), 0).std().item() == pytest.approx(0.1, rel=0.2)


def test_the_same_arguments_write_the_same_weights_and_other_seeds_other_ones(tmp_path: Path) -> None:
    folders = [
        tiny_checkpoint.write(tmp_path / name, seed=seed, layers=20)
        for name, seed in (("first", 5), ("again", 5), ("other", 6))
    ]
    for file in ("ace_step_transformer", "music_dcae_f8c8", "music_vocoder"):
        first, again, other = (load_file(f / file / "diffusion_pytorch_model.safetensors") for f in folders)
        assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
        assert not any(torch.equal(tensor, other[name]) for name, tensor in first.items())
