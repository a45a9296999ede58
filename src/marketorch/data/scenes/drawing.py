"""How a print gets into a photo, and what there is to put it on.

A print is bent, turned and seen in perspective by one resampling, lit like the place it is put at,
blurred a little, and laid over the photo. Surfaces are parts of photos, or drawn where there are
none: plain, in gradients, grained, with clutter and letters. At last the whole is photographed:
exposed, blurred, grained and compressed.

Photos are float32 ``(S, S, 3)`` between 0 and 1, lengths are pixels. A `numpy.random.Generator` is
the only source of chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from marketorch.data.images.dataset import Pixels
from marketorch.data.scenes.printing import LUMA, Print, dark, pale, vivid

BENT = 0.35  # share of the prints on something that is not flat
SHEER = 0.2  # share of the prints that what is behind shines through
DRAWN = 0.15  # share of the surfaces that are drawn although there are photos
SEEN = 0.25  # alpha from which on a pixel belongs to a mark
LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZaeiorstu0123456789"
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)


# -- the view ---------------------------------------------------------------------------------


class View(NamedTuple):
    """From where a print is seen.

    Args:
        matrix: ``(3, 3)``, from pixels of the print, counted from its middle, to the photo.
        squeeze: how much narrower the print is at its ends, as on a can.
        bow: how far its middle hangs down, in halves of its longer side.
        ripple: height of waves, as of cloth, in halves of its longer side.
        phase: of the waves.
    """

    matrix: np.ndarray
    squeeze: float = 0.0
    bow: float = 0.0
    ripple: float = 0.0
    phase: float = 0.0

    def corners(self, width: int, height: int) -> np.ndarray:
        """Where the corners of a print of this size come to lie ``(4, 2)``, with some room."""
        room = 1.0 + abs(self.squeeze) + 2 * abs(self.bow) + 2 * self.ripple
        x, y = width / 2 * room, height / 2 + max(width, height) / 2 * (room - 1)
        places = np.array([[-x, -y, 1], [x, -y, 1], [x, y, 1], [-x, y, 1]]) @ self.matrix.T
        return places[:, :2] / places[:, 2:]

    def moved(self, by: np.ndarray) -> View:
        """The view of the print elsewhere in the photo, ``(2,)`` pixels away."""
        shift = np.eye(3)
        shift[:2, 2] = by
        return self._replace(matrix=shift @ self.matrix)


def choose_view(rng: Generator, width: int, height: int, steady: bool = False) -> View:
    """A view of a print of this size, about as large as it is, its middle at 0, 0.

    Args:
        steady: turn it less, for a mark whose box would not be tight any more.
    """
    wide = 0.35 if rng.random() < 0.15 else 0.1
    roll, yaw, pitch = rng.normal(0, (wide, 0.3, 0.3)).clip(-0.8, 0.8) * (0.3 if steady else 1)
    stretch = math.exp(rng.normal(0, 0.08))
    turn = _turn(0, 1, roll) @ _turn(0, 2, yaw) @ _turn(1, 2, pitch)
    distance = rng.uniform(1.5, 5) * max(width, height)
    matrix = turn @ np.diag([stretch, 1 / stretch, 1])
    matrix[2] /= distance
    matrix[:, 2] = 0, 0, 1
    if rng.random() > BENT:
        return View(matrix)
    squeeze, bow, ripple = rng.uniform(-0.1, 0.25), rng.normal(0, 0.06), rng.uniform(0, 0.03)
    return View(matrix, squeeze, float(np.clip(bow, -0.15, 0.15)), ripple, rng.uniform(0, 6))


def _turn(first: int, second: int, angle: float) -> np.ndarray:
    """A rotation of space in the plane of two axes."""
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[first, second], matrix[second, first] = -math.sin(angle), math.sin(angle)
    return matrix


class Patch(NamedTuple):
    """A print as it is seen, and where it lies in the photo; it may reach over the photo's edge.

    Args:
        pixels: ``(h, w, 4)`` float32.
        mask: which pixels belong to the mark ``(h, w)``.
        left, top: of its upper left corner.
    """

    pixels: np.ndarray
    mask: np.ndarray
    left: int
    top: int

    def cut(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """The pixels and the mask in these rows and columns of the photo."""
        part = slice(rows.start - self.top, rows.stop - self.top)
        other = slice(columns.start - self.left, columns.stop - self.left)
        return self.pixels[part, other], self.mask[part, other]


def seen(printed: Print, view: View) -> Patch:
    """The print as it is seen from a view."""
    height, width = printed.mask.shape
    corners = view.corners(width, height)
    left, top = np.floor(corners.min(0)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(0)).astype(int).tolist()
    x, y = _sources(
        view, np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5, max(width, height) / 2
    )
    maps = (x + (width / 2 - 0.5)), (y + (height / 2 - 0.5))
    pixels = cv2.remap(printed.pixels, *maps, cv2.INTER_LINEAR)
    mask = cv2.remap(printed.mask, *maps, cv2.INTER_LINEAR) >= SEEN
    return Patch(pixels, mask, left, top)


def _sources(
    view: View, x: np.ndarray, y: np.ndarray, half: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the print a grid of pixels ``(w,)`` by ``(h,)`` comes from: twice ``(h, w)``."""
    back = np.linalg.inv(view.matrix).astype(np.float32)
    x, y = x.astype(np.float32)[None], y.astype(np.float32)[:, None]
    depth = 1 / (back[2, 0] * x + (back[2, 1] * y + back[2, 2]))
    across = (back[0, 0] * x + (back[0, 1] * y + back[0, 2])) * depth
    down = (back[1, 0] * x + (back[1, 1] * y + back[1, 2])) * depth
    if view.squeeze or view.bow:
        far = (across / half) ** 2
        down += (view.bow * half) * (far - 0.5)
        across *= view.squeeze * far + (1 - view.squeeze)
    if view.ripple:
        waves = 5 / half
        across += view.ripple * half * np.sin(waves * y + view.phase)
        down += view.ripple * half * np.sin(waves * x + view.phase)
    return across, down


# -- onto the photo ---------------------------------------------------------------------------


def lay(rng: Generator, photo: np.ndarray, patch: Patch) -> None:
    """Lays a patch over a photo, in place, under the photo's own light."""
    rows, columns = inside(patch, photo.shape[0])
    surface = photo[rows, columns]
    pixels, _ = patch.cut(rows, columns)
    pixels = _softened(rng, pixels)
    if rng.random() < SHEER:
        pixels = pixels * np.float32(rng.uniform(0.7, 1))
    light = _light(rng, photo, surface)
    surface *= 1 - pixels[..., 3:]
    surface += pixels[..., :3] * light


def inside(patch: Patch, size: int) -> tuple[slice, slice]:
    """The rows and columns of a photo that a patch covers."""
    height, width = patch.mask.shape
    rows = slice(max(patch.top, 0), min(patch.top + height, size))
    return rows, slice(max(patch.left, 0), min(patch.left + width, size))


def _softened(rng: Generator, pixels: np.ndarray) -> np.ndarray:
    """Blurred by up to a pixel, small prints less."""
    if rng.random() < 0.4:
        return pixels
    most = min(1.1, min(pixels.shape[:2]) / 40)
    return cv2.GaussianBlur(pixels, (0, 0), max(0.2, rng.uniform(0.3, 1) * most))


def _light(rng: Generator, photo: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """The light on a print ``(h, w, 1)``: as on the surface around it, with a slope of its own."""
    height, width = surface.shape[:2]
    coarse = cv2.resize(surface, (5, 5), interpolation=cv2.INTER_AREA) @ LUMA
    share = rng.uniform(0, 0.5)
    light = ((coarse + 0.1) / (coarse.mean() + 0.1)) ** share
    axis = np.linspace(-1, 1, 5)
    slope_x, slope_y = rng.normal(0, 0.1, 2)
    light = light.clip(0.6, 1.4) * (1 + slope_x * axis + slope_y * axis[:, None])
    light *= 0.75 + 0.25 * min(1.0, 2 * float(photo[::8, ::8].mean()))
    return cv2.resize(light.astype(np.float32), (width, height))[..., None]


# -- surfaces ---------------------------------------------------------------------------------


def surface(rng: Generator, photos: Sequence[Pixels], width: int, height: int) -> np.ndarray:
    """Something to put marks on ``(height, width, 3)``: a part of a photo, or drawn."""
    if len(photos) and rng.random() > DRAWN:
        return _part(rng, photos[int(rng.integers(len(photos)))], width, height)
    chance = rng.random(3)
    drawn = _gradient(rng, width, height)
    if chance[0] < 0.3:
        drawn += _stripes(rng, width, height)
    if chance[1] < 0.75:
        _clutter(rng, drawn)
    if chance[2] < 0.6:
        drawn += _grain(rng, width, height)
    return drawn.clip(0, 1)


def _part(rng: Generator, photo: Pixels, width: int, height: int) -> np.ndarray:
    """A part of a photo ``(H, W, 3)`` uint8, maybe mirrored."""
    tall, wide = photo.shape[:2]
    stretch = math.exp(rng.uniform(-0.15, 0.15))
    scale = rng.uniform(0.45, 1) * min(wide / (width * stretch), tall / (height / stretch))
    columns = max(1, min(wide, round(width * stretch * scale)))
    rows = max(1, min(tall, round(height / stretch * scale)))
    left, top = rng.integers(wide - columns + 1), rng.integers(tall - rows + 1)
    part = photo[top : top + rows, left : left + columns]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    how = cv2.INTER_AREA if columns > width else cv2.INTER_LINEAR
    return cv2.resize(part, (width, height), interpolation=how).astype(np.float32) / 255


def _gradient(rng: Generator, width: int, height: int) -> np.ndarray:
    """One colour, or two that blend from corner to corner."""
    colours = [rng.choice([pale(rng), dark(rng), vivid(rng), _dull(rng)]) for _ in range(2)]
    share = rng.choice([0.0, 0.3, 1.0])
    corners = np.array(
        [colours[0] + share * rng.random() * (colours[1] - colours[0]) for _ in "four"]
    )
    return cv2.resize(corners.reshape(2, 2, 3).astype(np.float32), (width, height))


def _dull(rng: Generator) -> np.ndarray:
    """A colour of walls, streets and cloth, ``(3,)``."""
    return (rng.uniform(0.15, 0.85) + rng.uniform(-0.1, 0.1, 3)).clip(0, 1).astype(np.float32)


def _stripes(rng: Generator, width: int, height: int) -> np.ndarray:
    """Stripes in one direction or two, as of planks, tiles and cloth ``(height, width, 1)``."""
    angle = rng.choice([0, math.pi / 2, rng.uniform(0, math.pi)])
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    total = np.zeros((height, width), np.float32)
    for turn in (angle, angle + math.pi / 2)[: rng.integers(1, 3)]:
        period = rng.uniform(0.03, 0.3) * max(width, height)
        place = (
            x * np.float32(math.cos(turn) / period) + y * np.float32(math.sin(turn) / period)
        ) % 1
        total[place < rng.choice([0.06, 0.5])] += rng.uniform(-0.2, 0.2)
    return total[..., None]


def _clutter(rng: Generator, surface: np.ndarray) -> None:
    """Draws shapes, lines and letters on a surface, large ones first, in place."""
    height, width = surface.shape[:2]
    reaches = np.exp(rng.uniform(math.log(0.03), math.log(0.8), rng.integers(2, 16)))
    for reach in max(width, height) * np.sort(reaches)[::-1]:
        colour = rng.choice([pale(rng), dark(rng), vivid(rng), _dull(rng), _dull(rng)]).tolist()
        place = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        angle = 0.0 if rng.random() < 0.5 else rng.uniform(0, 180)
        box = place, (reach, reach * rng.uniform(0.1, 1)), angle
        kind = rng.integers(4)
        if kind == 0:
            cv2.ellipse(surface, box, colour, cv2.FILLED, cv2.LINE_AA)
        elif kind == 1:
            _letters(rng, surface, place, reach, colour)
        elif kind == 2:
            cv2.fillPoly(surface, [cv2.boxPoints(box).astype(np.int32)], colour, cv2.LINE_AA)
        else:
            start, _, end, _ = cv2.boxPoints(box).astype(int).tolist()
            cv2.line(surface, start, end, colour, int(rng.integers(1, 7)), cv2.LINE_AA)


def _letters(
    rng: Generator, surface: np.ndarray, place: tuple[float, float], width: float, colour: Any
) -> None:
    text = "".join(rng.choice(list(LETTERS), rng.integers(2, 10)))
    scale = max(0.3, width / 20 / len(text))
    thick, font = max(1, round(scale * rng.uniform(1, 4))), int(rng.choice(FONTS))
    cv2.putText(
        surface, text, (int(place[0]), int(place[1])), font, scale, colour, thick, cv2.LINE_AA
    )


def _grain(rng: Generator, width: int, height: int) -> np.ndarray:
    """Blotches or streaks ``(height, width, 1)``, of some pixels or of some dozen."""
    total = np.zeros((height, width), np.float32)
    for cells in (rng.integers(3, 10, 2), rng.integers(10, 160, 2)):
        blotches = rng.standard_normal(cells, np.float32) * np.float32(rng.uniform(0, 0.05))
        total += cv2.resize(blotches, (width, height), interpolation=cv2.INTER_LINEAR)
    return total[..., None]


# -- the photograph ---------------------------------------------------------------------------


def photograph(rng: Generator, scene: np.ndarray) -> Pixels:
    """Exposes, blurs, grains and compresses a scene; returns ``(S, S, 3)`` uint8."""
    size = scene.shape[0]
    chance = rng.random(5)
    if chance[0] < 0.6:
        scene = _exposed(rng, scene)
    if chance[1] < 0.25:
        scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.3, 1.3) * size / 320)
    elif chance[1] < 0.4:
        small = round(size * rng.uniform(0.4, 0.85))
        scene = cv2.resize(scene, (small, small), interpolation=cv2.INTER_AREA)
        scene = cv2.resize(scene, (size, size), interpolation=cv2.INTER_LINEAR)
    if chance[2] < 0.4:
        scene = scene + _noise(rng, size)
    pixels = (scene * 255).clip(0, 255).astype(np.uint8)
    if chance[3] < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 92))]
        _, data = cv2.imencode(".jpg", pixels, quality)
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return pixels


def _exposed(rng: Generator, scene: np.ndarray) -> np.ndarray:
    """Other brightness, contrast, white balance and saturation."""
    gains = rng.uniform(0.75, 1.2) * rng.uniform(0.93, 1.07, 3)
    offset = rng.uniform(-0.08, 0.08)
    colour = rng.choice([0.0, 0.6, 1.0, 1.0, 1.0, 1.2], p=[0.04, 0.24, 0.18, 0.18, 0.18, 0.18])
    mix = np.diag(gains * colour) + (1 - colour) * np.outer(gains, LUMA)
    return cv2.transform(scene, np.column_stack([mix, [offset] * 3]).astype(np.float32))


def _noise(rng: Generator, size: int) -> np.ndarray:
    """The grain of a sensor ``(S, S, 1)``."""
    return rng.standard_normal((size, size, 1), np.float32) * np.float32(rng.uniform(0.005, 0.035))
