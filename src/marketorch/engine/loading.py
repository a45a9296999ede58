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

from marketorch import distributed
from marketorch.engine.stopping import leave_signals_to_the_parent
from marketorch.engine.task import Batch, Dataset
from marketorch.errors import DataError

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


class Batches(Sequence[np.ndarray]):
    """Positions ``(N,)`` in an order, cut into batches; a batch is a view, made when asked for.

    Args:
        order: positions of examples.
        size: of every batch but, if it does not come out even, one.
        sequence: which batch comes when; None: as they lie.
    """

    def __init__(self, order: np.ndarray, size: int, sequence: np.ndarray | None = None) -> None:
        self.order, self.size, self.sequence = order, size, sequence

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __getitem__(self, place: Any) -> Any:
        if not 0 <= place < len(self):
            raise IndexError(place)
        number = place if self.sequence is None else int(self.sequence[place])
        return self.order[number * self.size : (number + 1) * self.size]


def epoch_order(
    num_examples: int, batch_size: int, *, seed: int, epoch: int, lengths: Tensor | None = None
) -> Batches:
    """Global batches of one epoch, shuffled; of similar length where ``lengths (N,)`` are given.

    All but one have ``batch_size`` entries and together they hold every example exactly once.
    """
    generator = np.random.Generator(np.random.PCG64(derive_seed(seed, epoch)))
    order = np.arange(num_examples, dtype=np.int32 if num_examples < 2**31 else np.int64)
    generator.shuffle(order)
    if lengths is None:
        return Batches(order, batch_size)
    sizes = np.asarray(lengths)
    pools = np.split(order, range(batch_size * POOL, num_examples, batch_size * POOL))
    order = np.concatenate([pool[np.argsort(sizes[pool], kind="stable")] for pool in pools])
    return Batches(order, batch_size, generator.permutation(-(-num_examples // batch_size)))


class Keys(Sequence[Key]):
    """A rank's share of some batches as keys, made when they are asked for.

    Args:
        batches: global ones; of each, a rank takes every ``world``-th example.
        start: the first batch.
    """

    def __init__(
        self,
        batches: Batches,
        *,
        seed: int = 0,
        epoch: int = 0,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.batches, self.start = batches, start
        self.seed, self.epoch, self.rank, self.world = seed, epoch, rank, world

    def __len__(self) -> int:
        return max(0, len(self.batches) - self.start)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        place = place + len(self) if place < 0 else place
        indices = self.batches[self.start + place]
        share = indices[self.rank :: self.world]
        real = len(share) > 0
        share = share if real else indices[:1]
        return Key(self.seed, self.epoch, self.start + place, share.tolist(), real)


def epoch_keys(dataset: Dataset, batch_size: int, *, seed: int, epoch: int, start: int = 0) -> Keys:
    """This rank's share of every global batch of an epoch, from batch ``start`` on.

    Raises:
        DataError: a data set's own order has not as many positions as it has examples.
    """
    own = getattr(dataset, "order", None)
    if own is None:
        lengths = getattr(dataset, "lengths", None)
        batches = epoch_order(len(dataset), batch_size, seed=seed, epoch=epoch, lengths=lengths)
    else:
        order = np.asarray(own(derive_seed(seed, epoch)))
        if order.shape != (len(dataset),):
            shape, kind = tuple(order.shape), type(dataset).__name__
            raise DataError(f"{kind}.order gave {shape} positions of {len(dataset):,} examples.")
        batches = Batches(order, batch_size)
    rank, world = distributed.rank(), distributed.world_size()
    return Keys(batches, seed=seed, epoch=epoch, start=start, rank=rank, world=world)


def evaluation_keys(dataset: Dataset, batch_size: int) -> Keys:
    """This rank's examples, each exactly once and none padded, sorted by length where known."""
    lengths = getattr(dataset, "lengths", None)
    order = np.arange(len(dataset))
    if lengths is not None:
        order = np.argsort(np.asarray(lengths), kind="stable")[::-1]
    return Keys(Batches(order[distributed.rank() :: distributed.world_size()], batch_size))


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
