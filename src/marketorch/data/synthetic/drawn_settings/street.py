"""A street of a town: along its houses, or the fronts of the shops across the road."""

from __future__ import annotations

import itertools
from random import Random
from typing import NamedTuple

from marketorch.data.synthetic.drawn_settings.canvas import Box, Canvas, Point, Space
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    GREENS,
    METAL,
    WHITE,
    Colour,
    muted,
    shade,
    tint,
    varied,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.light import HOURS, NIGHT, Hour, sky
from marketorch.data.synthetic.drawn_settings.people import people, person
from marketorch.data.synthetic.drawn_settings.plants import tree
from marketorch.data.synthetic.drawn_settings.things import board, car, car_ahead

WALLS: tuple[Colour, ...] = (
    *((178, 104, 80), (214, 194, 160), (150, 150, 152), (232, 226, 214)),
    *((120, 92, 84), (196, 160, 120), (94, 104, 116), (206, 170, 164)),
)


class Pane(NamedTuple):
    """A window that may be lit, or that of a shop."""

    corners: list[Point]
    of_shop: bool


def street(canvas: Canvas, rng: Random) -> None:
    """Draws a street."""
    hour = rng.choice(HOURS)
    panes = (_along if rng.random() < 0.6 else _across)(canvas, rng, hour)
    canvas.lit(hour.light)
    _lamps(canvas, rng, panes, hour is NIGHT)


def _lamps(canvas: Canvas, rng: Random, panes: list[Pane], dark: bool) -> None:
    """Lights windows in the evening, and shops at any hour."""
    chances = (0.4, 0.85) if dark else (0.0, 0.3)
    for pane in panes:
        if rng.random() < chances[pane.of_shop]:
            colour = varied(rng, (255, 218, 150), 25)
            canvas.polygon(pane.corners, shade(colour, rng.uniform(0.7, 1)))
    for _ in range(rng.randint(2, 5) if dark else 0):
        reach = rng.uniform(0.05, 0.15)
        canvas.glow(rng.random(), rng.uniform(0.3, 0.7), reach, (180, 140, 80))


# -- along the street -------------------------------------------------------------------------


def _along(canvas: Canvas, rng: Random, hour: Hour) -> list[Pane]:
    """The road leads into the depth between two rows of houses."""
    left, right, floor = rng.uniform(-0.5, 0.05), rng.uniform(0.95, 1.5), rng.uniform(1, 1.3)
    space = Space(rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.62), left, right, floor=floor)
    sky(canvas, rng, hour, space.y)
    kerb = rng.uniform(0.15, 0.3) * (right - left)
    road = left + kerb, right - kerb
    canvas.polygon(space.level(floor, left, right, 0.4, 30), (166, 162, 156))
    canvas.polygon(
        space.level(floor, *road, 0.4, 30), shade((104, 104, 110), rng.uniform(0.6, 1.2))
    )
    _road_marks(canvas, rng, space, *road)
    panes = [pane for x in (left, right) for pane in _houses(canvas, rng, space, x)]
    lanes = road[0] + 0.08, road[1] - 0.08, sum(road) / 2 - 0.12, sum(road) / 2 + 0.12
    for depth in sorted((rng.uniform(1.2, 5) for _ in range(rng.randint(1, 5))), reverse=True):
        place = space.at(rng.choice(lanes), floor, depth)
        if rng.random() < 0.7:
            car_ahead(canvas, rng, *place, rng.uniform(0.2, 0.28) / depth)
        else:
            person(canvas, rng, *place, 0.5 / depth)
    for x in (left + 0.1, right - 0.1):
        for depth in sorted((rng.uniform(1.1, 4) for _ in range(rng.randint(0, 3))), reverse=True):
            _on_the_pavement(canvas, rng, *space.at(x, floor, depth), 1 / depth)
    return panes


def _road_marks(canvas: Canvas, rng: Random, space: Space, left: float, right: float) -> None:
    """A broken line in the middle, a crossing."""
    floor, middle = space.floor, (left + right) / 2
    for near in (0.6, 1.0, 1.5, 2.2, 3.2, 5.0) if rng.random() < 0.8 else ():
        line = space.level(floor, middle - 0.015, middle + 0.015, near, 1.25 * near)
        canvas.polygon(line, WHITE)
    near, step = rng.uniform(0.9, 1.4), (right - left) / 7
    for number in range(7) if rng.random() < 0.3 else ():
        x = left + step * (number + 0.2)
        canvas.polygon(space.level(floor, x, x + 0.5 * step, near, 1.35 * near), WHITE)


def _houses(canvas: Canvas, rng: Random, space: Space, x: float) -> list[Pane]:
    """A row of houses on one side, the farthest first."""
    depths, panes = [0.45], []
    while depths[-1] < 9:
        depths.append(depths[-1] * rng.uniform(1.3, 2.1))
    for near, far in reversed(list(itertools.pairwise(depths))):
        roof = space.y - rng.uniform(0.35, 1.2)
        panes += _house(canvas, rng, space, (x, roof), near, far)
    return panes


def _house(
    canvas: Canvas, rng: Random, space: Space, edge: Point, near: float, far: float
) -> list[Pane]:
    """A house with a shop below its windows; those far away have none that could be seen."""
    (x, roof), floor, wall = edge, space.floor, varied(rng, rng.choice(WALLS))
    canvas.polygon(space.aside(x, roof, floor, near, far), wall)
    storeys, columns = rng.randint(2, 5), rng.randint(2, 3)
    height, step = (floor - roof) / (storeys + 1), (far / near) ** (1 / columns)
    panes = []
    for storey in range(storeys if near < 4 else 0):
        top = roof + height * (storey + 0.3)
        for column in range(columns):
            start = near * step ** (column + 0.25)
            corners = space.aside(x, top, top + 0.5 * height, start, start * step**0.5)
            canvas.polygon(corners, shade(wall, 0.45))
            panes.append(Pane(corners, of_shop=False))
    sign = space.aside(x, floor - 1.05 * height, floor - 0.85 * height, near, 0.97 * far)
    canvas.polygon(sign, vivid(rng) if rng.random() < 0.6 else wall)
    corners = space.aside(x, floor - 0.75 * height, floor - 0.1 * height, 1.05 * near, 0.93 * far)
    canvas.polygon(corners, shade(wall, 0.35))
    return [*panes, Pane(corners, of_shop=True)]


def _on_the_pavement(canvas: Canvas, rng: Random, x: float, y: float, size: float) -> None:
    """Somebody, a tree, a lamp or a traffic sign."""
    kind = rng.random()
    if kind < 0.3:
        person(canvas, rng, x, y, 0.5 * size)
    elif kind < 0.55:
        tree(canvas, rng, x, y, 0.9 * size, varied(rng, rng.choice(GREENS)))
    elif kind < 0.8:
        top, arm = y - 0.95 * size, 0.12 * size if x < 0.5 else -0.12 * size
        canvas.line([(x, y), (x, top), (x + arm, top)], 0.02 * size, BLACK)
    else:
        colour = rng.choice(((200, 30, 40), (40, 80, 170)))
        canvas.line([(x, y), (x, y - 0.6 * size)], 0.02 * size, METAL)
        canvas.ellipse(x, y - 0.6 * size, 0.06 * size, 0.06 * size, colour)


# -- across the street ------------------------------------------------------------------------


def _across(canvas: Canvas, rng: Random, hour: Hour) -> list[Pane]:
    """The fronts of some houses on the other side of the road."""
    ground, kerb = rng.uniform(0.7, 0.84), rng.uniform(0.86, 0.95)
    sky(canvas, rng, hour, 0.3)
    panes: list[Pane] = []
    x = -rng.uniform(0, 0.3)
    while x < 1:
        top, end = rng.choice((-0.1, rng.uniform(0.02, 0.3))), x + rng.uniform(0.28, 0.6)
        panes += _front(canvas, rng, (x, top, end, ground))
        x = end
    canvas.box(0, ground, 1, 1, (168, 164, 158))
    canvas.box(0, kerb, 1, 1, shade((104, 104, 110), rng.uniform(0.6, 1.2)))
    canvas.box(0, kerb, 1, kerb + 0.015, (206, 204, 198))
    for _ in range(rng.choice((0, 0, 1, 2))):
        leaf = varied(rng, rng.choice(GREENS))
        tree(canvas, rng, rng.random(), ground + 0.06, rng.uniform(0.4, 0.7), leaf)
    people(canvas, rng, ground + 0.03, kerb, rng.uniform(0.25, 0.4), 4)
    for _ in range(rng.choice((0, 1, 1, 2))):
        car(canvas, rng, rng.random(), kerb + 0.05, rng.uniform(0.35, 0.6))
    return panes


def _front(canvas: Canvas, rng: Random, box: Box) -> list[Pane]:
    """A house from the front: windows above, a shop below."""
    left, top, right, bottom = box
    wall = varied(rng, rng.choice(WALLS))
    canvas.box(*box, wall)
    if rng.random() < 0.5:
        canvas.mottle(rng, box, (12, 24), 0.12)
    shop = bottom - rng.uniform(0.24, 0.34)
    rows, columns = max(1, round((shop - top) / 0.2)), max(2, round((right - left) / 0.15))
    frame, across, down = rng.choice((WHITE, shade(wall, 0.7))), right - left, shop - top
    panes = []
    for row in range(rows):
        c, d = (top + down * (row + share) / rows for share in (0.2, 0.8))
        for column in range(columns):
            a, b = (left + across * (column + share) / columns for share in (0.25, 0.75))
            canvas.box(a - 0.012, c - 0.012, b + 0.012, d + 0.012, frame)
            canvas.box(a, c, b, d, shade(tint(0.58, 0.2, 0.5), rng.uniform(0.6, 1.3)))
            panes.append(Pane([(a, c), (b, c), (b, d), (a, d)], of_shop=False))
    a, b = left + 0.06 * across, right - 0.06 * across
    return [*panes, _shop(canvas, rng, (a, shop, b, bottom))]


def _shop(canvas: Canvas, rng: Random, box: Box) -> Pane:
    """A shop window with a door, a sign and, often, an awning."""
    left, top, right, bottom = box
    high, low = top + 0.08, bottom - 0.02
    corners = [(left, high), (right, high), (right, low), (left, low)]
    canvas.polygon(corners, (52, 56, 64))
    door = rng.uniform(left, right - 0.08)
    canvas.box(door, top + 0.1, door + 0.08, bottom, muted(rng))
    board(canvas, rng, (left, top, right, top + 0.07))
    colour, stripe = vivid(rng), (right - left) / 8
    for number in range(8) if rng.random() < 0.5 else ():
        x = left + number * stripe
        canvas.box(x, top + 0.06, x + stripe, top + 0.13, colour if number % 2 else WHITE)
    return Pane(corners, of_shop=True)
