"""Annotations of photos: COCO, Pascal VOC, YOLO, and tables of objects; and photos to search."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from damage import damaged, damaged_json, damaged_lines, encoded, pick, token
from numpy.random import Generator
from of_images import spoilt, whole
from options import drawn_options
from stock import Stock
from watched import Asked, Reader

from marketorch.data.boxes.formats import read_annotations
from marketorch.data.boxes.source import DetectionData

CLASSES = ["Acme", "Bolt", "10"]
SIDE = 40  # pixels of a photo's sides


def readers(stock: Stock) -> list[Reader]:
    """The readers of annotations."""
    writers: dict[str, Callable[[Generator, Path], Path]]
    writers = {"coco": _coco, "voc": _voc, "yolo": _yolo, "object_tables": _objects}

    def of(write: Callable[[Generator, Path], Path]) -> Callable[[Generator, Path], Asked]:
        def draw(rng: Generator, folder: Path) -> Asked:
            home = folder / "boxes"
            path = write(rng, home)
            if rng.random() < 0.1:
                (home / "images" / "0.png").write_bytes(spoilt(rng, stock))
            if rng.random() < 0.4:
                return Asked(lambda: read_annotations(str(path), "auto", None))
            options = drawn_options(rng, DetectionData, [*CLASSES, "file_name"])
            return Asked(lambda: train_on(path, options))

        return draw

    def inputs(rng: Generator, folder: Path) -> Asked:
        for place in range(int(rng.integers(1, 4))):
            (folder / f"{place}.png").write_bytes(spoilt(rng, stock))
        source = str(pick(rng, [folder, folder / "0.png", token(rng)]))
        data = DetectionData(path="unused", size=48, on_bad=str(pick(rng, ["error", "skip"])))
        return Asked(lambda: len(data.inputs(source)), (str(Path(source))[:40], folder.name))

    found = [Reader(name, of(write)) for name, write in writers.items()]
    return [*found, Reader("photos_to_search", inputs, 0.7)]


def train_on(path: Path, options: dict[str, Any]) -> None:
    """All that training does with annotations before there is a model."""
    data = DetectionData(path=str(path), size=48, **options)
    assert data.schema
    data.fingerprint()
    for name in ("train", "validation", "test"):
        data.split(name)


def _photos(rng: Generator, folder: Path) -> list[str]:
    """Photos in a folder, by their names."""
    folder.mkdir(parents=True)
    names = [f"{place}.png" for place in range(int(rng.integers(3, 9)))]
    for name, content in zip(names, _pictures(), strict=False):
        (folder / name).write_bytes(content)
    return names


@cache
def _pictures() -> list[bytes]:
    import io

    from PIL import Image

    found = []
    for seed in range(9):
        stream = io.BytesIO()
        noise = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(noise).save(stream, "PNG")
        found.append(stream.getvalue())
    return found


def _corners(rng: Generator) -> list[float]:
    """A box in a photo: x, y, width and height."""
    x, y = rng.integers(0, SIDE - 12, 2).tolist()
    width, height = rng.integers(4, 12, 2).tolist()
    return [x, y, width, height]


# -- formats ----------------------------------------------------------------------------------


def _coco(rng: Generator, home: Path) -> Path:
    names = _photos(rng, home / "images")
    images = [{"id": i, "file_name": n, "width": SIDE, "height": SIDE} for i, n in enumerate(names)]
    boxes = [
        {"id": k, "image_id": k % len(names), "category_id": k % 3, "bbox": _corners(rng)}
        for k in range(2 * len(names))
    ]
    categories = [{"id": k, "name": name} for k, name in enumerate(CLASSES)]
    document = {"images": images, "annotations": boxes, "categories": categories}
    path = home / "annotations.json"
    path.write_bytes(damaged_json(rng, document))
    return home if rng.random() < 0.3 else path


def _voc(rng: Generator, home: Path) -> Path:
    for name in _photos(rng, home / "images"):
        x, y, width, height = _corners(rng)
        text = (
            f"<annotation><filename>{name}</filename>\n<size><width>{SIDE}</width>"
            f"<height>{SIDE}</height></size>\n<object><name>{pick(rng, CLASSES)}</name>\n<bndbox>"
            f"<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + width}</xmax><ymax>{y + height}</ymax>"
            "</bndbox></object></annotation>"
        )
        (home / "Annotations").mkdir(exist_ok=True)
        content = encoded(text)
        if rng.random() < 0.3:
            content = _worse_xml(rng, text)
        (home / "Annotations" / f"{Path(name).stem}.xml").write_bytes(content)
    return home / "Annotations"


def _worse_xml(rng: Generator, text: str) -> bytes:
    """XML with a hostile value, or damaged as text."""
    if rng.random() < 0.5:
        parts = text.split(">")
        place = int(rng.integers(len(parts)))
        inner = parts[place].partition("<")
        parts[place] = f"{token(rng)}<{inner[2]}"
        return encoded(">".join(parts))
    return damaged_lines(rng, damaged(rng, encoded(text)), b">")


def _yolo(rng: Generator, home: Path) -> Path:
    names = _photos(rng, home / "images")
    (home / "labels").mkdir()
    for name in names:
        boxes = [[v / SIDE for v in _corners(rng)] for _ in range(2)]
        text = "\n".join(" ".join(map(str, (rng.integers(3), *box))) for box in boxes)
        content = encoded(text)
        if rng.random() < 0.3:
            content = damaged_lines(rng, content, b" ")
        (home / "labels" / f"{Path(name).stem}.txt").write_bytes(content)
    told = {"train": "images", "val": "images", "names": CLASSES}
    lines = [f"{key}: {json.dumps(value)}" for key, value in told.items()]
    path = home / "data.yaml"
    content = encoded("\n".join(lines))
    way = rng.random()
    if way < 0.4:
        content = damaged_lines(rng, content, b":")
    elif way < 0.6:
        content = damaged_json(rng, told)  # which is YAML, too
    path.write_bytes(content)
    return path if rng.random() < 0.7 else home


def _objects(rng: Generator, home: Path) -> Path:
    names = _photos(rng, home / "images")
    rows: list[Any] = [
        {
            "file_name": f"images/{name}",
            "objects": {"bbox": [_corners(rng)], "categories": [str(pick(rng, CLASSES))]},
        }
        for name in names
    ]
    if rng.random() < 0.3:
        return _object_table(rng, home)
    lines = [json.dumps(row).encode() for row in rows]
    for _ in range(int(rng.integers(0, 3))):
        place = int(rng.integers(len(lines)))
        lines[place] = damaged_json(rng, rows[place])
    path = home / "metadata.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path if rng.random() < 0.6 else home


def _object_table(rng: Generator, home: Path) -> Path:
    """A Parquet table of encoded photos, with the names that `datasets` keeps."""
    number = int(rng.integers(3, 9))
    objects = [{"bbox": [_corners(rng)], "category": [int(rng.integers(4))]} for _ in range(number)]
    image = [{"bytes": whole(rng), "path": None} for _ in range(number)]
    table = pa.table({"image": image, "objects": objects})
    features = {"objects": {"feature": {"category": {"names": CLASSES}}}}
    stored = damaged_json(rng, {"info": {"features": features}})
    if rng.random() < 0.5:
        table = table.replace_schema_metadata({"huggingface": stored})
    path = home / "table.parquet"
    pq.write_table(table, path)
    if rng.random() < 0.3:
        path.write_bytes(damaged(rng, path.read_bytes()))
    return path
