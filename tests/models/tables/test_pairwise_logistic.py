"""Curves and pairs against scikit-learn on a design that is written out, and what priors do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from small_tables import Rows, rows

from marketorch.models.tables.pairwise_logistic import PairwiseLogistic

LEVELS = (4, 3)


def fitted(data: Rows, num_classes: int = 2, **options: float) -> PairwiseLogistic:
    model = PairwiseLogistic(
        num_numbers=data.numbers.shape[1],
        level_counts=LEVELS[: data.categories.shape[1]],
        num_classes=num_classes,
        **options,  # type: ignore[arg-type]
    )
    model.fit(data)
    return model


def probabilities(model: PairwiseLogistic, data: Rows) -> torch.Tensor:
    return model(data.numbers, data.categories.long()).softmax(1)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_it_is_a_ridge_regression_on_columns_bends_levels_and_products(num_classes: int) -> None:
    data = rows(400, num_numbers=3, level_counts=LEVELS, num_classes=num_classes)
    model = fitted(data, num_classes, bins=4, line=0.7, bend=0.4, level=0.9, pair=0.3)
    curves = model.pieces(data.numbers).flatten(1)
    hot = [F.one_hot(data.categories[:, i].long(), count).float() for i, count in enumerate(LEVELS)]
    columns = [*data.numbers.split(1, dim=1), *hot]
    products = [
        (a[:, :, None] * b[:, None]).flatten(1) for a, b in itertools.combinations(columns, 2)
    ]
    parts = [0.7 * data.numbers, 0.4 * curves, 0.9 * torch.cat(hot, 1)]
    x = torch.cat([*parts, 0.3 * torch.cat(products, 1)], 1).double().numpy()
    expected = LogisticRegression(C=1.0, max_iter=5000, tol=1e-8).fit(x, data.labels.numpy())
    np.testing.assert_allclose(probabilities(model, data), expected.predict_proba(x), atol=5e-3)


def test_what_only_holds_together_is_found_by_pairs_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(600, 2, generator=generator)
    together = (numbers[:, 0] * numbers[:, 1] > 0).long()
    data = Rows(numbers, torch.zeros(600, 0, dtype=torch.int32), together)
    with_pairs, without = fitted(data), fitted(data, pair=0.0)
    assert (probabilities(with_pairs, data).argmax(1) == data.labels).float().mean() > 0.9
    assert (probabilities(without, data).argmax(1) == data.labels).float().mean() < 0.7
    assert without.pairs.abs().max() == 0


def test_a_tight_prior_leaves_the_share_of_the_classes() -> None:
    data = rows(300, num_numbers=3, level_counts=LEVELS)
    tight = fitted(data, line=1e-4, bend=1e-4, level=1e-4, pair=1e-4)
    share = (data.labels == 1).float().mean()
    torch.testing.assert_close(
        probabilities(tight, data)[:, 1], share.expand(300), atol=2e-3, rtol=0
    )


def test_levels_of_one_column_and_columns_of_many_levels_do_not_meet() -> None:
    data = rows(200, num_numbers=1, level_counts=LEVELS)
    model = fitted(data, paired_levels=3)  # the column of 4 levels stays alone
    assert model.pairs.shape == (2, 1 + 3, 1 + 3)
    assert model.pairs[:, 0, 1:].abs().max() > 0
    assert model.pairs[:, 1:, 1:].abs().max() == 0


@pytest.mark.parametrize("part", ["numbers", "categories"])
def test_one_kind_of_column_is_enough(part: str) -> None:
    data = rows(300, num_numbers=3, level_counts=LEVELS)
    width = {"numbers": 0, "categories": 0} | {part: 9}
    data.numbers = data.numbers[:, : width["numbers"]]
    data.categories = data.categories[:, : width["categories"]]
    assert (probabilities(fitted(data), data).argmax(1) == data.labels).float().mean() > 0.6


def test_a_class_that_training_lacks_is_never_the_answer() -> None:
    data = rows(200, num_numbers=2, level_counts=LEVELS)
    assert probabilities(fitted(data, num_classes=3), data)[:, 2].max() < 1e-6
