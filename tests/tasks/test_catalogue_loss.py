"""Sampled losses against written-out ones, and that samples agree with the whole in the limit."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.data.ragged import Ragged
from marketorch.errors import ConfigError
from marketorch.models.recommenders.base import Positives, VectorRecommender
from marketorch.tasks.catalogue_loss import CatalogueLoss, full_softmax


class Fixed(VectorRecommender):
    """Items with these vectors."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.vectors = vectors

    def catalogue(self, items: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return (self.vectors if items is None else self.vectors[items]), None


def setting(num_items: int = 50) -> tuple[Fixed, Positives]:
    torch.manual_seed(0)
    model = Fixed(torch.randn(num_items + 1, 6))
    rows = torch.arange(9).repeat_interleave(2)
    targets = torch.randint(1, num_items + 1, (18,))
    return model, Positives(torch.randn(9, 6), rows, targets)


def test_bce_is_the_written_out_sum() -> None:
    model, positives = setting()
    loss = CatalogueLoss(50, "gbce", negatives=20, calibration=0.0)
    torch.manual_seed(3)
    drawn = loss.draw()
    torch.manual_seed(3)
    actual = loss(model, positives)
    expected = 0.0
    for row, target in zip(positives.rows.tolist(), positives.targets.tolist(), strict=True):
        query = positives.queries[row]
        expected -= float(F.logsigmoid(query @ model.vectors[target]))
        expected -= sum(float(F.logsigmoid(-query @ model.vectors[n])) for n in drawn.tolist())
    assert float(actual) == pytest.approx(expected, rel=1e-4)


def test_calibration_takes_down_the_positive_by_beta() -> None:
    model, positives = setting()
    values = []
    for calibration in (0.0, 1.0):
        torch.manual_seed(3)
        loss = CatalogueLoss(50, "gbce", negatives=20, calibration=calibration)
        values.append(float(loss(model, positives)))
    own = model.pair_scores(positives.queries[positives.rows], positives.targets)
    difference = (1 - 20 / 50) * float(F.softplus(-own).sum())  # beta is 1, then 20 / 50
    assert values[0] - values[1] == pytest.approx(difference, rel=1e-3)


@pytest.mark.parametrize("popularity", [0.0, 1.0])
def test_a_large_corrected_sample_is_worth_the_whole_catalogue(popularity: float) -> None:
    model, positives = setting()
    loss = CatalogueLoss(50, "sampled_softmax", negatives=200_000, popularity=popularity)
    loss.fit(Ragged.of([[i] * i for i in range(1, 51)]))
    whole = float(full_softmax(model, positives))
    assert float(loss(model, positives)) == pytest.approx(whole, rel=0.02)


def test_in_batch_negatives_are_corrected_by_how_often_they_are_targets() -> None:
    model, positives = setting()
    loss = CatalogueLoss(50, "sampled_softmax", negatives=1, in_batch=True)
    loss.fit(Ragged.of([[i] * i for i in range(1, 51)]))
    torch.manual_seed(3)
    drawn = int(loss.draw())
    torch.manual_seed(3)
    actual = float(loss(model, positives))
    expected, targets = 0.0, positives.targets.tolist()
    for row, target in zip(positives.rows.tolist(), targets, strict=True):
        scores = (model.vectors @ positives.queries[row]).tolist()
        share = {item: item / sum(range(51)) for item in range(51)}
        others = [(drawn, 1 / 50), *((item, 18 * share[item]) for item in targets)]
        total = sum(math.exp(scores[i]) / q for i, q in others if i != target)
        expected += math.log(math.exp(scores[target]) + total) - scores[target]
    assert actual == pytest.approx(expected, rel=1e-4)


def test_draws_follow_popularity_and_never_padding() -> None:
    loss = CatalogueLoss(4, "sampled_softmax", negatives=100_000, popularity=1.0)
    loss.fit(Ragged.of([[1] * 9, [2] * 4, [3] * 1]))
    shares = torch.bincount(loss.draw(), minlength=5) / 100_000
    expected = torch.tensor([0, 10, 5, 2, 1]) / 18  # counts plus one: nothing is impossible
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.01)
    loss.popularity = 0.0
    assert sorted(set(loss.draw().tolist())) == [1, 2, 3, 4]


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ConfigError, match=r"task\.loss is 'softmx'.*Did you mean 'softmax'"):
        CatalogueLoss(4, "softmx")
