"""What scenes take from real photos: surfaces to put marks on, and marks that somebody annotated.

Photos are read once and kept, no larger than scenes can use. Where annotations say where marks are
in them, only the parts beside these marks become surfaces: a mark that is seen but has no label
would teach a detector to miss it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2

from marketorch.data.boxes.annotations import AnnotatedPhoto, BadBox, Box, in_pixels, inside
from marketorch.data.boxes.formats import read_annotations
from marketorch.data.images.dataset import Pixels
from marketorch.data.images.decoding import THREADS, decode, photo_files, read_photo
from marketorch.data.reading import usable_rows
from marketorch.data.scenes.printing import Cutout, cut_from
from marketorch.errors import DataError

LEAST = 64  # pixels of the shorter side of a surface
ROOM = 1.5  # sides of a scene that the shorter side of a surface has at most
Cut = tuple[str, Cutout]


def read_surfaces(
    path: str, images: str | None, *, size: int, most: int, on_bad: str
) -> list[Pixels]:
    """Reads photos to put marks on, at most ``most``, evenly spread over what there is.

    Args:
        path: a folder of photos, or annotations to use the parts of photos that have no mark.
        images: folder of the annotated photos, if it is not the one that the format has.
        size: side of a scene in pixels.
        on_bad: ``error`` or ``skip`` for photos that cannot be used.

    Raises:
        DataError: there is no usable photo, or one is broken and ``on_bad`` says ``error``.
    """

    def usable(photo: Pixels, boxes: Sequence[Box]) -> Pixels | None:
        part = beside(photo, boxes)
        return None if part is None else _smaller(part, round(ROOM * size))

    if Path(path).is_dir():
        photos = [AnnotatedPhoto(file, str(file), []) for file in photo_files(path)]
    else:
        photos = _annotated(path, images, on_bad)
    photos = photos[:: -(-len(photos) // most)]
    surfaces = [part for part in _each(photos, usable, path, on_bad) if part is not None]
    if not surfaces:
        raise DataError(
            f"{path}: its photos have no room for marks (data.backgrounds); there must be "
            f"{LEAST} × {LEAST} pixels beside those that are in them."
        )
    return surfaces


def read_crops(
    path: str, images: str | None, classes: Mapping[str, int], *, size: int, on_bad: str
) -> list[list[Cutout]]:
    """Cuts annotated marks out of photos; of each class those that are large enough to be used.

    Args:
        path: annotations.
        images: folder of the photos, if it is not the one that the format has.
        classes: numbers by the annotations' names; boxes of others are left out.
        size: pixels that a mark is long at most.
        on_bad: ``error`` or ``skip`` for photos that cannot be used.

    Raises:
        DataError: there is no such mark, or a photo is broken and ``on_bad`` says ``error``.
    """

    def cut(photo: Pixels, boxes: Sequence[Box]) -> list[Cut]:
        own = [(b.label, cut_from(photo, b[:4], size)) for b in boxes if b.label in classes]
        return [(label, crop) for label, crop in own if crop is not None]

    crops: list[list[Cutout]] = [[] for _ in set(classes.values())]
    for found in _each(_annotated(path, images, on_bad), cut, path, on_bad):
        for label, crop in found:
            crops[classes[label]].append(crop)
    if not any(crops):
        raise DataError(f"{path} has no mark, large enough, of a class to find (data.crops).")
    return crops


def beside(photo: Pixels, boxes: Sequence[Box]) -> Pixels | None:
    """The largest part of a photo ``(H, W, 3)`` to one side of all boxes; None if all are small."""
    parts = [photo]
    if boxes:
        left, top = (max(0, int(min(box[i] for box in boxes))) for i in (0, 1))
        right, bottom = (int(max(box[i] for box in boxes)) + 1 for i in (2, 3))
        parts = [photo[:, :left], photo[:, right:], photo[:top], photo[bottom:]]
    usable = [part for part in parts if min(part.shape[:2]) >= LEAST]
    return max(usable, key=lambda part: part.size, default=None)


def _smaller(photo: Pixels, side: int) -> Pixels:
    """A photo whose shorter side has at most ``side`` pixels."""
    height, width = photo.shape[:2]
    scale = side / min(height, width)
    if scale >= 1:
        return photo.copy()  # not a view of a larger one
    extent = round(width * scale), round(height * scale)
    return cv2.resize(photo, extent, interpolation=cv2.INTER_AREA)


def _annotated(path: str, images: str | None, on_bad: str) -> list[AnnotatedPhoto]:
    found = read_annotations(path, "auto", images)
    if found.bad and on_bad == "error":
        place, kind, why = found.bad[0]
        raise DataError(f"{path}: {place} is bad ({kind}: {why}).")
    return found.photos


def _each(
    photos: Sequence[AnnotatedPhoto], use: Callable[..., Any], path: str, on_bad: str
) -> list[Any]:
    """What ``use`` makes of each photo and its boxes, without those that cannot be used."""

    def attempt(photo: AnnotatedPhoto) -> Any:
        try:
            return use(*_opened(photo))
        except DataError as error:
            return str(error).removeprefix(photo.name).lstrip(": ").rstrip(".")

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(attempt, photos))
    bad = {place: result for place, result in enumerate(found) if isinstance(result, str)}
    names = [photo.name for photo in photos]
    return [found[place] for place in usable_rows(bad, len(found), path, on_bad, names)]


def _opened(photo: AnnotatedPhoto) -> tuple[Pixels, list[Box]]:
    """A photo and its boxes, in its pixels. DataError if either cannot be used."""
    if photo.fault:
        raise DataError(photo.fault)
    source = photo.source
    pixels = read_photo(source) if isinstance(source, Path) else decode(source, photo.name)
    photo.size = (pixels.shape[1], pixels.shape[0])
    boxes = [inside(box, photo.size) for box in in_pixels(photo)]
    for box in boxes:
        if isinstance(box, BadBox):
            raise DataError(f"{box.place} is bad ({box.kind}: {box.why})")
    return pixels, [box for box in boxes if isinstance(box, Box)]
