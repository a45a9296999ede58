"""What stands about in the settings, most of it in several, and how it is spread over a picture.

A `Thing` is drawn from where it stands, ``x`` and ``y``, upward by its height ``h``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from marketorch.data.synthetic.drawn_settings import colours as c
from marketorch.data.synthetic.drawn_settings.canvas import Canvas, Wall
from marketorch.data.synthetic.drawn_settings.colours import Colour

Thing = Callable[[Canvas, Random, float, float, float], None]
SKINS: tuple[Colour, ...] = ((244, 208, 177), (224, 172, 130), (176, 122, 82), (112, 72, 48))
HAIRS: tuple[Colour, ...] = ((30, 24, 22), (74, 48, 30), (128, 84, 46), (206, 168, 102))


def scatter(
    canvas: Canvas, rng: Random, thing: Thing, most: int, far: float, near: float, h: float
) -> None:
    """None to ``most`` of a thing on the ground between two heights, smaller where farther."""
    for y in sorted(rng.uniform(far, near) for _ in range(rng.randint(0, most))):
        thing(canvas, rng, rng.random(), y, h * (0.3 + 0.7 * (y - far) / (near - far)))


def row(canvas: Canvas, rng: Random, thing: Thing, gap: float, y: float, h: float) -> None:
    """A thing again and again from the left to the right edge, about ``gap`` apart."""
    x = gap * rng.uniform(-0.5, 0.5)
    while x < 1.05:
        thing(canvas, rng, x, y, h * rng.uniform(0.7, 1))
        x += gap * rng.uniform(0.6, 1.4)


def person(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """Somebody standing or walking."""
    skin, top, legs = c.one_of(rng, SKINS), rng.choice((c.vivid, c.muted))(rng), c.muted(rng)
    wide, stride = rng.uniform(0.09, 0.13) * h, rng.uniform(0, 0.1) * h
    hips, neck, head = y - 0.48 * h, y - 0.8 * h, y - 0.91 * h
    for side in (-1, 1):
        canvas.line([(x + side * wide / 2, hips), (x + side * stride, y)], 0.085 * h, legs)
        hand = x + side * wide * rng.uniform(1, 1.6), neck + h * rng.choice((0.36, 0.36, -0.14))
        canvas.line([(x + side * wide, neck), hand], 0.055 * h, top)
    canvas.box(x - wide, neck, x + wide, y - h * rng.choice((0.48, 0.48, 0.25)), top)
    canvas.ellipse(x, head - 0.02 * h, 0.06 * h, 0.06 * h, rng.choice(HAIRS))
    canvas.ellipse(x, head, 0.05 * h, 0.065 * h, skin)


def spectator(
    canvas: Canvas, rng: Random, x: float, y: float, h: float, colour: Colour | None = None
) -> None:
    """Head and shoulders, at times with raised arms, in clothes or as a silhouette."""
    clothes, head = colour or c.muted(rng), colour or rng.choice((*SKINS, *HAIRS))
    for side in rng.choice(((), (), (-1,), (-1, 1))):
        hand = x + side * h * rng.uniform(0.3, 0.5), y - h * rng.uniform(1.1, 1.7)
        canvas.line([(x + 0.33 * side * h, y - 0.2 * h), hand], 0.12 * h, clothes)
    canvas.ellipse(x, y, 0.42 * h, 0.5 * h, clothes)
    canvas.ellipse(x, y - 0.7 * h, 0.22 * h, 0.28 * h, head)


def plant(
    canvas: Canvas, rng: Random, x: float, y: float, h: float, leaves: Sequence[Colour] = c.GREENS
) -> None:
    """A tree or a plant in a pot: clumps of leaves, the lighter ones in front, or a conifer."""
    leaf, conifer = c.one_of(rng, leaves), rng.random() < 0.3
    canvas.line([(x, y), (x, y - 0.3 * h)], 0.08 * h, c.shade(rng.choice(c.WOODS), 0.5))
    for step in range(4 if conifer else 6):
        light = c.shade(leaf, 0.65 + 0.1 * step)
        if conifer:
            foot, half = y - (0.12 + 0.2 * step) * h, (0.24 - 0.05 * step) * h
            canvas.polygon([(x - half, foot), (x + half, foot), (x, foot - 0.3 * h)], light)
            continue
        turn, far = rng.uniform(0, 2 * math.pi), rng.uniform(0.08, 0.22) * h
        clump = x + far * math.cos(turn), y - 0.62 * h + far * math.sin(turn)
        canvas.ellipse(*clump, 0.19 * h, 0.15 * h, light)


def product(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """A bottle, a can or a box with a label and an emblem."""
    half, label = h * rng.choice((0.16, 0.24, 0.36)), rng.choice((c.WHITE, c.vivid(rng)))
    canvas.box(x - 0.4 * half, y - 1.3 * h, x + 0.4 * half, y, label)
    canvas.box(x - half, y - h, x + half, y, c.vivid(rng))
    canvas.box(x - half, y - 0.85 * h, x + half, y - 0.2 * h, label)
    canvas.ellipse(x, y - 0.5 * h, 0.6 * half, 0.12 * h, c.vivid(rng))


def sign(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """A sign, a poster or a picture in its frame: an emblem and, if it is long, letters."""
    half, middle = h * rng.choice((0.4, 0.6, 1.5)), y - h / 2
    ground, ink = rng.choice((c.vivid(rng), c.WHITE, c.BLACK)), c.vivid(rng)
    canvas.box(x - half, y - h, x + half, y, c.shade(ground, 0.7))
    canvas.box(x - half + 0.06 * h, y - 0.94 * h, x + half - 0.06 * h, y - 0.06 * h, ground)
    for number in range(round(2.4 * half / h)):
        letter = x - half + (0.4 + 0.6 * number) * h
        canvas.ellipse(letter, middle, 0.2 * h, rng.uniform(0.1, 0.3) * h, ink)


def table(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """A table or a desk from the front."""
    wood, half, top = rng.choice((*c.WOODS, c.WHITE, c.BLACK)), 0.9 * h, y - h
    for leg in (x - 0.9 * half, x + 0.9 * half):
        canvas.line([(leg, top), (leg, y)], 0.06 * h, c.shade(wood, 0.6))
    rear = [(x + 0.85 * half, top - 0.2 * h), (x - 0.85 * half, top - 0.2 * h)]
    canvas.polygon([(x - half, top), (x + half, top), *rear], wood)
    canvas.box(x - half, top, x + half, top + 0.1 * h, c.shade(wood, 0.75))


def sofa(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """A sofa with its cushions."""
    cloth, half, seat = (
        rng.choice((c.muted(rng), c.vivid(rng))),
        h * rng.uniform(0.8, 1.2),
        y - h / 2,
    )
    canvas.box(x - half, y - h, x + half, y, c.shade(cloth, 0.8))
    canvas.box(x - 0.85 * half, seat, x + 0.85 * half, y - 0.12 * h, cloth)
    for side in rng.sample((-0.6, -0.2, 0.2, 0.6), rng.randint(1, 3)):
        canvas.ellipse(x + side * half, seat - 0.12 * h, 0.2 * h, 0.2 * h, c.vivid(rng))


def parasol(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """A parasol or an open umbrella in stripes."""
    colours, half, rim = (c.vivid(rng), rng.choice((c.WHITE, c.vivid(rng)))), 0.5 * h, y - 0.68 * h
    canvas.line([(x, y), (x, y - h)], 0.035 * h, c.METAL)
    for number in range(5):
        left, right = x + half * (0.4 * number - 1), x + half * (0.4 * number - 0.6)
        canvas.polygon([(left, rim), (right, rim), (x, y - h)], colours[number % 2])


def window(canvas: Canvas, rng: Random, wall: Wall) -> None:
    """A window from inside: the sky of day or night above trees or roofs, and its bars."""
    light, frame = rng.choice((0.15, 0.95, 0.95)), rng.choice((c.WHITE, c.BLACK, *c.WOODS))
    canvas.polygon(wall.patch(-0.04, -0.04, 1.04, 1.04), frame)
    for pane in wall.cells(rng.randint(1, 3), 1, 0.04):
        canvas.polygon(pane, c.tint(0.6, rng.uniform(0, 0.5), light))
    outside = c.shade(c.one_of(rng, (*c.GREENS, c.METAL)), light)
    canvas.polygon(wall.patch(0.03, rng.uniform(0.4, 0.9), 0.97, 0.97), outside)


def cupboards(canvas: Canvas, rng: Random, wall: Wall, colour: Colour) -> None:
    """Doors and drawers with their handles."""
    canvas.polygon(wall.patch(0, 0, 1, 1), c.shade(colour, 0.6))
    for door in wall.cells(rng.randint(3, 6), rng.choice((1, 1, 2)), 0.03):
        canvas.polygon(door, colour)
        canvas.ellipse(door[1][0] - 0.02, door[1][1] + 0.03, 0.012, 0.012, c.BLACK)


def shelves(canvas: Canvas, rng: Random, wall: Wall, rows: int, width: float) -> None:
    """Boards full of goods or books, some with labels; ``width`` is a share of the wall's."""
    edge = rng.choice((c.WHITE, c.METAL, *c.WOODS))
    canvas.polygon(wall.patch(0, 0, 1, 1), c.shade(edge, 0.4))
    for low, x in ((number / rows, 0.0) for number in range(1, rows + 1)):
        while x < 1 - width:
            end, top = x + width * rng.uniform(0.5, 1), low - rng.uniform(0.5, 0.9) / rows
            canvas.polygon(wall.patch(x, top, end - 0.01, low), c.vivid(rng))
            if rng.random() < 0.4:
                label = wall.patch(x, top + 0.15 / rows, end - 0.01, low - 0.25 / rows)
                canvas.polygon(label, c.WHITE)
            x = end
        canvas.polygon(wall.patch(0, low - 0.1 / rows, 1, low), edge)
