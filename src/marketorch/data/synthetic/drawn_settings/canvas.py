"""A canvas for small pictures, and perspective.

Lengths are shares of the picture's side, x points right and y down: a picture is the same at any
size, only finer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple

import cv2
import numpy as np

from marketorch.data.images.dataset import Pixels
from marketorch.data.synthetic.drawn_settings.colours import Colour

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom

FINER = 2  # pixels of the canvas to one of the picture, along a side


class Canvas:
    """``pixels (T, T, 3)`` uint8, T `FINER` times the picture's size; what reaches over is cut."""

    def __init__(self, size: int) -> None:
        self.side = FINER * size
        self.pixels: Pixels = np.full((self.side, self.side, 3), 128, np.uint8)

    def polygon(self, points: Iterable[Point], colour: Colour) -> None:
        """A filled polygon."""
        cv2.fillPoly(self.pixels, [self._outline(points)], colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A filled rectangle."""
        (a, b), (c, d) = self._outline([(left, top), (right, bottom)]).clip(0, self.side)
        self.pixels[b:d, a:c] = colour

    def ellipse(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """A filled ellipse; ``across`` and ``down`` are half its width and height."""
        middle, axes = self._outline([(x, y), (across, down)]).tolist()
        cv2.ellipse(self.pixels, middle, axes, 0, 0, 360, colour, cv2.FILLED)

    def line(self, points: Iterable[Point], width: float, colour: Colour) -> None:
        """A line through some points, at least a pixel of the canvas wide."""
        thickness = max(1, round(width * self.side))
        cv2.polylines(self.pixels, [self._outline(points)], False, colour, thickness)

    def fade(self, top: float, bottom: float, above: Colour, below: Colour) -> None:
        """Rows across the whole picture that pass from one colour to another."""
        (_, first), (_, last) = self._outline([(0, top), (0, bottom)]).clip(0, self.side)
        share = np.linspace(0, 1, max(last - first, 0))[:, None, None]
        self.pixels[first:last] = np.array(above) * (1 - share) + np.array(below) * share

    def mottle(self, rng: Random, box: Box, cells: tuple[int, int], strength: float) -> None:
        """Makes a part of the picture uneven, in so many patches: grass, water, a crowd."""
        (a, b), (c, d) = self._outline([box[:2], box[2:]]).clip(0, self.side)
        if a < c and b < d:
            values = np.frombuffer(rng.randbytes(3 * cells[0] * cells[1]), np.uint8)
            patches = cv2.resize(values.reshape(cells[1], cells[0], 3), (c - a, d - b))
            part = self.pixels[b:d, a:c]
            part[:] = cv2.addWeighted(part, 1, patches, strength, -127.5 * strength)

    def blend(self, points: Iterable[Point], colour: Colour, share: float) -> None:
        """A polygon that shows what is behind it: a net, a beam of light."""
        front = self.pixels.copy()
        cv2.fillPoly(front, [self._outline(points)], colour)
        self.pixels = cv2.addWeighted(self.pixels, 1 - share, front, share, 0)

    def light(self, light: Colour) -> None:
        """Puts all that is drawn so far into a light, a factor for each of red, green and blue."""
        self.pixels = cv2.multiply(self.pixels, (*light, 1))

    def framed(self, rng: Random) -> Pixels:
        """Mirrored in every second picture, turned and sheared a little, cut and shrunk."""
        size, zoom, mirror = self.side // FINER, rng.uniform(1.02, 1.35), rng.choice((-1, 1))
        turn, shear = math.radians(rng.gauss(0, 3.5)), rng.gauss(0, 0.05)
        room = (1 - 1 / zoom) / 2
        middle = np.array([0.5 + rng.uniform(-room, room) for _ in range(2)]) * self.side
        cos, sin = FINER / zoom * math.cos(turn), FINER / zoom * math.sin(turn)
        back = np.array([[mirror * cos, shear - mirror * sin, 0], [sin, cos, 0]])
        back[:, 2] = middle - 0.5 - back[:, :2].sum(1) * (size - 1) / 2
        how, edge = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
        return cv2.warpAffine(self.pixels, back, (size, size), flags=how, borderMode=edge)

    def _outline(self, points: Iterable[Point]) -> np.ndarray:
        """Points in pixels of the canvas ``(n, 2)``, int32."""
        return np.array([(round(self.side * x), round(self.side * y)) for x, y in points], np.int32)


class Space(NamedTuple):
    """A space in one-point perspective: what lies at depth 2 is half as large as at depth 1.

    ``x, y`` is the vanishing point, ``depth`` that of the rear wall.
    """

    x: float
    y: float
    left: float = -0.1
    right: float = 1.1
    ceiling: float = -0.1
    floor: float = 1.1
    depth: float = 2.0

    def at(self, x: float, y: float, depth: float) -> Point:
        """Where a point is seen."""
        return self.x + (x - self.x) / depth, self.y + (y - self.y) / depth

    def level(self, y: float, left: float, right: float, near: float, far: float) -> list[Point]:
        """The corners of a level rectangle, such as the floor or a part of it."""
        front = [self.at(left, y, near), self.at(right, y, near)]
        return [*front, self.at(right, y, far), self.at(left, y, far)]

    def walls(self) -> list[Wall]:
        """The walls on the left, at the rear and on the right."""
        ends = [(x, z) for x in (self.left, self.right) for z in (0.5, self.depth)]
        pairs = ((ends[0], ends[1]), (ends[1], ends[3]), (ends[3], ends[2]))
        return [Wall(self, a, b, self.ceiling, self.floor) for a, b in pairs]


class Wall(NamedTuple):
    """An upright rectangle: x and depth of its sides; places on it are shares of its extent."""

    space: Space
    start: Point
    end: Point
    top: float
    bottom: float

    def at(self, u: float, v: float) -> Point:
        """Where a place on it is seen."""
        (x, depth), (end, far) = self.start, self.end
        y = self.top + (self.bottom - self.top) * v
        return self.space.at(x + (end - x) * u, y, depth + (far - depth) * u)

    def patch(self, left: float, top: float, right: float, bottom: float) -> list[Point]:
        """The corners of a part of it."""
        return [
            *(self.at(u, top) for u in (left, right)),
            *(self.at(u, bottom) for u in (right, left)),
        ]

    def cells(self, columns: int, rows: int, margin: float = 0) -> Iterator[list[Point]]:
        """The corners of equal parts, row by row, each less a margin, a share of its size."""
        a, b = margin, 1 - margin
        for y, x in itertools.product(range(rows), range(columns)):
            place = (x + a) / columns, (y + a) / rows, (x + b) / columns, (y + b) / rows
            yield self.patch(*place)

    def part(self, left: float, top: float, right: float, bottom: float) -> Wall:
        """A part of it as a wall."""
        (x, depth), (end, far) = self.start, self.end
        edges = [(x + (end - x) * u, depth + (far - depth) * u) for u in (left, right)]
        heights = [self.top + (self.bottom - self.top) * v for v in (top, bottom)]
        return Wall(self.space, edges[0], edges[1], heights[0], heights[1])
