"""Customer tables to train on, and new rows to score with what training has learnt."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from damage import pick, token
from numpy.random import Generator
from of_tables import COLUMNS, Table, drawn, of_frame, worse, written
from options import drawn_options
from stock import Stock, customers
from watched import Asked, Reader

from marketorch.data.tables.encoding import TableEncoder
from marketorch.data.tables.source import CustomerData

SUFFIXES = [".csv", ".csv", ".csv", ".tsv", ".txt", ".parquet", ".parquet", ".jsonl"]
KINDS = ["number", "category", "boolean", "date", "dmy", "mdy", "ymd", "compact", "id", "word"]


ROLES = ["left", "part", "on", "who", "age", "city"]


def readers(stock: Stock) -> list[Reader]:
    """The readers of customer tables."""

    def table(rng: Generator, folder: Path) -> Asked:
        real = stock.one(rng, "tables")
        if real:
            path, options = _real(rng, folder, *real)
        else:
            path, encoding = written(rng, folder, _table(rng), SUFFIXES, any_mark=True)
            options = {"target": "left"} | drawn_options(rng, CustomerData, ROLES)
            options |= {"encoding": encoding} if rng.random() < 0.8 else {}
        return Asked(lambda: train_on(path, options), ("data.", "left"))

    def rows(rng: Generator, folder: Path) -> Asked:
        path, _ = written(rng, folder, _like_customers(rng), SUFFIXES, any_mark=True)
        on_bad = str(pick(rng, ["error", "skip"]))
        return Asked(lambda: score(path, on_bad))

    return [Reader("customers", table, 2.0), Reader("new_customers", rows, 1.5)]


def train_on(path: Path, options: dict[str, Any]) -> None:
    """All that training does with a table before there is a model."""
    data = CustomerData(path=str(path), **options)
    schema = data.schema
    data.fingerprint()
    train = data.split("train")
    encoder = TableEncoder(schema["columns"], ignored=schema["dropped"])
    encoder.fit(train)
    encoder.encode(train)
    encoder.encode(data.split("validation"))
    encoder.encode(data.split("test"), raw=True)
    encoder.typical()


def score(path: Path, on_bad: str) -> None:
    """What predict.py does with new rows before the model is asked."""
    data, encoder = trained(on_bad)
    dataset = data.inputs(str(path))
    encoder.encode(dataset)
    encoder.encode(dataset, raw=True)
    list(dataset.ids)
    dataset.row(len(dataset) - 1)


@cache
def trained(on_bad: str) -> tuple[CustomerData, TableEncoder]:
    """What a run knows of the embedded customers: the columns, and how they are encoded."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "customers.csv"
        customers().to_csv(path, index=False)
        data = CustomerData(path=str(path), target="churned", ids="customer", on_bad=on_bad)
        encoder = TableEncoder(data.schema["columns"], ignored=data.schema["dropped"])
        encoder.fit(data.split("train"))
    return data, encoder


def _table(rng: Generator) -> Table:
    """A table with a target, a split and a time."""
    roles = {
        "left": lambda own: str(pick(own, ["yes", "no", "no"])),
        "part": lambda own: str(pick(own, ["train", "train", "train", "val", "test"])),
        "on": COLUMNS[int(rng.integers(10, 14))],
        "who": lambda own: str(int(own.integers(12))),
    }
    return drawn(rng, roles, int(rng.integers(3, 80)))


def _real(rng: Generator, folder: Path, name: str, content: bytes) -> tuple[Path, dict[str, Any]]:
    """A damaged real table, and any column of it as the target."""
    path = folder / name
    path.write_bytes(worse(rng, content, path.suffix))
    header = content.split(b"\n")[0].decode(errors="replace").replace(";", ",").split(",")
    target = str(pick(rng, [header[-1], pick(rng, header)])).strip().strip('"')
    if path.suffix == ".parquet":
        target = str(pick(rng, ["Country", "Quantity", "CustomerID"]))
    return path, {"target": target, "on_bad": str(pick(rng, ["error", "skip"]))}


def _like_customers(rng: Generator) -> Table:
    """The embedded customers, with columns that are missing, more, or of another kind."""
    table = of_frame(customers().sample(20, random_state=int(rng.integers(1000))))
    for _ in range(int(rng.integers(0, 3))):
        name, way = str(pick(rng, list(table))), int(rng.integers(4))
        if way == 0 and len(table) > 1:
            del table[name]
        elif way == 1:
            table[token(rng)] = table[name]
        elif way == 2:
            make = pick(rng, COLUMNS)
            table[name] = [make(rng) for _ in table[name]]
        else:
            table[name][int(rng.integers(20))] = token(rng)
    return table
