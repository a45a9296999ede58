"""The schema is fixed, and nothing of a record is lost in JSON, Parquet, a table or a frame."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marketorch.errors import DataError
from marketorch.listening.record import (
    SCHEMA,
    SCHEMA_VERSION,
    VERSION,
    from_json,
    read_records,
    record,
    to_json,
    to_table,
)

ANSWER = (
    "label: string, probability: double, "
    "probabilities: list<item: struct<label: string, probability: double>>, "
    "scores: list<item: struct<name: string, value: double>>"
)
BOX = "x1: double, y1: double, x2: double, y2: double"
FIELDS = {
    "schema_version": "int32",
    "id": "string",
    "time": "string",
    "author": "string",
    "image": "string",
    "caption": "string",
    "width": "int32",
    "height": "int32",
    "brands": f"list<item: struct<brand: string, score: double, {BOX}, area: double>>",
    "faces": f"list<item: struct<{BOX}, angle: double, score: double>>",
    "near": "list<item: struct<face: int32, brand: int32, name: string, distance: double>>",
    "text": f"map<string, struct<{ANSWER}, "
    "words: list<item: struct<word: string, weight: double>>>>",
    "photo": f"map<string, struct<{ANSWER}>>",
    "face": f"map<string, list<item: struct<{ANSWER}>>>",
    "faults": "list<item: struct<part: string, reason: string>>",
}


def answer(label: str, **shares: float) -> dict[str, Any]:
    pairs = [{"label": name, "probability": share} for name, share in shares.items()]
    scores = [{"name": "valence", "value": 0.25}]
    return {"label": label, "probability": shares[label]} | {
        "probabilities": pairs,
        "scores": scores,
    }


def full() -> dict[str, Any]:
    """A record in which everything is known."""
    box = {"x1": -1.5, "y1": 2.0, "x2": 30.1, "y2": 33.6}
    said = answer("positive", negative=0.1, positive=0.9)
    face = {**box, "angle": 3.1, "score": 0.8}
    return record(
        id="a",
        time="2024-05-01T10:00:00",
        author="@ann",
        image="a.png",
        caption="Naïve \u202eשלום 😀\0\n\"'",
        width=64,
        height=48,
        brands=[{"brand": "Morva", "score": 0.1 + 0.2, **box, "area": 1 / 3}],
        faces=[face],
        near=[{"face": 0, "brand": 0, "name": "Morva", "distance": 0.0}],
        text={"sentiment": said | {"words": [{"word": "good", "weight": -1.25}]}},
        photo={"scene": answer("beach", beach=1.0)},
        face={"emotion": [answer("happy", happy=0.7)]},
        faults=[{"part": "photo", "reason": "none"}],
    )


RECORDS = [full(), record(), record(caption="", brands=[], faces=[], near=[])]


def test_the_schema_is_that_of_its_version() -> None:
    """Whoever changes a field raises SCHEMA_VERSION, and then this test."""
    assert SCHEMA_VERSION == 2
    assert {field.name: str(field.type) for field in SCHEMA} == FIELDS


def test_every_field_is_always_there() -> None:
    assert list(record()) == SCHEMA.names == list(full())
    known = {"schema_version": 2, "faults": []}
    assert record() == dict.fromkeys(SCHEMA.names) | known
    with pytest.raises(ValueError, match="no fields of a record: mood"):
        record(mood="good")


def test_nothing_is_lost_in_json_and_in_parquet(tmp_path: Path) -> None:
    """Unknown stays unknown, and what was not found stays an empty list."""
    assert [from_json(to_json(post)) for post in RECORDS] == RECORDS
    assert all("\n" not in to_json(post) for post in RECORDS)
    table = to_table(RECORDS)
    assert table.to_pylist(maps_as_pydicts="strict") == RECORDS
    pq.write_table(table, tmp_path / "posts.parquet")
    assert [own for part in read_records(tmp_path / "posts.parquet") for own in part] == RECORDS
    assert [own for part in read_records(table, at_once=2) for own in part] == RECORDS
    frame = pd.read_parquet(tmp_path / "posts.parquet")
    assert [own for part in read_records(frame) for own in part] == RECORDS


def test_other_tables_are_refused(tmp_path: Path) -> None:
    def read(source: Any) -> list[Any]:
        return list(read_records(source))

    older = [post | {"schema_version": 1} for post in RECORDS]
    with pytest.raises(DataError, match="schema_version 1; this version of marketorch reads 2"):
        read(to_table(older))
    with pytest.raises(DataError, match="schema_version 1"):
        from_json(to_json(older[0]))
    first = pa.table({"text": ["fine"]}).replace_schema_metadata({VERSION: "1"})
    pq.write_table(first, tmp_path / "first.parquet")
    with pytest.raises(DataError, match=r"first\.parquet has schema_version 1; .* reads 2"):
        read(tmp_path / "first.parquet")
    with pytest.raises(DataError, match=r"holds no records of posts: it has no schema_version"):
        read(pa.table({"id": ["a"]}))
    columns = {name: [1] for name in SCHEMA.names}
    with pytest.raises(DataError, match="the table holds no records of posts"):
        read(pd.DataFrame(columns))
    with pytest.raises(DataError, match=r"none\.parquet does not exist"):
        read(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("not a table")
    with pytest.raises(DataError, match=r"text\.parquet is no Parquet file that can be read"):
        read(tmp_path / "text.parquet")


def test_damaged_records_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "posts.parquet"
    pq.write_table(to_table(RECORDS), path, compression="none")
    content = path.read_bytes()
    for place in range(4, len(content) // 2, 37):
        wrong = content[:place] + b"\xff" * 24 + content[place + 24 :]
        path.write_bytes(wrong)
        with suppress(DataError):  # or all of it can be read all the same
            list(read_records(path))
    path.write_bytes(content[:4] + bytes(200) + content[204:])
    with pytest.raises(DataError, match=r"posts\.parquet is damaged"):
        list(read_records(path))


@pytest.mark.parametrize("line", ["", "{", "[1]", "3", "[" * 100_000], ids=lambda line: line[:3])
def test_what_is_no_record_is_refused(line: str) -> None:
    with pytest.raises(DataError, match="this record is"):
        from_json(line)


def test_a_value_within_a_record_that_is_null_is_refused() -> None:
    place = next(i for i, post in enumerate(RECORDS) if post["faults"])
    record = RECORDS[place] | {"faults": [{"part": "photo", "reason": None}]}
    with pytest.raises(DataError, match="a value within the column 'faults' is null"):
        list(read_records(to_table([record])))
