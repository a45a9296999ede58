"""How marks are printed: in their own colours, in one, inverted, by themselves or on a plate.

Which colours are possible depends on what is behind: a mark that nobody could see is never printed.
What the mark itself covers, without its plate, is known to the pixel.

Colours and alphas lie between 0 and 1, and colours are premultiplied: they have been multiplied by
alpha. So to print in other colours is a linear map of red, green, blue and alpha, an *ink* ``(4,
4)``. Lengths are pixels unless said otherwise. A `numpy.random.Generator` is the only source of
chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from marketorch.data.images.dataset import Pixels

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LEAST = 12  # pixels of the shorter side of a mark that is cut out of a photo
RIM = 0.12  # width of what is cut out around it, as a share of that side
RAISED = 0.12  # share of the marks that are a relief
CONTRAST = 0.27  # of a mark that is seen well, see `contrast`
LEGIBLE = 0.8  # share of a mark that must have that contrast with what is behind it
OWN = np.eye(4, dtype=np.float32)  # the ink that changes nothing
WHITE, BLACK = np.ones(3, np.float32), np.zeros(3, np.float32)
Ink = np.ndarray


@dataclass(frozen=True, eq=False)
class Cutout:
    """A mark that is ready to be printed.

    Args:
        levels: ``(h, w, 4)`` uint8, premultiplied, each half as long as the one before.
        colours: some of its colours ``(n, 4)``, opaque; one, if all of it has that colour.
        core: where the mark is in the picture, as shares left, top, right, bottom. A mark cut out
            of a photo has a rim of what was around it, and is not printed in other colours.
    """

    levels: list[Pixels]
    colours: np.ndarray
    core: tuple[float, float, float, float] | None = None

    @property
    def aspect(self) -> float:
        """Width by height."""
        height, width = self.levels[0].shape[:2]
        return width / height

    def at(self, width: int, height: int) -> np.ndarray:
        """The mark in this size, float32 ``(height, width, 4)``."""
        large = [x for x in self.levels if x.shape[0] >= height and x.shape[1] >= width]
        level = large[-1] if large else self.levels[0]
        how = cv2.INTER_AREA if large else cv2.INTER_LINEAR
        return cv2.resize(level, (width, height), interpolation=how).astype(np.float32) / 255


def cut_out(pixels: Pixels) -> Cutout:
    """Makes a mark ``(H, W, 4)`` uint8, alpha last, ready to be printed."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    levels = [np.concatenate([pixels[..., :3] * alpha, pixels[..., 3:]], 2).round().astype("u1")]
    while min(levels[-1].shape[:2]) >= 8 and max(levels[-1].shape[:2]) >= 24:
        height, width = levels[-1].shape[:2]
        half = (width // 2, height // 2)
        levels.append(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA))
    flat = levels[-1].reshape(-1, 4).astype(np.float32)
    dense = flat[flat[:, 3] >= 0.5 * flat[:, 3].max()]
    colours = (dense / dense[:, 3:])[:: max(1, len(dense) // 64)]
    if colours.std(0).max() < 0.06:
        colours = colours.mean(0, keepdims=True)
    return Cutout(levels, colours)


def cut_from(photo: Pixels, box: tuple[float, float, float, float], size: int) -> Cutout | None:
    """Cuts a mark out of a photo ``(H, W, 3)`` with a soft rim; None if it is too small to use.

    Args:
        box: x1, y1, x2, y2 in pixels of the photo.
        size: pixels that the cutout is long at most.
    """
    x1, y1, x2, y2 = box
    if min(x2 - x1, y2 - y1) < LEAST:
        return None
    rim = RIM * min(x2 - x1, y2 - y1)
    left, top = max(0, int(x1 - rim)), max(0, int(y1 - rim))
    part = photo[top : math.ceil(y2 + rim), left : math.ceil(x2 + rim)]
    height, width = part.shape[:2]
    away = [np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) for n in (height, width)]
    alpha = np.minimum(np.minimum.outer(*away) / rim, 1)
    pixels = np.dstack([part, alpha * 255]).astype(np.uint8)
    if (scale := size / max(height, width)) < 1:
        extent = round(width * scale), round(height * scale)
        pixels = cv2.resize(pixels, extent, interpolation=cv2.INTER_AREA)
    core = (x1 - left) / width, (y1 - top) / height, (x2 - left) / width, (y2 - top) / height
    return replace(cut_out(pixels), core=core)


# -- colours ----------------------------------------------------------------------------------


def behind(surface: np.ndarray) -> np.ndarray:
    """The colours ``(36, 3)`` that are behind a mark on a part of a photo ``(h, w, 3)``."""
    return cv2.resize(surface, (6, 6), interpolation=cv2.INTER_AREA).reshape(-1, 3)


def contrast(colours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How well colours ``(n, 3)`` are told from others ``(m, 3)``: 0 not at all, 1 white on black.

    Luminance tells most: two colours of the same luminance are hard to read on one another.

    Returns:
        ``(n, m)``.
    """
    apart = colours[:, None] - others
    return np.maximum(np.abs(apart @ LUMA), 0.6 * np.sqrt((apart**2).mean(-1)))


def legible(cutout: Cutout, ink: Ink, back: np.ndarray) -> bool:
    """Whether a mark in this ink is seen on the colours ``(m, 3)`` behind it."""
    colours = (cutout.colours @ ink.T)[:, :3].clip(0, 1)
    return bool((contrast(colours, back) > CONTRAST).mean() >= LEGIBLE)


def vivid(rng: Generator) -> np.ndarray:
    """A colour such as brands have, ``(3,)``."""
    hue, strength, value = rng.random(), rng.uniform(0.6, 1), rng.uniform(0.35, 1)
    wheel = np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1
    return (value * (1 - strength + strength * wheel.clip(0, 1))).astype(np.float32)


def pale(rng: Generator) -> np.ndarray:
    """White or nearly, ``(3,)``."""
    return (rng.uniform(0.85, 1) + rng.uniform(-0.04, 0.04, 3)).clip(0, 1).astype(np.float32)


def dark(rng: Generator) -> np.ndarray:
    """Black or nearly, ``(3,)``."""
    return rng.uniform(0, 0.16, 3).astype(np.float32)


def one_colour(colour: np.ndarray) -> Ink:
    """All of the mark in one colour."""
    return two_colours(colour, colour)


def two_colours(low: np.ndarray, high: np.ndarray) -> Ink:
    """What is dark in the mark in one colour, what is light in it in the other."""
    ink = np.zeros((4, 4), np.float32)
    ink[:3, :3] = np.outer(high - low, LUMA)
    ink[:3, 3] = low
    ink[3, 3] = 1
    return ink


def inverted() -> Ink:
    """Light for dark, and each colour's opposite."""
    ink = -OWN
    ink[:, 3] = 1
    return ink


def tinted(rng: Generator) -> Ink:
    """The mark's own colours, a little changed as by print and light."""
    ink = OWN.copy()
    ink[[0, 1, 2], [0, 1, 2]] = rng.uniform(0.8, 1.1, 3)
    ink[:3, 3] = rng.uniform(0, 0.08)
    return ink


def choose_ink(rng: Generator, cutout: Cutout, back: np.ndarray) -> Ink | None:
    """An ink in which the mark is seen on the colours ``(m, 3)`` behind it; None: there is none."""
    inks = [tinted(rng), tinted(rng)]
    if len(cutout.colours) == 1:
        inks += [one_colour(pale(rng)), one_colour(dark(rng)), one_colour(vivid(rng))]
    else:  # in one colour, what is inside the mark would be lost
        low, high = sorted((vivid(rng), pale(rng) if rng.random() < 0.5 else dark(rng)), key=_luma)
        inks += [inverted(), two_colours(low, high), two_colours(high, low)]
    order = rng.permutation(len(inks))
    return next((inks[i] for i in order if legible(cutout, inks[i], back)), None)


def _luma(colour: np.ndarray) -> float:
    return float(colour @ LUMA)


# -- the print --------------------------------------------------------------------------------


class Plate(NamedTuple):
    """What a mark stands on; lengths are shares of the mark's shorter side.

    Args:
        shape: ``none``, ``contour`` (the mark's own outline, its holes filled) or ``board``.
        across, down: margins beside and above the mark.
        corner: radius of a board's corners.
        rim: width of a board's edge in another colour.
    """

    shape: str
    across: float = 0.05
    down: float = 0.05
    corner: float = 0.0
    rim: float = 0.0


def choose_plate(rng: Generator, aspect: float, shape: str) -> Plate:
    """A plate of a shape of `Plate`, or a ``disc``."""
    if shape == "disc":
        width, height = max(aspect, 1.0), max(1 / aspect, 1.0)
        side = math.hypot(width, height) * rng.uniform(1.0, 1.3)
        across, down = (side - width) / 2, (side - height) / 2
        return Plate("board", across, down, 2.0, rng.choice([0, 0.06]))
    if shape == "contour":
        margin = rng.choice([0.02, rng.uniform(0.04, 0.12)])
        return Plate(shape, margin, margin)
    if shape == "board":
        margin = rng.uniform(0.1, 0.7)
        corner = rng.choice([0.0, rng.uniform(0.05, 0.5), 2.0])
        sides = rng.uniform(0.7, 1.5), rng.uniform(0.7, 1.5)
        return Plate(shape, margin * sides[0], margin * sides[1], corner, rng.choice([0, 0, 0.05]))
    return Plate("none")


class Print(NamedTuple):
    """A mark with all that belongs to it, before it is seen from anywhere.

    Args:
        pixels: ``(h, w, 4)`` float32.
        mask: the alpha of the mark alone ``(h, w)``.
    """

    pixels: np.ndarray
    mask: np.ndarray


def margins(plate: Plate, width: int, height: int) -> tuple[int, int]:
    """Pixels of a print beside and above the mark, whose size is given, on either side."""
    short = min(width, height)
    return math.ceil(plate.across * short) + 2, math.ceil(plate.down * short) + 2


def make_print(
    rng: Generator, cutout: Cutout, width: int, height: int, plate: Plate, back: np.ndarray
) -> Print | None:
    """Prints a mark in this size on its plate; None if nobody could see it."""
    across, down = margins(plate, width, height)
    mark = _framed(cutout.at(width, height), across, down)
    if cutout.core:
        return Print(_inked(mark, tinted(rng)), _core(cutout, width, height, across, down))
    colour = None
    if plate.shape != "none":
        colour = _plate_colour(rng, cutout)
        if plate.shape == "contour" and contrast(colour[None], back).mean() < CONTRAST:
            return None
        back = colour[None]
    ink = choose_ink(rng, cutout, back)
    if ink is None:
        return None
    pixels = _inked(mark, ink)
    if rng.random() < RAISED:
        pixels = _raised(rng, pixels)
    if colour is not None:
        cover = _cover(mark[..., 3], plate, across, down)
        pixels = _over(pixels, _painted(rng, cover, colour, plate.rim * min(width, height)))
    return Print(pixels, mark[..., 3])


def _framed(pixels: np.ndarray, across: int, down: int) -> np.ndarray:
    """With transparent margins."""
    return cv2.copyMakeBorder(pixels, down, down, across, across, cv2.BORDER_CONSTANT, value=0)


def _inked(pixels: np.ndarray, ink: Ink) -> np.ndarray:
    printed = cv2.transform(pixels, ink)
    return np.clip(printed, 0, pixels[..., 3:], out=printed)


def _over(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return upper + lower * (1 - upper[..., 3:])


def _core(cutout: Cutout, width: int, height: int, across: int, down: int) -> np.ndarray:
    """The mask of a mark that was cut out of a photo: its box there."""
    assert cutout.core is not None
    left, top, right, bottom = (np.array(cutout.core) * ([width, height] * 2)).round().astype(int)
    mask = np.zeros((height + 2 * down, width + 2 * across), np.float32)
    mask[down + top : down + bottom, across + left : across + right] = 1
    return mask


def _raised(rng: Generator, pixels: np.ndarray) -> np.ndarray:
    """The mark as a relief: the edges towards the light are lighter, the others darker."""
    step = max(1, round(min(pixels.shape[:2]) * 0.02))
    x, y = rng.choice([-step, step]), step
    alpha = pixels[..., 3]
    slope = np.roll(alpha, (y, x), (0, 1)) - np.roll(alpha, (-y, -x), (0, 1))
    lit = pixels[..., :3] - (slope * alpha * rng.uniform(0.15, 0.4))[..., None]
    return np.dstack([lit.clip(0, alpha[..., None]), alpha])


def _cover(alpha: np.ndarray, plate: Plate, across: int, down: int) -> np.ndarray:
    """What a plate covers ``(h, w)``, its distance inwards from its edge in pixels."""
    height, width = alpha.shape
    if plate.shape == "contour":
        outline = (alpha > 0.5).astype(np.uint8)
        shapes, _ = cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(outline, shapes, -1, 1, cv2.FILLED)
        away = cv2.distanceTransform(1 - outline, cv2.DIST_L2, 3)
        return min(across, down) - 1.5 - away
    half = width / 2 - 1, height / 2 - 1
    corner = min(plate.corner * (min(height, width) - 2 * min(across, down)), *half)
    x = np.abs(np.arange(width) + 0.5 - width / 2) - half[0] + corner
    y = np.abs(np.arange(height) + 0.5 - height / 2) - half[1] + corner
    outside = np.hypot(x.clip(0)[None], y.clip(0)[:, None])
    inside = np.minimum(np.maximum(x[None], y[:, None]), 0)
    return (corner - outside - inside).astype(np.float32)


def _plate_colour(rng: Generator, cutout: Cutout) -> np.ndarray:
    """Most plates are pale; some are dark, vivid, or have the colour of the mark."""
    draw = rng.random()
    if draw < 0.4:
        return pale(rng)
    if draw < 0.6:
        return dark(rng)
    return vivid(rng) if draw < 0.8 else cutout.colours[0, :3]


def _painted(rng: Generator, inwards: np.ndarray, colour: np.ndarray, rim: float) -> np.ndarray:
    """A plate ``(h, w, 4)`` of a colour, with an edge of another one where ``rim`` is not 0."""
    edge = rng.choice([WHITE, BLACK, vivid(rng)]) if rim else colour
    alpha = (inwards + 0.5).clip(0, 1)
    paint = alpha[..., None] * np.array([*edge, 1], np.float32)
    if rim:
        middle = (inwards + 0.5 - rim).clip(0, 1)
        paint[..., :3] += middle[..., None] * (colour - edge)
    return paint
