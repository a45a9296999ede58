"""Reads boxes from tables as the Hugging Face hub has them: a photo a row, its objects in a column.

That column, ``objects``, holds ``bbox``, a list of ``[x, y, width, height]`` in pixels, and beside
it ``categories`` or ``category``, their names or numbers; or a list of such pairs. A folder of
photos has its table in ``metadata.jsonl`` or ``metadata.parquet``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from marketorch.data.boxes.annotations import (
    AnnotatedPhoto,
    Annotations,
    BadBox,
    Box,
    four_numbers,
    in_order,
)
from marketorch.data.boxes.dataset import Size
from marketorch.data.images.decoding import pictures
from marketorch.data.reading import label_name, listed, read_table
from marketorch.errors import DataError

METADATA = ("metadata.jsonl", "metadata.parquet")
CATEGORIES = ("categories", "category")
Item = dict[str, Any]


def read_object_table(
    path: str,
    images: Path | None = None,
    *,
    image: str = "image",
    objects: str = "objects",
    columns: Sequence[str] = (),
    encoding: str = "utf-8",
    hub_config: str | None = None,
) -> Annotations:
    """Reads a table or a data set of the hub.

    Args:
        path: ``.parquet``, ``.jsonl``, a folder with such a table, or a hub id (``org/name:test``).
        images: folder that file names are relative to; None: that of the table.
        image: column with the photos; where there is none, ``file_name`` names them.
        objects: column with the boxes.
        columns: others, to be kept with each photo.
        encoding, hub_config: see `marketorch.data.reading.read_table`.

    Raises:
        DataError: the table cannot be read, or its columns are others.
    """
    if Path(path).is_dir():
        path = _metadata(Path(path))
    table = read_table(path, encoding=encoding, hub_config=hub_config)
    named = "file_name" if "file_name" in table.column_names else image
    photos = listed(table, image if image in table.column_names else named, "data.image", path)
    rows = listed(table, objects, "data.objects", path)
    names = _class_names(table, objects)
    found = Annotations([], names or [])
    sources = pictures(photos, str(images / "table") if images else path)
    sizes = _sizes(table)
    about = {name: listed(table, name, "data.split, group or time", path) for name in columns}
    for number, (source, row) in enumerate(zip(sources, rows, strict=True), start=1):
        photo = AnnotatedPhoto(source, _name(source, number), [], sizes[number - 1])
        photo.about = {name: values[number - 1] for name, values in about.items()}
        if not isinstance(source, (Path, bytes)):
            photo.fault = f"its photo is {source!r:.40}; expected a file name or an encoded picture"
        try:
            items = _items(row, objects)
        except DataError as error:
            items, photo.fault = [], str(error)
        for place, item in enumerate(items, start=1):
            _add(item, f"row {number}, box {place}", names, photo, found)
        found.photos.append(photo)
    if names is None:
        found.classes = in_order(box.label for photo in found.photos for box in photo.boxes)
    return found


def _metadata(folder: Path) -> str:
    """The table of a folder of photos. DataError if there is none."""
    files = [folder / name for name in METADATA if (folder / name).is_file()]
    if not files:
        raise DataError(f"{folder} has no {' or '.join(METADATA)}.")
    return str(files[0])


def _name(source: Any, number: int) -> str:
    return str(source) if isinstance(source, Path) else f"row {number}"


def _sizes(table: pa.Table) -> list[Size | None]:
    """Widths and heights, where there are such columns."""
    if not {"width", "height"} <= set(table.column_names):
        return [None] * table.num_rows
    pairs = (listed(table, name, name, "the table") for name in ("width", "height"))
    return [(w, h) if w and h else None for w, h in zip(*pairs, strict=True)]


def _items(row: Any, objects: str) -> list[Item]:
    """The objects of a row, a dict each, whether they are written by row or by column."""
    if row is None:
        return []
    if isinstance(row, list) and all(isinstance(item, dict) for item in row):
        return row
    if not isinstance(row, dict):
        raise DataError(f"'{objects}' is {row!r:.40}; expected bbox and categories")
    columns = {key: value for key, value in row.items() if isinstance(value, list)}
    lengths = {key: len(value) for key, value in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"its lists differ in length: {lengths}")
    number = max(lengths.values(), default=0)
    return [{key: value[i] for key, value in columns.items()} for i in range(number)]


def _add(
    item: Item, place: str, names: list[str] | None, photo: AnnotatedPhoto, found: Annotations
) -> None:
    """Gives a photo a box, or notes what is wrong with it."""
    if item.get("iscrowd"):
        found.crowds += 1
        return
    box = _box(item, place, names)
    if isinstance(box, BadBox):
        found.bad.append(box)
    else:
        photo.boxes.append(box)


def _box(item: Item, place: str, names: list[str] | None) -> Box | BadBox:
    value = next((item[key] for key in CATEGORIES if item.get(key) is not None), None)
    if value is None:
        return BadBox(place, "without a category", f"it has {', '.join(item)}")
    if names is not None and isinstance(value, int):
        if not 0 <= value < len(names):
            return BadBox(place, "of an unknown category", f"{value}; 0 to {len(names) - 1} exist")
        value = names[value]
    corners = four_numbers(item.get("bbox"))
    if corners is None:
        found = f"bbox is {item.get('bbox')!r:.60}"
        return BadBox(place, "unreadable", f"{found}; expected [x, y, width, height]")
    x, y, width, height = corners
    return Box(x, y, x + width, y + height, label_name(value), place)


def _class_names(table: pa.Table, objects: str) -> list[str] | None:
    """The names that `datasets` keeps beside numbered categories."""
    stored = (table.schema.metadata or {}).get(b"huggingface")
    features = json.loads(stored)["info"]["features"] if stored else {}
    return _names_in(features.get(objects))


def _names_in(node: Any) -> list[str] | None:
    """``names`` of the categories, however deep they are nested."""
    if not isinstance(node, dict):
        return None
    for key in CATEGORIES:
        inner = node.get(key)
        while isinstance(inner, dict):
            if isinstance(inner.get("names"), list):
                return [str(name) for name in inner["names"]]
            inner = inner.get("feature")
    return _names_in(node.get("feature"))
