"""Rows of predictions: shown as a table, or written as JSON lines, CSV or Parquet."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from marketorch.engine.task import Row
from marketorch.engine.tracking import finite, table

TOLD = ("words", "reasons")  # columns that say why


def spelled(told: list[Row]) -> str:
    """Telling words or columns on one line: the sign says for or against the prediction."""
    return ", ".join(f"{'+' if one['weight'] >= 0 else '−'}{_reason(one)}" for one in told)


def _reason(one: Row) -> str:
    """A word, or a column and what stands in it."""
    if "word" in one:
        return str(one["word"])
    return f"{one['column']} {'missing' if one['value'] in (None, '') else one['value']}"


def flat(row: Row) -> Row:
    """A row with what is told as text."""
    return row | {name: spelled(row[name]) for name in TOLD if name in row}


def unrolled(row: Row) -> list[Row]:
    """A row a recommended item instead of a row a user."""
    lists = [row[name] for name in ("items", "titles", "scores") if name in row]
    names = ["item", *(["title"] if "titles" in row else []), "score"]
    own = {name: value for name, value in row.items() if not isinstance(value, list)}
    return [
        own | {"rank": rank} | dict(zip(names, values, strict=True))
        for rank, values in enumerate(zip(*lists, strict=True), start=1)
    ]


def counts_any(row: Row) -> bool:
    """Whether a number of the row is more than 0."""
    return any(isinstance(value, (int, float)) and value > 0 for value in row.values())


def show(rows: list[Row], title: str = "predictions") -> None:
    """Prints rows as a table."""
    if "items" in rows[0]:
        rows = [one for row in rows for one in unrolled(row)]
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


def _flat(rows: list[Row]) -> pd.DataFrame:
    if "items" in rows[0]:
        return pd.DataFrame([one for row in rows for one in unrolled(row)])
    return pd.DataFrame([flat(row) for row in rows])


WRITERS = {
    ".jsonl": _write_jsonl,
    ".csv": lambda rows, path: _flat(rows).to_csv(path, index=False),
    ".parquet": lambda rows, path: _flat(rows).to_parquet(path, index=False),
}


def write(rows: list[Row], file: str) -> None:
    """Writes rows in the format that the file's name ends in, one of `WRITERS`."""
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[path.suffix](rows, path)
