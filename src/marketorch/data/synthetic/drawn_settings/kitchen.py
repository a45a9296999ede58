"""Cupboards, a worktop, a stove: from the front, in a corner, or the hob from above."""

from __future__ import annotations

import itertools
import math
from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Box, Canvas, Space
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    MAPLE,
    METAL,
    WHITE,
    WOODS,
    Colour,
    muted,
    shade,
    tint,
    varied,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.light import ROOMS, is_dim, lamp_light
from marketorch.data.synthetic.drawn_settings.things import (
    chair,
    mark,
    pendant,
    product,
    products,
    window,
)

CREAM: Colour = (206, 204, 198)
SLATE: Colour = (58, 62, 68)
BRASS: Colour = (190, 160, 90)
COUNTERS = (*WOODS, CREAM, BLACK)


def kitchen(canvas: Canvas, rng: Random) -> None:
    """Draws a kitchen."""
    light, kind = rng.choice(ROOMS), rng.random()
    if kind < 0.55:
        _front(canvas, rng, is_dim(light))
    elif kind < 0.82:
        _corner(canvas, rng, is_dim(light))
    else:
        _hob(canvas, rng)
    lamp_light(canvas, rng, light)


def _door_colour(rng: Random) -> Colour:
    return varied(rng, rng.choice((WHITE, WHITE, CREAM, *WOODS[:2], muted(rng), SLATE)))


# -- from the front ---------------------------------------------------------------------------


def _front(canvas: Canvas, rng: Random, dark: bool) -> None:
    """A wall of cupboards with a stove under a hood or a window."""
    wall, doors, y = muted(rng), _door_colour(rng), rng.uniform(0.5, 0.68)
    left = rng.uniform(0.1, 0.6)
    right, upper = left + rng.uniform(0.22, 0.4), rng.uniform(0.22, 0.36)
    canvas.box(0, 0, 1, 1, wall)
    _tiles(canvas, rng, (0, 0.2, 1, y), varied(rng, shade(wall, 1.1)))
    if rng.random() < 0.75:
        for box in ((0, -0.05, left, upper), (right, -0.05, 1, upper)):
            _doors(canvas, rng, box, doors, below=False)
    else:
        for shelf in (0.16, 0.34):
            canvas.box(0, shelf, 1, shelf + 0.02, rng.choice(WOODS))
            products(canvas, rng, 0, 1, shelf, 0.11)
    if rng.random() < 0.5:
        window(canvas, rng, (left + 0.02, 0.05, right - 0.02, y - 0.1), WHITE, dark)
    else:
        _hood(canvas, rng, (left + right) / 2, upper, (right - left) / 2)
    products(canvas, rng, 0.02, 1, y, 0.17)
    lower = doors if rng.random() < 0.7 else _door_colour(rng)
    _doors(canvas, rng, (0, y + 0.03, 1, 0.97), lower, below=True)
    canvas.box(0, y, 1, y + 0.04, rng.choice(COUNTERS))
    canvas.box(0, 0.94, 1, 1, BLACK)
    _stove(canvas, rng, (left + 0.02, y, right - 0.02, 0.95))
    if rng.random() < 0.35:
        x = rng.choice((-0.04, 0.78))
        _fridge(canvas, rng, (x, 0.08, x + 0.26, 0.97))
    for x in (0.25, 0.5, 0.75) if rng.random() < 0.3 else ():
        pendant(canvas, rng, x, rng.uniform(0.2, 0.3), 0.07)


def _tiles(canvas: Canvas, rng: Random, box: Box, colour: Colour) -> None:
    """A tiled wall; in one kitchen of three it is plain."""
    left, top, right, bottom = box
    canvas.box(*box, colour)
    joint, high = shade(colour, rng.choice((0.82, 1.2))), rng.uniform(0.045, 0.09)
    wide = high * rng.choice((1, 2))
    if rng.random() < 0.33:
        return
    for number in range(1, int((bottom - top) / high) + 1):
        y = bottom - number * high
        canvas.line([(left, y), (right, y)], 0, joint)
    for number in range(int((right - left) / wide) + 1):
        x = left + number * wide
        canvas.line([(x, top), (x, bottom)], 0, joint)


def _doors(canvas: Canvas, rng: Random, box: Box, colour: Colour, *, below: bool) -> None:
    """Cupboard doors side by side with their handles; below the worktop some are drawers."""
    left, top, right, bottom = box
    number = max(1, round((right - left) / rng.uniform(0.14, 0.24)))
    wide, handle = (right - left) / number, rng.choice((METAL, BLACK, BRASS))
    canvas.box(*box, shade(colour, 0.6))
    for place in range(number):
        a, b = left + place * wide + 0.006, left + (place + 1) * wide - 0.006
        rows = rng.choice((1, 3)) if below else 1
        for row in range(rows):
            c = top + (bottom - top) * row / rows + 0.006
            d = top + (bottom - top) * (row + 1) / rows - 0.006
            canvas.box(a, c, b, d, colour)
            y = c + 0.04 if below else d - 0.09
            upright, level = [(b - 0.03, y), (b - 0.03, y + 0.06)], [(a + 0.04, y), (b - 0.04, y)]
            canvas.line(upright if rows == 1 else level, 0.014, handle)


def _hood(canvas: Canvas, rng: Random, x: float, y: float, half: float) -> None:
    colour, wide, pipe = rng.choice((METAL, METAL, BLACK, WHITE)), 0.9 * half, 0.3 * half
    canvas.box(x - pipe, 0, x + pipe, y, shade(colour, 0.85))
    top = [(x + pipe, y - 0.1), (x - pipe, y - 0.1)]
    canvas.polygon([(x - wide, y), (x + wide, y), *top], colour)
    canvas.box(x - wide, y, x + wide, y + 0.03, shade(colour, 0.7))


def _stove(canvas: Canvas, rng: Random, box: Box) -> None:
    """A stove with an oven and, most times, a pot on it."""
    left, top, right, bottom = box
    x, half, front = (left + right) / 2, (right - left) / 2, rng.choice((METAL, BLACK, WHITE))
    canvas.box(*box, front)
    canvas.box(left, top, right, top + 0.025, BLACK)
    for knob in (x + half * share for share in (-0.66, -0.22, 0.22, 0.66)):
        canvas.ellipse(knob, top + 0.055, 0.013, 0.013, METAL if front == BLACK else SLATE)
    canvas.box(x - 0.8 * half, top + 0.11, x + 0.8 * half, bottom - 0.07, (34, 34, 40))
    canvas.line([(x - 0.75 * half, top + 0.1), (x + 0.75 * half, top + 0.1)], 0.016, METAL)
    if rng.random() < 0.8:
        _pot(canvas, rng, x + rng.uniform(-0.3, 0.3) * half, top, rng.uniform(0.06, 0.1))


def _pot(canvas: Canvas, rng: Random, x: float, y: float, size: float) -> None:
    """A pot with its handles and, at times, steam; ``size`` is half its width."""
    colour, grips = rng.choice((METAL, BLACK, vivid(rng))), y - 0.8 * size
    canvas.box(x - size, y - 1.1 * size, x + size, y, colour)
    canvas.line([(x - 1.4 * size, grips), (x + 1.4 * size, grips)], 0.015, shade(colour, 0.7))
    canvas.ellipse(x, y - 1.15 * size, size, 0.25 * size, shade(colour, 1.2))
    for _ in range(rng.choice((0, 0, 3))):
        steam = x + rng.uniform(-0.05, 0.05), y - rng.uniform(0.15, 0.3)
        canvas.ellipse(*steam, 0.04, 0.03, (226, 226, 226))


def _fridge(canvas: Canvas, rng: Random, box: Box) -> None:
    """A fridge with two doors, and marks stuck on it."""
    left, top, right, bottom = box
    colour, split = rng.choice((WHITE, METAL, vivid(rng))), rng.uniform(top + 0.25, bottom - 0.3)
    canvas.box(*box, colour)
    canvas.line([(left, split), (right, split)], 0.01, shade(colour, 0.5))
    for y in (split - 0.16, split + 0.04):
        canvas.line([(right - 0.04, y), (right - 0.04, y + 0.12)], 0.02, shade(colour, 0.6))
    for _ in range(rng.randint(0, 3)):
        x, y = rng.uniform(left + 0.05, right - 0.08), rng.uniform(top + 0.05, split)
        mark(canvas, rng, x, y, 0.025, vivid(rng))


# -- in a corner ------------------------------------------------------------------------------


def _corner(canvas: Canvas, rng: Random, dark: bool) -> None:
    """Along a row of cupboards, an island or chairs beside it."""
    space = Space(rng.uniform(0.35, 0.7), rng.uniform(0.35, 0.5), ceiling=-0.15, floor=1.15)
    doors, counter, depth = _door_colour(rng), rng.choice(COUNTERS), rng.uniform(1.7, 2.6)
    floor = varied(rng, rng.choice((*WOODS, CREAM, (170, 166, 160))))
    space.room(canvas, depth, wall=muted(rng), floor=floor, ceiling=WHITE)
    left, top, right, bottom = space.facing(0.05, 0, 1, space.floor, depth)
    y = space.at(0, 0.72, depth)[1]
    if rng.random() < 0.6:
        pane = (left + right) / 2, top + 0.06, right - 0.05, y - 0.05
        window(canvas, rng, pane, WHITE, dark)
    _doors(canvas, rng, (left, y, right, bottom), doors, below=True)
    canvas.box(left, y, right, y + 0.025, counter)
    products(canvas, rng, left, right, y, 0.11)
    _cupboards_aside(canvas, rng, space, depth, doors, counter)
    if rng.random() < 0.7:
        _island(canvas, rng, space, doors, counter)
    else:
        for x in (0.5, 0.8):
            chair(canvas, x, 1.0, 0.42, rng.choice((muted(rng), vivid(rng))))


def _cupboards_aside(
    canvas: Canvas, rng: Random, space: Space, depth: float, doors: Colour, counter: Colour
) -> None:
    """Cupboards along the left wall, above and below a worktop."""
    edges = [0.6, 0.85, 1.1, 1.4, 1.8, 2.4, 3.0]
    for near, far in reversed(list(itertools.pairwise(edges))):
        if near < depth:
            far = min(far, depth)
            canvas.polygon(space.aside(0.12, 0.72, 1.1, near, 0.985 * far), shade(doors, 0.9))
            canvas.polygon(space.aside(0, -0.1, 0.3, near, 0.985 * far), shade(doors, 0.95))
            handle = [space.at(0.12, 0.78, 1.06 * near), space.at(0.12, 0.78, 0.93 * far)]
            canvas.line(handle, 0.012, METAL)
    canvas.polygon(space.level(0.72, -0.1, 0.14, 0.6, depth), counter)
    for near in (1.5, 1.15, 0.85):
        product(canvas, rng, *space.at(0.05, 0.72, near), 0.16 / near)


def _island(canvas: Canvas, rng: Random, space: Space, doors: Colour, counter: Colour) -> None:
    """A block with a worktop of its own, under two lamps."""
    near, far, y = rng.uniform(0.85, 1.0), rng.uniform(1.2, 1.4), rng.uniform(0.72, 0.82)
    canvas.box(*space.facing(0.45, y, 1, 1.3, near), shade(doors, 0.8))
    canvas.polygon(space.level(y, 0.42, 1.03, 0.97 * near, far), counter)
    products(canvas, rng, 0.5, 1, space.at(0, y, 1.1)[1], 0.14)
    for x in (0.55, 0.85):
        pendant(canvas, rng, x, rng.uniform(0.18, 0.28), 0.08)


# -- from above -------------------------------------------------------------------------------


def _hob(canvas: Canvas, rng: Random) -> None:
    """A worktop from above: pans on a hob, and a board with vegetables and a knife."""
    canvas.box(0, 0, 1, 1, varied(rng, rng.choice(COUNTERS)))
    canvas.mottle(rng, (0, 0, 1, 1), (rng.choice((4, 40)), 40), 0.12)
    left, top = rng.uniform(-0.1, 0.25), rng.uniform(-0.15, 0.1)
    canvas.box(left, top, left + 0.62, top + 0.68, rng.choice((BLACK, SLATE, METAL)))
    for x in (left + 0.17, left + 0.46):
        for y in (top + 0.18, top + 0.5):
            ring = rng.choice(((110, 110, 114), (200, 60, 30)))
            canvas.ellipse(x, y, 0.115, 0.115, ring)
            canvas.ellipse(x, y, 0.095, 0.095, (30, 30, 34))
            if rng.random() < 0.55:
                _pan(canvas, rng, x, y)
    x, y = rng.uniform(0.65, 0.9), rng.uniform(0.6, 0.9)
    canvas.box(x - 0.28, y - 0.2, x + 0.28, y + 0.2, varied(rng, MAPLE))
    for _ in range(rng.randint(3, 9)):
        colour = tint(rng.choice((0.0, 0.08, 0.3)), 0.8, 0.8)
        place = x + rng.uniform(-0.22, 0.22), y + rng.uniform(-0.14, 0.14)
        canvas.ellipse(*place, 0.035, 0.03, colour)
    tip, grip, end = (x - 0.1, y + 0.12), (x + 0.12, y + 0.1), (x + 0.26, y + 0.09)
    canvas.line([tip, grip], 0.03, (210, 214, 218))
    canvas.line([grip, end], 0.035, BLACK)


def _pan(canvas: Canvas, rng: Random, x: float, y: float) -> None:
    """A pan from above, full or empty."""
    colour, turn = rng.choice((METAL, BLACK, vivid(rng))), rng.uniform(0, 2 * math.pi)
    food = tint(rng.uniform(0, 0.3), 0.7, 0.8)
    handle = x + 0.32 * math.cos(turn), y + 0.32 * math.sin(turn)
    canvas.line([(x, y), handle], 0.04, shade(colour, 0.6))
    canvas.ellipse(x, y, 0.14, 0.14, shade(colour, 1.1))
    canvas.ellipse(x, y, 0.12, 0.12, rng.choice((food, shade(colour, 0.6))))
