"""Recommenders that are solved against written-out solutions; those that are trained learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from marketorch.data.events.catalogue import Catalogue, Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import Ragged
from marketorch.engine.trainer import Trainer
from marketorch.errors import ConfigError
from marketorch.models.recommenders.ials import IALS
from marketorch.models.recommenders.item_similarity import EASE, ItemKNN
from marketorch.models.recommenders.matrix_factorization import MatrixFactorization
from marketorch.models.recommenders.neumf import NeuMF
from marketorch.models.recommenders.two_tower import TwoTower
from marketorch.optim import optimizers as optim
from marketorch.tasks.recommendation import Recommendation

ROWS = [[1, 2, 3], [1, 2], [2, 3], [4, 1], [4, 5, 1]]
SIZES = Sizes(num_items=5, num_users=5)


def dataset(rows: list[list[int]], **options: Any) -> EventDataset:
    users = options.pop("users", torch.arange(1, len(rows) + 1))
    return EventDataset(Ragged.of(rows), Catalogue(list("abcde")), users=users, **options)


def table() -> torch.Tensor:
    taken = torch.zeros(len(ROWS), 6)
    for user, row in enumerate(ROWS):
        taken[user, row] = 1
    return taken


def batch() -> dict[str, torch.Tensor]:
    rows = Ragged.of(ROWS).pad(torch.arange(len(ROWS)))
    return {"items": rows, "users": torch.arange(1, len(ROWS) + 1)}


def test_ease_is_the_closed_form() -> None:
    model = EASE(sizes=SIZES, l2=2.0)
    model.fit(dataset(ROWS))
    taken = table()
    inverse = torch.linalg.inv(taken.T @ taken + 2 * torch.eye(6))
    weights = -inverse / inverse.diagonal()
    weights.fill_diagonal_(0)
    torch.testing.assert_close(model(batch()), taken @ weights, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="square of 60,000 items"):
        EASE(sizes=Sizes(60_000))


def test_neighbours_are_shrunk_cosines() -> None:
    model = ItemKNN(sizes=SIZES, neighbours=2, shrinkage=1.0)
    model.fit(dataset(ROWS))
    taken = table()
    norms = taken.sum(0).sqrt()
    cosines = (taken.T @ taken) / (norms[:, None] * norms + 1.0)
    cosines.fill_diagonal_(0)
    kept = cosines.topk(2, dim=1)
    near = torch.zeros(6, 6).scatter_(1, kept.indices, kept.values)
    torch.testing.assert_close(model(batch()), taken @ near, rtol=1e-4, atol=1e-5)


def test_ials_is_where_its_loss_has_no_slope() -> None:
    torch.manual_seed(0)
    model = IALS(sizes=SIZES, dim=3, epochs=200, unseen=0.3, l2=0.05, power=1.0)
    model.fit(dataset(ROWS))
    taken = table()[:, 1:]
    items = model.vectors[1:].clone().requires_grad_()
    gram = model.vectors.T @ model.vectors
    users = model.regress(batch()["items"], model.vectors, gram, 5).requires_grad_()
    scores = users @ items.T
    loss = (taken * (1 - scores) ** 2).sum() + 0.3 * (scores**2).sum()
    loss = loss + (0.05 * (taken.sum(1) + 0.3 * 5) * (users**2).sum(1)).sum()
    loss = loss + (0.05 * (taken.sum(0) + 0.3 * 5) * (items**2).sum(1)).sum()
    loss.backward()
    assert users.grad is not None
    assert items.grad is not None
    assert users.grad.abs().max() < 1e-3
    assert items.grad.abs().max() < 1e-3


def taught(
    folder: Path, model: Callable[..., Any], rows: list[list[int]], **options: Any
) -> Recommendation:
    """A task trained on ``rows`` until it knows them."""
    torch.manual_seed(0)
    sizes = Sizes(5, len(rows), **options.pop("sizes", {}))
    loss = options.pop("loss", "softmax")
    task = Recommendation(
        model=model, schema=sizes._asdict(), at=(2,), loss=loss, negatives=8, mask_seen=False
    )
    trainer = Trainer(run_dir=folder, device="cpu", precision="fp32", epochs=150, batch_size=8)
    train = dataset(rows, training=True, **options)
    trainer.fit(task, train, None, partial(optim.adamw, lr=2e-2, weight_decay=0.0))
    return task.eval()


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (partial(MatrixFactorization, dim=8), "softmax"),
        (partial(MatrixFactorization, dim=8, temperature=None), "gbce"),
        (partial(NeuMF, dim=8, hidden=(8, 4)), "gbce"),
        (partial(NeuMF, dim=8, hidden=(8, 4)), "sampled_softmax"),
    ],
)
def test_factorizations_learn_who_took_what(
    tmp_path: Path, model: Callable[..., Any], loss: str
) -> None:
    task = taught(tmp_path, model, [[1, 2], [3, 4], [1, 2], [3, 4], [5, 1]], loss=loss)
    data = dataset([[1], [3]], users=torch.tensor([1, 2]))
    shown = task.predict(task.encode(data).__getitems__([0, 1]))["items"]
    assert [sorted(row) for row in shown.tolist()] == [[1, 2], [3, 4]]


def test_a_user_without_a_vector_is_served_by_the_history(tmp_path: Path) -> None:
    model = partial(MatrixFactorization, dim=8)
    task = taught(tmp_path, model, [[1, 2], [3, 4], [1, 2], [3, 4]])
    data = dataset([[1], [4]], users=torch.zeros(2, dtype=torch.int64))
    shown = task.predict(task.encode(data).__getitems__([0, 1]))["items"]
    assert [sorted(row) for row in shown.tolist()] == [[1, 2], [3, 4]]


def test_two_towers_serve_users_and_items_never_seen_by_their_attributes(tmp_path: Path) -> None:
    """Users of kind 1 take items of kind 1; item 5 is of kind 2 and nobody took it."""
    kinds = torch.tensor([0, 1, 1, 2, 2, 2])[:, None]
    task = taught(
        tmp_path,
        partial(TwoTower, dim=8, dropout=0.0, id_dropout=0.5),
        [[1, 2], [3, 4]] * 4,
        sizes={"item_tokens": 2, "item_width": 1, "user_tokens": 2, "user_width": 1},
        item_tokens=kinds,
        user_tokens=torch.tensor([1, 2] * 4)[:, None],
    )
    strangers = dataset(
        [[], []], users=torch.zeros(2, dtype=torch.int64), user_tokens=torch.tensor([[1], [2]])
    )
    scores = task.model(task.encode(strangers).__getitems__([0, 1]))
    assert scores[0, 1:3].min() > scores[0, 3:].max()
    assert scores[1, 3:].min() > scores[1, 1:3].max()  # and item 5 is among them
