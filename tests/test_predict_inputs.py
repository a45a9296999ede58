"""What predict.py takes as input: a file, a folder, a text, ids; and what it says of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pytest
from drawings import folder, photos

from marketorch.data.boxes.source import DetectionData
from marketorch.data.events.source import EventData
from marketorch.data.images.source import ImageData
from marketorch.data.reading import read_table
from marketorch.data.tables.source import CustomerData
from marketorch.data.texts.source import read_inputs
from marketorch.errors import DataError
from marketorch.tasks.recommendation import Recommendation

ORDERS = ["customer,sku", "Ann Lee,red cup", "Ann Lee,pot v1.5", "bob,pot v1.5"]


@pytest.mark.parametrize("text", ["Fine.", "3.5 of 5, see b/w.", "read.me", "so long " * 999, "\0"])
def test_a_text_is_a_text(text: str) -> None:
    assert read_inputs(text).texts == [text]


@pytest.mark.parametrize("name", ["posts.xlsx", "nowhere/posts.XLS", "posts.csv.gz"])
def test_the_name_of_a_file_is_no_text_and_no_data_set_of_the_hub(name: str) -> None:
    for read in (read_inputs, read_table):
        with pytest.raises(DataError, match=r"unknown format; expected one of \.csv, \.tsv"):
            read(name)


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder; expected a file \(\.csv, .*or a text"):
        read_inputs(str(photos(tmp_path / "shelf")))


@pytest.fixture
def orders(tmp_path: Path) -> EventData:
    (tmp_path / "orders.csv").write_text("\n".join(ORDERS) + "\n", encoding="utf-8")
    return EventData(path=str(tmp_path / "orders.csv"), user="customer", item="sku")


@pytest.mark.parametrize(
    ("source", "histories"),
    [
        ("260 1196", [["260", "1196"]]),
        ("260, 1196", [["260", "1196"]]),
        ("red cup, pot v1.5", [["red cup", "pot v1.5"]]),
        ("red cup,", [["red cup"]]),
        ("SKU.12", [["SKU.12"]]),
        ("item:red cup,", [["red cup"]]),
        ("item:260 1196", [["260"], ["1196"]]),
        ("user:Ann Lee", [["red cup", "pot v1.5"]]),
        ("user:Ann Lee, bob", [["red cup", "pot v1.5"], ["pot v1.5"]]),
    ],
)
def test_ids_may_have_blanks_and_dots(
    orders: EventData, source: str, histories: list[list[str]]
) -> None:
    assert orders.inputs(source).histories == histories


def test_excluded_ids_may_have_blanks_too(orders: EventData) -> None:
    requests = orders.inputs("260", exclude="red cup, pot v1.5")
    assert requests.excluded == ["red cup", "pot v1.5"]


def test_the_first_recommendations_are_those_of_each_user() -> None:
    rows: list[dict[str, Any]] = [
        {"user": user, "items": [3, 1, 2], "scores": [0.5, 0.4, 0.1]} for user in "ab"
    ]
    task: Any = None
    assert Recommendation.first(task, rows, 2) == [
        {"user": user, "items": [3, 1], "scores": [0.5, 0.4]} for user in "ab"
    ]


def test_images_of_a_table_are_called_by_their_files(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", 3)
    for name, cells in {
        "files": ["pets/cat/0.png", "pets/dog/1.png"],
        "pixels": ["0 1 2 3"],
    }.items():
        text = "\n".join(["image", *cells])
        (tmp_path / f"{name}.csv").write_text(text + "\n", encoding="utf-8")
    source = ImageData(path="nowhere", size=12, channels=1)
    files = source.inputs(str(tmp_path / "files.csv"))
    assert files.ids == [str(root / "cat" / "0.png"), str(root / "dog" / "1.png")]
    assert source.inputs(str(tmp_path / "pixels.csv")).ids == [1]


# -- values of Python -------------------------------------------------------------------------

TEXTS = ["Good.", "Bad cup.csv"]
AS_TABLES = {
    "pandas": pd.DataFrame,
    "arrow": pa.Table.from_pylist,
    "datasets": datasets.Dataset.from_list,
    "rows": lambda rows: rows,
}
TABLES = pytest.mark.parametrize("table", AS_TABLES.values(), ids=list(AS_TABLES))


def test_a_list_of_texts_is_texts_and_a_path_is_a_file(tmp_path: Path) -> None:
    assert read_inputs(TEXTS).texts == TEXTS  # the second one looks like a file's name
    (tmp_path / "posts.txt").write_text("Good.\nBad.\n", encoding="utf-8")
    assert read_inputs(tmp_path / "posts.txt").texts == ["Good.", "Bad."]
    with pytest.raises(DataError, match="not here does not exist"):
        read_inputs(Path("not here"))
    with pytest.raises(DataError, match=r"the input: 1 of 2 rows are bad: row 2 \(text is empty\)"):
        read_inputs(["Good.", " "])


@TABLES
def test_a_table_in_memory_has_texts(table: Any) -> None:
    rows = [{"stars": 5, "body": text} for text in TEXTS]
    assert read_inputs(table(rows), "body").texts == TEXTS
    with pytest.raises(DataError, match=r"no column 'text'.*found: stars, body"):
        read_inputs(table(rows))


@TABLES
def test_a_table_in_memory_has_customers(table: Any) -> None:
    source = CustomerData(path="nowhere.csv", target="left", ids="id")
    rows = [{"id": "a1", "age": 31}, {"id": "b2", "age": None}]
    dataset = source.inputs(table(rows))
    assert list(dataset.ids) == ["a1", "b2"]
    assert dataset.cells("age").values.to_pylist()[0] == 31
    assert dataset.where(1) == "the input, row 2"


@TABLES
def test_a_table_in_memory_has_events(orders: EventData, table: Any) -> None:
    rows = [{"customer": name, "sku": sku} for name, sku in (("zoe", "cup"), ("zoe", "pot"))]
    requests = orders.inputs(table(rows))
    assert requests.histories == [["cup", "pot"]]
    assert requests.users == ["zoe"]


def test_histories_are_lists_of_items(orders: EventData) -> None:
    requests = orders.inputs([["red cup", "pot, small"], ["pot v1.5"]], exclude="red cup,")
    assert requests.histories == [["red cup", "pot, small"], ["pot v1.5"]]
    assert requests.excluded == ["red cup"]
    with pytest.raises(DataError, match=r"the input has 'red cup'; expected lists: \[\["):
        orders.inputs(["red cup", "pot v1.5"])


def test_several_photos_are_named_by_their_paths(tmp_path: Path) -> None:
    root = photos(tmp_path / "shelf")
    first, second, *_ = sorted(root.iterdir())
    for source in (ImageData(path="nowhere", size=12), DetectionData(path="nowhere", size=32)):
        assert source.inputs([second, str(first)]).ids == [str(second), str(first)]
        assert source.inputs(second).ids == [str(second)]
    table = pd.DataFrame({"image": [str(first), str(second)]})
    assert len(ImageData(path="nowhere", size=12).inputs(table)) == 2
    with pytest.raises(DataError, match="expected a photo, a folder of photos or a video"):
        DetectionData(path="nowhere").inputs(table)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (pd.DataFrame({"text": []}), "the input has no rows"),
        (pd.DataFrame({"text": ["a", 3]}), "the input is no table"),
        ([{"text": "a"}, {"text": 3}], "the input is no table"),
    ],
)
def test_what_is_no_table_of_texts(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_inputs(source)


def test_one_file_that_is_no_photo_is_named_once(tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text("# no photo")
    with pytest.raises(DataError) as error:
        ImageData(path="nowhere").inputs(str(note))
    assert str(error.value).startswith(f"{note} is not a photo")
    assert str(error.value).count("note.md") == 1


@pytest.mark.parametrize("name", ["list.csv", "boxes.json", "posts.parquet"])
def test_a_detector_reads_no_table(name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: expected a photo, a folder of photos or a video"):
        DetectionData(path="nowhere").inputs(name)


@pytest.mark.parametrize("arguments", [["input="], ["input= "], []])
def test_an_input_that_is_empty_is_missing(call_script: Any, arguments: list[str]) -> None:
    """An empty name is also that of the folder one is in, with all the photos in it."""
    done = call_script("predict", "run=runs/none", *arguments)
    assert done.returncode == 1
    assert "input=… is missing or empty" in done.stderr
