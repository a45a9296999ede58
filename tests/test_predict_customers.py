"""From a table of customers to a ranked list with reasons, each as a user would type it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketorch import compose, evaluate, train

COLUMNS = ["customer", "age", "bill", "plan", "since", "paperless", "churned"]
TINY = ["model.members=2", "model.width=8", "model.bins=8", "trainer.epochs=4"]
TINY += ["trainer.batch_size=16", "trainer.precision=fp32", "trainer.device=cpu"]


def customers(number: int, seed: int) -> pd.DataFrame:
    """Those on the monthly plan leave when their bill is high; a bill is written ``€ 1.234,50``."""
    draw = np.random.default_rng(seed)
    bill, plan = draw.gamma(2.0, 40.0, number), draw.choice(["monthly", "yearly"], number)
    left = draw.random(number) < np.where((plan == "monthly") & (bill > 60), 0.9, 0.1)
    written = [f"€ {b:,.2f}".translate(str.maketrans(",.", ".,")) for b in bill]
    since = np.datetime64("2024-05-31") - draw.integers(0, 2000, number)
    columns = [
        [f"C{i:04d}" for i in range(number)],
        draw.integers(18, 90, number),
        written,
        plan,
        np.datetime_as_string(since.astype("M8[D]")),
        draw.choice(["yes", "no"], number),
        np.where(left, "yes", "no"),
    ]
    table = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    table.loc[draw.random(number) < 0.1, "age"] = None
    return table


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, its trained and evaluated run, and customers to ask about."""
    place = tmp_path_factory.mktemp("customers")
    customers(600, 0).to_csv(place / "customers.csv", sep=";", index=False)
    customers(40, 1).drop(columns="churned").to_csv(place / "new.csv", index=False)
    data = ["data=customer_table", f"data.path={place / 'customers.csv'}", "data.target=churned"]
    recipe = ["experiment=churn_telco", *data, "data.ids=customer", *TINY]
    train(compose([*recipe, f"run_dir={place / 'run'}"]))
    evaluate(place / "run")
    return place


def ranked(place: Path, call_script: Any, source: str, *options: str) -> list[dict[str, Any]]:
    done = call_script(
        "predict", "run=run", f"input={source}", "output=o.jsonl", *options, cwd=place
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (place / "o.jsonl").read_text().splitlines()]


def test_the_model_stands_beside_the_baselines(place: Path) -> None:
    result = json.loads((place / "run" / "evaluation" / "test.json").read_text())
    assert result["num_examples"] == 120
    assert set(result["baselines"]) == {"prior", "logistic", "boosted_trees"}
    prior = result["baselines"]["prior"]
    assert result["metrics"]["auroc"] > prior["auroc"] == 0.5
    assert result["metrics"]["auprc"] > prior["auprc"]
    assert {path.name for path in (place / "run" / "evaluation").glob("*.png")} == {
        *("confusion.png", "reliability.png", "gains.png", "profit.png"),
    }


def test_the_list_is_ranked_with_reasons_and_whom_to_contact(place: Path, call_script: Any) -> None:
    rows = ranked(place, call_script, "new.csv")
    shares = [row["p_yes"] for row in rows]
    assert [row["rank"] for row in rows] == list(range(1, 41))
    assert shares == sorted(shares, reverse=True)
    assert {row["customer"] for row in rows} == {f"C{i:04d}" for i in range(40)}
    contacted = [row["contact"] for row in rows]
    assert contacted == sorted(contacted, reverse=True)
    assert len(set(contacted)) == 2
    for row, share in zip(rows, shares, strict=True):
        assert row["expected_profit"] == pytest.approx(100 * share - 20, abs=0.01)
    cells = pd.read_csv(place / "new.csv", dtype=str, keep_default_na=False).set_index("customer")
    for row in rows:
        for reason in row["reasons"]:
            assert reason["column"] in COLUMNS[1:-1]
            assert reason["value"] == cells.loc[row["customer"], reason["column"]]
    strongest = [row["reasons"][0]["column"] for row in rows[:10]]
    assert set(strongest) <= {"bill", "plan"}


def test_a_csv_has_reasons_as_text(place: Path, call_script: Any) -> None:
    options = ["run=run", "input=new.csv", "output=ranked.csv", "top=3", "explain=2"]
    done = call_script("predict", *options, cwd=place)
    assert done.returncode == 0, done.stderr
    with (place / "ranked.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("rank", "customer", "label", "probability", "p_no", "p_yes", "contact"),
        *("expected_profit", "reasons"),
    ]
    assert len(rows) == 3
    assert all(row["reasons"].startswith(("+", "−")) for row in rows)


def test_columns_may_stand_elsewhere_and_others_be_there(place: Path, call_script: Any) -> None:
    table = pd.read_csv(place / "new.csv", dtype=str)
    shuffled = table[table.columns[::-1]].assign(shoe_size="43")
    shuffled.to_csv(place / "shuffled.csv", index=False, sep="|")
    done = call_script("predict", "run=run", "input=shuffled.csv", "output=s.jsonl", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "shoe_size not known in training: ignored" in done.stdout
    found = [json.loads(line) for line in (place / "s.jsonl").read_text().splitlines()]
    assert found == ranked(place, call_script, "new.csv")


def test_a_column_that_is_missing_is_named(place: Path, call_script: Any) -> None:
    table = pd.read_csv(place / "new.csv", dtype=str).rename(columns={"bill": "bil"})
    table.to_csv(place / "lacks.csv", index=False)
    done = call_script("predict", "run=run", "input=lacks.csv", "output=l.csv", cwd=place)
    assert done.returncode == 1
    assert "lacks.csv lacks 1 of 5 columns that the model reads: bill." in done.stderr
    assert "Did you mean 'bil'?" in done.stderr
    assert not (place / "l.csv").exists()


def test_a_word_in_a_column_of_numbers_is_named(place: Path, call_script: Any) -> None:
    table = pd.read_csv(place / "new.csv", dtype=str)
    table.loc[4, "bill"] = "much"
    table.to_csv(place / "words.csv", index=False)
    done = call_script("predict", "run=run", "input=words.csv", "output=w.csv", cwd=place)
    assert done.returncode == 1
    assert "words.csv, row 5: column 'bill' is no number: 'much'." in done.stderr


def test_without_a_value_nobody_is_told_to_be_contacted(place: Path, call_script: Any) -> None:
    rows = ranked(place, call_script, "new.csv", "task.value=null", "rank=no", "top=5")
    shares = [row["p_no"] for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert len(rows) == 5
    assert not {"contact", "expected_profit"} & set(rows[0])
