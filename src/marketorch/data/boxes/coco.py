"""Reads boxes from COCO's JSON (Lin et al. 2014): ``images``, ``annotations``, ``categories``.

A box is ``[x, y, width, height]`` in pixels. Boxes around crowds (``iscrowd``) are left out.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marketorch.data.boxes.annotations import (
    AnnotatedPhoto,
    Annotations,
    BadBox,
    Box,
    four_numbers,
    read_text,
)
from marketorch.data.boxes.dataset import Size
from marketorch.data.reading import label_name, some
from marketorch.errors import DataError, closest

PARTS = ("images", "annotations", "categories")
Entry = dict[str, Any]


def read_coco(path: Path, images: Path | None = None) -> Annotations:
    """Reads a COCO file.

    Args:
        path: the JSON file, or a folder with a single one.
        images: folder that the file names are relative to; None: that of the file, ``images`` in
            it or next to it.

    Raises:
        DataError: the file is no such JSON, or ids in it clash.
    """
    path = coco_file(path) if path.is_dir() else path
    document = _document(path)
    files = _by_id(document["images"], "images", "file_name", path)
    categories = _by_id(document["categories"], "categories", "name", path)
    names = {number: label_name(entry["name"]) for number, entry in categories.items()}
    photos = _photos(files, path, images)
    found = Annotations(list(photos.values()), _in_order(names))
    for place, entry in enumerate(document["annotations"], start=1):
        if not isinstance(entry, dict):
            raise DataError(f"{path}: annotation {place} is {entry!r:.40}; expected an object.")
        if entry.get("iscrowd"):
            found.crowds += 1
            continue
        box = _box(entry, f"annotation {entry.get('id', place)}", photos, names)
        if isinstance(box, BadBox):
            found.bad.append(box)
        else:
            photos[entry["image_id"]].boxes.append(box)
    return found


def coco_file(folder: Path) -> Path:
    """The only JSON file of a folder. DataError if there is none, or more."""
    files = sorted(folder.glob("*.json"))
    if len(files) != 1:
        listed = some(file.name for file in files) or "none"
        raise DataError(f"{folder}: expected one JSON file of annotations; found {listed}.")
    return files[0]


def _document(path: Path) -> dict[str, list[Any]]:
    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise DataError(f"{path}, {place}: this is no JSON: {error.msg}.") from error
    except RecursionError as error:
        raise DataError(f"{path}: this is no COCO file; it is nested too deeply.") from error
    except ValueError as error:
        raise DataError(f"{path}: a number in it is too long.") from error
    if not isinstance(document, dict):
        kind = type(document).__name__
        raise DataError(f"{path} holds a {kind}; expected an object with {', '.join(PARTS)}.")
    for part in PARTS:
        if not isinstance(document.get(part), list):
            near = closest(part, document) if part not in document else ""
            raise DataError(
                f"{path} has no list '{part}'.{near} Found: {', '.join(document) or 'nothing'}."
            )
    return document


def _by_id(entries: list[Any], part: str, named: str, path: Path) -> dict[Any, Entry]:
    """Entries by their id. DataError if two have the same, or one lacks its id or its name."""
    found: dict[Any, Entry] = {}
    for place, entry in enumerate(entries, start=1):
        keys = entry if isinstance(entry, dict) else {}
        for key in ("id", named):
            if not isinstance(keys.get(key), (str, int)):
                what = f"entry {place} of '{part}' has no usable '{key}'"
                raise DataError(f"{path}: {what}.{closest(key, keys)} Found: {entry!r:.80}")
        other = found.setdefault(entry["id"], entry)
        if other is not entry:
            raise DataError(
                f"{path}: two entries of '{part}' have the id {entry['id']!r}: "
                f"{other[named]!r} and {entry[named]!r}."
            )
    return found


def _in_order(names: dict[Any, str]) -> list[str]:
    """Classes by their ids; two ids of one name are one class."""
    ids = sorted(names, key=lambda number: (isinstance(number, str), number))
    return list(dict.fromkeys(names[number] for number in ids))


def _photos(files: dict[Any, Entry], path: Path, images: Path | None) -> dict[Any, AnnotatedPhoto]:
    """Photos by id, each without boxes. DataError if two ids have one file."""
    owner: dict[str, Any] = {}
    for number, entry in files.items():
        other = owner.setdefault(str(entry["file_name"]), number)
        if other != number:
            raise DataError(
                f"{path}: two entries of 'images', {other!r} and {number!r}, are the same file "
                f"'{entry['file_name']}'."
            )
    root = _root(path, images, list(owner))
    return {
        number: AnnotatedPhoto(root / name, name, [], _size(files[number]), about=files[number])
        for name, number in owner.items()
    }


def _root(path: Path, images: Path | None, names: Sequence[str]) -> Path:
    """The folder that the file names are relative to: the first that has any of them."""
    near = (path.parent, path.parent / "images", path.parent.parent / "images")
    roots = [images] if images else near
    return next((r for r in roots if any(os.path.isfile(r / n) for n in names)), roots[0])


def _size(entry: Entry) -> Size | None:
    """Width and height, where both are said."""
    width, height = entry.get("width"), entry.get("height")
    if not (isinstance(width, (int, float)) and isinstance(height, (int, float))):
        return None
    return (int(width), int(height)) if 0 < min(width, height) < math.inf else None


def _box(
    entry: Entry, place: str, photos: dict[Any, AnnotatedPhoto], names: dict[Any, str]
) -> Box | BadBox:
    number, category = entry.get("image_id"), entry.get("category_id")
    if not isinstance(number, (str, int)) or number not in photos:
        return BadBox(place, "of an unknown image", f"image_id is {number!r}")
    place = f"{place} of {photos[number].name}"
    if not isinstance(category, (str, int)) or category not in names:
        return BadBox(place, "of an unknown category", f"category_id is {category!r}")
    corners = four_numbers(entry.get("bbox"))
    if corners is None:
        found = f"bbox is {entry.get('bbox')!r:.60}"
        return BadBox(place, "unreadable", f"{found}; expected [x, y, width, height]")
    x, y, width, height = corners
    return Box(x, y, x + width, y + height, names[category], place)
