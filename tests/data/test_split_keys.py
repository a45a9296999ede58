"""The same keys cut texts, images, photos with boxes and tables alike."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from marketorch.data.boxes.source import DetectionData
from marketorch.data.images.source import ImageData
from marketorch.data.splits import SPLITS
from marketorch.data.tables.source import CustomerData
from marketorch.data.texts.source import TextData
from marketorch.errors import DataError

NUMBER = 120
WORDS = ["train", "train", "test", "else"]
ROWS = [
    {
        "author": f"a{place % 30}",
        "day": f"2024-{1 + place % 12:02d}-{1 + place // 12:02d}",
        "part": WORDS[place % 4],
        "label": "yes" if place % 12 < 8 else "no",  # runs of eight and of four
    }
    for place in range(NUMBER)
]


def table(path: Path, columns: dict[str, list[Any]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*ROWS[0], *columns])
        writer.writeheader()
        for place, row in enumerate(ROWS):
            writer.writerow(row | {name: values[place] for name, values in columns.items()})
    return str(path)


def texts(folder: Path, **options: Any) -> Any:
    path = table(folder / "d.csv", {"text": [f"text number {i}" for i in range(NUMBER)]})
    return TextData(path=path, **options)


def customers(folder: Path, **options: Any) -> Any:
    path = table(folder / "d.csv", {"age": [20 + i % 50 for i in range(NUMBER)]})
    return CustomerData(path=path, target="label", leaks="ignore", **options)


def photos(folder: Path) -> list[str]:
    names = [f"{place:03d}.png" for place in range(NUMBER)]
    for place, name in enumerate(names):
        noise = np.random.default_rng(place).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(noise).save(folder / name)
    return names


def images(folder: Path, **options: Any) -> Any:
    return ImageData(path=table(folder / "d.csv", {"image": photos(folder)}), size=8, **options)


def boxes(folder: Path, **options: Any) -> Any:
    names = photos(folder)
    entries = [
        {"id": i + 1, "file_name": name, "width": 8, "height": 8, **ROWS[i]}
        for i, name in enumerate(names)
    ]
    labels = {"no": 1, "yes": 2}
    document = {
        "images": entries,
        "categories": [{"id": number, "name": name} for name, number in labels.items()],
        "annotations": [
            {"id": i, "image_id": i + 1, "category_id": labels[row["label"]], "bbox": [1, 1, 4, 4]}
            for i, row in enumerate(ROWS)
        ],
    }
    (folder / "d.json").write_text(json.dumps(document), encoding="utf-8")
    return DetectionData(path=str(folder / "d.json"), size=32, **options)


KINDS = pytest.mark.parametrize("make", [texts, customers, images, boxes])
Make = Callable[..., Any]


def places(data: Any, name: str) -> list[int]:
    """Which rows of the file a split has, from 0."""
    ids = data.split(name).ids
    return [int(Path(own).stem) if isinstance(own, str) else own - 1 for own in ids]


def parts(data: Any) -> dict[str, list[int]]:
    return {name: places(data, name) for name in SPLITS}


@KINDS
def test_shares_are_cut_by_class_and_seeded(make: Make, tmp_path: Path) -> None:
    found = parts(make(tmp_path))
    assert [len(found[name]) for name in SPLITS] == [86, 10, 24]
    assert sorted(i for rows in found.values() for i in rows) == list(range(NUMBER))
    assert sum(ROWS[i]["label"] == "yes" for i in found["test"]) == 16
    assert parts(make(tmp_path))["test"] == found["test"] != parts(make(tmp_path, seed=1))["test"]


@KINDS
def test_rows_of_a_group_stay_together(make: Make, tmp_path: Path) -> None:
    found = parts(make(tmp_path, group="author"))
    authors = {name: {ROWS[i]["author"] for i in rows} for name, rows in found.items()}
    assert {name: len(own) for name, own in authors.items()} == {
        "train": 22,
        "validation": 2,
        "test": 6,
    }
    assert len(set.union(*authors.values())) == 30


@KINDS
def test_the_latest_test(make: Make, tmp_path: Path) -> None:
    found = parts(make(tmp_path, time="day"))
    days = {name: [ROWS[i]["day"] for i in rows] for name, rows in found.items()}
    assert max(days["train"]) < min(days["validation"])
    assert max(days["validation"]) < min(days["test"])


@KINDS
def test_folds_test_on_every_row_once(make: Make, tmp_path: Path) -> None:
    tested = [i for fold in range(4) for i in places(make(tmp_path, folds=4, fold=fold), "test")]
    assert sorted(tested) == list(range(NUMBER))


@KINDS
def test_neighbours_of_a_block_stay_together(make: Make, tmp_path: Path) -> None:
    found = parts(make(tmp_path, block=4))
    owner = {i: name for name, own in found.items() for i in own}
    assert all(len({owner[i + k] for k in range(4)}) == 1 for i in range(0, NUMBER, 4))


@KINDS
def test_a_column_says_the_splits(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it names no validation rows they are cut from the training rows."""
    found = parts(make(tmp_path, split="part", group="author"))
    assert found["test"] == [i for i in range(NUMBER) if WORDS[i % 4] == "test"]
    assert all(WORDS[i % 4] == "train" for i in found["train"] + found["validation"])
    assert len(found["train"]) + len(found["validation"]) == 60
    held = {ROWS[i]["author"] for i in found["validation"]}
    assert held
    assert not held & {ROWS[i]["author"] for i in found["train"]}
    assert "30 rows are left out: column 'part' is else." in capsys.readouterr().out


@KINDS
def test_so_many_rows_train(make: Make, tmp_path: Path) -> None:
    whole, few = make(tmp_path), make(tmp_path, num_train=30)
    assert len(few.split("train")) == few.schema["num_examples"] == 30
    assert set(places(few, "train")) < set(places(whole, "train"))
    assert places(few, "test") == places(whole, "test")
    with pytest.raises(DataError, match=r"data\.num_train is 0; cannot choose so many"):
        make(tmp_path, num_train=0).split("train")


@KINDS
def test_ways_to_cut_that_exclude_each_other(make: Make, tmp_path: Path) -> None:
    for ways, message in (
        ({"time": "day", "folds": 3}, "data.time and data.folds exclude each other"),
        ({"time": "day", "group": "author"}, "data.time and data.group exclude each other"),
        ({"group": "author", "block": 3}, "data.group and data.block exclude each other"),
        ({"block": 0}, "data.block is 0; expected 1 or more"),
    ):
        with pytest.raises(DataError, match=message):
            make(tmp_path, **ways)


@KINDS
def test_columns_that_are_not_there(make: Make, tmp_path: Path) -> None:
    for role in ("group", "time", "split"):
        with pytest.raises(DataError, match=rf"no (column )?'autor' \(data\.{role}\)") as caught:
            make(tmp_path, **{role: "autor"}).split("train")
        assert "Did you mean 'author'?" in str(caught.value)


def test_what_has_no_columns_has_no_groups(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        photos(tmp_path / label)
    with pytest.raises(DataError, match=r"has no columns, so no 'author' \(data\.group\)"):
        ImageData(path=str(tmp_path), size=8, group="author").split("train")
