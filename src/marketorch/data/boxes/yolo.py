"""Reads boxes as YOLO has them: a text file a photo, a line a box.

A line is ``class x y width height``: the number of the class and, in shares of the photo's width
and height, the middle of the box and its sides. To ``images/…/a.jpg`` belongs ``labels/…/a.txt``,
or ``a.txt`` beside it; a photo without such a file has no box. Names stand in a YAML file or in
``classes.txt``; without them classes are called by their numbers.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from marketorch.data.boxes.annotations import (
    AnnotatedPhoto,
    Annotations,
    BadBox,
    Box,
    four_numbers,
    in_order,
    missing,
    read_text,
)
from marketorch.data.images.decoding import photo_files
from marketorch.data.reading import label_name
from marketorch.errors import DataError, closest

YAML = (".yaml", ".yml")
NAMES = ("data.yaml", "dataset.yaml", "classes.txt", "obj.names", "_darknet.labels")
FIELDS = "class, x, y, width, height"


def read_yolo(path: str, images: Path | None = None) -> Annotations:
    """Reads a folder of photos, a list of them, or a split of a YAML file (``data.yaml:val``).

    Args:
        path: of the above; a folder with ``images`` in it is read from there. If ``images`` is
            given, a folder of text files.
        images: folder with the photos.

    Raises:
        DataError: no photo is found, or the file with the names is broken.
    """
    sources, names = _sources(path), _names(path)
    photos = [photo for source in ([images] if images else sources) for photo in _photos(source)]
    texts = [_beside(photo, images, sources[0]) for photo in photos]
    found = Annotations([], names or [])
    for photo, text in zip(photos, texts, strict=True):
        boxes, fault = _boxes(text, names, found.bad)
        found.photos.append(AnnotatedPhoto(photo, str(photo), boxes, shares=True, fault=fault))
    for text in sorted(_text_files(sources, images) - {*texts}):
        fault = "there is no photo of this name"
        found.photos.append(AnnotatedPhoto(text, str(text), [], fault=fault))
    if names is None:
        found.classes = in_order(box.label for photo in found.photos for box in photo.boxes)
    return found


def yolo_splits(path: Path) -> dict[str, str]:
    """The splits that a YAML file names, as ``data.yaml:val``, by what we call them."""
    document = _yaml(path)
    keys = {"train": "train", "val": "validation", "valid": "validation", "test": "test"}
    return {split: f"{path}:{key}" for key, split in keys.items() if document.get(key)}


# -- where photos, texts and names lie --------------------------------------------------------


def _split_name(path: str) -> tuple[Path, str]:
    """``data.yaml:val`` as the file and the split."""
    file, _, split = path.rpartition(":")
    return (Path(file), split) if file.endswith(YAML) else (Path(path), "train")


def _sources(path: str) -> list[Path]:
    """Folders or lists of photos."""
    file, split = _split_name(path)
    if file.suffix.lower() not in YAML:
        inner = file / "images"
        return [inner if inner.is_dir() else file]
    document = _yaml(file)
    if not document.get(split):
        raise DataError(
            f"{file} names no '{split}' photos.{closest(split, document)} "
            f"Found: {', '.join(map(str, document)) or 'nothing'}."
        )
    listed = document[split] if isinstance(document[split], list) else [document[split]]
    return [_located(str(one), file.parent, str(document.get("path") or "")) for one in listed]


def _located(name: str, folder: Path, base: str) -> Path:
    """A path of a YAML file: from its ``path``, its own folder or, as some write, one below it."""
    places = [folder / base / name, folder / name, folder / name.removeprefix("../")]
    return next((place for place in places if os.path.exists(place)), places[0])


def _photos(source: Path) -> list[Path]:
    """Photos of a folder, or those that a list names, one a line."""
    if source.suffix.lower() != ".txt":
        return photo_files(source)
    lines = (line.strip() for line in read_text(source).splitlines())
    return [source.parent / line for line in lines if line]


def _beside(photo: Path, images: Path | None, texts: Path) -> Path:
    """The text file of a photo."""
    if images:
        return texts / photo.relative_to(images).with_suffix(".txt")
    return label_folder(photo.parent) / f"{photo.stem}.txt"


def label_folder(folder: Path) -> Path:
    """``labels/…`` for ``images/…`` if that is there, else the folder itself."""
    parts = list(folder.parts)
    if "images" not in parts:
        return folder
    last = len(parts) - 1 - parts[::-1].index("images")
    other = Path(*parts[:last], "labels", *parts[last + 1 :])
    return other if os.path.isdir(other) else folder


def _text_files(sources: Sequence[Path], images: Path | None) -> set[Path]:
    """Text files in folders that hold nothing else."""
    pairs = [(source, label_folder(source)) for source in sources if source.is_dir()]
    folders = list(sources) if images else [own for source, own in pairs if own != source]
    texts = {text for folder in folders for text in folder.rglob("*.txt")}
    return {text for text in texts if text.name not in NAMES}


def _names(path: str) -> list[str] | None:
    """Class names, from the YAML file or from a file near the photos; None if there is none."""
    file, _ = _split_name(path)
    if file.suffix.lower() in YAML:
        return _yaml_names(file)
    folder = file.absolute() if file.is_dir() else file.absolute().parent
    near = [folder, folder / "labels", label_folder(folder), *list(folder.parents)[:2]]
    for candidate in (place / name for place in near for name in NAMES):
        if candidate.is_file() and candidate.suffix in YAML and _yaml(candidate).get("names"):
            return _yaml_names(candidate)
        if candidate.is_file() and candidate.suffix not in YAML:
            return [line.strip() for line in read_text(candidate).splitlines() if line.strip()]
    return None


def _yaml_names(file: Path) -> list[str]:
    names = _yaml(file).get("names")
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[number] for number in range(len(names))]
    words = isinstance(names, list) and all(isinstance(name, (str, int, float)) for name in names)
    if not (words and names):
        expected = "expected a list of names, or names by number"
        raise DataError(f"{file}: 'names' is {reprlib.repr(names)}; {expected}.")
    return [label_name(name) for name in names]


def _yaml(file: Path) -> dict[Any, Any]:
    if not file.is_file():
        raise missing(file)
    try:
        document = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise DataError(f"{file}: this is no YAML: {reason}.") from error
    except (ValueError, RecursionError) as error:  # 2024-02-30, or brackets without end
        raise DataError(f"{file}: this is no YAML that can be read: {error}.") from error
    if not isinstance(document, dict):
        raise DataError(f"{file} holds {reprlib.repr(document)}; expected keys: train, val, names.")
    return document


# -- lines ------------------------------------------------------------------------------------


def _boxes(file: Path, names: list[str] | None, bad: list[BadBox]) -> tuple[list[Box], str]:
    """The boxes of a text file, and what is wrong with the file; bad lines are added to ``bad``."""
    if not os.path.isfile(file) or file.stat().st_size == 0:
        return [], ""
    try:
        lines = read_text(file).splitlines()
    except DataError as error:
        return [], str(error).rstrip(".")
    found = [
        _box(line.split(), f"{file}, line {number}", names)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    bad += [box for box in found if isinstance(box, BadBox)]
    return [box for box in found if isinstance(box, Box)], ""


def _box(fields: list[str], place: str, names: list[str] | None) -> Box | BadBox:
    if len(fields) != 5:
        return BadBox(place, "unreadable", f"{len(fields)} fields; expected {FIELDS}")
    corners = four_numbers(fields[1:])
    if corners is None:
        return BadBox(place, "unreadable", f"'{' '.join(fields)}'; expected {FIELDS} as numbers")
    label = _label(fields[0], names)
    if label is None:
        known = f"0 to {len(names) - 1} have names" if names else "expected a whole number"
        return BadBox(place, "of an unknown class", f"class '{fields[0]}'; {known}")
    x, y, width, height = corners
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2, label, place)


def _label(number: str, names: list[str] | None) -> str | None:
    """The name of a class by its number; None if it has none."""
    if not number.isdecimal() or len(number) > 9:
        return None
    if names is None:
        return str(int(number))
    return names[int(number)] if int(number) < len(names) else None
