"""Treatments under other names: some together, some left out, the others as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from marketorch.data.synthetic.customer_data import SyntheticCustomers
from marketorch.data.tables.source import CustomerData
from marketorch.errors import DataError

MAILS = ("none", "men", "women", "both")


def mailed(path: Path, **options: Any) -> CustomerData:
    """Eighty customers, each mail in turn; every third bought."""
    lines = ["visits,mail,bought"]
    lines += [f"{i % 9},{MAILS[i % 4]},{'yes' if i % 3 else 'no'}" for i in range(80)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    given = {"treatment": "mail", "control": "none"} | options
    return CustomerData(
        path=str(path), target="bought", validation_fraction=0.0, test_fraction=0.0, **given
    )


def test_treatments_may_be_put_together(tmp_path: Path) -> None:
    data = mailed(tmp_path / "d.csv", treatments=[["men", "women"], "both"])
    train = data.split("train")
    assert data.schema["treatments"] == ["none", "both", "men or women"]
    assert train.treatment is not None
    assert train.treatment.tolist() == [0, 2, 2, 1] * 20


def test_rows_of_other_treatments_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = mailed(tmp_path / "d.csv", treatments=["women"])
    train = data.split("train")
    assert data.schema["treatments"] == ["none", "women"]
    assert data.schema["num_examples"] == len(train) == 40
    assert list(train.ids[:3]) == [1, 3, 5]
    assert train.where(1) == f"{tmp_path / 'd.csv'}, row 3"
    assert "40 rows are left out: 'mail' is " in capsys.readouterr().out


def test_a_word_that_the_column_has_not_is_named(tmp_path: Path) -> None:
    data = mailed(tmp_path / "d.csv", treatments=["womem"])
    with pytest.raises(DataError, match=r"data\.treatments is 'womem', which column 'mail'"):
        data.split("train")
    data = mailed(tmp_path / "d.csv", treatments=["women"], control=None)
    with pytest.raises(DataError, match=r"data\.control is missing"):
        data.split("train")


def test_a_row_without_a_treatment_is_still_an_error(tmp_path: Path) -> None:
    data = mailed(tmp_path / "d.csv", treatments=["women"])
    text = (tmp_path / "d.csv").read_text(encoding="utf-8").replace("1,men", "1,", 1)
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2 \('mail' \(data\.treatment\) is empty\)"):
        data.split("train")


def test_a_table_to_score_needs_no_treatment(tmp_path: Path) -> None:
    data = mailed(tmp_path / "d.csv", treatments=["women"])
    (tmp_path / "new.csv").write_text("visits\n3\n4\n", encoding="utf-8")
    assert len(data.inputs(str(tmp_path / "new.csv"))) == 2


def test_what_is_reachable_by_knowing_every_uplift_is_told() -> None:
    data = SyntheticCustomers(num_train=500, num_validation=3000, num_test=0, treatment=True)
    best = data.schema["best_reachable"]["validation"]
    assert 0.05 < best["qini"] < 1
    effect = data.schema["mean_uplift"]["validation"]
    assert best["auuc"] > effect / 2 > 0
    plain = SyntheticCustomers(num_train=500, num_validation=100, num_test=0)
    assert "qini" not in plain.schema["best_reachable"]["validation"]
