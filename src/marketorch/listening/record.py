"""The record of a post: a fixed schema, the same as a dict, as JSON and as a row of Parquet.

Every field is always there. What nobody has looked for, because there was no run, no photo or no
caption for it, is None; what was looked for and not found is an empty list. Class names differ from
run to run, so they are values, not fields, and what classifiers say stands under the names of their
runs: ``text`` holds their answers about the caption, ``photo`` those about the whole photo, and
``face`` lists of them, one answer for each of ``faces``. A further classifier needs no new field.

Lengths are pixels of the photo, the right way up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from marketorch.errors import DataError

SCHEMA_VERSION = 2  # raised when a field is added, changed or left out
VERSION = "marketorch.schema_version"  # in the metadata of a file
Record = dict[str, Any]

BOX = [(side, pa.float64()) for side in ("x1", "y1", "x2", "y2")]
SHARES = pa.list_(pa.struct([("label", pa.string()), ("probability", pa.float64())]))
SCORES = pa.list_(pa.struct([("name", pa.string()), ("value", pa.float64())]))
WORDS = pa.list_(pa.struct([("word", pa.string()), ("weight", pa.float64())]))
ANSWER = [("label", pa.string()), ("probability", pa.float64()), ("probabilities", SHARES)]
ANSWER += [("scores", SCORES)]  # expected values of numbers that the classes have, e.g. valence
BRAND = [("brand", pa.string()), ("score", pa.float64()), *BOX, ("area", pa.float64())]
FACE = [*BOX, ("angle", pa.float64()), ("score", pa.float64())]
NEAR = [("face", pa.int32()), ("brand", pa.int32()), ("name", pa.string())]
NEAR += [("distance", pa.float64())]
FAULT = [("part", pa.string()), ("reason", pa.string())]

SCHEMA = pa.schema(
    [
        ("schema_version", pa.int32()),
        ("id", pa.string()),
        ("time", pa.string()),
        ("author", pa.string()),
        ("image", pa.string()),
        ("caption", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("brands", pa.list_(pa.struct(BRAND))),
        ("faces", pa.list_(pa.struct(FACE))),
        ("near", pa.list_(pa.struct(NEAR))),
        ("text", pa.map_(pa.string(), pa.struct([*ANSWER, ("words", WORDS)]))),
        ("photo", pa.map_(pa.string(), pa.struct(ANSWER))),
        ("face", pa.map_(pa.string(), pa.list_(pa.struct(ANSWER)))),
        ("faults", pa.list_(pa.struct(FAULT))),
    ],
    metadata={VERSION: str(SCHEMA_VERSION)},
)


def record(**known: Any) -> Record:
    """A record with what is known and None for the rest; without faults unless some are given."""
    if unknown := known.keys() - set(SCHEMA.names):
        raise ValueError(f"no fields of a record: {', '.join(sorted(unknown))}")
    blank = dict.fromkeys(SCHEMA.names) | {"schema_version": SCHEMA_VERSION, "faults": []}
    return blank | known


def face_answers(post: Record, place: int) -> dict[str, Any]:
    """What each classifier says of the face at a place of ``faces``, by the names of the runs."""
    return {name: answers[place] for name, answers in (post["face"] or {}).items()}


def to_json(post: Record) -> str:
    """A record on one line."""
    return json.dumps(post, ensure_ascii=False, allow_nan=False)


def from_json(line: str) -> Record:
    """The record that `to_json` wrote. DataError if it is none, or of another version."""
    try:
        post = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"this record is no JSON: {error}.") from error
    if not isinstance(post, dict):
        raise DataError(f"this record is {post!r:.40}; expected an object.")
    _check_version(post.get("schema_version"), "this record")
    return post


def to_table(records: Sequence[Record]) -> pa.Table:
    """Records as a table of `SCHEMA`."""
    return pa.Table.from_pylist(list(records), schema=SCHEMA)


def read_records(source: Any, at_once: int = 1024) -> Iterator[list[Record]]:
    """Yields the records of a Parquet file, a table or a data frame, some at a time.

    Raises:
        DataError: the file is missing or broken, or holds no records of this version.
    """
    for batch in _batches(source, at_once):
        records = batch.to_pylist(maps_as_pydicts="strict")
        for post in records:
            _check_version(post["schema_version"], str(source) if _is_path(source) else "the table")
        yield records


def _batches(source: Any, at_once: int) -> Iterable[pa.RecordBatch]:
    if not _is_path(source):
        return _as_records(source).to_batches(at_once)
    if not Path(source).is_file():
        raise DataError(f"{source} does not exist.")
    try:
        file = pq.ParquetFile(source)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{source} is no Parquet file that can be read: {error}.") from error
    return _in_file(file, str(source), at_once)


def _in_file(file: pq.ParquetFile, shown: str, at_once: int) -> Iterator[pa.RecordBatch]:
    """Yields the records of a file. DataError where it turns out to be damaged."""
    try:
        written = (file.schema_arrow.metadata or {}).get(VERSION.encode())
        if written is not None:
            _check_version(int(written), shown)
        _check_names(file.schema_arrow.names, shown)
        for batch in file.iter_batches(at_once, columns=SCHEMA.names):
            yield from _as_records(pa.Table.from_batches([batch]), shown).to_batches()
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"{shown} is damaged: {str(error).splitlines()[0]}.") from error


def _as_records(frame: Any, shown: str = "the table") -> pa.Table:
    """A table or a data frame as a table of `SCHEMA`, its columns in order."""
    names = frame.column_names if isinstance(frame, pa.Table) else list(frame.columns)
    _check_names(names, shown)
    try:
        if isinstance(frame, pa.Table):
            table = frame.select(SCHEMA.names).cast(SCHEMA)
            table.validate(full=True)
        else:
            table = pa.Table.from_pandas(frame[SCHEMA.names], schema=SCHEMA, preserve_index=False)
    except (pa.ArrowException, UnicodeError) as error:
        raise DataError(f"{shown} holds no records of posts: {error}.") from error
    for name, column in zip(SCHEMA.names, table.columns, strict=True):
        if any(map(_has_holes, column.chunks)):
            raise DataError(f"{shown}: a value within the column '{name}' is null.")
    return table


def _has_holes(values: pa.Array) -> bool:
    """Whether a value within a list or an answer is null, as none is that `to_table` wrote."""
    if pa.types.is_map(values.type):
        inner = values.drop_null().items
    elif pa.types.is_list(values.type):
        inner = values.flatten()
    elif pa.types.is_struct(values.type):
        return any(part.null_count or _has_holes(part) for part in values.drop_null().flatten())
    else:
        return False
    return bool(inner.null_count) or _has_holes(inner)


def _check_names(names: Sequence[str], shown: str) -> None:
    if missing := [name for name in SCHEMA.names if name not in names]:
        raise DataError(
            f"{shown} holds no records of posts: it has no {', '.join(missing)}. "
            f"Columns found: {', '.join(names)}."
        )


def _check_version(found: Any, shown: str) -> None:
    if found != SCHEMA_VERSION:
        raise DataError(
            f"{shown} has schema_version {found}; this version of marketorch reads "
            f"{SCHEMA_VERSION}."
        )


def _is_path(source: Any) -> bool:
    return isinstance(source, (str, Path))
