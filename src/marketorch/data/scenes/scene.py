"""Scenes: photos in which brand marks are seen, made up from clean marks, with exact boxes.

A detector can be trained on them for brands of which nobody has drawn a box yet. A scene is a part
of a photo without labels, or a drawn surface, with none to four of the marks that are looked for,
and some others that are not, so that not everything that looks like a mark is one. Then things get
into the way, and the whole is photographed.

A box holds what is seen of a mark inside the photo, whatever hides parts of it. A mark is in the
photo and labelled, or it is in neither: where less than `VISIBLE` of it would be left, or less than
`SMALLEST` pixels, it is not drawn, and what would hide more of it is not drawn.

Lengths are pixels, boxes x1 y1 x2 y2, S is the side of a scene.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator

from marketorch.data.images.dataset import Pixels
from marketorch.data.scenes.drawing import (
    Patch,
    View,
    choose_view,
    inside,
    lay,
    photograph,
    seen,
    surface,
)
from marketorch.data.scenes.printing import Cutout, Plate, behind, choose_plate, make_print, margins

MARKS = (0.08, 0.40, 0.26, 0.15, 0.11)  # chances of 0, 1, … marks in a scene
OTHERS = (0.45, 0.30, 0.17, 0.08)  # the same of marks that are not looked for
SCALES = (0.06, 0.85)  # size of a mark, the root of its area, as a share of S
PLATES = {"none": 0.5, "contour": 0.2, "board": 0.2, "disc": 0.1}
CUT_OFF = 0.15  # share of the marks that may reach over the photo's edge
HIDDEN = 0.25  # share of the marks that something gets in front of
CROPPED = 0.5  # share of the marks that are cut out of photos, where there are such
VISIBLE = 0.6
SMALLEST = 6
TRIES, PLACES = 4, 8  # prints of a mark that are tried, and places for each
FREE, TAKEN = -2, -1  # what a pixel belongs to, if not to the mark of a number

Scene = tuple[Pixels, np.ndarray, np.ndarray]


def scene(
    rng: Generator,
    marks: Sequence[Sequence[Cutout]],
    distractors: Sequence[Cutout],
    backgrounds: Sequence[Pixels],
    size: int,
    *,
    crops: Sequence[Sequence[Cutout]] | None = None,
    ground: Pixels | None = None,
) -> Scene:
    """Makes up a scene; equal generators give equal scenes.

    Args:
        marks: of each class those that it has; one that has neither these nor crops is not seen.
        distractors: marks that are not looked for.
        backgrounds: photos ``(H, W, 3)`` uint8; without any, all surfaces are drawn.
        size: S.
        crops: of each class marks that were cut out of photos, maybe none.
        ground: the photo ``(S, S, 3)`` uint8 that the marks are put on, if it is given.

    Returns:
        The photo ``(S, S, 3)`` uint8, boxes ``(n, 4)`` float32 and classes ``(n,)`` int64.
    """
    below = surface(rng, backgrounds, size, size)
    stage = Stage(below if ground is None else ground.astype(np.float32) / 255)
    there = [i for i in range(len(marks)) if marks[i] or (crops and crops[i])]
    labels = _cast(rng, there, len(distractors))
    for label, scale in zip(labels, _scales(rng, len(labels)), strict=True):
        if label < 0:
            stage.add(rng, _any(rng, distractors), TAKEN, scale * size)
        else:
            cutout = _one_of(rng, marks[label], crops[label] if crops else ())
            stage.add(rng, cutout, label, scale * size)
    for number in range(len(stage.labels)):
        if rng.random() < HIDDEN:
            stage.hide(rng, number, backgrounds)
    boxes = np.array(stage.boxes, np.float32).reshape(-1, 4)
    return photograph(rng, stage.photo), boxes, np.array(stage.labels, np.int64)


def _cast(rng: Generator, classes: Sequence[int], others: int) -> list[int]:
    """Which of the classes are seen, a -1 for each distractor; at times one class many times."""
    number = int(rng.choice(len(MARKS), p=MARKS))
    labels = np.array(classes)[rng.integers(len(classes), size=number)]
    if rng.random() < 0.2:
        labels[:] = labels[:1]
    unlabelled = int(rng.choice(len(OTHERS), p=OTHERS)) if others else 0
    return [int(label) for label in rng.permutation([*labels, *[-1] * unlabelled])]


def _scales(rng: Generator, number: int) -> list[float]:
    """Sizes of marks as shares of S, the largest first; together they fill at most .6 of it."""
    low, high = np.log(SCALES)
    scales = np.exp(rng.uniform(low, high, number))
    room = min(1.0, math.sqrt(0.6 / max((scales**2).sum(), 1e-9)))
    return sorted((scales * room).tolist(), reverse=True)


def _one_of(rng: Generator, marks: Sequence[Cutout], crops: Sequence[Cutout]) -> Cutout:
    chosen = crops and (not marks or rng.random() < CROPPED)
    return _any(rng, crops if chosen else marks)


def _any(rng: Generator, cutouts: Sequence[Cutout]) -> Cutout:
    return cutouts[int(rng.integers(len(cutouts)))]


class Stage:
    """A scene while it is made up.

    Args:
        photo: what to put marks on ``(S, S, 3)`` float32; it is changed.
    """

    def __init__(self, photo: np.ndarray) -> None:
        self.photo, self.size = photo, photo.shape[0]
        self.boxes: list[tuple[int, int, int, int]] = []
        self.labels: list[int] = []
        self.pixels: list[int] = []  # of each mark, also outside of the photo
        self.owner = np.full((self.size, self.size), FREE, np.int16)

    def add(self, rng: Generator, cutout: Cutout, label: int, scale: float) -> None:
        """Puts a mark on a free place, if there is one where it is seen.

        Args:
            label: its class, or `TAKEN` for a mark that is not looked for.
            scale: the root of its area; it is made smaller where there is no room.
        """
        for attempt in range(TRIES):
            extent = self._extent(cutout, max(scale * 0.75**attempt, SCALES[0] * self.size))
            if self._added(rng, cutout, label, *extent):
                return

    def _added(self, rng: Generator, cutout: Cutout, label: int, width: int, height: int) -> bool:
        """Tries one plate, view and place for a mark of this size."""
        plate = self._plate(rng, cutout)
        across, down = margins(plate, width, height)
        full = width + 2 * across, height + 2 * down
        view = self._placed(rng, choose_view(rng, *full, steady=cutout.core is not None), *full)
        if view is None:
            return False
        place = self._bounds(view.corners(*full))
        printed = make_print(rng, cutout, width, height, plate, behind(self.photo[place]))
        if printed is None:
            return False
        patch = seen(printed, view)
        if not self._labelled(patch, label):
            return False
        lay(rng, self.photo, patch)
        return True

    def _extent(self, cutout: Cutout, scale: float) -> tuple[int, int]:
        """Width and height of a mark, no longer than the photo and not much enlarged."""
        scale = min(scale, 1.5 * math.sqrt(math.prod(cutout.levels[0].shape[:2])))
        stretch = math.sqrt(cutout.aspect)
        scale = min(scale, 0.95 * self.size / max(stretch, 1 / stretch))
        return max(4, round(scale * stretch)), max(4, round(scale / stretch))

    def _plate(self, rng: Generator, cutout: Cutout) -> Plate:
        if cutout.core:
            return choose_plate(rng, cutout.aspect, "none")
        shape = rng.choice(list(PLATES), p=list(PLATES.values()))
        return choose_plate(rng, cutout.aspect, str(shape))

    def _placed(self, rng: Generator, view: View, width: int, height: int) -> View | None:
        """The view moved to a free place, or None if none is found."""
        corners = view.corners(width, height)
        extent = corners.max(0) - corners.min(0)
        over = 0.3 * extent * (rng.random() < CUT_OFF)
        for _ in range(PLACES):
            low = np.minimum(-over, (self.size - extent) / 2)
            corner = low + rng.random(2) * (self.size - extent - 2 * low)
            there = corners + (corner - corners.min(0))
            if (self.owner[self._bounds(there)] == FREE).all():
                return view.moved(corner - corners.min(0))
        return None

    def _bounds(self, corners: np.ndarray) -> tuple[slice, slice]:
        """The rows and columns of the photo around some points ``(n, 2)``."""
        left, top = np.floor(corners.min(0)).clip(0, self.size - 1).astype(int)
        right, bottom = np.ceil(corners.max(0)).clip(1, self.size).astype(int)
        return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))

    def _labelled(self, patch: Patch, label: int) -> bool:
        """Notes what a patch covers and the box of its mark; False if too little of it is seen."""
        rows, columns = inside(patch, self.size)
        pixels, mask = patch.cut(rows, columns)
        if mask.sum() < max(1, VISIBLE * patch.mask.sum()):
            return False
        down, across = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        left, right = columns.start + int(across[0]), columns.start + int(across[-1]) + 1
        top, bottom = rows.start + int(down[0]), rows.start + int(down[-1]) + 1
        if min(right - left, bottom - top) < SMALLEST:
            return False
        self.owner[top:bottom, left:right] = TAKEN
        owner = self.owner[rows, columns]
        owner[pixels[..., 3] > 0.1] = TAKEN
        if label >= 0:
            owner[mask] = len(self.labels)
            self.labels.append(label)
            self.boxes.append((left, top, right, bottom))
            self.pixels.append(int(patch.mask.sum()))
        return True

    def hide(self, rng: Generator, number: int, backgrounds: Sequence[Pixels]) -> None:
        """Puts something in front of a part of a mark, unless too little of any would be left."""
        left, top, right, bottom = self.boxes[number]
        side = math.sqrt((right - left) * (bottom - top))
        middle = rng.uniform((left, top), (right, bottom))
        shape = _blob(rng, middle, side * rng.uniform(0.2, 0.9))
        rows, columns = self._bounds(shape)
        cover = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        outline = ((shape - (columns.start, rows.start)) * 16).astype(np.int32)
        cv2.fillPoly(cover, [outline], 255, cv2.LINE_AA, 4)
        if not self._may_cover(rows, columns, cover > 127):
            return
        front = surface(rng, backgrounds, cover.shape[1], cover.shape[0])
        alpha = cover[..., None].astype(np.float32) / 255
        place = self.photo[rows, columns]
        place += (front - place) * alpha

    def _may_cover(self, rows: slice, columns: slice, cover: np.ndarray) -> bool:
        """Whether enough is left of all marks; notes what is covered if so."""
        owner = self.owner[rows, columns]
        left = np.bincount(self.owner[self.owner >= 0], minlength=len(self.pixels))
        left -= np.bincount(owner[cover & (owner >= 0)], minlength=len(self.pixels))
        if (left < VISIBLE * np.array(self.pixels)).any():
            return False
        owner[cover] = TAKEN
        return True


def _blob(rng: Generator, middle: np.ndarray, reach: float) -> np.ndarray:
    """The outline of something that is in the way ``(n, 2)``: a bar, a round or an edgy thing."""
    kind = rng.integers(3)
    if kind == 0:
        angle, half = rng.uniform(0, math.pi), reach * rng.uniform(0.1, 0.3)
        along = np.array([math.cos(angle), math.sin(angle)]) * 3 * reach
        aside = np.array([-along[1], along[0]]) * half / (3 * reach)
        return middle + np.array([along + aside, along - aside, -along - aside, aside - along])
    angles = np.sort(rng.uniform(0, 2 * math.pi, 7)) if kind == 1 else np.linspace(0, 6.1, 24)
    sizes = reach * 0.6 * (rng.uniform(0.6, 1.2, 7) if kind == 1 else rng.uniform(0.6, 1, 1))
    return middle + sizes[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
