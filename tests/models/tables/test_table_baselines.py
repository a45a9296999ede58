"""The sceptics of tables: logistic regression against a pipeline of scikit-learn, class shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from small_tables import Rows, rows

from marketorch.models.tables.logistic import TableLogistic
from marketorch.models.tables.prior import Prior

SIZES = {"num_numbers": 3, "level_counts": (4, 3)}


def fitted(data: Rows, num_classes: int = 2, **options: object) -> TableLogistic:
    sizes = {
        "num_numbers": data.numbers.shape[1],
        "level_counts": (4, 3)[: data.categories.shape[1]],
    }
    model = TableLogistic(**sizes, num_classes=num_classes, **options)  # type: ignore[arg-type]
    model.fit(data)
    return model


@pytest.mark.parametrize("num_classes", [2, 3])
def test_logistic_is_the_pipeline_of_scikit_learn(num_classes: int) -> None:
    data = rows(400, **SIZES, num_classes=num_classes, missing=0.2)
    data.numbers *= torch.tensor([1.0, 50.0, 0.01])
    data.numbers += torch.tensor([0.0, 300.0, 0.0])
    model = fitted(data, num_classes, inverse_penalty=0.7)
    parts = [
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), [0, 1, 2]),
        ("missing", MissingIndicator(features="all"), [0, 1, 2]),
        ("levels", OneHotEncoder(categories=[[*range(4)], [*range(3)]]), [3, 4]),
    ]
    pipeline = make_pipeline(
        ColumnTransformer(parts), LogisticRegression(C=0.7, max_iter=1000, tol=1e-6)
    )
    x = np.concatenate([data.numbers.double().numpy(), data.categories.numpy()], 1)
    pipeline.fit(x, data.labels.numpy())
    logits = model(data.numbers, data.categories.long())
    np.testing.assert_allclose(logits.softmax(1), pipeline.predict_proba(x), atol=3e-3)


@pytest.mark.parametrize("part", ["numbers", "categories"])
def test_one_kind_of_column_is_enough(part: str) -> None:
    data = rows(300)
    width = {"numbers": 0, "categories": 0} | {part: 9}
    data.numbers, data.categories = data.numbers[:, : width["numbers"]], data.categories
    data.categories = data.categories[:, : width["categories"]]
    logits = fitted(data)(data.numbers, data.categories.long())
    assert logits.shape == (300, 2)
    assert (logits.argmax(1) == data.labels).float().mean() > 0.6


def test_columns_that_say_nothing_do_no_harm() -> None:
    data = rows(300)
    data.numbers[:, 1] = 7.0
    data.numbers[:, 2] = torch.nan
    model = fitted(data)
    assert model.weight[:, 1:].abs().max() == 0
    strange = torch.tensor([[0.0, 1e6, 2.0], [0.0, torch.nan, torch.nan]])
    assert torch.isfinite(model(strange, torch.zeros(2, 2, dtype=torch.int64))).all()


def test_the_design_holds_a_one_for_each_level() -> None:
    data = rows(50, missing=0.2)
    design = fitted(data)._design(data.numbers, data.categories)
    assert isinstance(design, csr_matrix)
    whole = torch.from_numpy(design.toarray())
    assert torch.equal(whole[:, 3:6] > 0, data.numbers.isnan())
    assert torch.equal(whole[:, 6:10].argmax(1), data.categories[:, 0].long())
    assert torch.equal(whole[:, 10:].argmax(1), data.categories[:, 1].long())
    assert (whole[:, 6:].sum(1) == 2).all()


def test_a_class_that_training_lacks_is_never_the_answer() -> None:
    data = rows(200)
    data.labels = 2 * data.labels
    data.labels[:20] = -1
    model = fitted(data, num_classes=3)
    logits = model(data.numbers, data.categories.long())
    assert 1 not in logits.argmax(1)
    assert (logits.argmax(1) == data.labels)[20:].float().mean() > 0.7


def test_the_state_survives_a_round_trip() -> None:
    data = rows(200, missing=0.1)
    model, copy = fitted(data), TableLogistic(**SIZES, num_classes=2)
    copy.load_state_dict(model.state_dict())
    exact = model(data.numbers, data.categories.long())
    assert torch.equal(copy(data.numbers, data.categories.long()), exact)


def test_prior_predicts_the_shares() -> None:
    data = rows(5)
    data.labels = torch.tensor([0, 0, 0, 1, -1])
    model = Prior(**SIZES, num_classes=2)
    model.fit(data)
    shares = model(data.numbers, data.categories.long()).softmax(1)
    torch.testing.assert_close(shares, torch.tensor([[0.75, 0.25]] * 5))
