"""How much memory of the accelerator this process has, as torch tells it. A CPU has none of its own."""

import torch

from services.music.engine import DeviceMemory


def device_memory(device: torch.device) -> DeviceMemory | None:
    """Costs microseconds: torch's own counters, and the device's size, which it keeps."""
    match device.type:
        case "cuda":
            return DeviceMemory(
                allocated_bytes=torch.cuda.memory_allocated(device),
                reserved_bytes=torch.cuda.memory_reserved(device),
                total_bytes=torch.cuda.get_device_properties(device).total_memory,
            )
        case "mps":
            return DeviceMemory(
                allocated_bytes=torch.mps.current_allocated_memory(),
                reserved_bytes=torch.mps.driver_allocated_memory(),
                # of the memory that all of the machine shares
                total_bytes=torch.mps.recommended_max_memory(),
            )
        case _:
            return None
