"""A field of some sport before a stand full of people, by day or in floodlight."""

from __future__ import annotations

import itertools
import math
from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Canvas, Space
from marketorch.data.synthetic.drawn_settings.colours import (
    METAL,
    WHITE,
    Colour,
    mixed,
    muted,
    shade,
    varied,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.light import CLOUDED, DAY, GOLDEN, HAZE, NIGHT, sky
from marketorch.data.synthetic.drawn_settings.people import heads, people
from marketorch.data.synthetic.drawn_settings.things import board

HOURS = (DAY, DAY, HAZE, CLOUDED, GOLDEN, NIGHT, NIGHT)
TURF: Colour = (84, 148, 62)
ICE: Colour = (226, 234, 240)
FIELDS = (TURF, TURF, TURF, ICE, (190, 96, 66), (204, 156, 104), (72, 112, 170))  # clay, wood, blue


def stadium(canvas: Canvas, rng: Random) -> None:
    """Draws a stadium or a hall."""
    field, hour, horizon = (
        varied(rng, rng.choice(FIELDS)),
        rng.choice(HOURS),
        rng.uniform(0.22, 0.5),
    )
    dark, top = hour is NIGHT, rng.choice((-0.05, horizon - rng.uniform(0.1, 0.3)))
    sky(canvas, rng, hour, horizon)
    if dark:
        canvas.lit(hour.light)  # what follows lies in floodlight
    _stand(canvas, rng, top, horizon, 0.6 if dark else 0.9)
    canvas.box(0, horizon, 1, 1, field)
    _field(canvas, rng, horizon, field)
    if rng.random() < 0.75:
        _boards(canvas, rng, horizon)
    if rng.random() < 0.4:
        x, y = rng.uniform(0.2, 0.8), horizon + rng.uniform(0.06, 0.3)
        goal = _basket if rng.random() < 0.25 else _goal
        goal(canvas, x, y, rng.uniform(0.2, 0.5))
    people(canvas, rng, horizon + 0.08, 0.95, rng.uniform(0.15, 0.4), rng.choice((2, 6, 10)))
    if rng.random() < 0.3:  # the row before us
        heads(canvas, rng, rng.uniform(0.88, 1.0), rng.uniform(0.04, 0.07), None, 0.2)
    if dark or rng.random() < 0.3:
        _floodlights(canvas, rng, max(top, 0.03), dark)
    if not dark:
        canvas.lit(hour.light)


def _stand(canvas: Canvas, rng: Random, top: float, bottom: float, light: float) -> None:
    """Rows of people or of empty seats, in blocks between stairs, often under a roof."""
    seats, filled = vivid(rng), rng.uniform(0.3, 1)
    canvas.box(0, top, 1, bottom, shade(mixed(seats, (120, 120, 124), filled), light))
    rows = max(4, round((bottom - top) * rng.uniform(40, 60)))
    crowd = rng.randint(50, 70), rows
    canvas.mottle(rng, (0, top, 1, bottom), crowd, 0.9 * filled, hard=True)
    for row in range(3, rows, rng.choice((3, 4, 100))):
        y = top + (bottom - top) * row / rows
        canvas.line([(0, y), (1, y)], 0.006, (90, 90, 94))
    lean, x = rng.uniform(-0.1, 0.1), rng.uniform(0, 0.2)
    while x < 1.1:
        canvas.line([(x, bottom), (x + lean, top)], 0.016, (196, 196, 192))
        x += rng.uniform(0.15, 0.4)
    if rng.random() < 0.6:
        roof = shade(rng.choice((METAL, muted(rng))), light)
        canvas.box(0, top, 1, top + rng.uniform(0.03, 0.08), roof)


def _field(canvas: Canvas, rng: Random, horizon: float, field: Colour) -> None:
    """Mown stripes, and the lines of a pitch or the lanes of a track."""
    space = Space(rng.uniform(0.3, 0.7), horizon - rng.uniform(0.1, 0.4))
    far = (space.floor - space.y) / (horizon - space.y)
    stripes = rng.randint(4, 10)
    edges = [far ** (number / stripes) for number in range(stripes + 1)]
    if rng.random() < 0.6:
        for near, end in list(itertools.pairwise(edges))[::2]:
            canvas.polygon(space.level(space.floor, -6, 7, near, end), shade(field, 0.9))
    canvas.mottle(rng, (0, horizon, 1, 1), (24, 24), 0.06)
    ink = WHITE if min(field) < 200 else (190, 50, 60)
    if rng.random() < 0.25:
        for x in (space.x + 0.22 * number for number in range(-3, 9)):
            canvas.line([space.at(x, space.floor, 0.8), space.at(x, space.floor, far)], 0.01, ink)
    else:
        _pitch(canvas, rng, space, far, ink)


def _pitch(canvas: Canvas, rng: Random, space: Space, far: float, ink: Colour) -> None:
    """Lines at the sides, two across, and often a circle in the middle."""
    left, right, floor = rng.uniform(-1.2, 0.2), rng.uniform(0.8, 2.2), space.floor
    for x in (left, right):
        canvas.line([space.at(x, floor, 0.8), space.at(x, floor, 0.9 * far)], 0.014, ink)
    for depth in (0.9 * far, rng.uniform(1.05, 1.6)):
        canvas.line([space.at(left, floor, depth), space.at(right, floor, depth)], 0.014, ink)
    if rng.random() < 0.6:
        x, y = space.at((left + right) / 2, floor, math.sqrt(1.3 * far))
        turns = [0.5 * number for number in range(14)]
        circle = [(x + 0.2 * math.cos(turn), y + 0.06 * math.sin(turn)) for turn in turns]
        canvas.line(circle, 0.012, ink)


def _boards(canvas: Canvas, rng: Random, y: float) -> None:
    """The boards of sponsors along the field."""
    height, x = rng.uniform(0.035, 0.075), -rng.uniform(0, 0.2)
    while x < 1:
        end = x + rng.uniform(0.15, 0.35)
        board(canvas, rng, (x, y - 0.3 * height, end - 0.01, y + 0.7 * height))
        x = end


def _goal(canvas: Canvas, x: float, y: float, width: float) -> None:
    """A goal with its net."""
    left, right, top = x - width / 2, x + width / 2, y - 0.42 * width
    posts = [(left, y), (left, top), (right, top), (right, y)]
    canvas.blend(posts, WHITE, 0.25)
    for place in (left + width * number / 8 for number in range(1, 8)):
        canvas.line([(place, top), (place, y)], 0, (206, 206, 206))
    canvas.line(posts, 0.05 * width, WHITE)


def _basket(canvas: Canvas, x: float, y: float, width: float) -> None:
    """A basket before its board, on a post."""
    canvas.line([(x, y), (x, y - 1.3 * width)], 0.05 * width, METAL)
    for colour, half, top, bottom in ((WHITE, 0.3, 1.6, 1.2), ((200, 60, 50), 0.1, 1.4, 1.27)):
        box = x - half * width, y - top * width, x + half * width, y - bottom * width
        canvas.box(*box, colour)


def _floodlights(canvas: Canvas, rng: Random, y: float, on: bool) -> None:
    for x in (rng.uniform(0.05, 0.3), rng.uniform(0.7, 0.95)):
        canvas.line([(x, y + 0.1), (x, y - 0.05)], 0.02, METAL)
        canvas.box(x - 0.06, y - 0.04, x + 0.06, y + 0.03, (250, 250, 240))
        if on:
            canvas.glow(x, y, rng.uniform(0.15, 0.35), (200, 200, 190))
