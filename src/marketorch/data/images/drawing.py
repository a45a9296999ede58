"""Draws boxes with captions into photos, and writes such pictures.

The typeface comes with matplotlib. It has Latin, Greek and Cyrillic letters, so Nestlé and Škoda
are written as they are; names in other letters are shown as empty boxes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from marketorch.data.images.dataset import Pixels

Colour = tuple[int, int, int]
Area = tuple[int, int, int, int]  # left, top and the first column and row beyond
Size = tuple[int, int]  # width, height

WHITE = (255, 255, 255)
COLOURS: tuple[Colour, ...] = (  # white letters are legible on each
    (192, 57, 43),
    (47, 111, 143),
    (39, 120, 70),
    (125, 60, 152),
    (176, 88, 0),
    (173, 20, 87),
    (0, 105, 110),
    (90, 90, 90),
)
LINES, LETTERS = 1 / 160, 1 / 40  # of the side of a square as large as the photo
SMALLEST, LEAST = 12, 7  # pixels of the letters; the latter where there is no room for more
JPEG_SIDE = 65_500  # pixels; a JPEG cannot be longer


class Caption(NamedTuple):
    """A box ``x1 y1 x2 y2`` in pixels of a photo, and what is written at it."""

    box: Sequence[float]
    caption: str
    colour: Colour


def boxed(photo: Pixels, marks: Sequence[Caption]) -> Pixels:
    """A copy of a photo ``(H, W, 3)`` with framed boxes and their captions, legible at any size.

    Lines and letters grow with the photo. A frame lies around its box, as far as the photo reaches.
    Captions of earlier marks choose their place first.
    """
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    extent = math.sqrt(image.width * image.height)
    line = max(1, round(extent * LINES))
    frames = [_framed(draw, mark, line, image.size) for mark in marks]
    taken: list[Area] = []
    for mark, frame in zip(marks, frames, strict=True):
        taken.append(_captioned(draw, mark, frame, extent, image.size, taken))
    return np.array(image)


def _framed(draw: ImageDraw.ImageDraw, mark: Caption, line: int, size: Size) -> Area:
    """Draws a frame between two white lines; returns all that lies in it or is covered by it."""
    edge = max(1, line // 3)
    area = _around(mark.box, line + edge, size)
    _outlined(draw, area, line + 2 * edge, WHITE)
    _outlined(draw, _around(mark.box, line, size), line, mark.colour)
    return area


def _around(box: Sequence[float], reach: int, size: Size) -> Area:
    """A box and ``reach`` pixels around it, inside of the photo, at least a pixel wide and high."""
    width, height = size
    left, top = max(0, round(box[0]) - reach), max(0, round(box[1]) - reach)
    left, top = min(left, width - 1), min(top, height - 1)
    right, bottom = min(round(box[2]) + reach, width), min(round(box[3]) + reach, height)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _outlined(draw: ImageDraw.ImageDraw, area: Area, width: int, colour: Colour) -> None:
    left, top, right, bottom = area
    draw.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=width)


def _captioned(
    draw: ImageDraw.ImageDraw, mark: Caption, frame: Area, extent: float, size: Size,
    taken: Sequence[Area],
) -> Area:  # fmt: skip
    """Writes a caption above, below or in its frame, where there is room; returns its place."""
    letters = max(SMALLEST, round(extent * LETTERS))
    needed = _font(letters).getlength(mark.caption) + letters // 4 * 2
    if needed > size[0]:
        letters = max(LEAST, int(letters * size[0] / needed))
    font, gap = _font(letters), letters // 4
    width, height = math.ceil(font.getlength(mark.caption)) + 2 * gap, sum(font.getmetrics())
    left = max(0, min(frame[0], size[0] - width))
    tops = [t for t in (frame[1] - height, frame[3], frame[1]) if 0 <= t <= size[1] - height]
    places = [(left, top, left + width, top + height) for top in tops or [0]]
    free = (place for place in places if not any(_overlap(place, other) for other in taken))
    place = next(free, places[0])
    draw.rectangle((*place[:2], place[2] - 1, place[3] - 1), fill=mark.colour)
    draw.text((left + gap, place[1]), mark.caption, fill=WHITE, font=font)
    return place


def _overlap(one: Area, other: Area) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


@lru_cache(16)
def _font(letters: int) -> ImageFont.FreeTypeFont:
    import matplotlib  # for its typeface, of use here only

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans-Bold.ttf"), letters)


# -- files ------------------------------------------------------------------------------------


def write_pictures(pictures: Iterable[tuple[str, Pixels]], folder: Path) -> list[Path]:
    """Writes pictures ``(H, W, 3)`` as JPEG, each under its stem or a name like it that is free.

    Pictures that are too long for a JPEG become PNG. What an earlier call has written is written
    over.

    Returns:
        The files, in the order of the pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    taken: set[str] = set()
    for stem, picture in pictures:
        name = free_name(stem, taken)
        taken.add(name.casefold())
        suffix = ".jpg" if max(picture.shape) <= JPEG_SIDE else ".png"
        written.append(folder / f"{name}{suffix}")
        # Without subsampling thin lines keep their colour.
        Image.fromarray(picture).save(written[-1], quality=90, subsampling=0)
    return written


def free_name(stem: str, taken: Collection[str]) -> str:
    """``stem``, or ``stem_2`` and so on: the first that is not ``taken``, in whatever case.

    Args:
        taken: names in small letters (`str.casefold`), as some disks do not tell cases apart.
    """
    names = itertools.chain([stem], (f"{stem}_{i}" for i in itertools.count(2)))
    return next(name for name in names if name.casefold() not in taken)
