"""What a run asks of its machine: how memory is kept and laid out, and what to report of it."""

from __future__ import annotations

import ctypes
import resource
from typing import Any

import torch
from torch import Tensor, nn

from marketorch import distributed
from marketorch.engine.task import Batch

# Of glibc's malloc.h: what is freed is not handed back before 2 GiB of it lie at the end, what is
# fetched is fetched 64 MiB at a time, and blocks below 1 GiB come from what is kept.
KEEPING = {"M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_TOP_PAD": (-2, 2**26)}
KEEPING |= {"M_MMAP_THRESHOLD": (-3, 2**30)}


def keep_memory() -> None:
    """Has glibc keep the memory that a step frees for the next one, instead of handing it back.

    Otherwise a training step on photos asks the kernel for tens of thousands of pages, which are
    cleared each time: a fifth of the step. Without glibc, nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in KEEPING.values():
        mallopt(option, value)


def channels_last(batch: Batch) -> Batch:
    """Lays images ``(B, C, H, W)`` out as convolutions like them; leaves the rest alone."""
    return {
        name: value.to(memory_format=torch.channels_last)
        if isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point()
        else value
        for name, value in batch.items()
    }


def lay_out(module: nn.Module, device: torch.device, channels_last: bool) -> None:
    """Moves a module to its device and, if asked for, gives its convolutions their fast layout.

    On a CPU, memory is kept from now on, see `keep_memory`.
    """
    if device.type == "cpu":
        keep_memory()
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
