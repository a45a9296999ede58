"""Order, batches and randomness are functions of the position in the run."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toy import JitteredPoints, Points

from marketorch import distributed
from marketorch.engine import loading
from marketorch.errors import DataError

CPU = torch.device("cpu")


class Sized:
    """A data set of which only the size, and perhaps the lengths, matter."""

    def __init__(self, num: int, lengths: Tensor | None = None) -> None:
        self.num = num
        if lengths is not None:
            self.lengths = lengths

    def __len__(self) -> int:
        return self.num


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> Any:
    def pretend(rank: int, world_size: int) -> None:
        monkeypatch.setattr(distributed, "rank", lambda: rank)
        monkeypatch.setattr(distributed, "world_size", lambda: world_size)

    return pretend


def flat(keys: Iterable[loading.Key]) -> list[int]:
    return [index for key in keys if key.real for index in key.indices]


# -- the order of an epoch --------------------------------------------------------------------


@pytest.mark.parametrize(("num", "size"), [(1, 8), (7, 8), (8, 8), (9, 8), (100, 8), (1000, 64)])
@pytest.mark.parametrize("with_lengths", [False, True])
def test_an_epoch_holds_every_example_once(num: int, size: int, with_lengths: bool) -> None:
    lengths = torch.arange(num) % 13 if with_lengths else None
    batches = loading.epoch_order(num, size, seed=0, epoch=0, lengths=lengths)
    assert sorted(np.concatenate(batches).tolist()) == list(range(num))
    sizes = sorted(len(batch) for batch in batches)
    assert sizes[1:] == [size] * (len(sizes) - 1)  # all full but the ragged one
    assert sizes[0] == (num % size or size)


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(loading.epoch_order(200, 8, seed=seed, epoch=epoch)).tolist()

    first = order(0, 0)
    torch.manual_seed(123)  # nobody's global state matters
    np.random.seed(123)
    assert order(0, 0) == first
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_similar_lengths_are_batched_together() -> None:
    lengths = torch.randint(1, 500, (4000,), generator=torch.Generator().manual_seed(0))
    sorted_ = loading.epoch_order(4000, 16, seed=0, epoch=0, lengths=lengths)
    shuffled = loading.epoch_order(4000, 16, seed=0, epoch=0)

    def padding(batches: list[np.ndarray]) -> float:
        padded = sum(len(b) * int(lengths[b].max()) for b in batches)
        return padded / int(lengths.sum()) - 1

    assert padding(sorted_) < 0.1 < 0.5 < padding(shuffled)
    longest = [int(lengths[b].max()) for b in sorted_]
    assert longest != sorted(longest)  # and yet not from short to long


@pytest.mark.parametrize("start", [0, 1, 7, 12, 13])
@pytest.mark.parametrize("lengths", [None, torch.arange(100) % 7])
def test_starting_at_a_batch_gives_the_tail(start: int, lengths: Tensor | None) -> None:
    dataset = Sized(100, lengths)
    whole = loading.epoch_keys(dataset, 8, seed=3, epoch=5)
    assert [*loading.epoch_keys(dataset, 8, seed=3, epoch=5, start=start)] == whole[start:]


def test_keys_are_made_when_they_are_asked_for() -> None:
    """Forty million rows are one array of four bytes each, and no object a batch."""
    tracemalloc.start()
    keys = loading.epoch_keys(Sized(1_000_000), 16, seed=0, epoch=0)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert len(keys) == 62_500
    (last,) = loading.epoch_keys(Sized(1_000_000), 16, seed=0, epoch=0, start=62_499)
    assert keys[-1] == keys[62_499] == last


class Shards(Sized):
    """Three shards of four rows in another order each epoch, the rows of each in theirs."""

    def order(self, seed: int) -> np.ndarray:
        shards = np.random.default_rng(seed).permutation(3)
        return np.concatenate([4 * shard + np.arange(4) for shard in shards])


def test_a_data_set_may_bring_its_own_order(as_rank: Any) -> None:
    """Of which ranks take their shares, and a resumed run the rest."""
    epochs = [flat(loading.epoch_keys(Shards(12), 4, seed=0, epoch=e)) for e in range(6)]
    assert all(rows[i : i + 4] == sorted(rows[i : i + 4]) for rows in epochs for i in (0, 4, 8))
    assert len({tuple(rows) for rows in epochs}) > 1
    assert flat(loading.epoch_keys(Shards(12), 4, seed=0, epoch=2, start=1)) == epochs[2][4:]
    as_rank(1, 2)
    assert flat(loading.epoch_keys(Shards(12), 4, seed=0, epoch=2)) == epochs[2][1::2]
    with pytest.raises(DataError, match=r"Shards.order gave \(12,\) positions of 13 examples"):
        loading.epoch_keys(Shards(13), 4, seed=0, epoch=0)


# -- ranks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("num", [64, 65, 66, 3, 1])
@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_ranks_share_every_global_batch(num: int, world_size: int, as_rank: Any) -> None:
    as_rank(0, 1)
    whole = loading.epoch_keys(Sized(num), 8, seed=0, epoch=0)
    shares = []
    for rank in range(world_size):
        as_rank(rank, world_size)
        shares.append(loading.epoch_keys(Sized(num), 8, seed=0, epoch=0))
    for number, key in enumerate(whole):
        of_ranks = [share[number] for share in shares]  # all ranks make the same number of steps
        assert sorted(flat(of_ranks)) == sorted(key.indices)
        assert all(len(k.indices) >= 1 for k in of_ranks)  # filler, so a forward is possible


@pytest.mark.parametrize("num", [0, 1, 3, 10])
@pytest.mark.parametrize("lengths", [False, True])
def test_evaluation_shares_are_complete_and_unpadded(num: int, lengths: bool, as_rank: Any) -> None:
    dataset = Sized(num, torch.arange(num) % 3 if lengths else None)
    seen = []
    for rank in range(2):
        as_rank(rank, 2)
        keys = loading.evaluation_keys(dataset, 4)
        assert all(key.indices for key in keys)  # an empty rank has no batch at all
        seen += flat(keys)
    assert sorted(seen) == list(range(num))


def test_evaluation_keeps_the_ragged_last_batch() -> None:
    sizes = [len(key.indices) for key in loading.evaluation_keys(Sized(10), 4)]
    assert sizes == [4, 4, 2]


# -- randomness of examples -------------------------------------------------------------------


def batches(dataset: Any, num_workers: int, epoch: int = 0, start: int = 0) -> list[Tensor]:
    keys = loading.epoch_keys(dataset, 8, seed=0, epoch=epoch, start=start)
    loaded = loading.load(dataset, keys, device=CPU, num_workers=num_workers)
    return [batch["points"] for _, batch in loaded]


@pytest.mark.parametrize("num_workers", [2, 3])
@pytest.mark.parametrize("dataset", [Points(20), JitteredPoints(20)])
def test_the_number_of_workers_cannot_matter(dataset: Any, num_workers: int) -> None:
    alone, helped = batches(dataset, 0), batches(dataset, num_workers)
    assert len(alone) == len(helped) == 3
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))


def test_example_randomness_is_new_each_epoch_and_the_same_after_a_restart() -> None:
    dataset = JitteredPoints(20)
    again = batches(dataset, 0, epoch=0, start=1)
    assert all(torch.equal(a, b) for a, b in zip(batches(dataset, 0)[1:], again, strict=True))
    moved = loading.Fetcher(dataset)
    first, second = (moved[loading.Key(0, epoch, 0, [4])]["points"] for epoch in (0, 1))
    assert not torch.equal(first, second)


class NumpyPoints(Points):
    """A batch of NumPy arrays and strings, which the engine hands on as they are."""

    def __getitems__(self, indices: list[int]) -> dict[str, Any]:
        return {"points": self.points[indices].numpy(), "names": [str(i) for i in indices]}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_batch_arrives_as_the_data_set_made_it(num_workers: int) -> None:
    keys = loading.evaluation_keys(NumpyPoints(4), 4)
    ((_, batch),) = loading.load(NumpyPoints(4), keys, device=CPU, num_workers=num_workers)
    assert isinstance(batch["points"], np.ndarray)
    assert batch["names"] == ["0", "1", "2", "3"]


def test_batch_randomness_depends_on_the_position() -> None:
    def draw(*position: int) -> list[float]:
        loading.seed_batch(CPU, *position)
        return torch.rand(3).tolist()

    assert draw(0, 1, 2, 0) == draw(0, 1, 2, 0)
    positions = [(0, 1, 2, 0), (1, 1, 2, 0), (0, 2, 2, 0), (0, 1, 3, 0), (0, 1, 2, 1)]
    assert len({tuple(draw(*position)) for position in positions}) == 5
