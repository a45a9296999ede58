"""Desks with screens: one close by, rows of them, or a table for meetings."""

from __future__ import annotations

from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Canvas, Space
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    METAL,
    OAK,
    WHITE,
    WOODS,
    Colour,
    mixed,
    muted,
    shade,
    tint,
    varied,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.light import BRIGHT_ROOMS, ROOMS, is_dim, lamp_light
from marketorch.data.synthetic.drawn_settings.people import people, person
from marketorch.data.synthetic.drawn_settings.plants import potted
from marketorch.data.synthetic.drawn_settings.things import (
    board,
    ceiling_lamps,
    chair,
    product,
    screen,
    window,
)

PAPER: Colour = (238, 238, 232)
NOTE: Colour = (246, 226, 110)


def office(canvas: Canvas, rng: Random) -> None:
    """Draws an office."""
    light = rng.choice(BRIGHT_ROOMS if rng.random() < 0.8 else ROOMS)
    if rng.random() < 0.4:
        _desk(canvas, rng, is_dim(light))
    else:
        _large_room(canvas, rng, is_dim(light))
    lamp_light(canvas, rng, light)


# -- one desk ---------------------------------------------------------------------------------


def _desk(canvas: Canvas, rng: Random, dark: bool) -> None:
    """One desk before a wall or a window, with all that lies on it."""
    y = rng.uniform(0.58, 0.74)
    canvas.box(0, 0, 1, 1, mixed(muted(rng), WHITE, rng.random()))
    if rng.random() < 0.5:
        left, top = rng.uniform(-0.1, 0.4), rng.uniform(-0.1, 0.1)
        pane = left, top, left + rng.uniform(0.4, 0.9), y - 0.1
        window(canvas, rng, pane, METAL, dark)
    for _ in range(rng.choice((0, 0, 3, 6))):
        x, top = rng.random(), rng.uniform(0.05, 0.35)
        canvas.box(x, top, x + 0.07, top + 0.07, rng.choice((NOTE, WHITE, vivid(rng))))
    wood = varied(rng, rng.choice((WHITE, *WOODS, (206, 204, 198))))
    canvas.box(0, y, 1, 1, wood)
    canvas.box(0, y, 1, y + 0.01, shade(wood, 0.7))
    x = _monitors(canvas, rng, y)
    _keyboard(canvas, rng, x + rng.uniform(-0.05, 0.05), y + rng.uniform(0.07, 0.14))
    for _ in range(rng.randint(0, 2)):
        left, top = rng.uniform(0.05, 0.95), rng.uniform(y + 0.06, 0.95)
        sheet = ((0, 0), (0.16, 0.02), (0.2, 0.12), (0.02, 0.1))
        canvas.polygon([(left + a, top + b) for a, b in sheet], PAPER)
    low = y + rng.uniform(0.06, 0.2)
    product(canvas, rng, rng.choice((0.1, 0.9)), low, rng.uniform(0.1, 0.2), "cup")
    if rng.random() < 0.4:
        potted(canvas, rng, rng.choice((0.06, 0.94)), y + 0.05, rng.uniform(0.2, 0.35))
    if rng.random() < 0.4:  # the back of a chair
        half, high = rng.uniform(0.14, 0.2), rng.uniform(0.2, 0.35)
        canvas.ellipse(x, 1.0, half, high, rng.choice((BLACK, muted(rng))))


def _monitors(canvas: Canvas, rng: Random, y: float) -> float:
    """One to three screens on their feet; returns the x of the first."""
    number = rng.choice((1, 1, 2, 3))
    half = rng.uniform(0.24, 0.38) if number == 1 else rng.uniform(0.2, 0.27)
    first = rng.uniform(0.3, 0.6) if number == 1 else 0.5 - (number - 1) * half
    for x in (first + 2.1 * half * place for place in range(number)):
        low = y - rng.uniform(0.03, 0.07)
        canvas.box(x - 0.03, low, x + 0.03, y + 0.02, shade(METAL, 0.7))
        canvas.box(x - 0.1, y + 0.01, x + 0.1, y + 0.03, shade(METAL, 0.7))
        screen(canvas, rng, (x - half, low - 1.25 * half, x + half, low), work=True)
    return first


def _keyboard(canvas: Canvas, rng: Random, x: float, y: float) -> None:
    """A keyboard with a mouse beside it."""
    colour = rng.choice((WHITE, BLACK, METAL))
    near = [(x + 0.23, y + 0.08), (x - 0.23, y + 0.08)]
    canvas.polygon([(x - 0.2, y), (x + 0.2, y), *near], colour)
    for row in (y + 0.02, y + 0.045):
        keys = METAL if colour == BLACK else shade(colour, 0.6)
        canvas.line([(x - 0.19, row), (x + 0.19, row)], 0.008, keys)
    canvas.ellipse(x + 0.3, y + 0.05, 0.03, 0.04, colour)


# -- a large room -----------------------------------------------------------------------------


def _large_room(canvas: Canvas, rng: Random, dark: bool) -> None:
    """A room in its depth, with windows along one side."""
    ceiling, depth = rng.uniform(-0.15, 0), rng.uniform(1.6, 3)
    space = Space(rng.uniform(0.3, 0.7), rng.uniform(0.36, 0.5), ceiling=ceiling, floor=1.15)
    wall = mixed(muted(rng), WHITE, rng.random())
    floor = varied(rng, rng.choice((muted(rng), (120, 124, 132), OAK)))
    space.room(canvas, depth, wall=wall, floor=floor, ceiling=(226, 228, 228))
    ceiling_lamps(canvas, rng, space)
    _glass_wall(canvas, rng, space, depth, tint(0.58, 0.3, 0.25 if dark else 0.95))
    left, top, right, bottom = space.rear(depth)
    if rng.random() < 0.4:
        pane = left + 0.04, top + 0.05, right - 0.04, top + 0.55 * (bottom - top)
        window(canvas, rng, pane, METAL, dark)
    elif rng.random() < 0.5:
        board(canvas, rng, (left + 0.1, top + 0.08, right - 0.1, top + 0.22))
    (_rows_of_desks if rng.random() < 0.58 else _meeting)(canvas, rng, space, depth)


def _glass_wall(canvas: Canvas, rng: Random, space: Space, depth: float, sky: Colour) -> None:
    """Windows along the left or the right side, some with blinds."""
    x, top, low = (
        rng.choice((space.left, space.right)),
        space.ceiling + 0.12,
        rng.uniform(0.6, 0.75),
    )
    near = 0.6
    while near < depth:
        far = min(1.3 * near, depth)
        canvas.polygon(space.aside(x, top, low, near, 0.97 * far), sky)
        for slat in range(rng.choice((0, 0, 6))):
            y = top + (low - top) * slat / 6
            canvas.line([space.at(x, y, near), space.at(x, y, 0.97 * far)], 0.01, (206, 206, 202))
        near = far


def _rows_of_desks(canvas: Canvas, rng: Random, space: Space, depth: float) -> None:
    """Desks with screens, chairs and people, the farthest first."""
    wood = rng.choice((WHITE, *WOODS[:3]))
    colour = rng.choice((BLACK, vivid(rng), muted(rng)))
    for near in (2.4, 1.9, 1.5, 1.15, 0.9):
        if near > 0.95 * depth:
            continue
        for x in rng.choice(((-0.1, 0.4, 0.9), (0.05, 0.75), (0.15, 0.6, 1.05))):
            left, y, right, ground = space.facing(x, 0.78, x + 0.36, 1.1, near)
            middle, size = (left + right) / 2, right - left
            edge = 0.06 * size
            canvas.box(left, y, left + edge, ground, METAL)
            canvas.box(right - edge, y, right, ground, METAL)
            canvas.polygon(space.level(0.78, x, x + 0.36, near, 1.18 * near), wood)
            canvas.box(left, y, right, y + edge, shade(wood, 0.75))
            box = middle - 0.32 * size, y - 0.48 * size, middle + 0.3 * size, y - edge
            screen(canvas, rng, box, work=True)
            if rng.random() < 0.35:
                person(canvas, rng, middle + 0.3 * size, ground, 1.5 * size)
            if rng.random() < 0.7:
                chair(canvas, middle, ground + 0.05 / near, 0.85 * size, colour)


def _meeting(canvas: Canvas, rng: Random, space: Space, depth: float) -> None:
    """A long table with chairs along it, before a screen or a whiteboard."""
    left, top, right, bottom = space.facing(0.1, 0.02, 0.9, space.floor, depth)
    high = top + 0.5 * (bottom - top)
    if rng.random() < 0.5:
        screen(canvas, rng, (left, top, right, high), work=True)
    else:
        canvas.box(left - 0.01, top - 0.01, right + 0.01, high + 0.01, METAL)
        canvas.box(left, top, right, high, (250, 250, 250))
        for _ in range(rng.randint(2, 6)):
            x, y = rng.uniform(left, right - 0.08), rng.uniform(top + 0.03, high - 0.03)
            scrawl = [(x, y), (x + 0.05, y + rng.uniform(-0.03, 0.03)), (x + 0.1, y)]
            canvas.line(scrawl, 0.01, vivid(rng))
    wood, colour = rng.choice((*WOODS, WHITE)), rng.choice((BLACK, vivid(rng), muted(rng)))
    depths = [near for near in (1.8, 1.45, 1.2, 1.0) if near < depth]
    for near in depths:
        for x in (0.1, 0.9):
            chair(canvas, *space.at(x, 1.12, near), 0.5 / near, colour)
    canvas.polygon(space.level(0.82, 0.2, 0.8, 0.8, min(0.9 * depth, 2.0)), wood)
    canvas.box(*space.facing(0.2, 0.82, 0.8, 0.86, 0.8), shade(wood, 0.7))
    for near in depths:
        x = rng.uniform(0.25, 0.7)
        if rng.random() < 0.6:
            screen(canvas, rng, space.facing(x, 0.71, x + 0.16, 0.82, near), work=True)
        else:
            product(canvas, rng, *space.at(x, 0.82, near), 0.12 / near, "cup")
    people(canvas, rng, 0.8, 0.95, 0.5, 2)
