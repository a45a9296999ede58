"""Reads tables of customers: text files with every column as text, Parquet with its own types.

Text files are read by Arrow, not by `marketorch.data.reading`, which would write a second copy of
each to disk and guess types that `marketorch.data.tables.columns` finds better, from training rows
alone.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from marketorch.console import say
from marketorch.data.reading import check_encoding, check_there, in_memory, read_table, some, whole
from marketorch.data.tables.cells import is_text
from marketorch.errors import DataError

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
DELIMITERS = ",;\t|"
MANY_LINES = 100  # that no cell has
SAMPLE = 1 << 18  # bytes that tell the delimiter
BLOCK = 1 << 24  # bytes that are parsed at once


def read_customers(
    source: Any, *, encoding: str = "utf-8", on_bad: str = "error", hub_config: str | None = None
) -> pa.Table:
    """Reads a file, a data set on the hub or what is in memory as a table of named columns.

    Args:
        on_bad: ``error`` or ``skip`` for rows with too few or too many fields.

    Raises:
        DataError: the file is missing, empty, broken or of an unknown format; rows are ragged; or
            two columns have one name.
    """
    table, path = in_memory(source), "the input"
    if isinstance(source, Path):  # and no name of a data set on the hub
        check_there(source)
    if table is None:
        table, path = _read_file(str(source), encoding, on_bad, hub_config), str(source)
    if table.num_rows == 0:
        raise DataError(f"{path} has a header but no rows.")
    return table.rename_columns(_names(table.column_names, path))


def _read_file(path: str, encoding: str, on_bad: str, hub_config: str | None) -> pa.Table:
    file, suffix = Path(path), Path(path).suffix.lower()
    if suffix in DELIMITED:
        check_there(file)
        return _read_delimited(file, encoding, on_bad)
    if suffix == ".parquet":
        check_there(file)
        return _read_parquet(file)
    return _plain(read_table(path, encoding=encoding, hub_config=hub_config))


def joined(paths: Sequence[str], tables: Sequence[pa.Table]) -> pa.Table:
    """Files with the same columns as one table. DataError names what one of them lacks."""
    for path, table in zip(paths, tables, strict=True):
        missing = [name for name in tables[0].column_names if name not in table.column_names]
        if missing:
            raise DataError(f"{path} lacks columns that {paths[0]} has: {some(missing)}.")
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"{', '.join(paths)} do not fit together: {error}") from error


def _names(found: list[str], path: str) -> list[str]:
    """Names without white space around them; nameless columns get their number."""
    names = [name.strip() or f"column {i}" for i, name in enumerate(found, start=1)]
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        places = [str(i) for i, name in enumerate(names, start=1) if name == twice[0]]
        raise DataError(
            f"{path}: two columns have one name: {some(twice)} ('{twice[0]}' is in columns "
            f"{' and '.join(places)}). Rename one."
        )
    return names


def _plain(table: pa.Table) -> pa.Table:
    """Columns of JSON values of several types as texts."""
    for place, name in enumerate(table.column_names):
        if isinstance(table.column(name).type, pa.BaseExtensionType):
            stored = pa.chunked_array(
                [chunk.storage.cast(pa.string()) for chunk in table.column(name).chunks]
            )
            unquoted = pc.replace_substring_regex(stored, '^"(.*)"$', r"\1")
            table = table.set_column(place, name, unquoted)
    return table


def _read_parquet(file: Path) -> pa.Table:
    """Texts are read as numbers of their different values: wide tables stay small."""
    try:
        with pa.parquet.ParquetFile(file, memory_map=True) as opened:
            schema = opened.schema_arrow
        texts = [field.name for field in schema if is_text(field.type)]
        table = pa.parquet.ParquetFile(file, memory_map=True, read_dictionary=texts).read()
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"{file} could not be read: {str(error).splitlines()[0]}") from error
    return _without_views(whole(table, str(file)))


def _without_views(table: pa.Table) -> pa.Table:
    """Views of texts as plain texts: much of Arrow does not take the former yet."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            texts = table.column(place).cast(pa.large_string())
            table = table.set_column(place, field.name, texts)
    return table


def _read_delimited(file: Path, encoding: str, on_bad: str) -> pa.Table:
    """Every column as text."""
    delimiter, names = sniff(file, encoding)
    _names(names, str(file))
    ragged: list[pa.csv.InvalidRow] = []

    def note(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    def read(**options: Any) -> pa.Table:
        """Reads again with one thread where rows are bad: only then have they numbers."""
        return pa.csv.read_csv(
            file,
            read_options=pa.csv.ReadOptions(
                encoding=encoding, block_size=BLOCK, use_threads=not options
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, **options
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )

    try:
        table = read()
        _ = table.column_names  # which Arrow decodes only here
    except (pa.ArrowException, UnicodeError):
        check_encoding(file, encoding)
        try:
            table = read(invalid_row_handler=note)
        except (pa.ArrowException, UnicodeError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{file} could not be read: {reason}") from error
        _report(ragged, table.num_rows, file, on_bad)
    _check_quotes(table, file)
    return table


def _check_quotes(table: pa.Table, file: Path) -> None:
    """A quote that is never closed makes the rest of a file one cell."""
    for name in table.column_names if table.num_rows else []:
        breaks = str(table.column(name)[-1]).count("\n")
        if breaks > MANY_LINES:
            raise DataError(
                f"{file}, row {table.num_rows}: column '{name}' has {breaks:,} line breaks. Is a "
                "quote opened there and never closed?"
            )


def _report(ragged: list[pa.csv.InvalidRow], good: int, file: Path, on_bad: str) -> None:
    """Refuses rows of another length, or says that they are left out."""
    shown = some(f"line {row.number} has {row.actual_columns}" for row in ragged)
    message = (
        f"{file}: {len(ragged):,} of {good + len(ragged):,} rows have not the "
        f"{ragged[0].expected_columns} fields of the header: {shown}."
    )
    if on_bad == "error":
        raise DataError(f"{message} Mend or quote them, or drop them with data.on_bad=skip.")
    say(f"{message} Skipped (data.on_bad=skip).")


def sniff(file: Path, encoding: str) -> tuple[str, list[str]]:
    """The delimiter that cuts the first rows into most fields of one number, and the header.

    Raises:
        DataError: the encoding is unknown, or the header is blank or has an endless cell.
    """
    with file.open("rb") as opened:
        head = opened.read(SAMPLE)
    try:
        text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    except LookupError as error:
        raise DataError(f"data.encoding '{encoding}' is unknown.") from error
    lines = text if len(head) < SAMPLE else text[: text.rfind("\n") + 1] or text
    best, header, most = ",", [""], (0.0, 0)
    for delimiter in DELIMITERS:
        rows = list(islice(_cut(lines, delimiter), 100))
        if not rows:
            continue
        width = len(rows[0])
        alike = sum(len(row) == width for row in rows) / len(rows)
        score = (alike if width > 1 else 0.0, width)
        if score > most or header == [""]:
            best, header, most = delimiter, rows[0], score
    if not any(name.strip() for name in header):
        raise DataError(f"{file}: the first line is blank; expected the names of the columns.")
    return best, header


def _cut(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yields rows with fields, up to the first that has a longer one than `csv` reads."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from (row for row in reader if row)
    except csv.Error:
        return
