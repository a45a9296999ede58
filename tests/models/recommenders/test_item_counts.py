"""The counted sceptics against tables written out in full, and through a checkpoint."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from marketorch.data.events.catalogue import Catalogue, Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import Ragged
from marketorch.engine import checkpoint
from marketorch.engine.trainer import Trainer
from marketorch.models.recommenders.item_counts import Markov
from marketorch.tasks.recommendation import Recommendation

ITEMS, USERS = 30, 80
Rows = list[list[int]]


def random_rows() -> Rows:
    """Histories of 1 to 12 of the first 25 items: 26 to 30 are in the catalogue alone."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 13, (USERS,), generator=generator).tolist()
    drawn = [torch.rand(n, generator=generator).square() * 25 + 1 for n in lengths]
    return [row.long().tolist() for row in drawn]


def dataset(rows: Rows) -> EventDataset:
    names = Catalogue([f"item {i}" for i in range(1, ITEMS + 1)], list(range(len(rows))))
    return EventDataset(Ragged.of(rows), names, users=torch.arange(1, len(rows) + 1))


def padded(rows: Rows) -> dict[str, Tensor]:
    return {"items": Ragged.of(rows).pad(torch.arange(len(rows)))}


def written_out(train: Rows, histories: Rows, repeats: float) -> Tensor:
    """Scores from a table of the square of the catalogue, a count at a time."""
    steps = [[0.0] * (ITEMS + 1) for _ in range(ITEMS + 1)]
    for row in train:
        for before, after in pairwise(row):
            steps[before][after] += 1
    taken = Counter(item for row in train for item in row)
    most, scores = max(taken.values()), []
    for history in histories:
        after, own = steps[history[-1]], Counter(history)
        unit = repeats * (1 + sum(after)) / len(history)
        scores.append([c + 0.5 * taken[i] / most + unit * own[i] for i, c in enumerate(after)])
    return torch.tensor(scores)


@pytest.mark.parametrize("repeats", [0.0, 0.5, 2.0])
def test_the_compressed_table_is_the_dense_one(repeats: float) -> None:
    rows = random_rows()
    model = Markov(sizes=Sizes(ITEMS), repeats=repeats, length=None)
    model.fit(dataset(rows))
    asked = [*rows, [26], [3, 30]]  # nothing ever followed 26 and 30
    torch.testing.assert_close(model(padded(asked)), written_out(rows, asked, repeats))


def test_only_pairs_that_came_are_kept() -> None:
    rows = random_rows()
    model = Markov(sizes=Sizes(100_000))
    model.fit(dataset(rows))
    assert len(model.counts) == len({pair for row in rows for pair in pairwise(row)})
    assert sum(value.numel() for value in model.state_dict().values()) < 3 * 100_000
    assert model(padded([[2], [100_000]])).shape == (2, 100_001)


def test_what_a_user_takes_again_and_again_comes_before_what_others_take() -> None:
    train = [[1, 2], [1, 2], [1, 3], [4, 4, 5]]
    plain, own = Markov(sizes=Sizes(ITEMS)), Markov(sizes=Sizes(ITEMS), repeats=1.0, length=None)
    for model in (plain, own):
        model.fit(dataset(train))
    batch = padded([[5, 5, 5, 1], [1]])
    assert plain(batch).argmax(1).tolist() == [2, 2]
    scores = own(batch)
    assert scores.topk(3).indices.tolist() == [[5, 2, 1], [1, 2, 3]]
    torch.testing.assert_close(own.similar(torch.tensor([1]))[0], scores[1])


def test_nobody_and_padding_get_popularity() -> None:
    model = Markov(sizes=Sizes(ITEMS), repeats=1.0, length=None)
    model.fit(dataset([[1, 2, 1], [2, 1]]))
    scores = model({"items": torch.tensor([[0, 0, 0], [1, 0, 0]])})
    assert torch.equal(scores[0], model.popularity)
    torch.testing.assert_close(scores[1], model(padded([[1]]))[0])


def test_an_empty_model_takes_the_state_of_a_fitted_one() -> None:
    rows = random_rows()
    fitted = Markov(sizes=Sizes(ITEMS), repeats=0.5, length=None)
    fitted.fit(dataset(rows))
    other = Markov(sizes=Sizes(ITEMS), repeats=0.5, length=None)
    other.load_state_dict(fitted.state_dict())
    assert torch.equal(other(padded(rows)), fitted(padded(rows)))
    other.fit(dataset(rows[:5]))  # and of one whose table has another size
    other.load_state_dict(fitted.state_dict())
    assert torch.equal(other(padded(rows)), fitted(padded(rows)))


def test_a_checkpoint_restores_the_table(tmp_path: Path) -> None:
    rows = random_rows()
    build = partial(
        Recommendation,
        model=partial(Markov, repeats=0.5, length=None),
        schema={"num_items": ITEMS, "num_users": USERS},
        mask_seen=False,
    )
    task = build()
    trainer = Trainer(run_dir=tmp_path, device="cpu", precision="fp32", max_steps=0)
    trainer.fit(task, dataset(rows), None, lambda module: [])
    again = build()
    state, _ = checkpoint.load_best(tmp_path / "checkpoints" / checkpoint.BEST)
    again.load_state_dict(state)
    assert torch.equal(again.model(padded(rows)), task.model(padded(rows)))
