"""What somebody drew on photos, whatever the file it was written to: boxes and their classes.

Each format has a module that reads it to `Annotations`: `coco`, `voc`, `yolo`, `object_tables`.
What they have in common stands here: which boxes are usable, and how the others are reported.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from marketorch.console import say
from marketorch.data.boxes.dataset import Size
from marketorch.data.reading import some
from marketorch.errors import DataError, closest

BEYOND = 1.0  # pixels that a box may reach beyond its photo before it is counted as clipped


class Box(NamedTuple):
    """A box in pixels of its photo; ``place`` is what to call it in a message."""

    x1: float
    y1: float
    x2: float
    y2: float
    label: str
    place: str


class BadBox(NamedTuple):
    """A box that cannot be used: what it is counted as, and what exactly is wrong."""

    place: str
    kind: str
    why: str


@dataclass
class AnnotatedPhoto:
    """A photo and its boxes.

    Attributes:
        source: a file or an encoded picture.
        name: of the photo, as the annotations have it.
        boxes: as they are written.
        size: width and height, as the annotations say or as they were found to be.
        shares: the boxes are in shares of the photo's width and height, not in pixels.
        fault: why the photo cannot be used, if that is known before it is looked at.
        image: the photo in its square ``(3, S, S)``, if it has been decoded.
        about: what else is said of the photo, by the name of the column or entry.
    """

    source: Path | bytes
    name: str
    boxes: list[Box]
    size: Size | None = None
    shares: bool = False
    fault: str = ""
    image: Tensor | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Annotations:
    """What a file or a folder of annotations says.

    Attributes:
        photos: with the boxes that could be read.
        classes: names in order, also of those that have no box.
        bad: boxes that could not be read.
        crowds: number of boxes around crowds, which are left out.
    """

    photos: list[AnnotatedPhoto]
    classes: list[str]
    bad: list[BadBox] = field(default_factory=list)
    crowds: int = 0


# -- what readers share -----------------------------------------------------------------------


def four_numbers(value: Any) -> tuple[float, float, float, float] | None:
    """Four numbers, or None if ``value`` is anything else."""
    try:
        a, b, c, d = map(float, () if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return a, b, c, d


def in_order(names: Iterable[str]) -> list[str]:
    """Names of classes without repeats: numbers by their value, then words."""
    return sorted(set(names), key=lambda name: (not name.isdecimal(), name.zfill(20), name))


def missing(path: Path) -> DataError:
    """The error to raise for a file or folder that is not there."""
    if os.path.isdir(path.parent):
        return DataError(f"{path} does not exist.{closest(path.name, os.listdir(path.parent))}")
    return DataError(
        f"{path} does not exist. The folder {path.parent} does not exist either (data_dir=…?)."
    )


def read_text(path: Path) -> str:
    """The text of an annotation file. DataError if it is missing, empty or not UTF-8."""
    if not os.path.isfile(path):
        raise missing(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{error.object[error.start]:02x} at position {error.start:,}"
        raise DataError(f"{path}: {byte} is not valid utf-8. Save the file as UTF-8.") from error
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror or error}.") from error
    if not text:
        raise DataError(f"{path} is empty (0 bytes).")
    return text


# -- which boxes are usable -------------------------------------------------------------------


def in_pixels(photo: AnnotatedPhoto) -> list[Box]:
    """The boxes of a photo whose size is known, in pixels."""
    assert photo.size is not None
    if not photo.shares:
        return photo.boxes
    width, height = photo.size
    return [
        box._replace(x1=box.x1 * width, y1=box.y1 * height, x2=box.x2 * width, y2=box.y2 * height)
        for box in photo.boxes
    ]


def inside(box: Box, size: Size) -> Box | BadBox:
    """The part of a box that lies in a photo of that width and height, or what is wrong with it."""
    width, height = size
    shown = f"x {box.x1:g} to {box.x2:g}, y {box.y1:g} to {box.y2:g}"
    if not all(map(math.isfinite, box[:4])):
        return BadBox(box.place, "not finite", shown)
    if box.x2 < box.x1 or box.y2 < box.y1:
        return BadBox(box.place, "inverted", f"{shown}; it ends before it begins")
    if box.x2 == box.x1 or box.y2 == box.y1:
        return BadBox(box.place, "without area", shown)
    x1, x2 = (min(max(x, 0.0), float(width)) for x in (box.x1, box.x2))
    y1, y2 = (min(max(y, 0.0), float(height)) for y in (box.y1, box.y2))
    if x1 >= x2 or y1 >= y2:
        return BadBox(box.place, "outside", f"{shown}; the photo has {width} × {height} pixels")
    return box._replace(x1=x1, y1=y1, x2=x2, y2=y2)


def usable_boxes(
    photos: Sequence[AnnotatedPhoto], unread: Sequence[BadBox], path: str, on_bad: str
) -> None:
    """Leaves each photo the boxes that can be used, clipped, in pixels; reports the others.

    Args:
        photos: of known sizes.
        unread: bad boxes that were found before.
        path: of the annotations.
        on_bad: ``error`` or ``skip``.

    Raises:
        DataError: there are bad boxes and ``on_bad`` says ``error``, or there are no others.
    """
    bad, total, clipped = list(unread), len(unread), 0
    for photo in photos:
        assert photo.size is not None
        pairs = [(box, inside(box, photo.size)) for box in in_pixels(photo)]
        total += len(pairs)
        bad += [found for _, found in pairs if isinstance(found, BadBox)]
        good = [(box, found) for box, found in pairs if isinstance(found, Box)]
        clipped += sum(_change(box, found) > BEYOND for box, found in good)
        photo.boxes, photo.shares = [found for _, found in good], False
    _report(bad, total, path, on_bad)
    if clipped:
        say(f"{path}: {clipped:,} of {total:,} boxes reach beyond their photo and were clipped.")


def _change(box: Box, clipped: Box) -> float:
    """The most that a side was moved by."""
    return max(abs(a - b) for a, b in zip(box[:4], clipped[:4], strict=True))


def _report(bad: Sequence[BadBox], total: int, path: str, on_bad: str) -> None:
    if not bad:
        return
    kinds = Counter(box.kind for box in bad)
    counted = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
    reasons = some(f"{box.place} ({box.kind}: {box.why})" for box in bad)
    message = f"{path}: {len(bad):,} of {total:,} boxes are bad ({counted}): {reasons}."
    if on_bad == "error":
        raise DataError(f"{message} Mend them, or drop them with data.on_bad=skip.")
    if len(bad) == total:
        raise DataError(f"{message} None is left.")
    say(f"{message} Skipped (data.on_bad=skip); their photos stay.")
