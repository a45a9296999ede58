"""What a run asks of its machine: the memory layout of images, and what to report of the rest."""

from __future__ import annotations

import resource
from typing import Any

import torch
from torch import Tensor, nn

from marketorch.engine import distributed
from marketorch.engine.task import Batch


def channels_last(batch: Batch) -> Batch:
    """Lays images ``(B, C, H, W)`` out as convolutions like them; leaves the rest alone."""
    return {
        name: value.to(memory_format=torch.channels_last)
        if isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point()
        else value
        for name, value in batch.items()
    }


def lay_out(module: nn.Module, device: torch.device, channels_last: bool) -> None:
    """Moves a module to its device and, if asked for, gives its convolutions their fast layout."""
    module.to(device)
    if channels_last:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def used(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Peak memory (on the GPU, or of this process), precision, device and number of ranks."""
    gpu = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if gpu else 0
    return {
        "peak_memory_bytes": peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "precision": "bf16" if dtype == torch.bfloat16 else "fp32",
        "device": torch.cuda.get_device_name(device) if gpu else "cpu",
        "world_size": distributed.world_size(),
    }
