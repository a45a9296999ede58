"""Event logs and tables of any size, as files that `growth` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from marketorch.data.synthetic.shop import make_shop

EVENTS_PER_USER = 30
NUMBERS, GAPS, CATEGORIES, DATES = 30, 10, 15, 5  # columns; GAPS of the numbers have missing cells
LEVELS = (2, 3, 5, 8, 12, 20, 30, 50, 80, 100, 150, 200, 300, 500, 900)
GROUP = 100_000  # rows that are drawn and written at once
MISSING = 0.1
DAYS = np.datetime64("2020-01-01", "s")


def write_log(items: int, events: int, folder: Path, validated: int) -> None:
    """Writes events.parquet and items.parquet of a shop, and whom not to validate on.

    Args:
        validated: users that are validated on.
    """
    users = max(1, events // EVENTS_PER_USER)
    shop = make_shop(num_users=users, num_items=items, events_per_user=EVENTS_PER_USER)
    shop.events[["user", "item", "time"]].to_parquet(folder / "events.parquet")
    shop.items[["item", "title"]].to_parquet(folder / "items.parquet")
    others = shop.events["user"].unique()[validated:].tolist()
    (folder / "others.json").write_text(json.dumps(others), encoding="utf-8")


def write_table(rows: int, path: Path) -> None:
    """Writes a table with 50 columns and the target ``bought``."""
    words = [[f"level {code:03d}" for code in range(number)] for number in LEVELS]
    writer = None
    for group, first in enumerate(range(0, rows, GROUP)):
        drawn = draw(min(GROUP, rows - first), np.random.default_rng(group), words)
        writer = writer or pq.ParquetWriter(path, drawn.schema, use_dictionary=dictionaries(drawn))
        writer.write_table(drawn)
    assert writer is not None
    writer.close()


def dictionaries(drawn: pa.Table) -> list[str]:
    """The columns of words; numbers and dates hardly repeat."""
    return [name for name in drawn.column_names if name.startswith("category")]


def draw(rows: int, generator: np.random.Generator, words: list[list[str]]) -> pa.Table:
    """Skewed numbers, levels that few rows have, dates, and a target that depends on some."""
    columns: dict[str, Any] = {}
    numbers = generator.standard_normal((NUMBERS, rows)).round(3)
    score = numbers[:3].sum(0) - 2.5
    for i, values in enumerate(numbers):
        own = np.exp(values).round(2) if i % 2 else values
        gaps = generator.random(rows) < MISSING if i < GAPS else None
        columns[f"number {i:02d}"] = pa.array(own, mask=gaps)
    for i, levels in enumerate(words):
        codes = (len(levels) * generator.random(rows) ** 2).astype(np.int32)
        columns[f"category {i:02d}"] = pa.DictionaryArray.from_arrays(codes, levels).cast(
            pa.string()
        )
        score += 0.5 * (codes == 0) if i < CATEGORIES // 5 else 0
    for i in range(DATES):
        seconds = generator.integers(0, 4 * 365 * 86_400, rows).astype("m8[s]")
        columns[f"date {i:02d}"] = pa.array((DAYS + seconds).astype("M8[us]"))
    bought = generator.random(rows) < 1 / (1 + np.exp(-score))
    return pa.table(columns | {"bought": pa.array(np.where(bought, "yes", "no"))})
