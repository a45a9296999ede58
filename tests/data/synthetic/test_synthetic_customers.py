"""The embedded customers: who they are, what is true of them, and how splits are cut."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from marketorch import build, check, compose
from marketorch.data.synthetic.customer_data import SyntheticCustomers, reachable
from marketorch.data.synthetic.customers import BLOCK, intercept, make_customers
from marketorch.data.tables.encoding import TableEncoder
from marketorch.errors import DataError

SIZES = {"num_train": 600, "num_validation": 200, "num_test": 100}


def test_a_customer_is_a_function_of_its_place() -> None:
    whole = make_customers(range(3 * BLOCK), seed=1).table
    for start, stop in ((0, 10), (BLOCK - 3, BLOCK + 4), (2 * BLOCK, 2 * BLOCK + 5)):
        part = make_customers(range(start, stop), seed=1).table
        assert part.to_pylist() == whole.slice(start, stop - start).to_pylist()
    assert make_customers(range(10), seed=2).table != whole.slice(0, 10)


def test_splits_are_disjoint() -> None:
    data = SyntheticCustomers(**SIZES)
    ids = {name: set(data.split(name).ids) for name in ("train", "validation", "test")}
    assert {name: len(own) for name, own in ids.items()} == {
        "train": 600,
        "validation": 200,
        "test": 100,
    }
    assert not any(one & other for one, other in itertools.combinations(ids.values(), 2))


def test_columns_of_all_kinds() -> None:
    data = SyntheticCustomers(**SIZES)
    kinds = {column["name"]: column["kind"] for column in data.schema["columns"]}
    assert set(kinds.values()) == {"number", "category", "date", "boolean"}
    assert data.schema["classes"] == ["no", "yes"]
    assert data.schema["positive"] == "yes"
    encoder = TableEncoder(data.schema["columns"])
    encoder.fit(data.split("train"))
    encoded = encoder.encode(data.split("test"))
    assert encoded.numbers.isfinite().all()
    assert encoded.labels is not None
    assert encoded.labels.bool().numpy().tolist() == data.truth("test").labels.tolist()


@pytest.mark.parametrize("prevalence", [0.5, 0.2, 0.01, 0.001])
def test_so_many_leave(prevalence: float) -> None:
    customers = make_customers(range(200_000), seed=3, prevalence=prevalence)
    assert customers.probability.mean() == pytest.approx(prevalence, rel=0.1)
    deviation = np.sqrt(prevalence / 200_000)
    assert customers.labels.mean() == pytest.approx(customers.probability.mean(), abs=4 * deviation)


def test_the_chances_are_true() -> None:
    """Of those with a chance of p, a share of p leaves."""
    customers = make_customers(range(200_000), seed=4)
    order = np.argsort(customers.probability)
    for rows in np.array_split(order, 20):
        chance = customers.probability[rows].mean()
        deviation = np.sqrt(chance * (1 - chance) / len(rows))
        assert customers.labels[rows].mean() == pytest.approx(chance, abs=4 * deviation)


def test_a_high_income_is_missing_more_often() -> None:
    """And hardly any other column tells which are missing: they are so for what they hold."""
    table = make_customers(range(100_000), seed=0).table.to_pandas()
    gone = table["income"].isna()
    assert 0.1 < gone.mean() < 0.4
    dear, cheap = (gone[table["plan"] == plan].mean() for plan in ("premium", "basic"))
    assert dear > cheap + 0.03  # who earns more has the dearer plan


def test_levels_are_rare_and_frequent() -> None:
    counts = make_customers(range(20_000), seed=0).table.to_pandas()["phone"].value_counts()
    assert counts.iloc[0] > 20 * counts.iloc[-1]
    assert len(counts) > 200


def test_what_is_reachable() -> None:
    data = SyntheticCustomers(num_train=3000, num_validation=3000, num_test=3000)
    best = data.schema["best_reachable"]
    assert set(best) == {"train", "validation", "test"}
    truth = data.truth("test")
    draw = np.random.default_rng(0)
    for noise in (0.2, 0.5):
        odds = np.log(truth.probability / (1 - truth.probability))
        worse = 1 / (1 + np.exp(-(odds + noise * draw.normal(size=3000))))
        other = reachable(type(truth)(truth.table, truth.labels, worse, None))
        assert other["auroc"] < best["test"]["auroc"]
        assert other["log_loss"] > best["test"]["log_loss"]
        assert other["brier"] > best["test"]["brier"]
    nobody = type(truth)(truth.table, np.zeros(3000, bool), truth.probability, None)
    assert set(reachable(nobody)) == {"log_loss", "brier"}


def test_an_offer_whose_effect_is_known() -> None:
    data = SyntheticCustomers(num_train=40_000, num_validation=100, num_test=100, treatment=True)
    assert data.schema["treatments"] == ["no", "yes"]
    assert data.schema["classes"] == ["no", "yes"]
    train, truth = data.split("train"), data.truth("train")
    assert train.treatment is not None
    assert train.labels is not None
    assert truth.uplift is not None
    treated = train.treatment == 1
    assert float(treated.float().mean()) == pytest.approx(0.5, abs=0.02)
    stayed = train.labels.float()
    found = float(stayed[treated].mean() - stayed[~treated].mean())
    assert found == pytest.approx(truth.uplift.mean(), abs=0.02)
    assert data.schema["mean_uplift"]["train"] == pytest.approx(truth.uplift.mean())
    assert truth.uplift.min() < -0.1  # some are better left asleep
    best = torch.from_numpy(truth.uplift > np.quantile(truth.uplift, 0.8))
    gains = [
        float(stayed[treated & group].mean() - stayed[~treated & group].mean())
        for group in (best, ~best)
    ]
    assert gains[0] > gains[1] + 0.05
    assert "offer" not in {column["name"] for column in data.schema["columns"]}


def test_an_offer_is_nothing_that_the_chance_depends_on_otherwise() -> None:
    """The same customers stay, those apart whom the offer keeps or wakes."""
    plain = make_customers(range(1000), seed=5)
    offered = make_customers(range(1000), seed=5, offer=True)
    lot = np.array(offered.table.column("offer").to_pylist()) == "yes"
    assert np.array_equal(plain.labels[~lot], ~offered.labels[~lot])
    assert (plain.labels[lot] != ~offered.labels[lot]).any()


def test_the_fingerprint_tells_data_apart() -> None:
    prints = {
        SyntheticCustomers(**SIZES, **options).fingerprint()
        for options in ({}, {"seed": 1}, {"prevalence": 0.1}, {"treatment": True})
    }
    assert len(prints) == 4


def test_new_customers_are_scored(tmp_path: Path) -> None:
    data = SyntheticCustomers(**SIZES)
    path = tmp_path / "new.parquet"
    new = make_customers(range(10_000, 10_050), seed=0).table.drop_columns(["churned"])
    pq.write_table(new, path)
    inputs = data.inputs(str(path))
    assert (len(inputs), inputs.ids[0]) == (50, "C00010000")
    encoder = TableEncoder(data.schema["columns"])
    encoder.fit(data.split("train"))
    assert encoder.encode(inputs).numbers.shape == (50, encoder.num_numbers)


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -1.0])
def test_a_share_that_is_none(prevalence: float) -> None:
    with pytest.raises(
        DataError, match=r"data\.prevalence is .*; expected a share between 0 and 1"
    ):
        SyntheticCustomers(prevalence=prevalence)
    assert intercept(0.01, 1.0) < intercept(0.2, 1.0)


def test_a_split_that_is_not_there() -> None:
    data = SyntheticCustomers(num_train=100, num_validation=100, num_test=0)
    with pytest.raises(DataError, match=r"no test split \(found: train, validation\)"):
        data.split("test")
    assert set(data.schema["best_reachable"]) == {"train", "validation"}


def test_the_config_builds() -> None:
    config = compose(["data=synthetic_customers", "data.num_train=50"])
    check(config)
    assert len(build(config.data).split("train")) == 50
