"""Customers as tensors: what is scaled, what is missing, and which tables can be scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy.stats import norm

from marketorch.data.tables import encoding as customer_encoding
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.data.tables.encoding import NUM_KNOTS, EncodedCustomers, TableEncoder, quantiles
from marketorch.data.tables.source import CustomerData
from marketorch.engine.loading import Fetcher, Key
from marketorch.errors import DataError

ROWS = 400


def frame(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """Skewed amounts, a number that is often missing, dates, levels of which some are rare."""
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "spent": draw.lognormal(3, 2, rows).round(4),
            "income": np.where(draw.random(rows) < 0.3, np.nan, draw.normal(3000, 500, rows)),
            "seldom": np.where(draw.random(rows) < 0.8, np.nan, draw.random(rows)),
            "since": pd.to_datetime("2024-01-01")
            + pd.to_timedelta(draw.integers(0, 300, rows), "D"),
            "plan": draw.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
            "city": draw.choice(["x", "y", *"pqrst"], rows, p=[0.5, 0.475, *[0.005] * 5]),
            "paper": draw.choice(["yes", "no"], rows),
            "left": draw.choice(["yes", "no"], rows),
        }
    )


def data(path: Path, table: pd.DataFrame | None = None, **options: Any) -> CustomerData:
    (frame() if table is None else table).to_csv(path / "d.csv", index=False)
    whole = {"validation_fraction": 0.0, "test_fraction": 0.0}
    return CustomerData(path=str(path / "d.csv"), target="left", **{**whole, **options})


@pytest.fixture
def source(tmp_path: Path) -> CustomerData:
    return data(tmp_path, min_count=10)


def fitted(source: CustomerData, **options: Any) -> tuple[TableEncoder, CustomerDataset]:
    encoder, train = TableEncoder(source.schema["columns"], **options), source.split("train")
    encoder.fit(train)
    return encoder, train


def test_what_a_table_becomes(source: CustomerData) -> None:
    encoder, train = fitted(source)
    dates = ["since (days)", "since (month)", "since (weekday)"]
    missing = ["income is missing", "seldom is missing"]
    assert encoder.number_names == ["spent", "income", "seldom", *dates, *missing]
    assert encoder.category_names == ["plan", "city", "paper"]
    assert encoder.level_counts == [4, 4, 3]  # two cities, and the others
    assert encoder.num_numbers == 8
    since = ["since"] * 3
    numbers = ["spent", "income", "seldom", *since, "income", "seldom"]
    assert encoder.sources == [*numbers, "plan", "city", "paper"]
    encoded = encoder.encode(train)
    assert encoded.numbers.shape == (ROWS, 8)
    assert encoded.categories.shape == (ROWS, 3)
    assert (encoded.numbers.dtype, encoded.categories.dtype) == (torch.float32, torch.int32)


def test_numbers_are_standard_normal_whatever_their_scale(source: CustomerData) -> None:
    encoder, train = fitted(source)
    numbers, table = encoder.encode(train).numbers, frame()
    ranks = (table["spent"].rank().to_numpy() - 0.5) / ROWS
    assert numbers[:, 0].numpy() == pytest.approx(norm.ppf(ranks), abs=1e-3)
    assert numbers[:, :6].mean(0).abs().max() < 0.1
    assert numbers[:, 0].std() == pytest.approx(1, abs=0.05)
    gone = torch.tensor(table["income"].isna().tolist())
    assert (numbers[gone, 1] == 0).all()
    assert numbers[:, 6].equal(gone.float())


def test_scaled_again_after_a_checkpoint(source: CustomerData) -> None:
    encoder, train = fitted(source)
    other = TableEncoder(source.schema["columns"])
    other.load_state_dict(encoder.state_dict())
    for one, two in zip(
        vars(encoder.encode(train)).values(), vars(other.encode(train)).values(), strict=True
    ):
        assert one is two is None or one.equal(two)


def test_values_beyond_those_of_training_are_like_the_last_one(source: CustomerData) -> None:
    encoder, train = fitted(source)
    wild = frame().assign(spent=[1e30, -1e30] * (ROWS // 2))
    table = CustomerDataset(pa.Table.from_pandas(wild, preserve_index=False))
    found, known = encoder.encode(table).numbers[:, 0], encoder.encode(train).numbers[:, 0]
    assert (found.max(), found.min()) == (known.max(), known.min())


def test_many_rows_are_measured_by_a_sample_from_all_over_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rising = frame(rows=4000).assign(spent=np.arange(4000.0), plan=["a"] * 1500 + ["b"] * 2500)
    source = data(tmp_path, rising, columns={"spent": "number"})
    whole, train = fitted(source)
    monkeypatch.setattr(customer_encoding, "SAMPLE", 1000)
    sampled, _ = fitted(source)
    assert not sampled.knots.equal(whole.knots)
    assert sampled.knots[0, 0] == 0
    assert sampled.knots[0].max() == 3999
    assert sampled.commonest.equal(whole.commonest)
    known, found = whole.encode(train).numbers, sampled.encode(train).numbers
    assert known.shape == found.shape
    assert (known[:, 0] - found[:, 0])[100:-100].abs().max() < 0.02


def test_a_batch_is_the_same_by_a_list_an_array_and_a_tensor(source: CustomerData) -> None:
    encoder, train = fitted(source)
    encoded, places = encoder.encode(train), [7, 0, 399]
    for indices in (places, np.array(places), torch.tensor(places)):
        batch = encoded.__getitems__(indices)
        assert batch["index"].tolist() == places
        assert batch["numbers"].equal(torch.stack([encoded.numbers[i] for i in places]))
        assert batch["categories"].equal(encoded.categories[places].long())
        assert batch["labels"].equal(encoded.labels[places])


def test_a_value_of_many_rows_has_the_score_of_their_middle() -> None:
    knots, heights = quantiles(np.array([0.0] * 80 + [1.0] * 10 + [2.0] * 10))
    assert knots.tolist() == [0, 1, 2]
    assert heights == pytest.approx(norm.ppf([0.4, 0.85, 0.95]))
    knots, heights = quantiles(np.arange(100_000.0))
    assert len(knots) == NUM_KNOTS
    assert heights == pytest.approx(-heights[::-1], abs=1e-6)
    assert quantiles(np.array([np.nan]))[1].tolist() == [0]


def test_raw_numbers_are_as_they_were(source: CustomerData) -> None:
    encoder, train = fitted(source)
    numbers, table = encoder.encode(train, raw=True).numbers, frame()
    assert numbers.shape == (ROWS, 6)
    assert numbers[:, 0].numpy() == pytest.approx(table["spent"].to_numpy(np.float32))
    assert numbers[:, 1].isnan().equal(torch.tensor(table["income"].isna().tolist()))
    days = (table["since"] - pd.Timestamp("1970-01-01")).dt.days
    assert numbers[:, 3].tolist() == days.tolist()
    assert numbers[:, 4].tolist() == table["since"].dt.month.tolist()
    assert numbers[:, 5].tolist() == table["since"].dt.weekday.tolist()
    raw = TableEncoder(source.schema["columns"], raw=True)
    assert raw.num_numbers == 6
    assert raw.encode(train).numbers.nan_to_num().equal(numbers.nan_to_num())
    assert len(raw.sources) == 6 + 3


def test_codes_are_the_levels_places(source: CustomerData) -> None:
    encoder, train = fitted(source)
    codes, table = encoder.encode(train).categories, frame()
    levels = {column["name"]: column.get("levels") for column in source.schema["columns"]}
    assert levels["city"] == ["x", "y", "other"]
    for place, name in enumerate(encoder.category_names):
        expected = [
            levels[name].index(value if value in levels[name] else "other") + 1
            for value in table[name]
        ]
        assert codes[:, place].tolist() == expected


def test_what_most_customers_have(source: CustomerData) -> None:
    encoder, _ = fitted(source)
    numbers, codes = encoder.typical()
    assert numbers.shape == (8,)
    assert numbers[:3].abs().max() < 0.05
    assert numbers[6:].tolist() == [0, 1]  # most have an income; most have not what is seldom
    assert codes.tolist() == [1, 1, 1]
    raw, _ = fitted(source, raw=True)
    numbers, _ = raw.typical()
    assert float(numbers[0]) == pytest.approx(frame()["spent"].median(), rel=1e-5)
    assert numbers.isnan().tolist() == [False, False, True, False, False, False]


def test_a_batch_is_one_index(source: CustomerData) -> None:
    encoder, train = fitted(source)
    encoded = encoder.encode(train)
    batch = Fetcher(encoded)[Key(0, 0, 0, [5, 2])]
    assert set(batch) == {"numbers", "categories", "labels", "index"}
    assert batch["categories"].dtype == torch.int64
    assert batch["numbers"].equal(encoded.numbers[[5, 2]])
    assert batch["index"].tolist() == [5, 2]
    some = encoded.select([5, 2])
    assert isinstance(some, EncodedCustomers)
    assert len(some) == 2
    assert some.labels is not None
    assert some.labels.equal(batch["labels"])


# -- tables to score --------------------------------------------------------------------------


def scored(source: CustomerData, path: Path, table: pd.DataFrame) -> EncodedCustomers:
    encoder, _ = fitted(source, ignored=source.schema["dropped"])
    table.to_csv(path / "new.csv", index=False)
    return encoder.encode(source.inputs(str(path / "new.csv")))


def test_the_order_of_columns_does_not_matter(source: CustomerData, tmp_path: Path) -> None:
    table = frame(1, 20)
    found = scored(source, tmp_path, table[table.columns[::-1]].drop(columns="left"))
    expected = scored(source, tmp_path, table)
    assert found.numbers.equal(expected.numbers)
    assert found.categories.equal(expected.categories)
    assert found.labels is None


def test_one_row_is_scored(source: CustomerData, tmp_path: Path) -> None:
    assert scored(source, tmp_path, frame(1, 1)).numbers.isfinite().all()


def test_columns_that_are_missing_are_named(source: CustomerData, tmp_path: Path) -> None:
    table = frame(1, 20).rename(columns={"income": "incom"}).drop(columns=["plan", "left"])
    with pytest.raises(DataError) as caught:
        scored(source, tmp_path, table)
    assert "new.csv lacks 2 of 7 columns that the model reads: income, plan." in str(caught.value)
    assert "Did you mean 'incom'?" in str(caught.value)


def test_columns_too_many_are_ignored_and_said(
    source: CustomerData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(source, tmp_path, frame(1, 20))
    encoder, train = fitted(source)
    encoder.encode(train)
    encoder.encode(source.inputs(str(tmp_path / "new.csv")))
    assert "ignored" not in capsys.readouterr().out  # the target is known
    scored(source, tmp_path, frame(1, 20).assign(shoe=43, hat="tall"))
    assert "new.csv: shoe, hat not known in training: ignored." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("spent", "much", "new.csv, row 8: column 'spent' is no number: 'much'"),
        ("since", "soon", "new.csv, row 8: column 'since' is no date"),
        ("paper", "perhaps", "new.csv, row 8: column 'paper' is neither yes nor no: 'perhaps'"),
        ("income", "inf", "new.csv, row 8: column 'income' is infinite: 'inf'"),
    ],
)
def test_a_cell_of_another_type_is_named(
    source: CustomerData, tmp_path: Path, column: str, value: str, message: str
) -> None:
    table = frame(1, 20).astype({column: object})
    table.loc[7, column] = value
    with pytest.raises(DataError) as caught:
        scored(source, tmp_path, table)
    assert message in str(caught.value)
    skipping = data(tmp_path, on_bad="skip")
    assert scored(skipping, tmp_path, table).numbers.isfinite().all()


def test_a_column_of_another_type_is_named(source: CustomerData) -> None:
    encoder, _ = fitted(source)
    table = pa.Table.from_pandas(frame(1, 20).assign(spent=pd.Timestamp("2024-01-01")))
    with pytest.raises(DataError, match=r"column 'spent' holds timestamp.*; training had numbers"):
        encoder.encode(CustomerDataset(table))


def test_tables_of_other_formats_are_scored_alike(source: CustomerData, tmp_path: Path) -> None:
    encoder, _ = fitted(source)
    table = frame(1, 30)
    table.to_csv(tmp_path / "new.csv", index=False)
    table.to_parquet(tmp_path / "new.parquet")
    one, two = (
        encoder.encode(source.inputs(str(tmp_path / f"new.{s}"))) for s in ("csv", "parquet")
    )
    assert one.numbers.equal(two.numbers)
    assert one.categories.equal(two.categories)
