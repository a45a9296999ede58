"""Trees and grass: a lawn with a path or a pond, or the inside of a wood, in any season."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from marketorch.data.synthetic.drawn_settings.canvas import Canvas
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    GREENS,
    WOODS,
    Colour,
    mixed,
    shade,
    varied,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.light import HOURS, NIGHT, sky
from marketorch.data.synthetic.drawn_settings.people import people
from marketorch.data.synthetic.drawn_settings.plants import BARKS, bush, fir, tree

PATHS: tuple[Colour, ...] = ((206, 190, 160), (170, 166, 160), (150, 120, 92))
BIRCH: Colour = (206, 204, 196)


class Season(NamedTuple):
    """Colours of leaves (none: bare trees) and of the ground."""

    leaves: tuple[Colour, ...]
    ground: Colour


SUMMER = Season(GREENS, (104, 146, 62))
SPRING = Season(((140, 180, 80), (236, 176, 196), (244, 226, 232)), (128, 172, 82))
AUTUMN = Season(((206, 122, 42), (184, 70, 40), (222, 178, 62), (120, 110, 50)), (150, 130, 72))
WINTER = Season((), (226, 230, 236))
SEASONS = (SUMMER, SUMMER, SUMMER, SPRING, AUTUMN, WINTER)


def park(canvas: Canvas, rng: Random) -> None:
    """Draws a park or a wood."""
    hour, season, horizon = rng.choice(HOURS), rng.choice(SEASONS), rng.uniform(0.35, 0.6)
    if rng.random() < 0.35:
        _wood(canvas, rng, season)
    else:
        sky(canvas, rng, hour, horizon)
        _lawn(canvas, rng, season, horizon)
    canvas.lit(hour.light)
    for _ in range(rng.randint(1, 3) if hour is NIGHT else 0):
        x, y = rng.random(), rng.uniform(0.25, 0.5)
        canvas.line([(x, y), (x, y + 0.35)], 0.012, BLACK)
        canvas.ellipse(x, y, 0.02, 0.02, (255, 236, 180))
        canvas.glow(x, y, rng.uniform(0.15, 0.3), (120, 100, 50))


# -- a lawn -----------------------------------------------------------------------------------


def _lawn(canvas: Canvas, rng: Random, season: Season, horizon: float) -> None:
    """Grass before the edge of a wood, with single trees, a bench and people."""
    ground = varied(rng, season.ground)
    canvas.fade(horizon, 1, shade(ground, 0.85), shade(ground, 1.08))
    canvas.mottle(rng, (0, horizon, 1, 1), (28, 28), rng.uniform(0.1, 0.25))
    x = -0.1
    while x < 1.1:
        _planted(canvas, rng, season, x, horizon + 0.03, rng.uniform(0.15, 0.35))
        x += rng.uniform(0.05, 0.2)
    kind = rng.random()
    if kind < 0.5:
        _path(canvas, rng, horizon)
    elif kind < 0.75:
        _pond(canvas, rng, horizon, ground)
    for y in sorted(rng.uniform(horizon + 0.08, 1.0) for _ in range(rng.randint(1, 4))):
        x, size = rng.random(), 0.3 + 0.8 * (y - horizon) / (1 - horizon)
        shadow = ((-0.25, 0), (-0.1, 0.06), (0.15, 0.06), (0.25, 0), (0.1, -0.06), (-0.15, -0.06))
        canvas.blend([(x + a * size, y + b * size) for a, b in shadow], BLACK, 0.35)
        _planted(canvas, rng, season, x, y, size)
    if rng.random() < 0.45:
        x, y = rng.uniform(0.15, 0.8), rng.uniform(horizon + 0.15, 0.95)
        _bench(canvas, rng, x, y, rng.uniform(0.2, 0.4))
    people(canvas, rng, horizon + 0.08, 0.95, rng.uniform(0.2, 0.45), rng.choice((0, 1, 2, 5)))
    for _ in range(25 if season is SPRING or rng.random() < 0.15 else 0):  # flowers
        y = rng.uniform(horizon + 0.1, 1)
        canvas.ellipse(rng.random(), y, 0.005 + 0.012 * y, 0.005 + 0.01 * y, vivid(rng))


def _planted(
    canvas: Canvas, rng: Random, season: Season, x: float, y: float, height: float
) -> None:
    """A tree or a bush as it is in that season."""
    kind, leaf = rng.random(), varied(rng, rng.choice(season.leaves)) if season.leaves else None
    if kind < 0.2:
        fir(canvas, rng, x, y, height)
    elif kind < 0.4 and leaf:
        bush(canvas, rng, x, y - 0.15 * height, 0.25 * height, leaf)
    else:
        tree(canvas, rng, x, y, height, leaf)


def _path(canvas: Canvas, rng: Random, horizon: float) -> None:
    """A path that winds away."""
    end, low = rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.9)
    x, y = (end + low) / 2 + rng.uniform(-0.2, 0.2), horizon + 0.3 * (1 - horizon)
    left = [(end - 0.01, horizon + 0.02), (x - 0.06, y), (low - 0.25, 1.05)]
    right = [(low + 0.25, 1.05), (x + 0.06, y), (end + 0.01, horizon + 0.02)]
    canvas.polygon([*left, *right], rng.choice(PATHS))


def _pond(canvas: Canvas, rng: Random, horizon: float, ground: Colour) -> None:
    x, y, half = rng.random(), rng.uniform(horizon + 0.1, 0.8), rng.uniform(0.25, 0.5)
    canvas.ellipse(x, y, half + 0.015, 0.27 * half + 0.015, shade(ground, 0.6))
    canvas.ellipse(x, y, half, 0.27 * half, varied(rng, (104, 140, 160), 25))
    canvas.line([(x - 0.5 * half, y), (x + 0.2 * half, y)], 0.008, (190, 210, 220))


def _bench(canvas: Canvas, rng: Random, x: float, y: float, width: float) -> None:
    wood = varied(rng, rng.choice((*WOODS, (70, 110, 80))))
    for leg in (x - 0.42 * width, x + 0.42 * width):
        canvas.line([(leg, y), (leg, y - 0.45 * width)], 0.05 * width, BLACK)
    for up in (0.22, 0.34, 0.44):
        plank = x - width / 2, y - up * width, x + width / 2, y - (up - 0.07) * width
        canvas.box(*plank, wood)


# -- a wood -----------------------------------------------------------------------------------


def _wood(canvas: Canvas, rng: Random, season: Season) -> None:
    """Trunks behind trunks, leaves above and below, and often a path between them."""
    ground, far = varied(rng, season.ground), rng.uniform(0.45, 0.65)
    leaves = season.leaves or ((190, 196, 204), (160, 164, 170))
    haze = mixed(rng.choice(leaves), (226, 232, 214), rng.uniform(0.3, 0.8))
    canvas.fade(0, far, shade(haze, rng.uniform(0.6, 1.0)), haze)
    canvas.mottle(rng, (0, 0, 1, far), (10, 10), 0.3)
    canvas.fade(far, 1, shade(ground, 0.7), ground)
    canvas.mottle(rng, (0, far, 1, 1), (30, 24), 0.25)
    if rng.random() < 0.6:
        end, low = rng.uniform(0.35, 0.65), rng.uniform(0.3, 0.7)
        near = [(low - 0.25, 1.05), (low + 0.25, 1.05)]
        canvas.polygon([(end - 0.02, far), *near, (end + 0.02, far)], varied(rng, PATHS[2]))
    bark = rng.choice((*BARKS, BIRCH))
    for y in sorted(rng.uniform(far, 1.1) for _ in range(rng.randint(8, 16))):
        near_by = (y - far) / (1.1 - far)
        colour = mixed(haze, varied(rng, bark), 0.35 + 0.65 * near_by)
        _trunk(canvas, rng.random(), y, 0.015 + 0.09 * near_by**1.5, colour)
    for _ in range(rng.randint(3, 9)):
        y = rng.choice((rng.uniform(-0.05, 0.2), rng.uniform(far, 1.05)))
        leaf = varied(rng, rng.choice(leaves))
        bush(canvas, rng, rng.random(), y, rng.uniform(0.06, 0.18), leaf)
    people(canvas, rng, far + 0.05, 0.95, rng.uniform(0.3, 0.5), rng.choice((0, 0, 1, 2)))


def _trunk(canvas: Canvas, x: float, y: float, wide: float, colour: Colour) -> None:
    """A trunk that reaches over the upper edge, darker on one side."""
    top = [(x - 0.4 * wide, -0.1), (x + 0.4 * wide, -0.1)]
    canvas.polygon([*top, (x + 0.6 * wide, y), (x - 0.6 * wide, y)], colour)
    dark = [(x - 0.3 * wide, 0), (x - 0.45 * wide, y)]
    canvas.line(dark, 0.25 * wide, shade(colour, 0.7))
