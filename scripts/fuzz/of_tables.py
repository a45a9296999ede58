"""Tables as people have them: a grammar of columns, and the files they are written to.

A column is numbers, money, dates, truths, words, ids or all of them; a cell in a few is hostile.
A text file has any delimiter, quoting, encoding and line end, a Parquet file any type.
"""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from damage import damaged, damaged_json, damaged_lines, encoded, pick, token
from numpy.random import Generator

Table = dict[str, list[str]]
NAMES = ["age", "income", "city", "when", "id", "plan", " x ", "", "a,b", 'a"b', "é", "x" * 500]
WORDS = ["red", "blue", "Green", "yes", "no", "NA", "O'Neil", "a;b", "ü", "12", ""]
HOSTILE = 0.02  # share of hostile cells, in tables that have some
DELIMITERS = {".csv": ",;|\t", ".tsv": "\t", ".txt": ",\t"}
ENCODINGS = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]


# -- columns of texts -------------------------------------------------------------------------


def _date(rng: Generator, order: str) -> str:
    day = datetime.date(2020, 1, 1) + datetime.timedelta(days=int(rng.integers(2000)))
    return day.strftime(order)


COLUMNS: list[Callable[[Generator], str]] = [
    lambda rng: str(int(rng.integers(100))),
    lambda rng: f"{rng.normal():.3f}",
    lambda rng: f"{rng.normal() * 1000:,.2f}",
    lambda rng: f"${rng.random() * 100:.2f}",
    lambda rng: f"{rng.random() * 1000:.2f}".replace(".", ","),
    lambda rng: f"{rng.integers(100)}%",
    lambda rng: str(pick(rng, WORDS)),
    lambda rng: str(pick(rng, ["yes", "no"])),
    lambda rng: str(pick(rng, ["0", "1"])),
    lambda rng: f"{rng.integers(10**9):09d}",
    lambda rng: _date(rng, "%Y-%m-%d"),
    lambda rng: _date(rng, "%d.%m.%Y"),
    lambda rng: _date(rng, "%m/%d/%y %H:%M"),
    lambda rng: _date(rng, "%Y%m%d"),
    lambda rng: "same",
    lambda rng: "",
    lambda rng: " ".join(pick(rng, WORDS) for _ in range(8)),
]


def drawn(rng: Generator, fixed: dict[str, Callable[[Generator], str]], rows: int) -> Table:
    """A table with some columns that a reader asks for and a few others."""
    table = {name: [make(rng) for _ in range(rows)] for name, make in fixed.items()}
    for _ in range(int(rng.integers(1, 6))):
        make = pick(rng, COLUMNS)
        table[str(pick(rng, NAMES))] = [make(rng) for _ in range(rows)]
    return table


def spoilt(rng: Generator, table: Table) -> Table:
    """The same with hostile cells, half of the time."""
    if rng.random() < 0.5:
        return table
    share = HOSTILE * rng.exponential()

    def cell(value: str) -> str:
        return token(rng) if rng.random() < share else value

    return {name: [cell(value) for value in values] for name, values in table.items()}


def of_frame(frame: pd.DataFrame) -> Table:
    """A data frame as texts."""
    plain = frame.astype(object).where(frame.notna(), "")
    return {str(name): [str(value) for value in plain[name]] for name in frame.columns}


# -- files ------------------------------------------------------------------------------------


def as_text(rng: Generator, table: Table, suffix: str, any_mark: bool) -> tuple[bytes, str]:
    """A delimited file, and the encoding it is in."""
    stream = io.StringIO(newline="")
    quoting = pick(rng, [csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    delimiter = pick(rng, DELIMITERS[suffix] if any_mark else DELIMITERS[suffix][0])
    writer = csv.writer(
        stream, delimiter=delimiter, quoting=quoting, lineterminator=pick(rng, ["\n", "\r\n"])
    )
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    encoding = str(pick(rng, ENCODINGS))
    text = stream.getvalue()
    if encoding.startswith("utf-8"):
        return (b"\xef\xbb\xbf" if encoding == "utf-8-sig" else b"") + encoded(text), "utf-8"
    return text.encode(encoding, "replace"), encoding


def as_lines(rng: Generator, table: Table) -> bytes:
    """JSON lines, one of them hostile at times; or one list of all rows."""
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    if rng.random() < 0.2:
        return damaged_json(rng, rows)
    lines = [json.dumps(row).encode() for row in rows]
    for _ in range(int(rng.integers(0, 3))):
        place = int(rng.integers(len(lines)))
        lines[place] = damaged_json(rng, rows[place])
    return b"\n".join(lines)


def as_parquet(rng: Generator, table: Table) -> bytes:
    """A Parquet file; some columns become another type."""
    columns = {_writable(name) or "": _typed(rng, values) for name, values in table.items()}
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _typed(rng: Generator, values: list[str]) -> pa.Array:
    """A column as texts, or as whatever Arrow has."""
    number = len(values)
    if rng.random() < 0.5:
        return pa.array([_writable(value) for value in values], pa.string())
    return pick(rng, TYPES)(rng, number)


def _writable(value: str) -> str | None:
    text = value.encode("utf-8", "ignore").decode()
    return text or None


def _whole(rng: Generator, number: int) -> list[int | None]:
    return [None if rng.random() < 0.1 else int(v) for v in rng.integers(-5, 90, number)]


def _extreme(rng: Generator, number: int) -> list[float]:
    extremes = [np.nan, np.inf, -np.inf, 1e308, 5e-324, -0.0]
    return [
        float(pick(rng, extremes)) if rng.random() < 0.05 else rng.normal() for _ in range(number)
    ]


TYPES: list[Callable[[Generator, int], pa.Array]] = [
    lambda rng, n: pa.array(_whole(rng, n)),
    lambda rng, n: pa.array(rng.integers(0, 2**64 - 1, n, np.uint64)),
    lambda rng, n: pa.array(_extreme(rng, n)),
    lambda rng, n: pa.array(rng.normal(size=n).astype(np.float16)),
    lambda rng, n: pa.array(_whole(rng, n), pa.decimal128(20, 4)),
    lambda rng, n: pa.array([decimal.Decimal(10) ** 50] * n, pa.decimal256(60, 2)),
    lambda rng, n: pa.array(_whole(rng, n), pa.date32()),
    lambda rng, n: pa.array(rng.integers(-(2**62), 2**62, n), pa.timestamp("us")),
    lambda rng, n: pa.array(rng.integers(0, 2**40, n), pa.timestamp("ns", "Europe/Berlin")),
    lambda rng, n: pa.array(rng.integers(0, 2**50, n), pa.timestamp("s")),
    lambda rng, n: pa.array(_whole(rng, n), pa.duration("ms")),
    lambda rng, n: pa.array(rng.integers(0, 86_400, n).astype(np.int32), pa.time32("s")),
    lambda rng, n: pa.array([rng.bytes(4) for _ in range(n)]),
    lambda rng, n: pa.array([[1, 2]] * n),
    lambda rng, n: pa.array([{"a": 1, "b": "x"}] * n),
    lambda rng, n: pa.array([True, None, False] * n)[:n],
    lambda rng, n: pa.nulls(n),
    lambda rng, n: pa.nulls(n, pa.int64()),
    lambda rng, n: pa.array([str(pick(rng, WORDS)) for _ in range(n)]).dictionary_encode(),
    lambda rng, n: pa.array(_whole(rng, n)).dictionary_encode(),
    lambda rng, n: pa.array([str(pick(rng, WORDS)) for _ in range(n)], pa.large_string()),
    lambda rng, n: pa.array([str(v) for v in _whole(rng, n)]).cast(pa.string_view()),
]


def written(
    rng: Generator, folder: Path, table: Table, suffixes: list[str], *, any_mark: bool = False
) -> tuple[Path, str]:
    """A table in a file of one of some kinds, damaged half of the time; and its encoding.

    Args:
        any_mark: whether any delimiter will do, and not the one that belongs to the suffix alone.
    """
    suffix, encoding = str(pick(rng, suffixes)), "utf-8"
    table = spoilt(rng, table)
    if suffix == ".parquet":
        content = as_parquet(rng, table)
    elif suffix in (".jsonl", ".json"):
        content = as_lines(rng, table)
    else:
        content, encoding = as_text(rng, table, suffix, any_mark)
    path = folder / f"table{suffix}"
    path.write_bytes(worse(rng, content, suffix))
    return path, encoding if rng.random() < 0.9 else "utf-8"


def worse(rng: Generator, content: bytes, suffix: str) -> bytes:
    """A file as it is, with damaged lines if it has some, or with damaged bytes."""
    way = rng.random()
    if way < (0.7 if suffix == ".parquet" else 0.45) or not content:
        return content
    if way < 0.75 and suffix != ".parquet":
        return damaged_lines(rng, content, b"\t" if suffix == ".tsv" else b",")
    return damaged(rng, content)
