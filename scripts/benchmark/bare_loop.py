"""What a researcher writes by hand: forward, backward, clipping, the optimizers, the next batch.

The only bare loop of the benchmarks. It does the work of the recipe it is given (precision, layout,
clipping, schedule, moving average) for any Task or loss, and nothing else: it does not seed, log,
count, check for NaN, notice signals, evaluate or save. `engine.py` sets `Trainer.fit` against it,
`table_peers.py` feeds it from loaders of other kinds. It makes an update of every batch
(``trainer.accumulate=1``), on one process.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from marketorch import Task, build
from marketorch.engine import hardware
from marketorch.engine.evaluation import autocast, resolve_precision
from marketorch.engine.task import Batch
from marketorch.engine.update import running_statistics
from marketorch.optim import optimizers as optim


def train_bare(
    task: Task,
    batches: Iterable[Batch],
    config: Any,
    steps: int,
    *,
    device: torch.device,
    loss: Callable[[Batch], Tensor] | None = None,
    after_step: Callable[[int], None] = lambda done: None,
) -> None:
    """Trains ``task``, prepared and laid out, on the first ``steps`` batches.

    Args:
        config: a run's, of which ``optim`` and ``trainer`` are used.
        loss: of a batch; None: the task's own.
        after_step: told how many steps are done.
    """
    settings, loss = config.trainer, loss or (lambda batch: mean(task, batch))
    dtype = resolve_precision(settings.precision, device)
    optimizers = build(config.optim)(task)
    parameters = [p for p in task.parameters() if p.requires_grad]
    factor = optim.schedule(settings.schedule, warmup=settings.warmup, total_steps=steps)
    averaged = [*parameters, *running_statistics(task).values()] if settings.ema_decay else []
    averages = [value.detach().clone() for value in averaged]
    for done, batch in enumerate(itertools.islice(batches, steps)):
        laid = hardware.channels_last(batch) if settings.channels_last else batch
        with autocast(device, dtype):
            value = loss(laid)
        value.backward()
        if settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
        optim.set_lr(optimizers, factor(done))
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if averages:
            with torch.no_grad():
                torch._foreach_lerp_(averages, averaged, 1 - settings.ema_decay)
        after_step(done + 1)


def mean(task: Task, batch: Batch) -> Tensor:
    """The mean loss of a batch."""
    step = task(batch)
    return step.loss_sum / step.weight
