"""Reads boxes from Pascal VOC's XML (Everingham et al. 2010), a file a photo.

Corners are taken as they are written. (Pascal itself counts pixels from 1, most tools that write
this format from 0; the difference is a pixel of the photo.) Difficult objects are objects.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

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
from marketorch.data.boxes.dataset import Size
from marketorch.data.images.decoding import SUFFIXES
from marketorch.errors import DataError

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(path: Path, images: Path | None = None) -> Annotations:
    """Reads a folder of XML files, or those that a list names.

    Args:
        path: the folder, or a list of names such as ``VOC2012/ImageSets/Main/train.txt``.
        images: folder with the photos; None: that of the XML file, or ``JPEGImages`` or
            ``images`` next to it.

    Raises:
        DataError: there is no such folder or list, or no XML in it.
    """
    found = Annotations([], [])
    for file in _files(path):
        try:
            document = parse(file)
        except DataError as error:
            fault = str(error).removeprefix(str(file)).lstrip(":, ").rstrip(".")
            found.photos.append(AnnotatedPhoto(file, str(file), [], fault=fault))
            continue
        photo = _photo(file, document, images)
        for number, item in enumerate(document.iter("object"), start=1):
            box = _box(item, f"{file}, object {number}")
            if isinstance(box, BadBox):
                found.bad.append(box)
            else:
                photo.boxes.append(box)
        found.photos.append(photo)
    found.classes = in_order(box.label for photo in found.photos for box in photo.boxes)
    return found


def parse(file: Path) -> Element:
    """The root of an XML file. A document type is refused: entities could fill the memory.

    Raises:
        DataError: the file is missing, empty or no XML; the line and column are named.
    """
    text, builder, parser = read_text(file), TreeBuilder(), expat.ParserCreate("utf-8")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_: Any) -> None:
        raise DataError(f"{file}: it declares a document type; such XML is refused.")

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        reason = expat.ErrorString(error.code)
        raise DataError(f"{file}, {place}: this is no XML: {reason}.") from error
    return builder.close()


def _files(path: Path) -> list[Path]:
    """XML files of a folder and the folders in it, or of a list of names, sorted."""
    if path.is_file():
        folder = path.parents[min(2, len(path.parents) - 1)] / "Annotations"
        names = [line.split()[0] for line in read_text(path).splitlines() if line.strip()]
        return [folder / f"{name}.xml" for name in names]
    if not path.is_dir():
        raise missing(path)
    inner = path.rglob("*.xml")
    files = [f for f in inner if not any(p.startswith(".") for p in f.relative_to(path).parts)]
    if not files:
        raise DataError(f"{path} holds no XML file.")
    return sorted(files)


def _photo(file: Path, document: Element, images: Path | None) -> AnnotatedPhoto:
    """The photo of an XML file: that of the same name, or else the one that it names.

    Photos are often renamed together with their files, which go on naming the old ones.
    """
    beside = (file.parent, file.parent.parent / "JPEGImages", file.parent.parent / "images")
    folders = [images] if images else [folder for folder in beside if folder.is_dir()]
    said = (document.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
    names = [f"{file.stem}{suffix}" for suffix in sorted(SUFFIXES)]
    names = [said, *names] if Path(said).stem == file.stem else [*names, said or file.stem]
    every = (folder / name for name in names for folder in folders)
    source = next(
        (photo for photo in every if os.path.isfile(photo)), folders[-1] / (said or file.stem)
    )
    return AnnotatedPhoto(source, str(source), [], _size(document))


def _size(document: Element) -> Size | None:
    """Width and height; some tools write 0 where they do not know them."""
    try:
        width, height = (
            int(float(document.findtext(f"size/{s}") or 0)) for s in ("width", "height")
        )
    except (ValueError, OverflowError):
        return None
    return (width, height) if width and height else None


def _box(item: Element, place: str) -> Box | BadBox:
    label = (item.findtext("name") or "").strip()
    if not label:
        return BadBox(place, "without a name", "its <name> is empty")
    written = [item.findtext(f"bndbox/{corner}") for corner in CORNERS]
    corners = four_numbers(written)
    if corners is None:
        shown = ", ".join(f"{c} {w}" for c, w in zip(CORNERS, written, strict=True))
        return BadBox(place, "unreadable", f"its <bndbox> has {shown}")
    return Box(*corners, label, place)
