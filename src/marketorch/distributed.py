"""torch.distributed as it is: start, wrap, reduce. ``torchrun`` starts the ranks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from marketorch.errors import ConfigError


def rank() -> int:
    """This process's rank; 0 without torchrun."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """The number of ranks; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this rank writes files and prints."""
    return rank() == 0


def resolve_device(name: str) -> torch.device:
    """Turns ``auto``, ``cpu``, ``gpu``, ``cuda`` or ``cuda:1`` into a device.

    Raises:
        ConfigError: a GPU is asked for and there is none, or the name is unknown.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = ("cuda" if name == "gpu" else name).partition(":")
    if kind not in ("cpu", "cuda"):
        raise ConfigError(f"trainer.device is '{name}'; expected auto, cpu, gpu or cuda:<number>.")
    if kind == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError(
            f"trainer.device is '{name}' but torch {torch.__version__} finds no GPU here. "
            "Use trainer.device=cpu or auto."
        )
    index = int(number or os.environ.get("LOCAL_RANK", "0"))
    if index >= torch.cuda.device_count():
        raise ConfigError(
            f"trainer.device is '{name}' but there are {torch.cuda.device_count()} GPUs "
            f"(cuda:0 … cuda:{torch.cuda.device_count() - 1})."
        )
    return torch.device("cuda", index)


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Joins torchrun's group for the duration (gloo on a CPU, nccl on a GPU); else does nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def wrap(task: nn.Module, device: torch.device) -> nn.Module:
    """Returns the module whose forward synchronises gradients: DDP, or the task itself."""
    if world_size() == 1:
        return task
    ids = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(task, device_ids=ids)


@contextmanager
def accumulate(wrapped: nn.Module, last: bool) -> Iterator[None]:
    """Holds back the gradient exchange on all but the last batch of a step."""
    if last or not isinstance(wrapped, DistributedDataParallel):
        yield
    else:
        with wrapped.no_sync():
            yield


def reduce_sum(value: Tensor) -> Tensor:
    """Sums a tensor over ranks, in place."""
    if world_size() > 1:
        dist.all_reduce(value)
    return value


def largest(value: int, device: torch.device) -> int:
    """Returns the largest of all ranks' values on every rank."""
    if world_size() == 1:
        return value
    box = torch.tensor(value, device=device)
    dist.all_reduce(box, dist.ReduceOp.MAX)
    return int(box)


def broadcast(value: Any) -> Any:
    """Returns rank 0's value on every rank (any object that pickles, between our own ranks)."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return cast(Any, box[0])


def gather(value: Any) -> list[Any]:
    """Returns every rank's value, in rank order, on every rank."""
    if world_size() == 1:
        return [value]
    box: list[Any] = [None] * world_size()
    dist.all_gather_object(box, value)
    return box


def barrier() -> None:
    """Waits for all ranks."""
    if world_size() > 1:
        dist.barrier()
