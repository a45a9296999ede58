"""Columns that tell the target by themselves are named, and others are left in peace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketorch.data.tables.source import CustomerData
from marketorch.errors import DataError

ROWS = 4000


def source(path: Path, seed: int = 0, **columns: Any) -> CustomerData:
    """Customers of whom one in five leaves, and what else is known of them."""
    draw = np.random.default_rng(seed)
    left = draw.random(ROWS) < 0.2
    table = {"left": np.where(left, "yes", "no"), "noise": draw.normal(size=ROWS)}
    table |= {"fair": left + draw.normal(size=ROWS)}  # AUROC .76
    for name, make in columns.items():
        table[name] = make(left, draw)
    pd.DataFrame(table).to_csv(path / "d.csv", index=False)
    return CustomerData(path=str(path / "d.csv"), target="left")


LEAKS: dict[str, tuple[Any, str]] = {
    "number": (lambda left, draw: left + 0.2 * draw.normal(size=ROWS), "AUROC 0.99"),
    "levels": (
        lambda left, draw: np.where(left ^ (draw.random(ROWS) < 0.02), "refunded", "billed"),
        "AUROC 0.9",
    ),
    "date": (
        lambda left, draw: np.where(left & (draw.random(ROWS) < 0.5), "2024-05-31", ""),
        "any date means one class in 100.0% of",
    ),
    "gap": (
        lambda left, draw: np.where(left & (draw.random(ROWS) < 0.5), "", draw.normal(size=ROWS)),
        "a missing value means one class in 100.0% of",
    ),
    "reason": (
        lambda left, draw: np.where(left & (draw.random(ROWS) < 0.3), "too dear", "none given"),
        "'too dear' means one class in 100.0% of",
    ),
    "refund": (
        lambda left, draw: np.where(left & (draw.random(ROWS) < 0.3), draw.gamma(2, size=ROWS), 0),
        "a positive number means one class in 100.0% of",
    ),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_is_named_with_what_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    make, why = LEAKS[kind]
    assert source(tmp_path, **{kind: make}).schema
    said = capsys.readouterr().out
    assert f"These columns tell the target by themselves: {kind} ({why}" in said
    assert f"leave them out: data.drop=[{kind}]" in said


@pytest.mark.parametrize("seed", range(3))
def test_columns_that_are_merely_good_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    def city(left: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Two hundred levels of twenty rows: some are of one class by chance."""
        return np.char.add("city ", draw.integers(0, 200, ROWS).astype(str))

    def young(left: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """A level in which nearly nobody leaves, as nearly nobody does anyway."""
        return np.where(~left & (draw.random(ROWS) < 0.3), "under 20", "older")

    def guest(left: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """A level of forty rows, all of which leave."""
        return np.where(left & (np.cumsum(left) <= 40), "guest", "member")

    assert source(tmp_path, seed, city=city, young=young, guest=guest).schema
    assert "by themselves" not in capsys.readouterr().out


def test_a_leak_is_an_error_or_ignored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = source(tmp_path, number=LEAKS["number"][0]).paths
    with pytest.raises(DataError, match=r"d\.csv: These columns .*: number \(AUROC 0\.99"):
        assert CustomerData(path=path, target="left", leaks="error").schema
    capsys.readouterr()
    assert CustomerData(path=path, target="left", leaks="ignore").schema
    assert CustomerData(path=path, target="left", drop=["num*"]).schema
    assert "by themselves" not in capsys.readouterr().out


def test_leaks_are_looked_for_in_training_rows_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A column that tells the target in the test rows only is no leak that training knows."""
    draw = np.random.default_rng(0)
    left, test = draw.random(ROWS) < 0.3, np.arange(ROWS) >= ROWS // 2
    told = np.where(test, left, draw.random(ROWS) < 0.3)
    table = {"left": left, "told": np.where(told, "a", "b"), "x": draw.normal(size=ROWS)}
    table["part"] = np.where(test, "test", "train")
    pd.DataFrame(table).to_csv(tmp_path / "d.csv", index=False)
    path = str(tmp_path / "d.csv")
    assert CustomerData(path=path, target="left", split="part").schema
    assert "by themselves" not in capsys.readouterr().out
    assert CustomerData(path=path, target="left", drop=["part"], test_fraction=0.1).schema
    table["part"] = np.where(test, "train", "test")
    pd.DataFrame(table).to_csv(path, index=False)
    assert CustomerData(path=path, target="left", split="part").schema
    assert "told (AUROC 1.000)" in capsys.readouterr().out


def test_a_class_of_three_can_leak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    left = draw.integers(0, 3, ROWS)
    third = np.where(left == 2, "c", "a or b")
    table = {"left": np.array(["a", "b", "c"])[left], "third": third, "x": draw.normal(size=ROWS)}
    pd.DataFrame(table).to_csv(tmp_path / "d.csv", index=False)
    assert CustomerData(path=str(tmp_path / "d.csv"), target="left").schema
    assert "third (AUROC 1.000)" in capsys.readouterr().out


def said_of(path: Path, rows: int, often: float, **columns: Any) -> str:
    """What is said of columns ``make(positive, draw)`` where a share ``often`` is positive."""
    draw = np.random.default_rng(0)
    left = np.arange(rows) < round(often * rows)
    table = {"left": np.where(left, "yes", "no"), "x": draw.normal(size=rows)}
    pd.DataFrame(table | {k: make(left, draw) for k, make in columns.items()}).to_csv(
        path, index=False
    )
    whole: dict[str, Any] = {"validation_fraction": 0.0, "test_fraction": 0.0}
    try:
        assert CustomerData(path=str(path), target="left", leaks="error", **whole).schema
    except DataError as error:
        return str(error)
    return ""


def level(size: int, positive: float) -> Any:
    """A level of ``size`` rows, of which a share is positive."""
    inside = round(size * positive)
    return lambda left, draw: np.where(
        (left & (left.cumsum() <= inside)) | (~left & ((~left).cumsum() <= size - inside)),
        "level",
        "other",
    )


@pytest.mark.parametrize(("shift", "leaks"), [(1.70, False), (1.93, True)])
def test_a_column_that_ranks_by_nine_tenths_is_a_leak(
    tmp_path: Path, shift: float, leaks: bool
) -> None:
    """Normal values a ``shift`` apart have an AUROC of .885 and .914."""
    said = said_of(
        tmp_path / "d.csv",
        40_000,
        0.2,
        number=lambda left, draw: shift * left + draw.normal(size=40_000),
    )
    assert ("number (AUROC" in said) == leaks


@pytest.mark.parametrize(
    ("size", "positive", "often", "rows", "leaks"),
    [
        (1000, 0.985, 0.2, 10_000, False),  # not pure enough
        (1000, 0.995, 0.2, 10_000, True),
        (90, 1.0, 0.2, 10_000, False),  # too few rows
        (110, 1.0, 0.2, 10_000, True),
        (180, 1.0, 0.2, 40_000, False),  # too small a share of the rows
        (220, 1.0, 0.2, 40_000, True),
        (1000, 1.0, 0.52, 10_000, False),  # a class that is common anyway
        (1000, 1.0, 0.48, 10_000, True),
    ],
)
def test_a_level_is_a_leak_if_it_is_pure_large_and_of_a_rare_class(
    tmp_path: Path, size: int, positive: float, often: float, rows: int, leaks: bool
) -> None:
    said = said_of(tmp_path / "d.csv", rows, often, reason=level(size, positive))
    assert ("'level' means one class" in said) == leaks


def test_a_number_is_asked_in_fifty_bins(tmp_path: Path) -> None:
    """Twenty-five bands that take turns: fewer bins would blur them."""
    said = said_of(
        tmp_path / "d.csv",
        10_000,
        0.48,
        number=lambda left, draw: 2 * draw.integers(0, 12, 10_000) + ~left + draw.random(10_000),
    )
    assert "number (AUROC" in said
