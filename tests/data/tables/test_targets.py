"""What a table is read for: classes, a number, several columns or nothing."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from marketorch.data.tables.encoding import TableEncoder
from marketorch.data.tables.source import CustomerData
from marketorch.errors import DataError
from marketorch.models.tables.mlp import TableMLP
from marketorch.tasks.propensity import Propensity

WHOLE = {"validation_fraction": 0.0, "test_fraction": 0.0}
ROWS = [
    {
        "age": 20 + place % 40,
        "plan": ["basic", "plus"][place % 2],
        "left": ["no", "yes", "yes"][place % 3],
        "spent": f"€ {place},50" if place % 4 else "",
        "tone": ["bad", "good", ""][place % 3],
    }
    for place in range(120)
]


def source(folder: Path, rows: list[dict[str, Any]] = ROWS, **options: Any) -> CustomerData:
    path = folder / "d.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return CustomerData(path=str(path), leaks="ignore", **WHOLE | options)


def test_one_column_of_classes_has_labels(tmp_path: Path) -> None:
    data = source(tmp_path, target="left")
    train = data.split("train")
    assert data.schema["classes"] == ["no", "yes"]
    assert not {"targets", "name"} & set(data.schema)
    assert train.targets is None
    assert train.labels is not None
    assert train.labels[:3].tolist() == [0, 1, 1]


def test_a_number_is_read_as_the_file_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = source(tmp_path, target="spent", columns={"spent": "number"}, on_bad="skip")
    train = data.split("train")
    assert train.labels is None
    assert train.targets is not None
    assert train.targets.dtype == torch.float32
    assert train.targets[:4, 0].tolist() == [1.5, 2.5, 3.5, 5.5]  # without those that are empty
    (target,) = data.schema["targets"]
    assert data.schema["classes"] == []
    assert target["name"] == "spent"
    assert target["kind"] == "number"
    assert (target["count"], target["smallest"], target["largest"]) == (90, 1.5, 119.5)
    assert target["mean"] == pytest.approx(60.5)
    assert target["std"] == pytest.approx(float(train.targets.double().std(unbiased=False)))
    assert data.schema["dropped"]["spent"] == "data.target"
    said = capsys.readouterr().out
    assert "30 of 120 rows are bad: row 1 ('spent' (data.target) is empty)" in said
    assert "spent is a number: 1.5 to 119.5, mean 60.5, in 90 training rows." in said


def test_several_columns_may_each_lack_some(tmp_path: Path) -> None:
    columns = ["left", "tone", "spent"]
    data = source(tmp_path, target=columns, columns={"spent": "number"})
    train = data.split("train")
    assert train.labels is None
    assert train.targets is not None
    nothing = float("nan")
    assert train.targets[:3].tolist() == [
        pytest.approx(row, nan_ok=True) for row in ([0, 1, nothing], [1, 0, 1.5], [1, nothing, 2.5])
    ]
    first, second, third = data.schema["targets"]
    assert first == {"name": "left", "classes": ["no", "yes"], "class_counts": [40, 80]}
    assert second["classes"] == ["good", "bad"]
    assert second["class_counts"] == [40, 40]
    assert third["count"] == 90
    assert {column["name"] for column in data.schema["columns"]} == {"age", "plan"}
    some = train.select([2, 1])
    batch = TableEncoder(data.schema["columns"]).encode(some, raw=True).__getitems__([1])
    assert batch["targets"].tolist() == [[1, 0, 1.5]]


def test_a_row_without_any_of_several_is_bad(tmp_path: Path) -> None:
    rows = [*ROWS, ROWS[0] | {"left": "", "tone": ""}]
    data = source(tmp_path, rows, target=["left", "tone"])
    with pytest.raises(DataError, match=r"row 121 \('left', 'tone' \(data\.target\) is empty\)"):
        data.split("train")


def test_nothing_to_predict(tmp_path: Path) -> None:
    data = source(tmp_path, target=None, test_fraction=0.25)
    train = data.split("train")
    assert train.labels is None
    assert train.targets is None
    assert [len(train), len(data.split("test"))] == [90, 30]
    assert data.schema["classes"] == []
    names = [column["name"] for column in data.schema["columns"]]
    assert names == ["age", "plan", "left", "spent", "tone"]


def test_the_fingerprint_follows_every_target(tmp_path: Path) -> None:
    def hashed(rows: list[dict[str, Any]], **options: Any) -> str:
        return source(tmp_path, rows, columns={"spent": "number"}, **options).fingerprint()

    other = [ROWS[0] | {"spent": "€ 9,00"}, *ROWS[1:]]
    both = ["left", "spent"]
    assert hashed(ROWS, target=both) == hashed(ROWS, target=both) != hashed(other, target=both)
    assert hashed(ROWS, target="left", drop=["spent"]) == hashed(
        other, target="left", drop=["spent"]
    )


@pytest.mark.parametrize(
    ("target", "columns", "message"),
    [
        ("age", {}, r"To predict a number: data\.columns=\{age: number\}"),
        ("plan", {"plan": "number"}, "column 'plan' is no number"),
        (["left", "left"], {}, r"data\.target names 'left' twice"),
        ("lefd", {}, "Did you mean 'left'"),
        (["left", "lefd"], {}, "Did you mean 'left'"),
    ],
)
def test_targets_that_will_not_do(
    tmp_path: Path, target: Any, columns: dict[str, str], message: str
) -> None:
    rows = [row | {"age": place} for place, row in enumerate(ROWS)]
    with pytest.raises(DataError, match=message):
        _ = source(tmp_path, rows, target=target, columns=columns).schema


@pytest.mark.parametrize("target", [["left", "tone"], "spent", None])
def test_only_one_column_of_classes_has_a_positive_class(tmp_path: Path, target: Any) -> None:
    with pytest.raises(DataError, match=r"data\.positive is for a data\.target that is one column"):
        source(tmp_path, target=target, columns={"spent": "number"}, positive="yes")


def test_no_class_of_several_targets_can_be_made_positive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert source(tmp_path, target=["left", "tone"]).schema
    assert "data.positive" not in capsys.readouterr().out
    assert source(tmp_path, target="left").schema
    assert "; data.positive=no makes it the other." in capsys.readouterr().out


def test_propensity_refuses_what_has_no_classes(tmp_path: Path) -> None:
    for target, kinds in (("spent", {"spent": "number"}), (None, {}), (["left", "tone"], {})):
        data = source(tmp_path, target=target, columns=kinds, on_bad="skip")
        with pytest.raises(DataError, match=r"needs one column of classes"):
            Propensity(model=TableMLP, schema=data.schema)
