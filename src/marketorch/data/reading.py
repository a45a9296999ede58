"""Reads tables (CSV, TSV, JSON lines, Parquet, a hub id) through `datasets`, with clear errors."""

from __future__ import annotations

import codecs
import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa

from marketorch.errors import DataError, closest

# An empty field is null; the words NA, None and null are words.
CSV = {"keep_default_na": False, "na_values": [""]}
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".csv": ("csv", CSV),
    ".tsv": ("csv", CSV | {"sep": "\t"}),
    ".jsonl": ("json", {}),
    ".json": ("json", {}),
    ".parquet": ("parquet", {}),
    ".txt": ("text", {}),
}
FOREIGN = (".doc", ".docx", ".gz", ".ods", ".pdf", ".xls", ".xlsx", ".zip")  # files that are none


def read_table(
    path: str, *, split: str = "train", encoding: str = "utf-8", hub_config: str | None = None
) -> pa.Table:
    """Reads a file, or a data set on the hub (``org/name`` or ``org/name:test``), as a table.

    Raises:
        DataError: the file is missing, empty, broken or of an unknown format.
    """
    file = Path(path)
    if file.suffix.lower() in FORMATS:
        check_there(file)
        if file.suffix.lower() != ".parquet":
            check_encoding(file, encoding)
        builder, arguments = FORMATS[file.suffix.lower()]
        if builder != "parquet":
            arguments = arguments | {"encoding": encoding}
        return _load(path, builder, data_files=str(file), split="train", **arguments)
    if file.is_file() or file.suffix.lower() in FOREIGN:
        raise DataError(f"{path}: unknown format; expected one of {', '.join(FORMATS)}.")
    if not file.exists() and path.count("/") > 1:
        raise DataError(f"{path} does not exist.{_neighbour(file)}")
    name, _, part = path.partition(":")
    return _load(path, name, name=hub_config, split=part or split)


def _load(shown: str, builder: str, **arguments: Any) -> pa.Table:
    progress = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        table = datasets.load_dataset(builder, **arguments).data.table
    except Exception as error:  # datasets wraps what pandas, pyarrow and the hub raise
        if "corresponds to no data" in str(error):
            raise DataError(f"{shown} has a header but no rows.") from error
        raise DataError(f"{shown} could not be read: {_root(error)}") from error
    finally:
        if progress:
            datasets.enable_progress_bars()
    if table.num_rows == 0:
        raise DataError(f"{shown} has a header but no rows.")
    return table


def _root(error: BaseException) -> str:
    """The innermost cause is the one that names the row or the byte."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check_there(file: Path) -> None:
    """Says what pandas or Arrow would say obscurely: a file is missing or empty."""
    if not file.is_file():
        raise DataError(f"{file} does not exist.{_neighbour(file)}")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty (0 bytes).")


def check_encoding(file: Path, encoding: str) -> None:
    """Names the line and the byte that are not text in this encoding."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)()  # a UTF-16 newline is two bytes
    except LookupError as error:
        raise DataError(f"data.encoding '{encoding}' is unknown.") from error
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                decoder.decode(line)
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{file}, line {number}: byte 0x{error.object[error.start]:02x} is not valid "
                    f"{encoding}. Save the file as UTF-8 or name its encoding, e.g. "
                    "data.encoding=latin-1."
                ) from error


def _neighbour(file: Path) -> str:
    """Suggests the closest existing path."""
    folder = file.parent
    while not folder.exists():
        folder = folder.parent
    if folder != file.parent:
        return f" The folder {file.parent} does not exist either (data_dir=…?)."
    near = difflib.get_close_matches(file.name, os.listdir(folder), n=1, cutoff=0.5)
    return f" Did you mean {folder / near[0]}?" if near else ""


def column(table: pa.Table, name: str, key: str, shown: str) -> pa.ChunkedArray:
    """Returns a column. DataError names those found and the closest to ``name``."""
    if name not in table.column_names:
        raise DataError(
            f"{shown} has no column '{name}' ({key}).{closest(name, table.column_names)} "
            f"Columns found: {', '.join(table.column_names)}."
        )
    return table.column(name)


def some(items: Iterable[Any], limit: int = 5) -> str:
    """The first few items, for a message."""
    listed = list(items)
    more = f" and {len(listed) - limit:,} more" if len(listed) > limit else ""
    return ", ".join(map(str, listed[:limit])) + more
