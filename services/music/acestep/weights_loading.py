"""Tensors from a safetensors file into the memory of a model: strict in names and shapes, one at a time.

Knows files, names and shapes, no model. A model says where each released tensor goes (a mapping of released
name to a view of its own parameters, so that several released tensors may share one fused parameter) and
which it leaves out.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

Destinations = Mapping[str, Tensor]
"""Released tensor name → view of the parameter, in the released shape, that the tensor is copied into."""


_FLOATS = ("F32", "BF16", "F16", "F64")  # as safetensors names them


class CheckpointMismatch(ValueError):
    """A weights file is not that of this model; the message names the file, the tensor and both shapes."""


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers under their own names: the destinations of a model that kept them."""
    return dict(module.state_dict(keep_vars=True))


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def materialise(module: nn.Module, device: torch.device | str, dtype: torch.dtype) -> None:
    """Gives a module built on the meta device uninitialised memory; parameters that were shared stay shared.

    Nothing is allocated twice: there is no initialised model to convert or to move. Raises ValueError for a
    buffer without a value.
    """
    made: dict[nn.Parameter, nn.Parameter] = {}
    for owner in module.modules():
        for name, parameter in owner._parameters.items():
            if parameter is not None:
                if parameter not in made:
                    memory = torch.empty_like(parameter, device=device, dtype=dtype)
                    made[parameter] = nn.Parameter(memory, requires_grad=False)
                owner._parameters[name] = made[parameter]
        for name, buffer in owner._buffers.items():
            if buffer is not None:
                if buffer.is_meta:
                    raise ValueError(f"buffer {name!r} of {type(owner).__name__} has no value")
                owner._buffers[name] = buffer.to(device)


def fold_weight_norm(magnitude: Tensor, direction: Tensor) -> Tensor:
    """weight = g · v / ‖v‖, the norm over every dimension but the first (arXiv 1602.07868).

    magnitude (O, 1, …), direction (O, …) → (O, …) float32.
    """
    direction = direction.float()
    norm: Tensor = torch.linalg.vector_norm(direction, dim=tuple(range(1, direction.ndim)), keepdim=True)
    return direction * (magnitude.float() / norm)


def check(
    stored: Mapping[str, Sequence[int]],
    destinations: Destinations,
    *,
    unused: Callable[[str], bool] = lambda name: False,
    weight_normed: Collection[str] = (),
    tied: Collection[Collection[str]] = (),
    source: str = "checkpoint",
) -> None:
    """Whether a file has what a model needs, and nothing unknown.

    Args:
        stored: shapes of the file's tensors by name.
        destinations: what the model needs.
        unused: of a name that has no destination, whether it may be there.
        weight_normed: destinations that are stored as `<name>_g` and `<name>_v`.
        tied: groups of names for one tensor; one name of a group is enough.
        source: what a message calls the file.

    Raises:
        CheckpointMismatch: a tensor is missing, unknown or of another shape.
    """
    expected: dict[str, list[int]] = {}
    for name, destination in destinations.items():
        shape = list(destination.shape)
        if name in weight_normed:
            expected |= {f"{name}_g": [shape[0]] + [1] * (len(shape) - 1), f"{name}_v": shape}
        else:
            expected[name] = shape
    optional = {name for group in tied if any(n in stored for n in group) for name in group}
    wrong = [
        f"tensor {name} has shape {list(stored[name])}, expected {shape}"
        for name, shape in expected.items()
        if name in stored and list(stored[name]) != shape
    ]
    wrong += [
        f"tensor {name} {shape} is missing"
        for name, shape in expected.items()
        if name not in stored and name not in optional
    ]
    wrong += [
        f"tensor {name} {list(shape)} is unknown"
        for name, shape in stored.items()
        if name not in expected and not unused(name)
    ]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointMismatch(f"{source}: {'; '.join(wrong[:3])}{more}")


@torch.no_grad()
def load(
    file: Path,
    destinations: Destinations,
    *,
    unused: Callable[[str], bool] = lambda name: False,
    weight_normed: Collection[str] = (),
    tied: Collection[Collection[str]] = (),
) -> None:
    """Copies every tensor of `file` that has a destination into it, changing device and type on the way.

    The whole file is checked first (`check` explains the arguments), so that a model is never loaded in part.
    The file is mapped, not read: beside the model at most one tensor is in memory.

    Raises:
        CheckpointMismatch: there is no such file, it is no safetensors file, or not this model's; a tensor
            holds no plain floating-point numbers.
    """
    if not file.is_file():
        raise CheckpointMismatch(f"{file}: no such file")
    try:
        weights: Any = safe_open(file, framework="pt", device="cpu")  # Any: the library is untyped
    except SafetensorError as error:
        raise CheckpointMismatch(f"{file}: not a safetensors file: {error}") from None
    with weights:
        slices = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118 no mapping
        stored = {name: part.get_shape() for name, part in slices.items()}
        check(stored, destinations, unused=unused, weight_normed=weight_normed, tied=tied, source=str(file))
        for name, part in slices.items():
            # Quantised weights have the names and shapes of what they stand for, and other numbers.
            if not unused(name) and part.get_dtype() not in _FLOATS:
                raise CheckpointMismatch(
                    f"{file}: tensor {name} is {part.get_dtype()}, expected {', '.join(_FLOATS)}"
                )
        for group in tied:
            if len({destinations[name] for name in group}) != 1:
                raise ValueError(
                    f"{group} are not one tensor in the model: one name would stay without a value"
                )
        for name, destination in destinations.items():
            if name in weight_normed:
                magnitude, direction = weights.get_tensor(f"{name}_g"), weights.get_tensor(f"{name}_v")
                destination.copy_(fold_weight_norm(magnitude, direction))
            elif name in stored:
                destination.copy_(weights.get_tensor(name))
