"""Rows of predictions: shown as a table, or written as JSON lines, CSV or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from marketorch.console import table
from marketorch.engine.task import Row
from marketorch.engine.tracking import finite


def spelled(reasons: list[Row]) -> str:
    """Words or columns with a weight on one line: the sign says for or against the prediction."""
    return ", ".join(f"{'+' if one['weight'] >= 0 else '−'}{_reason(one)}" for one in reasons)


def _reason(one: Row) -> str:
    """A word, or a column and what stands in it."""
    if "word" in one:
        return str(one["word"])
    return f"{one['column']} {'missing' if one['value'] in (None, '') else one['value']}"


def flat(row: Row) -> Row:
    """A row whose explanations, lists of dicts with a ``weight``, are text."""
    return {name: spelled(cell) if _explains(cell) else cell for name, cell in row.items()}


def _explains(cell: Any) -> bool:
    return isinstance(cell, list) and all(isinstance(o, dict) and "weight" in o for o in cell)


def counts_any(row: Row) -> bool:
    """Whether a number of the row is more than 0."""
    return any(isinstance(value, (int, float)) and value > 0 for value in row.values())


def show(rows: list[Row], title: str = "predictions") -> None:
    """Prints flat rows as a table."""
    every = dict.fromkeys(name for row in rows for name in row)
    names = [name for name in every if not name.startswith("p_")]
    body = []
    for row in rows:
        cells = flat(row)
        if "text" in cells:
            text = str(cells["text"]).replace("\n", " ")
            cells["text"] = text if len(text) <= 90 else text[:87] + "…"
        body.append([cells.get(name, "") for name in names])
    table(title, names, body)


def _write_jsonl(rows: list[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(finite(row), ensure_ascii=False) + "\n")


WRITERS = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
}
FORMATS = (".jsonl", *WRITERS)


def write(rows: list[Row], file: str, flatten: Callable[[list[Row]], list[Row]] = list) -> None:
    """Writes rows in the format that the file's name ends in, one of `FORMATS`.

    Args:
        flatten: makes flat rows of nested ones, for tables; JSON lines stay nested.
    """
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        return _write_jsonl(rows, path)
    WRITERS[path.suffix](pd.DataFrame([flat(row) for row in flatten(rows)]), path)
