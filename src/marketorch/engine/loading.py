"""Everything random is a function of position, so any moment of a run can be recomputed.

The order of an epoch depends on (seed, epoch, lengths) alone; example-level randomness on
(seed, epoch, index), which makes the number of workers irrelevant; batch-level randomness
(dropout, masking, augmentation on the device) on (seed, epoch, batch, rank). A resumed run starts
at batch k by slicing the order, without replaying any data.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from marketorch.engine import distributed
from marketorch.engine.stopping import leave_signals_to_the_parent
from marketorch.engine.task import Batch, Dataset

POOL = 50  # batches sorted by length together: little padding, yet a different order each epoch


def derive_seed(*position: int) -> int:
    """Hashes a position such as (seed, epoch, batch, rank) to 63 bits."""
    digest = hashlib.blake2b(",".join(map(str, position)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_batch(device: torch.device, *position: int) -> None:
    """Seeds the generators that a forward pass on ``device`` draws from."""
    seed = derive_seed(*position)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


class Key(NamedTuple):
    """Where a batch stands in the run, and what is in it."""

    seed: int
    epoch: int
    batch: int
    indices: list[int]
    real: bool = True  # False: filler for a rank that got no example of a ragged last batch


def epoch_order(
    num_examples: int, batch_size: int, *, seed: int, epoch: int, lengths: Tensor | None = None
) -> list[np.ndarray]:
    """Global batches of one epoch, shuffled; of similar length where ``lengths (N,)`` are given.

    Returns a list of index arrays; all but one have ``batch_size`` entries and together they hold
    every example exactly once.
    """
    generator = np.random.Generator(np.random.PCG64(derive_seed(seed, epoch)))
    order = generator.permutation(num_examples)
    if lengths is not None:
        sizes = np.asarray(lengths)
        pools = np.split(order, range(batch_size * POOL, num_examples, batch_size * POOL))
        order = np.concatenate([pool[np.argsort(sizes[pool], kind="stable")] for pool in pools])
    batches = np.split(order, range(batch_size, num_examples, batch_size))
    if lengths is not None:
        batches = [batches[i] for i in generator.permutation(len(batches))]
    return batches


def epoch_keys(
    dataset: Dataset, batch_size: int, *, seed: int, epoch: int, start: int = 0
) -> list[Key]:
    """This rank's share of every global batch of an epoch, from batch ``start`` on."""
    lengths = getattr(dataset, "lengths", None)
    batches = epoch_order(len(dataset), batch_size, seed=seed, epoch=epoch, lengths=lengths)
    rank, world = distributed.rank(), distributed.world_size()
    keys = []
    for number, indices in enumerate(batches[start:], start=start):
        share = indices[rank::world]
        real = len(share) > 0
        keys.append(Key(seed, epoch, number, (share if real else indices[:1]).tolist(), real))
    return keys


def evaluation_keys(dataset: Dataset, batch_size: int) -> list[Key]:
    """This rank's examples, each exactly once and none padded, sorted by length where known."""
    lengths = getattr(dataset, "lengths", None)
    order = np.arange(len(dataset))
    if lengths is not None:
        order = np.argsort(np.asarray(lengths), kind="stable")[::-1]
    order = order[distributed.rank() :: distributed.world_size()]
    parts = np.split(order, range(batch_size, len(order), batch_size)) if len(order) else []
    return [Key(0, 0, number, part.tolist()) for number, part in enumerate(parts)]


class Fetcher:
    """Maps a `Key` to a batch; the same key gives the same batch in any process."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset: Any = dataset
        self.whole = hasattr(dataset, "__getitems__")
        self.collate = getattr(dataset, "collate", default_collate)

    def __getitem__(self, key: Key) -> Batch:
        if self.whole:
            batch: Batch = self.dataset.__getitems__(key.indices)
        else:
            batch = self.collate([self._example(key, index) for index in key.indices])
        return batch

    def _example(self, key: Key, index: int) -> Any:
        seed = derive_seed(key.seed, key.epoch, index)
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        return self.dataset[index]


def load(
    dataset: Dataset, keys: Sequence[Key], *, device: torch.device, num_workers: int = 0
) -> Iterator[tuple[Key, Batch]]:
    """Yields (key, batch on the device). Worker processes only help where examples are decoded."""
    fetcher = Fetcher(dataset)
    batches: Any = (fetcher[key] for key in keys)
    if num_workers:
        batches = DataLoader(
            fetcher,  # type: ignore[arg-type]
            sampler=keys,
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            worker_init_fn=leave_signals_to_the_parent,
            pin_memory=device.type == "cuda",
        )
    for key, batch in zip(keys, batches, strict=True):
        yield key, to_device(batch, device)


def _as_it_is(batch: Any) -> Any:
    """Keeps the DataLoader from converting what a run without workers would not convert."""
    return batch


def to_device(value: Any, device: torch.device) -> Any:
    """Moves every tensor of a nested batch, to a GPU without waiting for the copy.

    Copies from a GPU are waited for: nothing else would keep the CPU from reading them too early.
    """
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=device.type != "cpu")
    if isinstance(value, dict):
        return {name: to_device(item, device) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_device(item, device) for item in value)
    return value
