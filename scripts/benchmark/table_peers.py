"""Plain loops on tables, as they are written by hand, and what they read rows with.

A data set that returns a row, and a DataLoader that collates them, are in most tutorials and in
libraries: with tensors or, as in pytorch-tabular 1.2's `TabularDataset`, with numpy arrays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from rounds import WARM_UP, Meter, Speed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from marketorch import Task, build, build_task
from marketorch.data.customer_encoding import EncodedCustomers
from marketorch.engine import loading, optim
from marketorch.engine.evaluation import autocast, resolve_precision

BATCH_SIZE = 1024
DEVICE = torch.device("cpu")
Batches = Iterator[dict[str, Tensor]]
Loader = Callable[[EncodedCustomers], Batches]


# -- what reads the rows ----------------------------------------------------------------------


class Rows(Dataset[dict[str, Any]]):
    """Encoded customers, a row at a time.

    Args:
        encoded: all of them, with labels.
        arrays: rows as numpy arrays, which the collation turns into tensors.
    """

    def __init__(self, encoded: EncodedCustomers, arrays: bool) -> None:
        assert encoded.labels is not None
        columns = (encoded.numbers, encoded.categories.long(), encoded.labels)
        self.columns: tuple[Any, ...] = columns
        if arrays:
            self.columns = tuple(values.numpy() for values in columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, index: int) -> dict[str, Any]:
        numbers, categories, labels = self.columns
        return {
            "numbers": numbers[index],
            "categories": categories[index],
            "labels": labels[index],
        }


def by_rows(encoded: EncodedCustomers, *, arrays: bool = False, workers: int = 0) -> Batches:
    """Epochs of a DataLoader with the default collation."""
    loader = DataLoader(
        Rows(encoded, arrays),
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return itertools.chain.from_iterable(itertools.repeat(loader))


def by_batches(encoded: EncodedCustomers) -> Batches:
    """Epochs in a drawn order, a batch at once."""
    assert encoded.labels is not None
    while True:
        for index in torch.randperm(len(encoded)).split(BATCH_SIZE):
            yield {
                "numbers": encoded.numbers[index],
                "categories": encoded.categories[index].long(),
                "labels": encoded.labels[index],
            }


def again(encoded: EncodedCustomers) -> Batches:
    """The same batch for ever: nothing is loaded."""
    return itertools.repeat(next(by_batches(encoded)))


def as_trained(encoded: EncodedCustomers) -> Batches:
    """Epochs as `Trainer.fit` loads them."""
    for epoch in itertools.count():
        keys = loading.epoch_keys(encoded, BATCH_SIZE, seed=0, epoch=epoch)
        for _, batch in loading.load(encoded, keys, device=DEVICE):
            yield batch


# -- loops ------------------------------------------------------------------------------------


def plain_loop(
    task: Task, batches: Iterable[dict[str, Tensor]], config: Any, meter: Meter, last: int
) -> Speed:
    """What a practitioner would write by hand; compare with `Trainer.fit`."""
    settings = config.trainer
    dtype = resolve_precision(settings.precision, DEVICE)
    optimizers = build(config.optim)(task)
    factor = optim.schedule(settings.schedule, warmup=settings.warmup, total_steps=last)
    for number, batch in enumerate(itertools.islice(batches, last)):
        with autocast(DEVICE, dtype):
            logits = task.model(batch["numbers"], batch["categories"])
        F.cross_entropy(logits.float(), batch["labels"]).backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), settings.clip_norm)
        optim.set_lr(optimizers, factor(number))
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        meter.stamp(number + 1, last)
    return meter.speed()


def by_hand(config: Any, data: Any, load: Loader, seed: int, steps: int) -> Speed:
    """One round of the plain loop on what ``load`` makes of the encoded training split."""
    torch.manual_seed(seed)
    task, train = build_task(config, data.schema), data.split("train")
    task.prepare(train)
    task.train()
    meter = Meter(task.model, DEVICE)
    return plain_loop(task, load(task.encode(train)), config, meter, WARM_UP + steps)


def load_alone(config: Any, data: Any, load: Loader, seed: int, steps: int) -> Speed:
    """One round of loading batches that nothing learns from."""
    torch.manual_seed(seed)
    task, train = build_task(config, data.schema), data.split("train")
    task.prepare(train)
    nothing = nn.Identity()
    meter, last = Meter(nothing, DEVICE), WARM_UP + steps
    for number, batch in enumerate(itertools.islice(load(task.encode(train)), last), 1):
        nothing(batch["numbers"])
        meter.stamp(number, last)
    return meter.speed()
