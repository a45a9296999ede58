"""Goods in rows: shelves from the front, along an aisle, or crates of fruit and vegetables."""

from __future__ import annotations

from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Box, Canvas, Space
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    MAPLE,
    METAL,
    OAK,
    WHITE,
    WOODS,
    Colour,
    muted,
    shade,
    tint,
    varied,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.light import BRIGHT_ROOMS
from marketorch.data.synthetic.drawn_settings.people import person
from marketorch.data.synthetic.drawn_settings.things import board, ceiling_lamps

TAGS: tuple[Colour, ...] = (WHITE, (250, 220, 60), (226, 50, 40))
RIPE = (0.0, 0.03, 0.08, 0.14, 0.25, 0.3, 0.8)  # hues


def supermarket(canvas: Canvas, rng: Random) -> None:
    """Draws a supermarket."""
    kind = rng.random()
    view = _shelves if kind < 0.45 else _aisle if kind < 0.8 else _crates
    view(canvas, rng)
    canvas.lit(rng.choice(BRIGHT_ROOMS))


# -- from the front ---------------------------------------------------------------------------


def _shelves(canvas: Canvas, rng: Random) -> None:
    """Boards full of goods above each other, with prices along their edges."""
    rear = rng.choice(((226, 226, 222), (90, 92, 96), muted(rng)))
    edge, height = rng.choice((WHITE, METAL, vivid(rng))), rng.uniform(0.17, 0.36)
    canvas.box(0, 0, 1, 1, shade(rear, 0.6))
    y = rng.uniform(0.07, 0.46)
    while y < 1.1:
        x = -rng.uniform(0, 0.1)
        while x < 1.02:
            x = _facings(canvas, rng, x, y, height * rng.uniform(0.6, 0.92))
        canvas.box(0, y, 1, y + 0.045, edge)
        x = -rng.uniform(0, 0.1)
        while x < 1:
            canvas.box(x, y + 0.008, x + 0.06, y + 0.037, rng.choice(TAGS))
            x += rng.uniform(0.1, 0.25)
        y += height + 0.045


def _facings(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> float:
    """One product several times side by side; returns where the next one begins."""
    kind, colour, ink = rng.choice(("box", "bottle", "can")), vivid(rng), vivid(rng)
    label, number = rng.choice((WHITE, vivid(rng))), rng.randint(2, 5)
    wide = h * {"box": rng.uniform(0.4, 0.8), "bottle": 0.36, "can": 0.55}[kind]
    inset = 0.1 * wide if kind == "box" else 0.0
    for left in (x + wide * place + 0.006 for place in range(number)):
        right, top = left + wide - 0.012, y - h
        middle = (left + right) / 2
        if kind == "bottle":
            canvas.box(middle - 0.2 * wide, top, middle + 0.2 * wide, y, shade(label, 0.9))
            top += 0.3 * h
        canvas.box(left, top, right, y, colour)
        high, low = top + 0.25 * (y - top), top + 0.7 * (y - top)
        canvas.box(left + inset, high, right - inset, low, label)
        canvas.ellipse(middle, (high + low) / 2, 0.22 * wide, 0.16 * (y - top), ink)
        if kind == "can":
            canvas.box(left, top, right, top + 0.05 * h, METAL)
    return x + wide * number + rng.choice((0, 0, 0.03))


# -- along an aisle ---------------------------------------------------------------------------


def _aisle(canvas: Canvas, rng: Random) -> None:
    """Between two rows of shelves, under lamps and signs, with people and trolleys."""
    left, right, ceiling = rng.uniform(-0.15, 0.1), rng.uniform(0.9, 1.15), rng.uniform(-0.3, 0)
    space = Space(rng.uniform(0.35, 0.65), rng.uniform(0.36, 0.5), left, right, ceiling)
    depth, floor = rng.uniform(4, 8), varied(rng, (214, 210, 204))
    space.room(canvas, depth, wall=(206, 206, 204), floor=floor, ceiling=(170, 174, 178))
    ceiling_lamps(canvas, rng, space)
    top, rows = space.y - rng.uniform(0.25, 0.4), rng.randint(3, 5)
    height = (space.floor - top) / rows
    for x in (left, right):
        for row in range(rows):
            _row_of_goods(canvas, rng, space, x, top + height * (row + 1), height, depth)
    for near in (2.6, 1.4):
        if rng.random() < 0.5:
            board(canvas, rng, space.facing(0.3, ceiling + 0.12, 0.7, ceiling + 0.26, near))
    for near in sorted((rng.uniform(1.1, 3) for _ in range(rng.randint(0, 3))), reverse=True):
        x, y = space.at(rng.uniform(0.3, 0.7), space.floor, near)
        person(canvas, rng, x, y, 0.75 / near)
        if rng.random() < 0.6:
            _trolley(canvas, x + 0.1 / near, y, 0.3 / near)


def _row_of_goods(
    canvas: Canvas, rng: Random, space: Space, x: float, y: float, height: float, depth: float
) -> None:
    """Goods on one board, from the nearest to the farthest."""
    near, middle = 0.5, y - 0.4 * height
    while near < depth:
        far = near * rng.uniform(1.1, 1.4)
        goods = space.aside(x, y - height * rng.uniform(0.6, 0.85), y, near, far)
        canvas.polygon(goods, vivid(rng))
        high, low = middle - 0.15 * height, middle + 0.15 * height
        label = space.aside(x, high, low, 1.02 * near, 0.98 * far)
        canvas.polygon(label, rng.choice((WHITE, vivid(rng))))
        near = far
    canvas.line([space.at(x, y, 0.5), space.at(x, y, depth)], 0.012, WHITE)


def _trolley(canvas: Canvas, x: float, y: float, size: float) -> None:
    half = size / 2
    for share in (-1, -0.5, 0, 0.5, 1):
        bar = [(x + share * half, y - size), (x + 0.7 * share * half, y - 0.4 * size)]
        canvas.line(bar, 0.008, METAL)
    for up in (1.0, 0.7, 0.4):
        canvas.line([(x - half, y - up * size), (x + half, y - up * size)], 0.01, METAL)
    for wheel in (x - 0.7 * half, x + 0.7 * half):
        canvas.ellipse(wheel, y, 0.06 * size, 0.06 * size, BLACK)


# -- fruit and vegetables ---------------------------------------------------------------------


def _crates(canvas: Canvas, rng: Random) -> None:
    """Crates of fruit and vegetables in rows."""
    canvas.box(0, 0, 1, 1, rng.choice((BLACK, (60, 80, 56), *WOODS)))
    top, rows = rng.uniform(0.05, 0.3), rng.randint(2, 4)
    if top > 0.15:
        board(canvas, rng, (rng.uniform(0, 0.3), 0.02, rng.uniform(0.7, 1), top - 0.04))
    height = (1 - top) / rows
    for row in range(rows):
        low, x = top + (row + 1) * height, -rng.uniform(0, 0.2)
        while x < 1:
            end = x + rng.uniform(0.22, 0.4)
            _crate(canvas, rng, (x, low - 0.8 * height, end - 0.01, low))
            x = end


def _crate(canvas: Canvas, rng: Random, box: Box) -> None:
    """A crate full of one kind of fruit, with its price."""
    left, top, right, bottom = box
    colour = tint(rng.choice(RIPE), rng.uniform(0.6, 0.9), rng.uniform(0.5, 0.95))
    size, edge = rng.uniform(0.028, 0.055), bottom - 0.08
    canvas.box(*box, shade(colour, 0.5))
    for _ in range(round(0.5 * (right - left) * (bottom - top) / size**2)):
        place = rng.uniform(left + size, right - size), rng.uniform(top, edge - 0.02)
        canvas.ellipse(*place, size, 0.9 * size, shade(colour, rng.uniform(0.75, 1.2)))
    canvas.box(left, edge, right, bottom, rng.choice((OAK, MAPLE, (70, 130, 70), BLACK)))
    middle = (left + right) / 2
    canvas.box(middle - 0.05, edge - 0.02, middle + 0.05, bottom - 0.03, rng.choice(TAGS))
