"""Weights files that are right, wrong in every way, and how much memory loading takes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from services.music.acestep.transformer import Transformer
from services.music.acestep.weights_loading import (
    CheckpointMismatch,
    check,
    fold_weight_norm,
    load,
    materialise,
    tensors_of,
)
from tests.music_acestep.tiny_checkpoint import tiny_checkpoint_folder

WEIGHTS = "ace_step_transformer/diffusion_pytorch_model.safetensors"
BIAS = "transformer_blocks.7.attn.to_k.bias"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of the transformer's folder, to be spoilt."""
    shutil.copytree(tiny_checkpoint_folder() / "ace_step_transformer", tmp_path / "ace_step_transformer")
    return tmp_path


def spoil(checkpoint: Path, changes: dict[str, Tensor | None]) -> None:
    tensors = load_file(checkpoint / WEIGHTS) | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, checkpoint / WEIGHTS)


def load_transformer(checkpoint: Path) -> Transformer:
    return Transformer.load(checkpoint, "cpu", torch.float32)


# Strict


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({BIAS: None}, rf"{BIAS} \[32\] is missing$"),
        ({BIAS: torch.zeros(33)}, rf"{BIAS} has shape \[33\], expected \[32\]$"),
        (
            {"lyric_embs.weight": torch.zeros(6693)},
            r"lyric_embs.weight has shape \[6693\], expected \[6693, 32\]$",
        ),
        ({"lyric_embs.scale": torch.zeros(2)}, r"lyric_embs.scale \[2\] is unknown$"),
        (
            {"transformer_blocks.24.attn.to_q.bias": torch.zeros(32)},
            r"blocks.24.attn.to_q.bias \[32\] is unknown$",
        ),
        (
            {f"transformer_blocks.{i}.scale_shift_table": None for i in range(24)},
            r"blocks.0.scale_shift_table \[6, 32\] is missing; .*; and 21 more$",
        ),
    ],
)
def test_a_file_of_another_model_is_refused_by_tensor_and_shapes(
    checkpoint: Path, changes: dict[str, Tensor | None], message: str
) -> None:
    spoil(checkpoint, changes)
    with pytest.raises(CheckpointMismatch, match=message) as refused:
        load_transformer(checkpoint)
    assert str(checkpoint / WEIGHTS) in str(refused.value)


def test_nothing_is_copied_from_a_file_that_is_refused(checkpoint: Path) -> None:
    spoil(checkpoint, {BIAS: None})
    model = load_transformer(tiny_checkpoint_folder())
    before = {name: tensor.clone() for name, tensor in model.released_tensors().items()}
    save_file({name: t + 1 for name, t in load_file(checkpoint / WEIGHTS).items()}, checkpoint / WEIGHTS)
    with pytest.raises(CheckpointMismatch):
        load(checkpoint / WEIGHTS, model.released_tensors(), unused=lambda name: True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.released_tensors().items())


@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn])
def test_quantised_tensors_under_the_same_names_are_refused(checkpoint: Path, kind: torch.dtype) -> None:
    spoil(checkpoint, {BIAS: torch.zeros(32).to(kind)})
    with pytest.raises(CheckpointMismatch, match=rf"{BIAS} is (I8|F8_E4M3), expected F32, BF16"):
        load_transformer(checkpoint)


def test_tensors_for_training_may_be_there_or_not_and_are_left_out(checkpoint: Path) -> None:
    whole = load_transformer(checkpoint)
    kept = whole.released_tensors()
    assert not [name for name in kept if "add_q_proj" in name or "projectors" in name]
    tensors = load_file(checkpoint / WEIGHTS)
    training = [name for name in tensors if name not in kept]
    assert len(training) == 24 * 8 + 2 * 6
    spoil(checkpoint, dict.fromkeys(training))
    lean = load_transformer(checkpoint)
    for name, tensor in lean.released_tensors().items():
        assert torch.equal(tensor, kept[name])


def test_a_missing_file_and_a_file_that_is_no_safetensors_are_named(checkpoint: Path) -> None:
    (checkpoint / WEIGHTS).write_bytes(b"<html>not found</html>")
    with pytest.raises(
        CheckpointMismatch, match=r"diffusion_pytorch_model.safetensors: not a safetensors file"
    ):
        load_transformer(checkpoint)
    (checkpoint / WEIGHTS).unlink()
    with pytest.raises(CheckpointMismatch, match=r"diffusion_pytorch_model.safetensors: no such file"):
        load_transformer(checkpoint)


def test_a_truncated_file_is_refused(checkpoint: Path) -> None:
    data = (checkpoint / WEIGHTS).read_bytes()
    (checkpoint / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointMismatch, match="not a safetensors file"):
        load_transformer(checkpoint)


# Values


def test_weights_arrive_in_the_type_asked_for(checkpoint: Path) -> None:
    model = Transformer.load(checkpoint, "cpu", torch.bfloat16)
    stored = load_file(checkpoint / WEIGHTS)
    assert model.dtype == torch.bfloat16
    for name, tensor in model.released_tensors().items():
        assert torch.equal(tensor, stored[name].bfloat16())
        assert not tensor.requires_grad


def test_weight_norm_is_folded_as_torch_computes_it(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    convolutions = [nn.Conv1d(3, 5, 7), nn.ConvTranspose1d(4, 6, 3)]
    for convolution in convolutions:
        rows = convolution.weight.shape[0]
        magnitude = torch.rand(rows, 1, 1, generator=generator)
        direction = torch.randn(convolution.weight.shape, generator=generator)
        reference = nn.utils.parametrizations.weight_norm(convolution)
        reference.parametrizations.weight.original0.data = magnitude
        reference.parametrizations.weight.original1.data = direction
        torch.testing.assert_close(fold_weight_norm(magnitude, direction), reference.weight)

        file = tmp_path / "folded.safetensors"
        save_file({"weight_g": magnitude, "weight_v": direction, "bias": torch.ones(3)}, file)
        destinations = {"weight": torch.empty(direction.shape), "bias": torch.empty(3)}
        load(file, destinations, weight_normed={"weight"})
        torch.testing.assert_close(destinations["weight"], reference.weight)


def test_unfolded_weight_norm_is_checked_in_both_parts() -> None:
    destinations = {"conv.weight": torch.empty(4, 2, 3)}
    normed = {"conv.weight"}
    with pytest.raises(CheckpointMismatch, match=r"conv.weight_g has shape \[4\], expected \[4, 1, 1\]"):
        check({"conv.weight_g": [4], "conv.weight_v": [4, 2, 3]}, destinations, weight_normed=normed)
    with pytest.raises(CheckpointMismatch, match=r"conv.weight_v \[4, 2, 3\] is missing"):
        check({"conv.weight_g": [4, 1, 1]}, destinations, weight_normed=normed)
    with pytest.raises(CheckpointMismatch, match=r"conv.weight_g .* is missing"):
        check({"conv.weight": [4, 2, 3]}, destinations, weight_normed=normed)


# Memory


class LiveMemory(TorchDispatchMode):
    """The most bytes of tensors that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._storages: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and not tensor.is_meta:
                storage = tensor.untyped_storage()
                reference = StorageWeakRef(storage)
                self._storages[reference.cdata] = (reference, storage.nbytes())
        self._storages = {key: entry for key, entry in self._storages.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._storages.values()))
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loading_takes_the_model_and_one_tensor_of_memory(dtype: torch.dtype) -> None:
    with LiveMemory() as memory:
        model = Transformer.load(tiny_checkpoint_folder(), "cpu", dtype)
    loaded = sum(p.numel() * p.element_size() for p in model.parameters())
    largest = max(tensor.numel() * 4 for tensor in model.released_tensors().values())  # float32 in the file
    assert loaded < memory.peak <= loaded + largest
    with LiveMemory() as memory:  # the measure itself sees a second copy
        kept = [parameter.clone() for parameter in model.parameters()]
    assert memory.peak == loaded == sum(t.numel() * t.element_size() for t in kept)


def test_shared_parameters_stay_shared_and_own_buffers_move() -> None:
    with torch.device("meta"):
        model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    model[1].weight = model[0].weight
    model.register_buffer("table", torch.arange(3))
    materialise(model, "cpu", torch.float32)
    first, second = (tensors_of(layer)["weight"] for layer in model)
    assert first is second
    assert first.device.type == "cpu"
    assert tensors_of(model)["table"].tolist() == [0, 1, 2]


def test_a_buffer_without_a_value_is_not_passed_over() -> None:
    with torch.device("meta"):
        model = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="running_mean"):
        materialise(model, "cpu", torch.float32)


def test_tied_names_that_the_model_keeps_apart_are_an_error(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "tied.safetensors")
    shared = torch.zeros(2)
    load(tmp_path / "tied.safetensors", {"a": shared, "b": shared}, tied=[("a", "b")])
    assert shared.tolist() == [1, 1]
    with pytest.raises(ValueError, match="not one tensor"):
        load(tmp_path / "tied.safetensors", {"a": shared, "b": torch.zeros(2)}, tied=[("a", "b")])


def test_the_configuration_is_read_before_the_weights(checkpoint: Path) -> None:
    config = checkpoint / "ace_step_transformer" / "config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps(settings | {"num_layers": 23}))
    with pytest.raises(CheckpointMismatch, match=r"blocks.23.* is unknown"):
        load_transformer(checkpoint)
