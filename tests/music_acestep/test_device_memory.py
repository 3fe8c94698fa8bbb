"""What torch tells of a device's memory. Where there is no accelerator, only that nothing is told."""

from pathlib import Path

import pytest
import torch

from services.music.acestep.device_memory import device_memory
from services.music.acestep.engine import AceStepEngine
from tests.music_acestep.tiny_checkpoint import tiny_weights

ACCELERATORS = [
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")),
    pytest.param(
        "mps", marks=pytest.mark.skipif(not torch.backends.mps.is_available(), reason="needs Apple's GPU")
    ),
]


def test_a_cpu_has_no_memory_of_its_own(tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    assert device_memory(cpu) is None
    assert AceStepEngine.load(tiny_weights(tmp_path), steps=4, device=cpu).memory() is None


@pytest.mark.parametrize("name", ACCELERATORS)
def test_a_tensor_is_counted_as_long_as_it_lives(name: str) -> None:
    device, size = torch.device(name), 64 << 20
    torch.empty(1, device=device)
    before = device_memory(device)
    held = torch.empty(size, dtype=torch.uint8, device=device)
    with_it = device_memory(device)
    del held
    after = device_memory(device)
    assert before and with_it and after
    assert with_it.allocated_bytes == before.allocated_bytes + size
    assert after.allocated_bytes == before.allocated_bytes
    assert with_it.allocated_bytes <= with_it.reserved_bytes <= with_it.total_bytes
