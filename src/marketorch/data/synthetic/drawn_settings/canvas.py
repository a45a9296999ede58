"""A canvas for small pictures, and perspective.

Lengths are shares of the picture's side, x points right and y down: a picture is the same at any
size, only finer. A `random.Random` is the only source of chance: a picture takes some hundred
single numbers, which numpy's generators give at a tenth of the speed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

import cv2
import numpy as np

from marketorch.data.images.dataset import Pixels
from marketorch.data.synthetic.drawn_settings.colours import Colour, shade

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom

FINER = 2  # pixels of the canvas to one of the picture, along a side


class Canvas:
    """A picture while it is drawn, ``pixels (T, T, 3)`` uint8; what reaches over its edge is cut.

    Args:
        size: side of the picture in pixels; T is `FINER` times as much.
    """

    def __init__(self, size: int) -> None:
        self.side = FINER * size
        self.pixels: Pixels = np.full((self.side, self.side, 3), 128, np.uint8)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A filled rectangle; nothing where it has no extent."""
        if right > left and bottom > top:
            t = self.side
            corner = round(left * t), round(top * t)
            other = round(right * t) - 1, round(bottom * t) - 1
            cv2.rectangle(self.pixels, corner, other, colour, cv2.FILLED)

    def polygon(self, points: Iterable[Point], colour: Colour) -> None:
        """A filled polygon."""
        cv2.fillPoly(self.pixels, [self._outline(points)], colour)

    def ellipse(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """A filled ellipse; ``across`` and ``down`` are half its width and height."""
        t = self.side
        axes = max(1, round(across * t)), max(1, round(down * t))
        place = round(x * t), round(y * t)
        cv2.ellipse(self.pixels, place, axes, 0, 0, 360, colour, cv2.FILLED)

    def line(self, points: Iterable[Point], width: float, colour: Colour) -> None:
        """A line through some points, at least a pixel of the canvas wide."""
        t, thick = self.side, max(1, round(width * self.side))
        ends = [(round(x * t), round(y * t)) for x, y in points]
        for start, end in itertools.pairwise(ends):
            cv2.line(self.pixels, start, end, colour, thick)

    def fade(self, top: float, bottom: float, above: Colour, below: Colour) -> None:
        """Rows across the whole picture that pass from one colour to another."""
        first, last = self._pixel(top), self._pixel(bottom)
        if last > first:
            share = np.linspace(0, 1, last - first)[:, None, None]
            rows = np.array(above) * (1 - share) + np.array(below) * share
            self.pixels[first:last] = rows.astype(np.uint8)

    def mottle(
        self, rng: Random, box: Box, cells: tuple[int, int], strength: float, *, hard: bool = False
    ) -> None:
        """Makes a part of the picture uneven: grass, water, cloth, a crowd.

        Args:
            cells: how many patches lie side by side, and how many on top of each other.
            strength: of the change, as a share of the range of colours.
            hard: patches with edges, each of a colour of its own; else soft ones of one hue.
        """
        across, down = cells
        depth = 3 if hard else 1
        values = np.frombuffer(rng.randbytes(across * down * depth), np.uint8)
        left, top, right, bottom = map(self._pixel, box)
        if right <= left or bottom <= top:
            return
        how = cv2.INTER_NEAREST if hard else cv2.INTER_LINEAR
        patches = values.reshape(down, across, depth)
        patches = cv2.resize(patches, (right - left, bottom - top), interpolation=how)
        if not hard:
            patches = cv2.cvtColor(patches, cv2.COLOR_GRAY2RGB)
        part = self.pixels[top:bottom, left:right]
        part[:] = cv2.addWeighted(part, 1, patches, strength, -127.5 * strength)

    def blend(self, points: Iterable[Point], colour: Colour, share: float) -> None:
        """A polygon that shows what is behind it: a shadow, glass, a beam of light."""
        outline = self._outline(points)
        left, top = outline.min(0).clip(0, self.side)
        right, bottom = outline.max(0).clip(0, self.side - 1) + 1
        if right <= left or bottom <= top:
            return
        part = self.pixels[top:bottom, left:right]
        front = part.copy()
        cv2.fillPoly(front, [outline - (left, top)], colour)
        part[:] = cv2.addWeighted(part, 1 - share, front, share, 0)

    def glow(self, x: float, y: float, reach: float, colour: Colour) -> None:
        """Light around a lamp or the sun, added to what is there."""
        box = (x - reach, y - reach, x + reach, y + reach)
        left, top, right, bottom = map(self._pixel, box)
        if right <= left or bottom <= top:
            return
        across = (np.arange(left, right, dtype=np.float32) / self.side - x) / reach
        down = (np.arange(top, bottom, dtype=np.float32) / self.side - y) / reach
        near = np.maximum(1 - across**2 - down[:, None] ** 2, 0) ** 2
        part = self.pixels[top:bottom, left:right]
        light = near[..., None] * np.array(colour, np.float32)
        part[:] = cv2.add(part, light.astype(np.uint8))

    def lit(self, light: Colour) -> None:
        """Puts all that is drawn so far into a light, a factor for each of red, green and blue."""
        if light != (1, 1, 1):
            table = np.arange(256)[None, :, None] * np.array(light)
            self.pixels = cv2.LUT(self.pixels, table.clip(0, 255).astype(np.uint8))

    def _outline(self, points: Iterable[Point]) -> np.ndarray:
        """Points in pixels of the canvas ``(n, 2)``."""
        t = self.side
        return np.array([(t * x, t * y) for x, y in points], np.int32)

    def _pixel(self, place: float) -> int:
        """A place along a side in pixels of the canvas, within it."""
        return min(max(round(place * self.side), 0), self.side)


class Space(NamedTuple):
    """A space that is seen along its depth, in one-point perspective.

    What lies at depth 1 is as large as it is drawn, at depth 2 half as large and so on, toward the
    vanishing point.

    Args:
        x, y: the vanishing point; y is the height of the horizon.
        left, right, ceiling, floor: where the walls, ceiling and floor are at depth 1.
    """

    x: float
    y: float
    left: float = -0.1
    right: float = 1.1
    ceiling: float = -0.1
    floor: float = 1.1

    def at(self, x: float, y: float, depth: float) -> Point:
        """Where a point is seen."""
        return self.x + (x - self.x) / depth, self.y + (y - self.y) / depth

    def level(self, y: float, left: float, right: float, near: float, far: float) -> list[Point]:
        """The corners of a level rectangle at the height ``y``."""
        front = [self.at(left, y, near), self.at(right, y, near)]
        return [*front, self.at(right, y, far), self.at(left, y, far)]

    def aside(self, x: float, top: float, bottom: float, near: float, far: float) -> list[Point]:
        """The corners of an upright rectangle that leads into the depth at ``x``."""
        front = [self.at(x, top, near), self.at(x, bottom, near)]
        return [*front, self.at(x, bottom, far), self.at(x, top, far)]

    def facing(self, left: float, top: float, right: float, bottom: float, depth: float) -> Box:
        """An upright rectangle that faces the viewer."""
        return *self.at(left, top, depth), *self.at(right, bottom, depth)

    def rear(self, depth: float) -> Box:
        """The wall at the end of the space."""
        return self.facing(self.left, self.ceiling, self.right, self.floor, depth)

    def room(
        self, canvas: Canvas, depth: float, *, wall: Colour, floor: Colour, ceiling: Colour
    ) -> None:
        """Draws an empty room; less light falls on its walls at the sides."""
        canvas.polygon(self.level(self.ceiling, self.left, self.right, 0.5, depth), ceiling)
        canvas.polygon(self.level(self.floor, self.left, self.right, 0.5, depth), floor)
        for x, light in ((self.left, 0.88), (self.right, 0.8)):
            side = self.aside(x, self.ceiling, self.floor, 0.5, depth)
            canvas.polygon(side, shade(wall, light))
        canvas.box(*self.rear(depth), wall)
