"""Which format annotations have, which splits they come in, and who reads them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from marketorch.data.boxes.annotations import Annotations, missing
from marketorch.data.boxes.coco import read_coco
from marketorch.data.boxes.hub import METADATA, read_object_table
from marketorch.data.boxes.voc import read_voc
from marketorch.data.boxes.yolo import YAML, label_folder, read_yolo, yolo_splits
from marketorch.data.cuts import split_name
from marketorch.data.reading import some
from marketorch.data.splits import SPLITS
from marketorch.errors import DataError

KINDS = ("auto", "coco", "voc", "yolo", "hub")
SPLIT_YAML = re.compile(r"\.ya?ml(:\w+)?$", re.IGNORECASE)


def read_annotations(path: str, kind: str, images: str | None, **table: Any) -> Annotations:
    """Reads annotations of a `kind_of` format.

    Args:
        path: file, folder or hub id.
        kind: one of `KINDS`.
        images: folder of the photos; None: where the format has it.
        table: arguments of `marketorch.data.boxes.hub.read_object_table`.

    Raises:
        DataError: with the file, the line or the entry, what was found and what was expected.
    """
    folder = Path(images) if images else None
    if folder and not os.path.isdir(folder):  # which, unlike Path.is_dir, takes any text
        raise DataError(f"data.images: {missing(folder)}")
    found = _read(path, kind_of(path) if kind == "auto" else kind, folder, table)
    known: set[Path] = set()
    for photo in found.photos:
        if isinstance(photo.source, Path) and photo.source in known and not photo.fault:
            photo.fault = "this photo is listed twice"
        elif isinstance(photo.source, Path):
            known.add(photo.source)
    return found


def _read(path: str, kind: str, folder: Path | None, table: dict[str, Any]) -> Annotations:
    if kind == "coco":
        return read_coco(Path(path), folder)
    if kind == "voc":
        return read_voc(Path(path), folder)
    if kind == "yolo":
        return read_yolo(path, folder)
    return read_object_table(path, folder, **table)


def kind_of(path: str) -> str:
    """The format of a file, a folder or a hub id. DataError if a folder has none that is known."""
    file = Path(path)
    if file.is_dir():
        return _kind_of_folder(file)
    if file.suffix.lower() == ".json":
        return "coco"
    if SPLIT_YAML.search(path):
        return "yolo"
    if file.suffix.lower() == ".txt":
        return "voc" if "ImageSets" in file.parts else "yolo"
    return "hub"


def _kind_of_folder(folder: Path) -> str:
    first = Path(_split_folders(folder).get("train", folder))
    if any((first / name).is_file() for name in METADATA):
        return "hub"
    if any(first.glob("*.json")):
        return "coco"
    if any(folder.rglob("*.xml")):
        return "voc"
    if any(folder.rglob("*.txt")) or label_folder(first) != first:
        return "yolo"
    known = f"{', '.join(METADATA)}, *.json (coco), *.xml (voc), *.txt (yolo)"
    raise DataError(f"{folder} holds no annotations; looked for {known}.")


def splits_in(path: str, kind: str) -> dict[str, str]:
    """The splits that lie under one path, by name; empty if it holds one set of photos.

    They are folders or lists whose names `split_name` knows, JSON files whose names end in such a
    word, or the entries of a YAML file.
    """
    file = Path(path)
    kind = kind_of(path) if kind == "auto" else kind
    if kind == "yolo" and file.suffix.lower() in YAML:
        return yolo_splits(file)
    if not file.is_dir():
        return {}
    if found := _split_folders(file):
        return found
    if kind == "voc":  # beside lists of a split there are lists of a class in a split
        lists = sorted((file / "ImageSets" / "Main").glob("*.txt"))
        return _splits_of_files([one for one in lists if split_name(one.stem) in SPLITS])
    files = sorted(file.glob("*.json")) if kind == "coco" else []
    return _splits_of_files(files) if len(files) > 1 else {}


def _split_folders(folder: Path) -> dict[str, str]:
    """Folders called as splits, in ``folder`` or in its ``images``; one must be for training."""
    for place in (folder, folder / "images"):
        inner = [path for path in place.iterdir() if path.is_dir()] if place.is_dir() else []
        found = {split_name(path.name): str(path) for path in sorted(inner)}
        if "train" in found:
            return {name: found[name] for name in SPLITS if name in found}
    return {}


def _splits_of_files(files: list[Path]) -> dict[str, str]:
    """Files by the last word of their names: ``instances_train2017.json`` is for training."""
    found: dict[str, str] = {}
    for file in files:
        name = split_name((re.findall("[a-z]+", file.stem.lower()) or [""])[-1])
        if name in SPLITS and found.setdefault(name, str(file)) != str(file):
            both = some(Path(one).name for one in (found[name], file))
            raise DataError(f"{file.parent} has several {name} files ({both}); name one.")
    return found if "train" in found else {}
