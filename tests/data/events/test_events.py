"""Event logs: order, what is held out, what is dropped, and what is said about bad ones."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from marketorch.data.events.source import EventData
from marketorch.data.ragged import Ragged, windows
from marketorch.errors import DataError


def log(path: Path, rows: list[tuple[Any, ...]], **options: Any) -> EventData:
    """Events ``(user, item, time)`` as a file and its reader."""
    frame = pd.DataFrame(rows, columns=["user", "item", "time"][: len(rows[0])])
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return EventData(path=str(path), **options)


def sequences(ragged: Ragged) -> list[list[int]]:
    return [ragged.pad(torch.tensor([i]))[0].tolist() for i in range(len(ragged))]


THREE = [
    *(("ann", item, time) for time, item in enumerate("abcde")),
    *(("bob", item, time) for time, item in enumerate("ecb")),
    *(("cyd", item, time) for time, item in enumerate("ad")),
]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_last_item_is_tested_and_the_one_before_validates(tmp_path: Path, suffix: str) -> None:
    shuffled = [THREE[i] for i in (9, 3, 0, 7, 5, 2, 8, 6, 1, 4)]
    data = log(tmp_path / f"log{suffix}", shuffled, time="time")
    assert data.catalogue.items == list("abcde")
    train, validation, test = (data.split(name) for name in ("train", "validation", "test"))
    assert sequences(train.histories) == [[1, 2, 3], [5], [1, 4]]
    assert sequences(validation.histories) == [[1, 2, 3], [5]]
    assert sequences(test.histories) == [[1, 2, 3, 4], [5, 3]]
    assert validation.targets is not None
    assert test.targets is not None
    assert validation.targets.values.tolist() == [4, 3]
    assert test.targets.values.tolist() == [5, 2]
    assert (train.ids, test.ids) == (["ann", "bob", "cyd"], ["ann", "bob"])
    assert data.schema["num_items"] == 5
    assert data.schema["num_users"] == 3
    assert data.schema["num_examples"] == 6


def test_short_histories_are_reported_and_trained_on(tmp_path: Path, capsys: Any) -> None:
    data = log(tmp_path / "log.csv", THREE, time="time")
    assert sequences(data.split("train").histories)[2] == [1, 4]
    assert "1 users have fewer than 3 events: only trained on" in capsys.readouterr().out
    with pytest.raises(DataError, match="no user has 3 events"):
        log(tmp_path / "short.csv", THREE[-2:], time="time").split("train")


def test_users_can_be_left_out_of_validation(tmp_path: Path) -> None:
    path = tmp_path / "skip.json"
    path.write_text(json.dumps(["ann"]))
    data = log(tmp_path / "log.csv", THREE, time="time", without_validation=str(path))
    assert data.split("validation").ids == ["bob"]
    assert sequences(data.split("train").histories)[0] == [1, 2, 3, 4]
    assert data.split("test").ids == ["ann", "bob"]


def test_nothing_validates_a_last_run(tmp_path: Path) -> None:
    data = log(tmp_path / "log.csv", THREE, time="time", validate=False)
    assert data.split("validation") is None
    assert sequences(data.split("train").histories) == [[1, 2, 3, 4], [5, 3], [1, 4]]
    assert sequences(data.split("test").histories) == [[1, 2, 3, 4], [5, 3]]


def test_no_step_of_training_is_lost_or_seen_twice() -> None:
    whole = Ragged.of([list(range(1, 12)), [20, 21], [30], [40, 41, 42, 43]])
    pieces, owners = windows(whole, 3)
    cut = sequences(pieces)
    assert all(len(piece) <= 4 for piece in cut)
    steps = [step for piece in cut for step in itertools.pairwise(piece)]
    expected = [step for row in sequences(whole) for step in itertools.pairwise(row)]
    assert sorted(steps) == sorted(expected)
    assert owners.tolist() == [0, 0, 0, 0, 1, 2, 3]
    assert cut[3] == [8, 9, 10, 11]


def test_training_sees_nothing_that_is_held_out(tmp_path: Path) -> None:
    rows = [(user, f"{user}-{step}", step) for user in range(9) for step in range(7)]
    data = log(tmp_path / "log.csv", rows, time="time")
    train = data.split("train")
    seen = {train.catalogue.items[i - 1] for i in train.histories.values.tolist()}
    assert seen == {f"{user}-{step}" for user in range(9) for step in range(5)}


def test_held_out_items_that_were_never_trained_on_are_counted(tmp_path: Path, capsys: Any) -> None:
    data = log(tmp_path / "log.csv", THREE, time="time")
    assert len(data.split("test")) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "0 of" not in said
    rows = [*THREE[:4], ("ann", "new", 9)]
    assert len(log(tmp_path / "new.csv", rows, time="time").split("test")) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 1 test items occur in no training event" in said


def test_duplicates_ratings_and_cores(tmp_path: Path, capsys: Any) -> None:
    rows = [*THREE, ("ann", "a", 9), ("bob", "z", 9)]
    data = log(tmp_path / "log.csv", rows, time="time", duplicates="first", min_item_events=2)
    assert data.catalogue.items == list("abcde")
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 12 events repeat a user's item: dropped" in said
    assert "1 of 11 events are of rare items or users: dropped" in said
    rated = pd.DataFrame({"user": [1] * 6, "item": list("abcdef"), "stars": [5, 1, 4, 5, 2, 4]})
    rated.to_csv(tmp_path / "rated.csv", index=False)
    path = str(tmp_path / "rated.csv")
    assert EventData(path=path, rating="stars", min_rating=4).catalogue.items == list("acdf")
    with pytest.raises(DataError, match="no event is left after filtering"):
        EventData(path=path, min_item_events=5).split("train")
    with pytest.raises(DataError, match=r"data\.duplicates is 'none'"):
        EventData(path=path, duplicates="none")


def test_dates_are_times_and_what_is_none_is_named(tmp_path: Path) -> None:
    dates = ["2024-03-01", "2024-01-05", "2024-02-01 12:00"]
    data = log(tmp_path / "log.csv", [("u", item, d) for item, d in zip("xyz", dates, strict=True)])
    data = EventData(path=data.path, time="time")
    assert sequences(data.split("test").histories) == [[2, 3]]
    path = tmp_path / "bad.csv"
    bad = log(path, [("u", "x", "2024-03-01"), ("u", "y", "soon"), ("u", "z", "later")])
    with pytest.raises(DataError, match=r"bad\.csv, row 2: 'soon' is no time"):
        EventData(path=bad.path, time="time").split("train")


def test_missing_columns_and_values_are_named(tmp_path: Path) -> None:
    data = log(tmp_path / "log.csv", THREE)
    with pytest.raises(DataError, match=r"no column 'usr' \(data\.user\).*Did you mean 'user'"):
        EventData(path=data.path, user="usr").split("train")
    with pytest.raises(DataError, match=r"row 2: 'item' is empty"):
        log(tmp_path / "null.csv", [("u", "a"), ("u", None), ("u", "c")]).split("train")
    with pytest.raises(DataError, match="no dev split"):
        data.split("dev")


def test_ids_of_mixed_kinds_are_words(tmp_path: Path) -> None:
    rows = [(user, item, time) for user in (7, "x") for time, item in enumerate([10, "9", "b"])]
    data = log(tmp_path / "log.csv", rows, time="time")
    assert data.catalogue.items == ["10", "9", "b"]
    assert data.split("train").ids == ["7", "x"]
    assert data.catalogue.item_numbers([10, "10", 9]) == [1, 1, 2]


def test_items_whose_negatives_are_others_are_refused(tmp_path: Path) -> None:
    rows = [(user, item, item) for user in (1, 2) for item in (10, 20, 30)]
    for negatives, wrong in (
        ([[1], [2]], ""),
        ([[1], None], r"row 2: 'others' is None; expected a list of items"),
        ([["1"], ["x"]], r"row 2: 'others': 'x' is no id like the log's 10"),
        ([[1], [None]], r"row 2: 'others' is \[None\]; expected a list of items"),
    ):
        path = tmp_path / "test.jsonl"
        lines = [{"user": u, "item": 30 + 10 * u, "others": negatives[u - 1]} for u in (1, 2)]
        path.write_text("\n".join(map(json.dumps, lines)))
        given: dict[str, Any] = {"protocol": "given", "test": str(path)}
        data = log(tmp_path / "log.csv", rows, negatives="others", **given)
        if not wrong:
            catalogue = type(data.catalogue).from_bytes(data.catalogue.to_bytes())
            assert catalogue.items == [1, 2, 10, 20, 30, 40, 50]
            continue
        with pytest.raises(DataError, match=rf"test\.jsonl(, {wrong}| could not be read)"):
            _ = data.catalogue


DAYS = pd.to_datetime(["2024-05-01", "2024-05-02", "2024-05-03"])


@pytest.mark.parametrize(
    ("items", "names"),
    [
        (DAYS, [str(day) for day in DAYS]),
        (np.array([1, 2, 3], np.float16), [1.0, 2.0, 3.0]),
        (pd.Categorical(["b", "a", "c"]), ["a", "b", "c"]),
    ],
    ids=["dates", "halves", "categories"],
)
def test_items_of_any_type_have_names(tmp_path: Path, items: Any, names: list[Any]) -> None:
    frame = pd.DataFrame({"user": 1, "item": items})
    frame.to_parquet(tmp_path / "log.parquet")
    data = EventData(path=str(tmp_path / "log.parquet"))
    assert data.catalogue.items == names
    read = type(data.catalogue).from_bytes(data.catalogue.to_bytes())
    assert read.items == names
    assert sorted(data.inputs(str(tmp_path / "log.parquet")).histories[0]) == names


@pytest.mark.parametrize("content", ['["ann"', '{"ann": 1}', "[[1]]", ""])
def test_a_broken_list_of_users_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "skip.json"
    path.write_text(content)
    data = log(tmp_path / "log.csv", THREE, time="time", without_validation=str(path))
    with pytest.raises(DataError, match=r"skip\.json (is no JSON|holds|is empty)"):
        data.split("validation")


def test_ids_that_are_numbers_in_one_log_and_text_in_the_other_are_text(tmp_path: Path) -> None:
    rows = [(user, item, item) for user in (1, 2) for item in (10, 20, 30)]
    test = tmp_path / "test.csv"
    test.write_text("user,item\n1,x\n2,10\n")
    data = log(tmp_path / "log.csv", rows, protocol="given", test=str(test))
    assert data.catalogue.items == ["10", "20", "30", "x"]
    assert data.split("test").ids == [1, 2]


@pytest.mark.parametrize(("test_from", "days"), [("--5", False), ("2024-02-30", True)])
def test_a_time_that_is_none_is_refused(tmp_path: Path, test_from: str, days: bool) -> None:
    rows = [("ann", item, f"2024-05-0{place + 1}") for place, item in enumerate("abc")]
    rows = rows if days else THREE
    data = log(tmp_path / "log.csv", rows, time="time", protocol="temporal", test_from=test_from)
    with pytest.raises(DataError, match=f"data.test_from={test_from} is no time like the log's"):
        _ = data.schema
