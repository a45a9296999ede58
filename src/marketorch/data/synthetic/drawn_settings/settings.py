"""The nine settings: each draws its ground, what stands on it, and the light over it all."""

from __future__ import annotations

import math
from functools import partial
from random import Random

from marketorch.data.synthetic.drawn_settings import colours as c
from marketorch.data.synthetic.drawn_settings import things
from marketorch.data.synthetic.drawn_settings.canvas import Canvas, Space, Wall
from marketorch.data.synthetic.drawn_settings.colours import Colour
from marketorch.data.synthetic.drawn_settings.things import person, row, scatter

HOURS: tuple[tuple[Colour, Colour, Colour], ...] = (  # the light, the sky above and below
    ((1, 1, 1), (92, 158, 226), (190, 222, 244)),  # day
    ((0.9, 0.92, 0.95), (176, 184, 196), (226, 226, 228)),  # clouds
    ((1.05, 0.8, 0.6), (150, 170, 220), (255, 214, 160)),  # evening sun
    ((0.5, 0.46, 0.6), (96, 92, 170), (255, 160, 130)),  # dusk
    ((0.4, 0.42, 0.55), (40, 44, 84), (86, 84, 110)),  # night
)
ROOM_LIGHTS: tuple[Colour, ...] = ((1, 1, 1), (0.92, 1, 1.04), (1.04, 0.9, 0.7), (0.6, 0.5, 0.45))
SEASONS: tuple[tuple[Colour, tuple[Colour, ...]], ...] = (  # lawn and leaves
    ((104, 146, 62), c.GREENS),
    ((128, 172, 82), ((140, 180, 80), (236, 176, 196), (244, 226, 232))),
    ((150, 130, 72), ((206, 122, 42), (184, 70, 40), (222, 178, 62))),
    ((226, 230, 236), ((196, 202, 208), (168, 172, 178))),
)
SANDS: tuple[Colour, ...] = ((236, 214, 168), (214, 186, 140), (150, 138, 124), (112, 104, 98))
SEAS: tuple[Colour, ...] = ((40, 150, 178), (34, 104, 156), (64, 190, 190), (92, 124, 134))
FIELDS: tuple[Colour, ...] = ((84, 148, 62), (226, 234, 240), (190, 96, 66), (72, 112, 170))
STONES: tuple[Colour, ...] = ((178, 104, 80), (214, 194, 160), (150, 150, 152), (120, 92, 84))


def sky(canvas: Canvas, rng: Random, horizon: float) -> Colour:
    """Draws the sky of some hour and returns the light of that hour."""
    light, above, below = rng.choice(HOURS)
    canvas.fade(0, horizon + 0.02, c.one_of(rng, [above]), c.one_of(rng, [below]))
    return light


def beach(canvas: Canvas, rng: Random) -> None:
    """Sand before the sea; the waterline lies across the picture or leads into the distance."""
    horizon, sand, sea = rng.uniform(0.12, 0.5), c.one_of(rng, SANDS), c.one_of(rng, SEAS)
    light = sky(canvas, rng, horizon)
    canvas.fade(horizon, 1, c.shade(sea, 0.75), c.shade(sea, 1.25))
    canvas.mottle(rng, (0, horizon, 1, 1), (8, 30), 0.16)
    start, bend = horizon + rng.uniform(0.03, 0.3), rng.uniform(0, 0.04)
    fall = rng.choice((rng.uniform(0, 0.1), rng.uniform(0.4, 0.9)))
    places = [0.1 * number - 0.1 for number in range(13)]
    shore = [(x, start + fall * x**2 + bend * math.sin(8 * x)) for x in places]
    canvas.polygon([*shore, (1.1, 1.1), (-0.1, 1.1)], sand)
    for up in (0, *(rng.uniform(0.03, 0.15) for _ in range(rng.randint(0, 3)))):
        canvas.line([(x, max(y - up, horizon)) for x, y in shore], 0.02, c.WHITE)
    canvas.mottle(rng, (0, start, 1, 1), (24, 16), rng.uniform(0.05, 0.15))
    scatter(canvas, rng, things.parasol, rng.randint(0, 6), start + 0.08, 1.1, 0.5)
    scatter(canvas, rng, person, rng.randint(0, 5), start + 0.08, 1.1, 0.5)
    canvas.light(light)


def park(canvas: Canvas, rng: Random) -> None:
    """A lawn with trees and a path, or the inside of a wood, in any season."""
    horizon, (lawn, leaves) = rng.uniform(0.3, 0.6), rng.choice(SEASONS)
    light, tree = sky(canvas, rng, horizon), partial(things.plant, leaves=leaves)
    canvas.fade(horizon, 1, c.shade(lawn, 0.8), c.shade(lawn, 1.1))
    row(canvas, rng, tree, 0.12, horizon + 0.03, rng.uniform(0.2, 0.4))
    if rng.random() < 0.5:
        path = Space(rng.uniform(0.2, 0.8), horizon - 0.01)
        left, right = rng.uniform(-0.5, 0.4), rng.uniform(0.6, 1.5)
        canvas.polygon(path.level(1.1, left, right, 1, 20), (190, 170, 140))
    canvas.mottle(rng, (0, horizon, 1, 1), (28, 28), rng.uniform(0.1, 0.25))
    trunks = 12 if rng.random() < 0.35 else 0
    for y in sorted(rng.uniform(horizon, 1.1) for _ in range(trunks)):
        x, bark = rng.random(), c.shade(rng.choice(c.WOODS), 0.9 - y / 2)
        canvas.line([(x, y), (x, -0.1)], 0.01 + 0.1 * (y - horizon), bark)
    scatter(canvas, rng, person, rng.randint(0, 4), horizon + 0.08, 1, 0.5)
    scatter(canvas, rng, tree, rng.randint(1, 5), horizon + 0.1, 1.1, 1.1)
    canvas.light(light)


def stadium(canvas: Canvas, rng: Random) -> None:
    """A field with its lines before the ranks of spectators."""
    horizon, field = rng.uniform(0.25, 0.5), c.one_of(rng, FIELDS)
    light, top = sky(canvas, rng, horizon), rng.choice((0, horizon - rng.uniform(0.12, 0.25)))
    canvas.box(0, top, 1, horizon, c.muted(rng))
    canvas.mottle(rng, (0, top, 1, horizon), (60, 18), rng.uniform(0.5, 1))
    canvas.box(0, horizon, 1, 1, field)
    canvas.mottle(rng, (0, horizon, 1, 1), (28, 28), 0.1)
    space = Space(rng.uniform(0.3, 0.7), horizon - rng.uniform(0.05, 0.3))
    far = (1.1 - space.y) / (horizon - space.y)
    for x in (rng.uniform(-1, 2) for _ in range(rng.choice((2, 3, 10)))):
        canvas.line([space.at(x, 1.1, 0.9), space.at(x, 1.1, far)], 0.014, c.WHITE)
    row(canvas, rng, things.sign, 0.2, horizon + 0.02, 0.07)
    scatter(canvas, rng, person, rng.randint(0, 10), horizon + 0.1, 1, 0.35)
    canvas.light(light)


def street(canvas: Canvas, rng: Random) -> None:
    """Between two rows of houses, or before those on the other side of the road."""
    along, horizon = rng.random() < 0.6, rng.uniform(0.45, 0.65)
    left, right = (rng.uniform(-0.6, 0), rng.uniform(1, 1.6)) if along else (-0.6, 1.6)
    light, depth = sky(canvas, rng, horizon), 9.0 if along else rng.uniform(1.5, 2)
    space = Space(rng.uniform(0.3, 0.7), horizon, left, right, -0.5, 1.1, depth)
    canvas.polygon(space.level(1.1, left, right, 0.5, depth), c.METAL)
    canvas.polygon(space.level(1.1, left + 0.2, right - 0.2, 0.5, 9), c.shade(c.METAL, 0.5))
    for near in (0.8, 1.2, 1.8, 2.7):
        canvas.polygon(space.level(1.1, 0.48, 0.52, near, 1.25 * near), c.WHITE)
    for wall in space.walls()[:: 2 if along else 1]:
        for number in range(5):
            top = rng.uniform(-0.2, 0.5)
            house(canvas, rng, wall.part(number / 5, top, (number + 1) / 5, 1), max(light) < 0.9)
    scatter(canvas, rng, person, rng.randint(0, 3), horizon + 0.1, 1.1, 0.6)
    canvas.light(light)


def house(canvas: Canvas, rng: Random, wall: Wall, dark: bool) -> None:
    """Windows above a shop and its sign."""
    pane = (200, 150, 90) if dark else c.tint(0.6, 0.3, rng.uniform(0.3, 0.6))
    canvas.polygon(wall.patch(0, 0, 1, 1), c.one_of(rng, STONES))
    for cell in wall.part(0, 0, 1, 0.7).cells(rng.randint(2, 3), rng.randint(2, 3), 0.25):
        canvas.polygon(cell, c.shade(pane, rng.choice((0.3, 0.6, 1))))
    canvas.polygon(wall.patch(0.05, 0.76, 0.95, 0.97), c.shade(pane, rng.uniform(0.3, 1)))
    canvas.polygon(wall.patch(0.05, 0.7, 0.95, 0.78), c.vivid(rng))


# -- in rooms ---------------------------------------------------------------------------------


def room(canvas: Canvas, rng: Random, depth: float, tubes: bool = False) -> list[Wall]:
    """Draws an empty room: its walls on the left, at the rear and on the right."""
    left, right = rng.uniform(-0.2, 0.1), rng.uniform(0.9, 1.2)
    eye = rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.5)
    space = Space(*eye, left, right, rng.uniform(-0.3, 0), 1.15, depth)
    canvas.polygon(space.level(space.ceiling, left, right, 0.5, depth), (225, 225, 222))
    canvas.polygon(
        space.level(space.floor, left, right, 0.5, depth), c.one_of(rng, (*c.WOODS, c.METAL))
    )
    for x in (rng.uniform(0.1, 0.4), rng.uniform(0.6, 0.9)) if tubes else ():
        for near in (0.8 + 0.35 * number for number in range(round((depth - 0.8) / 0.35))):
            lamp = space.level(space.ceiling, x - 0.06, x + 0.06, near, near + 0.2)
            canvas.polygon(lamp, (255, 255, 255))
    colour = c.muted(rng)
    for wall, light in zip(space.walls(), (0.88, 1, 0.8), strict=True):
        canvas.polygon(wall.patch(0, 0, 1, 1), c.shade(colour, light))
    return space.walls()


def kitchen(canvas: Canvas, rng: Random) -> None:
    """Cupboards above and below a worktop with things on it, and a stove."""
    left, rear, right = room(canvas, rng, rng.uniform(1, 2))
    doors, start = rng.choice((c.WHITE, c.muted(rng), c.vivid(rng), *c.WOODS)), rng.uniform(0, 0.4)
    for wall in rng.choice(((rear,), (rear, left), (rear, right))):
        tile = c.muted(rng)
        for cell in wall.part(0, 0.3, 1, 0.65).cells(7, 3, 0.04):
            canvas.polygon(cell, c.shade(tile, rng.uniform(0.95, 1.15)))
        things.cupboards(canvas, rng, wall.part(0, 0.64, 1, 1), doors)
        canvas.polygon(wall.patch(0, 0.6, 1, 0.65), rng.choice((c.WHITE, c.BLACK, *c.WOODS)))
        things.cupboards(canvas, rng, wall.part(start, 0.08, rng.uniform(0.6, 1), 0.34), doors)
    stove = rng.uniform(0.1, 0.7)
    canvas.polygon(rear.patch(stove, 0.66, stove + 0.2, 0.98), c.METAL)
    canvas.polygon(rear.patch(stove + 0.02, 0.74, stove + 0.18, 0.9), c.BLACK)
    row(canvas, rng, things.product, 0.14, rear.at(0, 0.61)[1], rng.uniform(0.06, 0.14))
    scatter(canvas, rng, things.table, 1, 0.95, 1.1, 0.45)
    scatter(canvas, rng, person, 1, 0.95, 1.15, 0.9)
    canvas.light(rng.choice(ROOM_LIGHTS))


def living_room(canvas: Canvas, rng: Random) -> None:
    """A sofa among shelves, pictures and plants, before a window."""
    left, rear, right = room(canvas, rng, rng.uniform(1.1, 2))
    start, end, floor = rng.uniform(0, 0.5), rng.uniform(0.55, 1), rear.at(0, 1)[1]
    things.window(canvas, rng, rear.part(start, 0.15, end, 0.7))
    if rng.random() < 0.6:
        things.shelves(canvas, rng, rng.choice((left, right)).part(0.3, 0.2, 0.9, 0.95), 4, 0.09)
    scatter(canvas, rng, things.sign, 3, 0.3, 0.55, 0.2)
    scatter(canvas, rng, things.plant, 2, floor, floor + 0.1, 0.6)
    things.sofa(canvas, rng, rng.uniform(0.2, 0.8), floor + rng.uniform(0.08, 0.2), 0.38)
    for thing, h in ((things.table, 0.28), (person, 0.75)):
        scatter(canvas, rng, thing, 1, floor + 0.1, 1.1, h)
    canvas.light(rng.choice(ROOM_LIGHTS))


def office(canvas: Canvas, rng: Random) -> None:
    """Desks with screens, one behind the other, under tubes."""
    left, rear, right = room(canvas, rng, rng.uniform(1.4, 3), tubes=True)
    for wall in rng.choice(((rear,), (left,), (right,), (left, rear))):
        things.window(canvas, rng, wall.part(0.05, 0.1, 0.95, 0.65))
    floor = rear.at(0, 1)[1]
    for y in sorted(rng.uniform(floor, 1.05) for _ in range(rng.randint(2, 6))):
        x, h = rng.random(), 0.18 + 0.4 * (y - floor)
        things.table(canvas, rng, x, y, h)
        for side in rng.choice(((0,), (-0.4, 0.4))):
            things.sign(canvas, rng, x + side * h, y - h, 0.7 * h)
    scatter(canvas, rng, things.plant, 1, floor, 1, 0.5)
    scatter(canvas, rng, person, 2, floor, 1.1, 0.8)
    canvas.light(rng.choice(ROOM_LIGHTS))


def supermarket(canvas: Canvas, rng: Random) -> None:
    """Along an aisle, or before a shelf, full of goods, under signs and tubes."""
    depth = rng.choice((rng.uniform(1, 1.3), rng.uniform(2.5, 6)))
    left, rear, right = room(canvas, rng, depth, tubes=True)
    for wall, width in ((left, 0.1), (rear, rng.uniform(0.1, 0.2)), (right, 0.1)):
        low = wall.part(0, rng.uniform(0.05, 0.4), 1, 1)
        things.shelves(canvas, rng, low, rng.randint(3, 5), width)
    scatter(canvas, rng, things.sign, 3, 0.12, 0.3, 0.16)
    scatter(canvas, rng, person, rng.randint(0, 3), rear.at(0, 1)[1], 1.15, 0.8)
    canvas.light(rng.choice(ROOM_LIGHTS))


def concert(canvas: Canvas, rng: Random) -> None:
    """A stage in beams of light, a band on it, and heads and arms before it."""
    hue, stage, dark = rng.random(), rng.uniform(0.45, 0.65), rng.uniform(0.05, 0.5)
    canvas.fade(0, 1, c.tint(hue, 0.7, dark), c.tint(hue, 0.8, 0.7 * dark))
    scatter(canvas, rng, things.sign, 3, 0.3, 0.5, 0.3)
    for x in (rng.random() for _ in range(rng.randint(2, 7))):
        end, half = rng.uniform(-0.2, 1.2), rng.uniform(0.04, 0.15)
        beam = [(x, -0.05), (end - half, stage + 0.2), (end + half, stage + 0.2)]
        canvas.blend(beam, c.tint(rng.choice((hue, rng.random())), 0.5, 1), rng.uniform(0.2, 0.6))
    canvas.box(0, stage, 1, 1, c.shade(c.tint(hue, 0.4, dark), 0.5))
    scatter(canvas, rng, person, rng.randint(1, 5), stage, stage + 0.06, 0.35)
    fans = partial(things.spectator, colour=rng.choice((c.BLACK, None, c.tint(hue, 0.6, 0.25))))
    for y in (stage + 0.15, stage + 0.28, 0.98):
        row(canvas, rng, fans, 0.07 + 0.1 * (y - stage), y, 0.1 + 0.16 * (y - stage))
    canvas.light(rng.choice(ROOM_LIGHTS))


def in_front(canvas: Canvas, rng: Random) -> None:
    """Draws one thing near the left or the right edge in half of the pictures."""
    thing = rng.choice((things.spectator, person, things.product, things.sign, things.plant))
    x = rng.choice((rng.uniform(0.05, 0.35), rng.uniform(0.65, 0.95)))
    if rng.random() < 0.5:
        thing(canvas, rng, x, rng.uniform(0.95, 1.1), rng.uniform(0.3, 0.7))


EACH = (beach, concert, kitchen, living_room, office, park, stadium, street, supermarket)
DRAWINGS = {own.__name__: own for own in EACH}
