"""A sofa or a television, and what is on the walls, the floor and the table around it."""

from __future__ import annotations

from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Box, Canvas, Space
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    WHITE,
    WOODS,
    Colour,
    muted,
    shade,
    varied,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.light import ROOMS, is_dim
from marketorch.data.synthetic.drawn_settings.people import person
from marketorch.data.synthetic.drawn_settings.plants import potted
from marketorch.data.synthetic.drawn_settings.things import mark, product, screen, window

LEATHER: Colour = (120, 82, 54)


def living_room(canvas: Canvas, rng: Random) -> None:
    """Draws a living room."""
    light, depth = rng.choice(ROOMS), rng.uniform(1.5, 2.4)
    left, right = rng.uniform(-0.2, 0), rng.uniform(1, 1.2)
    space = Space(rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.55), left, right, -0.12, 1.15)
    floor = varied(rng, rng.choice((*WOODS, *WOODS, muted(rng))))
    space.room(canvas, depth, wall=muted(rng), floor=floor, ceiling=WHITE)
    ground = space.rear(depth)[3]
    canvas.mottle(rng, (0, ground, 1, 1), (rng.choice((4, 40)), 24), 0.12)
    _on_the_wall(canvas, rng, space.rear(depth), is_dim(light))
    if rng.random() < 0.65:
        _rug(canvas, rng, ground + 0.04)
    if rng.random() < 0.72:
        y = ground + rng.uniform(0.06, 0.2)
        _sofa(canvas, rng, rng.uniform(0.3, 0.7), y, rng.uniform(0.55, 0.9))
    else:
        _television(canvas, rng, rng.uniform(0.35, 0.65), ground + 0.04)
        if rng.random() < 0.5:
            _sofa(canvas, rng, rng.choice((0.1, 0.9)), 0.98, 0.5)
    if rng.random() < 0.6:
        _low_table(canvas, rng, rng.uniform(0.3, 0.7), rng.uniform(0.86, 0.98))
    if rng.random() < 0.4:
        person(canvas, rng, rng.random(), rng.uniform(0.9, 1.0), rng.uniform(0.5, 0.7))
    canvas.lit(light)
    if rng.random() < 0.6:
        _floor_lamp(canvas, rng, rng.choice((0.08, 0.92)), ground + 0.08, is_dim(light))


def _on_the_wall(canvas: Canvas, rng: Random, wall: Box, dark: bool) -> None:
    """Windows with curtains, pictures, shelves of books, plants."""
    left, top, right, bottom = wall
    wide, high = right - left, bottom - top
    for share in rng.choice(((0.2, 0.5, 0.8), (0.3, 0.7))):
        x, half, kind = left + wide * share, wide * rng.uniform(0.09, 0.15), rng.random()
        if kind < 0.3:
            low = top + high * rng.uniform(0.55, 0.85)
            _curtained(canvas, rng, (x - half, top + 0.12 * high, x + half, low), bottom, dark)
        elif kind < 0.62:
            _picture(canvas, rng, x, top + 0.33 * high, half * rng.uniform(0.6, 1.1))
        elif kind < 0.85:
            _books(canvas, rng, (x - half, top + 0.15 * high, x + half, bottom))
        else:
            potted(canvas, rng, x, bottom + 0.04, rng.uniform(0.25, 0.45))


def _curtained(canvas: Canvas, rng: Random, box: Box, ground: float, dark: bool) -> None:
    """A window between curtains that reach to the ground."""
    left, top, right, _ = box
    window(canvas, rng, box, WHITE, dark)
    colour, half = rng.choice((vivid(rng), muted(rng), WHITE)), (right - left) / 2
    for x in (left - 0.1 * half, right + 0.1 * half):
        canvas.box(x - 0.3 * half, top - 0.03, x + 0.3 * half, ground - 0.02, colour)
        canvas.line([(x, top), (x, ground - 0.03)], 0.01, shade(colour, 0.75))


def _picture(canvas: Canvas, rng: Random, x: float, y: float, half: float) -> None:
    frame, inner = rng.choice((BLACK, WHITE, *WOODS)), 0.8 * half
    canvas.box(x - half, y - half, x + half, y + half, frame)
    canvas.box(x - inner, y - inner, x + inner, y + inner, muted(rng))
    mark(canvas, rng, x, y, 0.6 * inner, vivid(rng))


def _books(canvas: Canvas, rng: Random, box: Box) -> None:
    """A shelf full of books."""
    left, top, right, bottom = box
    wood, rows = rng.choice((*WOODS, WHITE)), rng.randint(3, 5)
    canvas.box(left - 0.015, top - 0.015, right + 0.015, bottom, wood)
    height = (bottom - top) / rows
    for row in range(rows):
        low, x = top + (row + 1) * height - 0.015, left
        canvas.box(left, low - height + 0.015, right, low, shade(wood, 0.5))
        while x < right - 0.02:
            end, tall = x + rng.uniform(0.015, 0.035), height * rng.uniform(0.5, 0.85)
            if rng.random() < 0.85:
                canvas.box(x, low - tall, end, low, rng.choice((vivid, muted))(rng))
            x = end


def _rug(canvas: Canvas, rng: Random, y: float) -> None:
    for colour, edge in ((varied(rng, vivid(rng)), 0.0), (muted(rng), 0.07)):
        half, low = 0.42 - edge, 0.97 - edge
        far = [(0.5 - 0.75 * half, y + edge / 2), (0.5 + 0.75 * half, y + edge / 2)]
        canvas.polygon([*far, (0.5 + half, low), (0.5 - half, low)], colour)


def _sofa(canvas: Canvas, rng: Random, x: float, y: float, width: float) -> None:
    """A sofa of two or three seats, with cushions."""
    colour = rng.choice((vivid(rng), muted(rng), muted(rng), LEATHER))
    half, h, seats = width / 2, width * rng.uniform(0.36, 0.46), rng.choice((2, 3))
    inner = 0.84 * half
    canvas.box(x - 0.92 * half, y - h, x + 0.92 * half, y - 0.2 * h, shade(colour, 0.85))
    for seat in range(seats):
        a, b = (x - inner + 2 * inner * (seat + share) / seats for share in (0.03, 0.97))
        canvas.box(a, y - 0.95 * h, b, y - 0.5 * h, colour)
        canvas.box(a, y - 0.48 * h, b, y - 0.24 * h, shade(colour, 1.12))
    for left in (x - half, x + inner):
        right = left + half - inner
        canvas.box(left, y - 0.68 * h, right, y - 0.05 * h, shade(colour, 0.95))
        canvas.box(left, y - 0.05 * h, right, y, BLACK)
    canvas.box(x - inner, y - 0.24 * h, x + inner, y - 0.05 * h, shade(colour, 0.7))
    for _ in range(rng.randint(0, 3)):
        place, middle, size = x + rng.uniform(-0.7, 0.7) * half, y - 0.58 * h, 0.2 * h
        cushion = [(place, middle - size), (place + size, middle), (place, middle + size)]
        canvas.polygon([*cushion, (place - size, middle)], rng.choice((vivid, muted))(rng))


def _television(canvas: Canvas, rng: Random, x: float, y: float) -> None:
    """A television on a sideboard."""
    wood, half = rng.choice((*WOODS, WHITE)), rng.uniform(0.25, 0.4)
    top, wide = y - 0.14, half * rng.uniform(0.6, 0.85)
    canvas.box(x - half, top, x + half, y, wood)
    for joint in (x - 0.33 * half, x + 0.33 * half):
        canvas.line([(joint, top), (joint, y)], 0.008, shade(wood, 0.5))
    box = x - wide, top - 0.03 - 1.1 * wide, x + wide, top - 0.03
    screen(canvas, rng, box, work=False)
    canvas.box(x - 0.03, top - 0.03, x + 0.03, top, BLACK)
    for side in (-0.9, 0.9):
        if rng.random() < 0.6:
            potted(canvas, rng, x + side * half, top, 0.18)


def _low_table(canvas: Canvas, rng: Random, x: float, y: float) -> None:
    """A round or a square table with products on it."""
    wood, half, top = rng.choice((*WOODS, WHITE, BLACK)), rng.uniform(0.14, 0.24), y - 0.1
    for leg in (x - 0.8 * half, x + 0.8 * half):
        canvas.line([(leg, top), (leg, y)], 0.02, shade(wood, 0.5))
    if rng.random() < 0.4:
        canvas.ellipse(x, top - 0.02, half, 0.3 * half, wood)
    else:
        rear = [(x + 0.8 * half, top - 0.07), (x - 0.8 * half, top - 0.07)]
        canvas.polygon([(x - half, top), (x + half, top), *rear], wood)
    for _ in range(rng.randint(0, 3)):
        place = x + rng.uniform(-0.6, 0.6) * half, top - 0.02
        product(canvas, rng, *place, rng.uniform(0.07, 0.13))


def _floor_lamp(canvas: Canvas, rng: Random, x: float, y: float, on: bool) -> None:
    top, size = rng.uniform(0.2, 0.4), rng.uniform(0.05, 0.08)
    canvas.line([(x, y), (x, top)], 0.014, BLACK)
    rim = [(x + 0.6 * size, top - 1.5 * size), (x - 0.6 * size, top - 1.5 * size)]
    canvas.polygon([(x - size, top), (x + size, top), *rim], (244, 224, 180))
    if on:
        canvas.glow(x, top, rng.uniform(0.3, 0.5), (190, 140, 80))
