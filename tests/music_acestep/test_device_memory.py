"""What torch tells of a device's memory: of a real accelerator where there is one, of a CPU nothing."""

from pathlib import Path

import torch

from services.music.acestep.device_memory import device_memory
from services.music.acestep.engine import AceStepEngine, best_device
from tests.music_acestep.tiny_checkpoint import tiny_weights


def test_an_engine_on_a_cpu_has_no_device_memory_to_tell_of(tmp_path: Path) -> None:
    assert AceStepEngine.load(tiny_weights(tmp_path), steps=4, device=torch.device("cpu")).memory() is None


def test_a_tensor_is_counted_as_long_as_it_lives_where_it_takes_device_memory() -> None:
    device, size = best_device(), 64 << 20
    torch.empty(1, device=device)
    before = device_memory(device)
    held = torch.empty(size, dtype=torch.uint8, device=device)
    with_it = device_memory(device)
    del held
    after = device_memory(device)
    if device.type == "cpu":
        assert before is with_it is after is None
        return
    assert before is not None
    assert with_it is not None
    assert after is not None
    assert with_it.allocated_bytes == before.allocated_bytes + size
    assert after.allocated_bytes == before.allocated_bytes
    assert with_it.allocated_bytes <= with_it.reserved_bytes <= with_it.total_bytes
