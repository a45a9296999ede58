"""Tables of customers from users' files: what is read, how they are split, what is refused."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marketorch import build, check, compose
from marketorch.data.tables.encoding import TableEncoder
from marketorch.data.tables.files import read_customers
from marketorch.data.tables.source import CustomerData
from marketorch.errors import DataError

Rows = list[dict[str, Any]]
SPLITS = ("train", "validation", "test")
WHOLE: dict[str, Any] = {"validation_fraction": 0.0, "test_fraction": 0.0}
"""Everything is for training."""


def customers(number: int = 100) -> Rows:
    """Two of five leave; the bill is a number, the plan a category, the day a date."""
    return [
        {
            "customer": f"C{i:04d}",
            "bill": 20.5 + i * 7 % 31,
            "plan": ("basic", "plus", "family")[i % 3],
            "since": f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}",
            "left": "yes" if i % 5 < 2 else "no",
        }
        for i in range(number)
    ]


def write_csv(path: Path, rows: Rows, delimiter: str = ",", encoding: str = "utf-8") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


WRITERS: dict[str, Callable[[Path, Rows], object]] = {
    ".csv": write_csv,
    ".tsv": lambda path, rows: write_csv(path, rows, "\t"),
    ".txt": lambda path, rows: write_csv(path, rows, "|"),
    ".jsonl": write_jsonl,
    ".parquet": lambda path, rows: pq.write_table(pa.Table.from_pylist(rows), path),
}


def source(path: Path, rows: Rows, **options: Any) -> CustomerData:
    WRITERS[path.suffix](path, rows)
    return CustomerData(path=str(path), **{"target": "left", **options})


def text(path: Path, content: str, **options: Any) -> CustomerData:
    """A source of a file with this content."""
    path.write_text(content, encoding="utf-8")
    return CustomerData(path=str(path), **{"target": "left", **WHOLE, **options})


def refused(data: CustomerData, split: str = "train") -> str:
    with pytest.raises(DataError) as caught:
        (data.schema if split == "train" else data.split(split))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(rows: Rows, place: int, **cells: Any) -> Rows:
    """The same rows with other cells in one."""
    return [row | cells if i == place else row for i, row in enumerate(rows)]


# -- formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_says_the_same(tmp_path: Path, suffix: str) -> None:
    data = source(tmp_path / f"d{suffix}", customers(), ids="customer", **WHOLE)
    schema = data.schema
    assert {column["name"]: column["kind"] for column in schema["columns"]} == {
        "bill": "number",
        "plan": "category",
        "since": "date",
    }
    assert schema["dropped"] == {"customer": "data.ids", "left": "data.target"}
    assert (schema["classes"], schema["class_counts"]) == (["no", "yes"], [60, 40])
    train = data.split("train")
    assert train.labels is not None
    assert train.labels.tolist() == [int(row["left"] == "yes") for row in customers()]
    assert list(train.ids) == [row["customer"] for row in customers()]
    assert train.row(3)["plan"] == "basic"
    encoder = TableEncoder(schema["columns"])
    bills = encoder.encode(train, raw=True).numbers[:, 0]
    assert bills.tolist() == [row["bill"] for row in customers()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [row | {"bill": f"{row['bill']:.2f}".replace(".", ",")} for row in customers()]
    write_csv(tmp_path / "d.csv", rows, delimiter)
    data = CustomerData(path=str(tmp_path / "d.csv"), target="left", **WHOLE)
    bill = next(column for column in data.schema["columns"] if column["name"] == "bill")
    assert bill == {"name": "bill", "kind": "number", "missing": False, "decimal": ","}


AWKWARD = ["plain", 'with "quotes", and commas; bars | too', "two\nlines", "naïve café ☕"]


def test_awkward_texts_come_through(tmp_path: Path) -> None:
    rows = [{"x": text, "left": "yn"[i % 2]} for i, text in enumerate(AWKWARD * 3)]
    train = source(tmp_path / "d.csv", rows, **WHOLE).split("train")
    assert train.column("x").to_pylist() == AWKWARD * 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16", "cp1252"])
def test_encodings_and_byte_order_marks(tmp_path: Path, encoding: str) -> None:
    rows = [row | {"plan": "größer" if i % 2 else "klein"} for i, row in enumerate(customers())]
    write_csv(tmp_path / "d.csv", rows, encoding=encoding)
    named = {} if encoding == "utf-8-sig" else {"encoding": encoding}
    data = CustomerData(path=str(tmp_path / "d.csv"), target="left", **WHOLE, **named)
    assert data.split("train").table.column_names == list(rows[0])
    plan = next(column for column in data.schema["columns"] if column["name"] == "plan")
    assert sorted(plan["levels"]) == ["größer", "klein"]


def test_several_files_are_one(tmp_path: Path) -> None:
    rows = customers(60)
    write_csv(tmp_path / "a.csv", rows[:25])
    write_csv(tmp_path / "b.csv", [dict(reversed(row.items())) for row in rows[25:]])
    paths = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    train = CustomerData(path=paths, target="left", **WHOLE).split("train")
    assert train.column("customer").to_pylist() == [row["customer"] for row in rows]
    assert train.where(24).endswith("a.csv, row 25")
    assert train.where(25).endswith("b.csv, row 1")
    write_csv(tmp_path / "b.csv", [{"plan": row["plan"], "left": row["left"]} for row in rows])
    assert "b.csv lacks columns that" in refused(CustomerData(path=paths, target="left"))


def test_constructing_reads_nothing() -> None:
    CustomerData(path="nowhere.csv", target="left")


def test_the_notice_lists_kinds_and_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row | {"empty": "", "same": "x"} for row in customers()]
    assert source(tmp_path / "d.csv", rows, drop=["si*"]).schema
    said = capsys.readouterr().out
    assert "1 number: bill." in said
    assert "1 category: plan." in said
    assert "customer (id), since (data.drop), empty (blank), same (constant)" in said
    assert "left=yes is the positive class: 29 of 72 training rows (40.28%)" in said


# -- classes ----------------------------------------------------------------------------------


def labelled(path: Path, labels: Sequence[Any], **options: Any) -> CustomerData:
    rows = [{"x": i % 7, "left": label} for i, label in enumerate(labels)]
    return source(path, rows, **WHOLE, **options)


@pytest.mark.parametrize(
    ("suffix", "labels", "classes"),
    [
        (".csv", [1, 1, 0], ["0", "1"]),
        (".parquet", [True, True, False], ["false", "true"]),
        (".csv", [True, True, False], ["False", "True"]),
        (".jsonl", [1.0, 1.0, 0.0], ["0", "1"]),
        (".csv", ["Yes", "Yes", "No"], ["No", "Yes"]),  # yes is positive, rare or not
        (".csv", ["stays", "goes", "stays"], ["stays", "goes"]),  # else the rarer one
        (".csv", ["None", "NA", "None"], ["None", "NA"]),  # words, in a target
        (".parquet", [10, 9, 8], ["8", "9", "10"]),
    ],
)
def test_classes(tmp_path: Path, suffix: str, labels: list[Any], classes: list[str]) -> None:
    found = labelled(tmp_path / f"d{suffix}", labels * 4).schema
    assert found["classes"] == classes
    assert sum(found["class_counts"]) == 12
    assert found.get("positive") == (classes[1] if len(classes) == 2 else None)


@pytest.mark.parametrize(("positive", "last"), [(None, "1"), (0, "0"), ("1", "1"), (True, None)])
def test_the_class_that_is_sought(tmp_path: Path, positive: Any, last: str | None) -> None:
    data = labelled(tmp_path / "d.csv", [0, 1, 1] * 4, positive=positive)
    assert data.schema["classes"][1] == (last or "1")


def test_class_names(tmp_path: Path) -> None:
    data = labelled(tmp_path / "d.csv", [0, 1] * 4, class_names={1: "leaves"}, positive=0)
    assert (data.schema["classes"], data.schema["raw_classes"]) == (["leaves", "0"], ["1", "0"])
    assert data.schema["positive"] == "0"


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    message = refused(source(tmp_path / "d.csv", customers(), target="lefd"))
    assert "d.csv has no column 'lefd' (data.target). Did you mean 'left'?" in message
    assert "Columns found: customer, bill, plan, since, left." in message


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["no"], {}, "column 'left' (data.target) has one value only (no) in 12 training rows"),
        (["a", "b"], {"positive": "c"}, "data.positive is 'c', which column 'left' has not."),
        (["a", "b", "c"], {"positive": "a"}, "data.positive is for two classes; column 'left'"),
    ],
)
def test_targets_that_will_not_do(
    tmp_path: Path, labels: list[str], options: dict[str, Any], message: str
) -> None:
    assert message in refused(labelled(tmp_path / "d.csv", labels * (12 // len(labels)), **options))


def test_a_target_of_amounts(tmp_path: Path) -> None:
    message = refused(labelled(tmp_path / "d.csv", [i * 1.5 for i in range(300)]))
    assert "has 300 different values (0.0, 1.5, 3.0 and 297 more); expected a few" in message


@pytest.mark.parametrize("empty", ["", " ", "?"])
def test_rows_without_a_class(
    tmp_path: Path, empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = changed(changed(customers(), 3, left=empty), 8, left=empty)
    message = refused(source(tmp_path / "d.csv", rows))
    assert "2 of 100 rows are bad: row 4 ('left' (data.target) is empty), row 9" in message
    assert "data.on_bad=skip" in message
    train = source(tmp_path / "d.csv", rows, on_bad="skip", **WHOLE).split("train")
    assert (len(train), train.where(3).endswith("d.csv, row 5")) == (98, True)
    assert "Skipped (data.on_bad=skip)" in capsys.readouterr().out
    nothing = [row | {"left": ""} for row in rows]
    assert "no usable row" in refused(source(tmp_path / "d.csv", nothing, on_bad="skip"))


def test_a_class_that_training_never_saw(tmp_path: Path) -> None:
    write_csv(tmp_path / "test.csv", changed(customers(20), 7, left="yess"))
    data = source(tmp_path / "d.csv", customers(), test=str(tmp_path / "test.csv"))
    message = refused(data, "test")
    assert "test.csv, row 8: column 'left' (data.target) is 'yess'" in message
    assert "1 rows of the test split; training never saw it. Did you mean 'yes'?" in message


# -- treatments -------------------------------------------------------------------------------


def mailed(path: Path, names: Sequence[Any] = ("none", "a", "b"), **options: Any) -> CustomerData:
    rows = [row | {"mail": names[i % len(names)]} for i, row in enumerate(customers(60))]
    return source(path, rows, treatment="mail", **WHOLE, **options)


def test_treatments_are_numbered_and_no_input(tmp_path: Path) -> None:
    data = mailed(tmp_path / "d.csv", control="none")
    train = data.split("train")
    assert data.schema["treatments"] == ["none", "a", "b"]
    assert train.treatment is not None
    assert train.treatment.tolist() == [0, 1, 2] * 20
    assert data.schema["dropped"]["mail"] == "data.treatment"
    some = train.select([4, 2])
    assert some.treatment is not None
    assert some.treatment.tolist() == [1, 2]
    batch = TableEncoder(data.schema["columns"]).encode(some, raw=True).__getitems__([1])
    assert set(batch) == {"numbers", "categories", "index", "labels", "treatment"}


@pytest.mark.parametrize("names", [(0, 1), ("no", "yes")])
def test_no_and_yes_need_no_word_for_control(tmp_path: Path, names: tuple[Any, Any]) -> None:
    assert mailed(tmp_path / "d.csv", names).schema["treatments"] == list(map(str, names))


def test_treatments_that_will_not_do(tmp_path: Path) -> None:
    message = refused(mailed(tmp_path / "d.csv"))
    assert "data.control is missing: which value of column 'mail'" in message
    assert "Found: a, b, none." in message
    message = refused(mailed(tmp_path / "d.csv", control="nome"))
    assert "data.control is 'nome', which column 'mail' has not. Did you mean 'none'?" in message
    assert "has one value only (a)" in refused(mailed(tmp_path / "d.csv", ["a"], control="a"))


# -- splits -----------------------------------------------------------------------------------


def ids(data: CustomerData) -> dict[str, list[str]]:
    return {name: list(data.split(name).ids) for name in SPLITS}


def assert_disjoint(data: CustomerData, total: int) -> None:
    found = ids(data)
    for one, other in itertools.combinations(SPLITS, 2):
        assert not set(found[one]) & set(found[other])
    assert sum(map(len, found.values())) == total


def share(data: CustomerData, name: str) -> float:
    labels = data.split(name).labels
    assert labels is not None
    return float(labels.float().mean())


def test_an_automatic_split_is_stratified_and_seeded(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", customers(1000), ids="customer")
    assert_disjoint(data, 1000)
    assert {name: len(data.split(name)) for name in SPLITS} == {
        "train": 720,
        "validation": 80,
        "test": 200,
    }
    assert all(share(data, name) == pytest.approx(0.4) for name in SPLITS)
    again = CustomerData(path=data.paths, target="left", ids="customer")
    other = CustomerData(path=data.paths, target="left", ids="customer", seed=1)
    assert ids(again) == ids(data) != ids(other)


def test_files_of_their_own_are_taken_as_they_are(tmp_path: Path) -> None:
    write_csv(tmp_path / "test.csv", customers(30))
    data = source(tmp_path / "d.csv", customers(), test=str(tmp_path / "test.csv"), ids="customer")
    assert {name: len(data.split(name)) for name in SPLITS} == {
        "train": 90,
        "validation": 10,
        "test": 30,
    }
    missing = source(tmp_path / "d.csv", customers(), test=str(tmp_path / "no.csv"))
    assert len(missing.split("train")) == 90  # which is read only when asked for
    assert "no.csv does not exist" in refused(missing, "test")


def test_a_column_that_says_the_split(tmp_path: Path) -> None:
    words = ["Train", "val", "test", "train"]
    rows = [row | {"part": words[i % 4]} for i, row in enumerate(customers())]
    data = source(tmp_path / "d.csv", rows, split="part", ids="customer")
    assert [len(data.split(name)) for name in SPLITS] == [50, 25, 25]
    assert data.schema["dropped"]["part"] == "data.split"
    rows = [row | {"part": "test"} for row in rows]
    message = refused(source(tmp_path / "d.csv", rows, split="part"))
    assert "column 'part' has no 'train' rows; found test." in message


def test_every_row_is_in_one_fold(tmp_path: Path) -> None:
    tests = []
    for fold in range(4):
        data = source(tmp_path / "d.csv", customers(), folds=4, fold=fold, ids="customer")
        assert_disjoint(data, 100)
        assert share(data, "test") == pytest.approx(0.4)
        tests += data.split("test").ids
    assert sorted(tests) == [row["customer"] for row in customers()]
    message = refused(source(tmp_path / "d.csv", customers(), folds=4, fold=4))
    assert "data.fold is 4; expected 0 to 3" in message
    assert "data.folds is 1" in refused(source(tmp_path / "d.csv", customers(), folds=1))


@pytest.mark.parametrize("options", [{}, {"folds": 3}])
def test_a_group_stays_together(tmp_path: Path, options: dict[str, Any]) -> None:
    rows = [row | {"house": f"h{i // 4}"} for i, row in enumerate(customers(400))]
    data = source(tmp_path / "d.csv", rows, group="house", **options)
    houses = [set(data.split(name).column("house").to_pylist()) for name in SPLITS]
    assert sum(map(len, houses)) == len(set.union(*houses)) == 100
    assert data.schema["dropped"]["house"] == "data.group"


@pytest.mark.parametrize("written", [lambda i: i, lambda i: f"2024-01-{i % 30 + 1:02d}"])
def test_the_latest_rows_test(tmp_path: Path, written: Callable[[int], Any]) -> None:
    """And rows of one time stay together."""
    rows = [row | {"time": written(i)} for i, row in enumerate(customers(300))]
    data = source(tmp_path / "d.csv", rows[::-1], time="time")
    times = [data.split(name).column("time").to_pylist() for name in SPLITS]
    earliest, latest = zip(*((min(own, key=key), max(own, key=key)) for own in times), strict=True)
    assert key(latest[0]) < key(earliest[1])
    assert key(latest[1]) < key(earliest[2])
    assert sum(map(len, times)) == 300
    assert len(times[2]) == 60


def key(value: Any) -> tuple[int, str]:
    """Order of numbers, or of dates as they are written."""
    return (int(value), "") if str(value).isdigit() else (0, str(value))


def test_times_that_will_not_do(tmp_path: Path) -> None:
    rows = [row | {"time": "2024-05-31"} for row in customers()]
    message = refused(source(tmp_path / "d.csv", rows, time="time"))
    assert "column 'time' (data.time) is constant; expected several times." in message
    rows = [row | {"time": ("early", "late")[i % 2]} for i, row in enumerate(customers())]
    message = refused(source(tmp_path / "d.csv", rows, time="time"))
    assert "row 1: column 'time' is no date" in message
    rows = changed([row | {"time": i} for i, row in enumerate(customers())], 5, time="")
    message = refused(source(tmp_path / "d.csv", rows, time="time"))
    assert "row 6 ('time' (data.time) is empty)" in message


def test_a_limit_keeps_so_many_training_rows(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", customers(1000), num_train=50)
    assert [len(data.split(name)) for name in SPLITS] == [50, 80, 200]
    assert data.schema["class_counts"] == [30, 20]
    message = refused(source(tmp_path / "d.csv", customers(1000), num_train=1))
    assert "d.csv: data.num_train is 1; cannot choose so many of 720 training rows" in message


def test_one_way_to_split() -> None:
    with pytest.raises(DataError, match=r"data\.split and data\.folds exclude each other"):
        CustomerData(path="d.csv", target="left", split="part", folds=5)
    with pytest.raises(DataError, match=r"data\.folds and data\.test exclude each other"):
        CustomerData(path="d.csv", target="left", test="test.csv", folds=5)


def test_too_few_to_cut(tmp_path: Path) -> None:
    rows = [row | {"left": "yes" if i == 0 else "no"} for i, row in enumerate(customers(10))]
    message = refused(source(tmp_path / "d.csv", rows))
    assert "d.csv: cannot cut a stratified test split from 10 rows" in message
    assert "data.test_fraction" in message


# -- what is wrong with a file ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty (0 bytes)"),
        ("a,left\n", "has a header but no rows"),
        ("a,left,a\n1,y,2\n", "two columns have one name: a ('a' is in columns 1 and 3)"),
        ("a,left, a\n1,y,2\n", "two columns have one name: a"),
        ("\n\n", "the first line is blank"),
        ("a,left\n1,y\n", "has one value only (y) in 1 training rows"),
    ],
)
def test_files_that_will_not_do(tmp_path: Path, content: str, message: str) -> None:
    assert message in refused(text(tmp_path / "d.csv", content))


def test_one_row_cannot_be_cut(tmp_path: Path) -> None:
    message = refused(source(tmp_path / "d.csv", customers(1)))
    assert "d.csv: cannot cut a stratified test split from 1 rows" in message


RAGGED = "a,left\n1,y\n2,n,3\n4,n\n5\n" + "6,y\n7,n\n" * 10


def test_ragged_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(text(tmp_path / "d.csv", RAGGED))
    assert "d.csv: 2 of 24 rows have not the 2 fields of the header" in message
    assert "line 3 has 3, line 5 has 1" in message
    assert "data.on_bad=skip" in message
    assert len(text(tmp_path / "d.csv", RAGGED, on_bad="skip").split("train")) == 22
    assert "Skipped (data.on_bad=skip)" in capsys.readouterr().out


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    content = 'a,left\n1,y\n2,"n\n' + "3,y\n4,n\n" * 100
    message = refused(text(tmp_path / "d.csv", content))
    assert "d.csv, row 2: column 'left' has 201 line breaks. Is a quote opened there" in message


def test_a_nameless_column_gets_its_number(tmp_path: Path) -> None:
    """As spreadsheets and pandas write the numbers of rows."""
    rows = "".join(f"{i},{i % 7},{'yn'[i % 2]}\n" for i in range(200))
    schema = text(tmp_path / "d.csv", f",x , left\n{rows}").schema
    assert schema["dropped"] == {"column 1": "id", "left": "data.target"}
    assert [column["name"] for column in schema["columns"]] == ["x"]


def test_another_encoding_is_named(tmp_path: Path) -> None:
    rows = changed(customers(), 4, plan="größer")
    write_csv(tmp_path / "d.csv", rows, encoding="latin-1")
    message = refused(CustomerData(path=str(tmp_path / "d.csv"), target="left"))
    assert "d.csv, line 6: byte 0xf6 is not valid utf-8" in message
    assert "data.encoding=latin-1" in message
    data = CustomerData(path=str(tmp_path / "d.csv"), target="left", encoding="latn")
    assert "data.encoding 'latn' is unknown" in refused(data)
    (tmp_path / "photo.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9)
    message = refused(CustomerData(path=str(tmp_path / "photo.csv"), target="left"))
    assert "photo.csv, line 1: byte 0x89 is not valid utf-8" in message


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_broken_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"d{suffix}"
    path.write_text("neither one nor the other", encoding="utf-8")
    assert "could not be read" in refused(CustomerData(path=str(path), target="left"))


def test_mixed_types_in_a_column(tmp_path: Path) -> None:
    rows = changed(customers(), 50, bill="a lot")
    message = refused(source(tmp_path / "d.csv", rows, **WHOLE))
    assert "d.csv, row 51: column 'bill' is no number: 'a lot'" in message
    assert "data.columns={…: category}" in message
    message = refused(source(tmp_path / "d.jsonl", rows, **WHOLE))
    assert "d.jsonl, row 51: column 'bill' is no number: 'a lot'" in message


def test_no_column_is_left(tmp_path: Path) -> None:
    message = refused(source(tmp_path / "d.csv", customers(), drop=["*"]))
    assert "no column is left to predict from" in message
    message = refused(source(tmp_path / "d.csv", customers(), columns={"bil": "number"}))
    assert "has no column 'bil' (data.columns). Did you mean 'bill'?" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_bad": "skp"}, "data.on_bad is 'skp'; expected error or skip."),
        ({"leaks": "yes"}, "data.leaks is 'yes'; expected warn, error or ignore."),
        ({"columns": {"x": "text"}}, "data.columns: 'x' is to be 'text'"),
    ],
)
def test_arguments_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        CustomerData(path="d.csv", target="left", **options)
    assert message in str(caught.value)


def test_an_unknown_format(tmp_path: Path) -> None:
    (tmp_path / "d.xyz").write_text("a")
    with pytest.raises(DataError, match=r"d\.xyz: unknown format; expected one of"):
        read_customers(str(tmp_path / "d.xyz"))


# -- what training sees -----------------------------------------------------------------------


def test_the_fingerprint_is_of_the_training_rows(tmp_path: Path) -> None:
    rows = customers()
    known = source(tmp_path / "d.csv", rows, **WHOLE).fingerprint()
    assert source(tmp_path / "d.parquet", rows, **WHOLE).fingerprint() == known
    assert source(tmp_path / "d.csv", changed(rows, 5, bill=99), **WHOLE).fingerprint() != known
    assert source(tmp_path / "d.csv", changed(rows, 5, left="no"), **WHOLE).fingerprint() != known
    assert source(tmp_path / "d.csv", rows, drop=["bill"], **WHOLE).fingerprint() != known


def test_what_is_held_out_tells_nothing(tmp_path: Path) -> None:
    """Neither levels, nor kinds, nor quantiles."""
    found = []
    for plan, bill in (("family", 30), ("zebra", 10**9)):
        rows = [row | {"plan": plan, "bill": bill} for row in customers(40)]
        for name in ("validation", "test"):
            write_csv(tmp_path / f"{name}.csv", rows)
        files = {name: str(tmp_path / f"{name}.csv") for name in ("validation", "test")}
        data = source(tmp_path / "d.csv", customers(), **files)
        encoder = TableEncoder(data.schema["columns"])
        encoder.fit(data.split("train"))
        assert len(encoder.encode(data.split("test"))) == 40
        found.append((data.schema, data.fingerprint(), encoder.state_dict()))
    assert found[0][:2] == found[1][:2]
    assert all(found[0][2][name].equal(value) for name, value in found[1][2].items())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_only_test_rows_hold_is_unknown(tmp_path: Path, suffix: str) -> None:
    """Also where a file has one dictionary of words for all of its rows."""
    rows = [row | {"part": ("train", "test")[i % 2]} for i, row in enumerate(customers())]
    rows = changed(changed(rows, 31, plan="zebra"), 51, left="perhaps")
    data = source(tmp_path / f"d{suffix}", rows, split="part", min_count=1)
    plan = next(column for column in data.schema["columns"] if column["name"] == "plan")
    assert sorted(plan["levels"]) == ["basic", "family", "plus"]
    assert data.schema["raw_classes"] == ["no", "yes"]
    assert "row 52: column 'left' (data.target) is 'perhaps'" in refused(data, "test")


HEADERS: dict[str, tuple[str, list[str]]] = {
    "telco": ("customerID,gender,tenure,Churn", ["gender", "tenure"]),
    "leads": (
        "Prospect ID,Lead Origin,Converted,Last Activity,Tags,Lead Quality,Asymmetrique Activity "
        "Index,TotalVisits,Last Notable Activity,Asymmetrique Profile Score",
        ["Lead Origin", "TotalVisits"],
    ),
    "bank": ("age,job,duration,y", ["age", "job"]),
    "adult": ("age,workclass,fnlwgt,income", ["age", "workclass", "fnlwgt"]),
    "hillstrom": ("recency,zip_code,segment,visit,conversion,spend", ["recency", "zip_code"]),
}
CELLS: dict[str, Callable[[int], Any]] = {
    "segment": lambda i: ("Mens E-Mail", "No E-Mail", "Womens E-Mail")[i % 3],
    **dict.fromkeys(["customerID", "Prospect ID"], lambda i: f"C{i}"),
    **dict.fromkeys(["Churn", "y", "Converted", "income", "visit"], lambda i: ("No", "Yes")[i % 2]),
    **dict.fromkeys(
        ["gender", "Lead Origin", "job", "workclass", "zip_code"], lambda i: "uvw"[i % 3]
    ),
}


@pytest.mark.parametrize("option", HEADERS)
def test_configs_leave_out_what_comes_after_the_target(tmp_path: Path, option: str) -> None:
    header, kept = HEADERS[option]
    config = compose([f"data={option}", f"data_dir={tmp_path}"])
    check(config)
    Path(config.data.path).parent.mkdir()
    names = header.split(",")
    rows = [{name: CELLS.get(name, lambda i: i % 7)(i) for name in names} for i in range(120)]
    for path in (config.data.path, config.data.get("test")):
        if path:
            write_csv(Path(path), rows, ";" if option == "bank" else ",")
    data = build(config.data)
    assert [column["name"] for column in data.schema["columns"]] == kept
    assert [len(data.split(name)) > 0 for name in SPLITS] == [True] * 3
    assert data.schema.get("treatments", ["No E-Mail"])[0] == "No E-Mail"


def test_ten_thousand_rows_are_split_without_a_copy(tmp_path: Path) -> None:
    data = source(tmp_path / "d.parquet", customers(10_000))
    tables = [data.split(name).table for name in SPLITS]
    assert tables[0] is tables[1] is tables[2]
    places = np.concatenate([data.split(name).places for name in SPLITS])
    assert np.array_equal(np.sort(places), np.arange(10_000))


# -- damage -----------------------------------------------------------------------------------


def test_a_cell_longer_than_csv_reads_tells_the_delimiter_no_less(tmp_path: Path) -> None:
    rows = changed(customers(), 50, plan="x" * 140_000)
    schema = source(tmp_path / "d.csv", rows, **WHOLE).schema
    assert [column["name"] for column in schema["columns"]] == ["bill", "plan", "since"]


def test_a_file_that_ends_within_a_character_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes("a,left\n1,yes\n2,no\n".encode("utf-16") + b"1")
    data = CustomerData(path=str(path), target="left", encoding="utf-16")
    assert re.search(r"d\.csv, line \d: byte 0x31 is not valid utf-16\. Save", refused(data))
    path.write_bytes(b"a,left\n1,yes\n")
    assert "line 1: UTF-16 stream does not start with BOM" in refused(data)


def test_names_of_columns_are_text(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b"a\xe9,left\n1,yes\n2,no\n")
    assert "d.csv, line 1: byte 0xe9 is not valid utf-8" in refused(
        CustomerData(path=str(path), target="left")
    )


def parquet(path: Path, **columns: pa.Array) -> CustomerData:
    left = pa.array(["yes", "no"] * 50)
    pq.write_table(pa.table({"left": left, **columns}), path)
    return CustomerData(path=str(path), target="left", **WHOLE)


def test_parquet_whose_text_is_none_is_refused(tmp_path: Path) -> None:
    """Parquet says of any bytes that they are text, and Arrow believes it."""
    wrong = pa.array([b"\xec\xff"] * 100).view(pa.string())
    assert "d.parquet: column 'a' is damaged: In chunk 0" in refused(
        parquet(tmp_path / "d.parquet", a=wrong)
    )


def test_a_target_without_text_is_refused(tmp_path: Path) -> None:
    data = parquet(tmp_path / "d.parquet", a=pa.array([b"\xff"] * 100))
    data.targets = ["a"]
    message = refused(data)
    assert message.endswith("d.parquet, row 1: column 'a' holds binary, which has no plain text.")


def test_views_of_texts_are_texts(tmp_path: Path) -> None:
    views = pa.array(["a", "b", None, "a"] * 25).cast(pa.string_view())
    (column,) = parquet(tmp_path / "d.parquet", a=views).schema["columns"]
    assert (column["kind"], column["levels"]) == ("category", ["a", "b"])


def test_dates_beyond_all_calendars_are_refused(tmp_path: Path) -> None:
    seconds = pa.array([2**50 + i for i in range(100)], pa.timestamp("s"))
    message = refused(parquet(tmp_path / "d.parquet", a=seconds))
    assert "d.parquet, row 1: column 'a' has a date beyond all calendars" in message


def test_a_column_that_new_rows_leave_blank_is_missing(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", customers(), ids="customer", **WHOLE)
    rows = [row | {"bill": None} for row in customers(3)]
    WRITERS[".jsonl"](tmp_path / "new.jsonl", rows)
    encoder = TableEncoder(data.schema["columns"])
    numbers = encoder.encode(data.inputs(str(tmp_path / "new.jsonl")), raw=True).numbers
    assert numbers[:, 0].isnan().all()


@pytest.mark.parametrize("kind", [pa.timestamp("ms"), pa.date32()], ids=str)
def test_a_date_that_python_has_not_is_shown_all_the_same(tmp_path: Path, kind: Any) -> None:
    number = 2**30 if kind == pa.date32() else 2**60
    days = pa.array([number] * 100, kind)
    data = parquet(tmp_path / "d.parquet", a=pa.array(range(100)), customer=days)
    rows = data.inputs(str(tmp_path / "d.parquet"))
    assert rows.row(0)["customer"] == str(number)
    assert replace(rows, id_column="customer").ids[0] == str(number)


def test_half_a_character_may_be_a_word_for_missing(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", customers(), missing=["plus", "\ud800"], **WHOLE)
    plan = next(column for column in data.schema["columns"] if column["name"] == "plan")
    assert (plan["levels"], plan["missing"]) == (["basic", "family"], True)


def test_dates_where_training_had_yes_and_no_are_refused(tmp_path: Path) -> None:
    """Also dates that Python has not, which the message has to name."""
    rows = [row | {"paid": row["left"]} for row in customers()]
    data = source(tmp_path / "d.csv", rows, ids="customer", **WHOLE)
    encoder = TableEncoder(data.schema["columns"])
    table = pa.Table.from_pylist(rows[:2]).drop_columns("paid")
    table = table.append_column("paid", pa.array([2**60, 2**60], pa.timestamp("ms")))
    pq.write_table(table, tmp_path / "new.parquet")
    with pytest.raises(DataError, match=rf"row 1: column 'paid' .*'{2**60}'"):
        encoder.encode(data.inputs(str(tmp_path / "new.parquet")), raw=True)
