"""Plain loops on tables, as they are written by hand, and what they read rows with.

A data set that returns a row, and a DataLoader that collates them, are in most tutorials and in
libraries: with tensors or, as in pytorch-tabular 1.2's `TabularDataset`, with numpy arrays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from bare_loop import train_bare
from rounds import WARM_UP, Meter, Speed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from marketorch import build_task
from marketorch.data.tables.encoding import EncodedCustomers
from marketorch.engine import loading

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


def as_trained(encoded: EncodedCustomers) -> Batches:
    """Epochs as `Trainer.fit` loads them."""
    for epoch in itertools.count():
        keys = loading.epoch_keys(encoded, BATCH_SIZE, seed=0, epoch=epoch)
        for _, batch in loading.load(encoded, keys, device=DEVICE):
            yield batch


def again(encoded: EncodedCustomers) -> Batches:
    """The same batch for ever: nothing is loaded."""
    return itertools.repeat(next(as_trained(encoded)))


# -- loops ------------------------------------------------------------------------------------


def by_hand(config: Any, data: Any, load: Loader, seed: int, steps: int) -> Speed:
    """One round of the bare loop on what ``load`` makes of the encoded training split."""
    torch.manual_seed(seed)
    task, train = build_task(config, data.schema), data.split("train")
    task.prepare(train)
    task.train()
    meter, last = Meter(task.model, DEVICE), WARM_UP + steps

    def loss(batch: dict[str, Tensor]) -> Tensor:
        logits = task.model(batch["numbers"], batch["categories"])
        return F.cross_entropy(logits.float(), batch["labels"])

    train_bare(
        task,
        load(task.encode(train)),
        config,
        last,
        device=DEVICE,
        loss=loss,
        after_step=lambda done: meter.stamp(done, last),
    )
    return meter.speed()


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
