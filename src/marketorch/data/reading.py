"""Reads tables (CSV, TSV, JSON lines, Parquet, a hub id) through `datasets`, with clear errors."""

from __future__ import annotations

import codecs
import difflib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from marketorch.console import say
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
    if os.path.isfile(file) or file.suffix.lower() in FOREIGN:
        raise DataError(f"{path}: unknown format; expected one of {', '.join(FORMATS)}.")
    if not os.path.exists(file) and path.count("/") > 1:
        raise DataError(f"{path} does not exist.{_neighbour(file)}")
    name, _, part = path.partition(":")
    return _load(path, name, name=hub_config, split=part or split)


def open_table(
    source: Any, *, encoding: str = "utf-8", hub_config: str | None = None
) -> tuple[pa.Table, str]:
    """A table in memory, or as `read_table` reads it, and what to call it in messages."""
    table = in_memory(source)
    if table is not None:
        return table, "the input"
    if isinstance(source, Path):  # and no name of a data set on the hub
        check_there(source)
    return read_table(str(source), encoding=encoding, hub_config=hub_config), str(source)


def in_memory(source: Any) -> pa.Table | None:
    """A table of pandas, Arrow or `datasets`, or a list of rows by name, as Arrow has it.

    Returns:
        None: ``source`` is none of these.

    Raises:
        DataError: it has no rows, or a column of several types.
    """
    kind = type(source).__module__.partition(".")[0]
    rows = isinstance(source, (list, tuple)) and bool(source) and isinstance(source[0], Mapping)
    try:
        if isinstance(source, pa.Table):
            table = source
        elif kind == "pandas" and hasattr(source, "columns"):
            named = source.rename(columns=str)
            table = pa.Table.from_pandas(named, preserve_index=False)
        elif kind == "datasets" and hasattr(source, "data"):
            table = source.with_format("arrow")[:]
        elif rows:
            names = list(dict.fromkeys(str(name) for row in source for name in row))
            columns = [[row.get(name) for row in source] for name in names]
            table = pa.table([pa.array(values) for values in columns], names)
        else:
            return None
    except (pa.ArrowException, TypeError, AttributeError) as error:
        raise DataError(f"the input is no table: {_root(error)}.") from error
    if table.num_rows == 0:
        raise DataError("the input has no rows.")
    return table


def _load(shown: str, builder: str, **arguments: Any) -> pa.Table:
    import datasets  # a second, which data that are drawn do not cost

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
    return whole(table, shown)


def whole(table: pa.Table, shown: str) -> pa.Table:
    """The table, once its texts are known to be UTF-8, as Parquet says of any bytes.

    Raises:
        DataError: a column is damaged, or its name.
    """
    try:
        names = table.column_names
    except UnicodeError as error:
        raise DataError(f"{shown}: a column's name is not valid UTF-8: {error}.") from error
    for name, values in zip(names, table.columns, strict=True):
        try:
            values.validate(full=True)
        except (pa.ArrowException, UnicodeError) as error:
            raise DataError(f"{shown}: column '{name}' is damaged: {_root(error)}.") from error
    return table


def _root(error: BaseException) -> str:
    """The innermost cause is the one that names the row or the byte."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check_there(file: Path) -> None:
    """Raises DataError for what pandas or Arrow say obscurely: a file is missing or empty."""
    if not os.path.isfile(file):  # which, unlike Path.is_file, takes any text
        raise DataError(f"{file} does not exist.{_neighbour(file)}")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty (0 bytes).")


def check_encoding(file: Path, encoding: str) -> None:
    """Raises DataError, naming the line and the byte that are not text in this encoding."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)()  # a UTF-16 newline is two bytes
    except LookupError as error:
        raise DataError(f"data.encoding '{encoding}' is unknown.") from error
    advice = "Save the file as UTF-8 or name its encoding, e.g. data.encoding=latin-1."
    number = 0
    try:
        with file.open("rb") as lines:
            for line in lines:
                number += 1
                decoder.decode(line)
        decoder.decode(b"", final=True)  # a character may be cut in half
    except UnicodeDecodeError as error:
        byte = f"byte 0x{error.object[error.start]:02x} is not valid {encoding}"
        raise DataError(f"{file}, line {number}: {byte}. {advice}") from error
    except UnicodeError as error:  # of UTF-16 without its mark
        raise DataError(f"{file}, line {number}: {error}. {advice}") from error


def _neighbour(file: Path) -> str:
    """Suggests the closest existing path."""
    folder = file.parent
    while not os.path.exists(folder):
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


def listed(table: pa.Table, name: str, key: str, shown: str) -> list[Any]:
    """The values of a column. DataError as of `column`, or if Python has no such value."""
    try:
        values: list[Any] = column(table, name, key, shown).to_pylist()
    except (ValueError, OverflowError) as error:  # a date beyond the year 9999, say
        raise DataError(f"{shown}: column '{name}' ({key}) cannot be read: {error}.") from error
    return values


def numbers_or_words(path: str) -> list[str | int | float]:
    """What a JSON file lists. DataError if it is no JSON, or no list of these."""
    check_there(Path(path))
    try:
        values = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}.") from error
    if not isinstance(values, list) or not all(isinstance(v, (str, int, float)) for v in values):
        raise DataError(f"{path} holds {values!r:.60}; expected a list of numbers or words.")
    return values


def some(items: Iterable[Any], limit: int = 5) -> str:
    """The first few items, for a message."""
    listed = list(items)
    more = f" and {len(listed) - limit:,} more" if len(listed) > limit else ""
    return ", ".join(map(str, listed[:limit])) + more


def usable_rows(
    bad: dict[int, str], total: int, path: str, on_bad: str, rows: Sequence[Any] | None = None
) -> list[int]:
    """The rows that are not bad; reports the bad ones, or refuses them where ``on_bad`` says so.

    Args:
        bad: reasons by place.
        rows: names of the rows; None: they are numbered.

    Raises:
        DataError: a row is bad and ``on_bad`` is error, or all are.
    """
    if bad:
        named = (f"row {i + 1}" if rows is None else str(rows[i]) for i in bad)
        if list(rows or []) == [path] and on_bad == "error":  # a file that stands for itself
            raise DataError(f"{path} {bad[0]}.")
        reasons = some(f"{name} ({why})" for name, why in zip(named, bad.values(), strict=True))
        message = f"{path}: {len(bad):,} of {total:,} rows are bad: {reasons}."
        if on_bad == "error":
            raise DataError(f"{message} Mend them, or drop them with data.on_bad=skip.")
        say(f"{message} Skipped (data.on_bad=skip).")
    if len(bad) == total:
        raise DataError(f"{path} has no usable row: all {total:,} are bad.")
    return [i for i in range(total) if i not in bad]


def label_name(label: object) -> str:
    """A label as text; 1.0 and True read as the whole numbers they stand for."""
    if isinstance(label, (bool, float)) and float(label).is_integer():
        return str(int(label))
    return str(label)


def numerically(name: str) -> tuple[float, str]:
    """Sorts whole numbers by value and before words."""
    whole = name.removeprefix("-").isdecimal()  # "²" is a digit, but no number
    return (float(name), "") if whole else (float("inf"), name)
