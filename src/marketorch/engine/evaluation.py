"""The only evaluation loop. Every example is seen exactly once, whatever ranks and batch size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from marketorch import distributed
from marketorch.engine import loading
from marketorch.engine.task import Batch, Dataset, Predictions, Task
from marketorch.errors import ConfigError, check_choice

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

CPU = torch.device("cpu")


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Turns ``auto``, ``fp32`` or ``bf16`` into a dtype; auto is bf16 where the hardware has it.

    Raises:
        ConfigError: ``precision`` is none of the three.
    """
    check_choice("trainer.precision", precision, ("auto", "fp32", "bf16"), ConfigError)
    if precision == "bf16" or (precision == "auto" and has_bf16(device)):
        return torch.bfloat16
    return torch.float32


def has_bf16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bf16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def autocast(device: torch.device, dtype: torch.dtype) -> Any:
    """Mixed precision for ``dtype``; nothing for fp32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


@torch.inference_mode()
def predict_loop(
    task: Task,
    dataset: Dataset,
    *,
    batch_size: int,
    device: torch.device,
    precision: str = "auto",
    num_workers: int = 0,
) -> Iterator[tuple[Predictions, Batch]]:
    """Yields (predictions, batch) for this rank's share of an encoded ``dataset``."""
    dtype = resolve_precision(precision, device)
    training = task.training
    task.eval()
    keys = loading.evaluation_keys(dataset, batch_size)
    try:
        for _, batch in loading.load(dataset, keys, device=device, num_workers=num_workers):
            with autocast(device, dtype):
                predictions = task.predict(batch)
            yield predictions, batch
    finally:
        task.train(training)


def predict_all(task: Task, dataset: Dataset, **loop: Any) -> Predictions:
    """Predictions on a whole encoded ``dataset``, in its order, on every rank's CPU."""
    return join_ranks(
        [loading.to_device(dict(part), CPU) for part, _ in predict_loop(task, dataset, **loop)]
    )


def evaluate(
    task: Task,
    dataset: Dataset,
    *,
    collect: list[Predictions] | None = None,
    dear: bool = True,
    **loop: Any,
) -> dict[str, float]:
    """Returns the task's metrics on an encoded ``dataset``; ``loop`` goes to `predict_loop`.

    ``collect``, if given, is filled with this rank's predictions (see `join_ranks`). Without
    ``dear`` the task's dear metrics are left out.
    """
    metrics = task.metrics()
    if dear:
        metrics.add_metrics(task.dear_metrics())
    metrics = metrics.to(loop["device"])
    for predictions, batch in predict_loop(task, dataset, **loop):
        task.update(metrics, predictions, batch)
        if collect is not None:
            collect.append(loading.to_device(dict(predictions), CPU))
    merge(metrics)
    return flatten(metrics.compute())


def merge(metrics: MetricCollection) -> None:
    """Gives every rank the states of all, exactly, whatever share of the examples each has seen.

    torchmetrics' own exchange breaks where a rank has seen none: its empty states have the wrong
    type and shape.
    """
    if distributed.world_size() == 1:
        return
    from torchmetrics import Metric  # which the metrics have imported by now

    # values() first brings the states of metrics that share an update up to date.
    whole = metrics.values(copy_state=False)
    members = [m for metric in whole for m in metric.modules() if isinstance(m, Metric)]
    own = [{name: getattr(metric, name) for name in metric._reductions} for metric in members]
    ranks = distributed.gather(loading.to_device(own, CPU))
    for metric, states in zip(members, zip(*ranks, strict=True), strict=True):
        for name, reduce in metric._reductions.items():
            values = [state[name] for state in states]
            if isinstance(values[0], list):
                merged: Any = [part for value in values for part in value]
            else:
                stacked = torch.stack(values)
                merged = reduce(stacked) if callable(reduce) else stacked
            setattr(metric, name, loading.to_device(merged, metric.device))
        metric._to_sync, metric._update_count = False, 1


def flatten(results: dict[str, Any]) -> dict[str, float]:
    """Turns metric results into plain numbers; a metric may return a dict of per-class values."""
    flat: dict[str, float] = {}
    for name, value in results.items():
        if isinstance(value, dict):
            flat |= flatten(value)
        else:
            number = float(value)
            flat[name] = number if math.isfinite(number) else math.nan
    return flat


def join_ranks(own: list[Predictions]) -> Predictions:
    """Joins what this rank and the others have collected, on every rank."""
    return join(list(chain.from_iterable(distributed.gather(own))))


def join(parts: list[Predictions]) -> Predictions:
    """Concatenates collected predictions and puts them back into the data set's order."""
    joined: dict[str, Any] = {}
    for name in parts[0] if parts else ():
        values = [part[name] for part in parts]
        forms = {value.shape[1:] if isinstance(value, Tensor) else None for value in values}
        even = len(forms) == 1 and None not in forms
        joined[name] = torch.cat(values) if even else list(chain.from_iterable(values))
    order = torch.argsort(joined["index"]) if joined else torch.empty(0, dtype=torch.long)
    return {
        name: value[order] if isinstance(value, Tensor) else [value[i] for i in order.tolist()]
        for name, value in joined.items()
    }
