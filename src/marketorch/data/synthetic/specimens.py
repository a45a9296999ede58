"""Specimens: clean prints of marks, from which a detector sees what it shall look for.

A mark is printed by itself, in its own colours or in others, larger or smaller, on pale, dark or
vivid ground. Many prints are laid side by side on sheets, as large as the photos are, so that a
network takes both for the same kind of picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from marketorch.data.boxes.dataset import GREY
from marketorch.data.images.dataset import Pixels, as_tensor
from marketorch.data.scenes.printing import Cutout, Plate, Print, dark, make_print, pale, vivid
from marketorch.engine.task import Batch
from marketorch.errors import DataError

SIDE = 96  # pixels of a specimen, at most
SIZES = (0.35, 0.75)  # of a mark, the root of its area, as shares of that
LONGEST = 0.85  # of its longer side, as such a share
GROUNDS = (pale, pale, dark, vivid)
PRINTS = 6  # of each mark that is asked for
TRIES = 40

Brands = Mapping[str, Sequence[Cutout]]


class Specimen(NamedTuple):
    """A print of a mark ``(P, P, 3)`` uint8, and the box of the mark in it."""

    pixels: Pixels
    box: tuple[int, int, int, int]


def prints_of(brands: Brands, size: int) -> Batch:
    """Sheets with all marks of some brands, the same each time; see `sheets`."""
    marks = [(place, mark) for place, own in enumerate(brands.values()) for mark in own]
    made = [
        specimen(np.random.default_rng(number), mark, min(SIDE, size))
        for _, mark in marks
        for number in range(PRINTS)
    ]
    numbers = torch.arange(len(marks)).repeat_interleave(PRINTS)
    labels = torch.tensor([place for place, _ in marks])
    return sheets(made, numbers, size) | {"mark_labels": labels}


def sheets(prints: Sequence[Specimen], marks: Tensor, size: int) -> Batch:
    """Lays prints out on sheets of side S.

    Args:
        marks: which mark each of the prints shows ``(n,)``.

    Returns:
        N sheets of T prints: ``sheets (N, 3, S, S)`` uint8, ``sheet_boxes (N, T, 4)`` float32 and
        ``sheet_marks (N, T)`` int64, -1 where nothing is.
    """
    side = len(prints[0].pixels)
    across = size // side
    room = across**2
    missing = -len(prints) % room
    pictures = as_tensor([own.pixels for own in prints])
    pictures = F.pad(pictures, (0, 0, 0, 0, 0, 0, 0, missing), value=GREY)
    rows = pictures.unflatten(0, (-1, across, across)).permute(0, 3, 1, 4, 2, 5)
    whole = rows.reshape(-1, 3, across * side, across * side)
    edge = size - across * side
    place = torch.arange(len(pictures)) % room
    corner = torch.stack([place % across, place // across], 1) * float(side)
    boxes = F.pad(torch.tensor([own.box for own in prints]).float(), (0, 0, 0, missing))
    return {
        "sheets": F.pad(whole, (0, edge, 0, edge), value=GREY),
        "sheet_boxes": (boxes + corner.repeat(1, 2)).unflatten(0, (-1, room)),
        "sheet_marks": F.pad(marks, (0, missing), value=-1).unflatten(0, (-1, room)),
    }


def specimen(rng: Generator, mark: Cutout, side: int) -> Specimen:
    """Prints a mark on plain ground, in the middle of a square. DataError if nobody can see it."""
    stretch = math.sqrt(mark.aspect)
    size = min(rng.uniform(*SIZES), LONGEST / max(stretch, 1 / stretch)) * side
    width, height = max(4, round(size * stretch)), max(4, round(size / stretch))
    ground, printed = _printed(rng, mark, width, height)
    tall, wide = printed.mask.shape
    left, top = (side - wide) // 2, (side - tall) // 2
    photo = np.full((side, side, 3), ground, np.float32)
    place = photo[top : top + tall, left : left + wide]
    place *= 1 - printed.pixels[..., 3:]
    place += printed.pixels[..., :3]
    left, top = (side - width) // 2, (side - height) // 2
    pixels = (255 * photo).clip(0, 255).round().astype(np.uint8)
    return Specimen(pixels, (left, top, left + width, top + height))


def _printed(rng: Generator, mark: Cutout, width: int, height: int) -> tuple[np.ndarray, Print]:
    """A print of a mark by itself, and a ground ``(3,)`` on which it is seen."""
    for _ in range(TRIES):
        ground = GROUNDS[int(rng.integers(len(GROUNDS)))](rng)
        printed = make_print(rng, mark, width, height, Plate("none"), ground[None])
        if printed is not None:
            return ground, printed
    raise DataError("A mark to look for is seen on no ground: all of it is nearly transparent.")
