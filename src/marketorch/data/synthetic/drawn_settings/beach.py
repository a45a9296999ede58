"""Sand and sea: toward the water, along it, or from above, at any hour."""

from __future__ import annotations

import itertools
import math
from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Canvas, Point
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    GREENS,
    WHITE,
    Colour,
    mixed,
    muted,
    shade,
    varied,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.light import DUSK, GOLDEN, HOURS, sky
from marketorch.data.synthetic.drawn_settings.people import people
from marketorch.data.synthetic.drawn_settings.plants import palm
from marketorch.data.synthetic.drawn_settings.things import parasol

SANDS: tuple[Colour, ...] = (
    *((236, 214, 168), (214, 186, 140), (244, 234, 212)),
    *((150, 138, 124), (112, 104, 98)),
)
SEAS: tuple[Colour, ...] = (
    *((40, 150, 178), (34, 104, 156), (64, 190, 190)),
    *((92, 124, 134), (120, 134, 142)),
)


def beach(canvas: Canvas, rng: Random) -> None:
    """Draws a beach."""
    hour, horizon = rng.choice(HOURS), rng.uniform(0.15, 0.55)
    sand, sea = varied(rng, rng.choice(SANDS)), varied(rng, rng.choice(SEAS))
    if rng.random() < 0.15:
        _from_above(canvas, rng, sand, sea)
        return
    sky(canvas, rng, hour, horizon)
    if rng.random() < 0.35:
        _hills(canvas, rng, horizon)
    view = _toward_the_water if rng.random() < 0.55 else _along_the_water
    dry = view(canvas, rng, horizon, sand, sea)
    for _ in range(rng.choice((0, 0, 1, 2))):
        _boat(canvas, rng, rng.random(), horizon + 0.02, rng.uniform(0.05, 0.16))
    _on_the_sand(canvas, rng, dry)
    canvas.lit(hour.light)
    if hour in (GOLDEN, DUSK):
        canvas.glow(rng.random(), horizon, rng.uniform(0.2, 0.5), (120, 70, 20))


def _hills(canvas: Canvas, rng: Random, horizon: float) -> None:
    """Hills or cliffs behind the water."""
    colour = mixed(rng.choice(GREENS), (150, 160, 180), rng.uniform(0.2, 0.8))
    left, high = rng.uniform(-0.4, 0.6), rng.uniform(0.05, 0.2)
    ridge = [(left + 0.2 * i, horizon - high * rng.uniform(0.5, 1)) for i in range(4)]
    foot = horizon + 0.01
    canvas.polygon([(left - 0.2, foot), *ridge, (left + 0.9, foot)], colour)


def _toward_the_water(
    canvas: Canvas, rng: Random, horizon: float, sand: Colour, sea: Colour
) -> float:
    """The waterline lies across the picture; returns from which height on the sand is dry."""
    shore, slope, phase = horizon + rng.uniform(0.08, 0.35), rng.uniform(-0.08, 0.08), rng.random()
    waves = rng.randint(4, 12), rng.randint(8, 30)
    canvas.fade(horizon, shore, shade(sea, 0.75), shade(sea, 1.25))
    canvas.mottle(rng, (0, horizon, 1, shore), waves, 0.16)
    canvas.fade(shore, 1, shade(sand, 0.85), sand)
    canvas.mottle(rng, (0, shore, 1, 1), (24, 16), rng.uniform(0.05, 0.2))
    edge = [
        (x / 10, shore + slope * (x / 10 - 0.5) + 0.015 * math.sin(0.9 * x + 6 * phase))
        for x in range(11)
    ]
    canvas.line(edge, 0.035, shade(sand, 0.7))
    canvas.line(edge, 0.018, WHITE)
    for _ in range(rng.randint(0, 3)):  # breakers
        y, x = rng.uniform(horizon + 0.02, shore), rng.uniform(-0.1, 0.8)
        canvas.line([(x, y), (x + rng.uniform(0.2, 0.7), y)], 0.012, WHITE)
    return shore + 0.05


def _along_the_water(
    canvas: Canvas, rng: Random, horizon: float, sand: Colour, sea: Colour
) -> float:
    """The waterline winds from the bottom into the distance, with breakers beside it."""
    end, low = rng.uniform(0.15, 0.5), rng.uniform(0.4, 0.95)
    bend, wobble, phase = rng.uniform(0.6, 2), rng.uniform(0.01, 0.06), rng.uniform(0, 6)

    def edge(share: float, aside: float) -> Point:
        """A place beside the waterline, from the horizon (0) to the bottom (1)."""
        x = end + (low - end) * share**bend + share * (aside + wobble * math.sin(9 * share + phase))
        return x, horizon + share * (1.05 - horizon)

    shares = [0.1 * i for i in range(11)]
    canvas.fade(horizon, 1, shade(sea, 0.75), shade(sea, 1.2))
    canvas.mottle(rng, (0, horizon, 1, 1), (8, 24), 0.14)
    for aside, colour in ((0.0, shade(sand, 0.72)), (rng.uniform(0.1, 0.25), sand)):
        canvas.polygon([(1.1, horizon), *(edge(s, aside) for s in shares), (1.1, 1.1)], colour)
    for aside in (0.0, *(rng.uniform(-0.6, -0.05) for _ in range(rng.randint(1, 4)))):
        for start, stop in itertools.pairwise(shares):
            if aside == 0 or rng.random() < 0.6:
                canvas.line([edge(start, aside), edge(stop, aside)], 0.004 + 0.03 * start, WHITE)
    if rng.random() < 0.5:
        _behind_the_sand(canvas, rng, end, horizon)
    return horizon + 0.12


def _behind_the_sand(canvas: Canvas, rng: Random, left: float, horizon: float) -> None:
    """Dunes and trees or hotels, on the land side of the water."""
    built = rng.random() < 0.35
    for _ in range(7):
        x, size = rng.uniform(left + 0.15, 1.1), rng.uniform(0.04, 0.16)
        if built:
            canvas.box(x, horizon - size, x + 0.7 * size, horizon + 0.03, muted(rng))
        else:
            canvas.ellipse(x, horizon + 0.02, size, 0.7 * size, varied(rng, rng.choice(GREENS)))


def _boat(canvas: Canvas, rng: Random, x: float, y: float, size: float) -> None:
    hull = ((-0.4, -0.15), (0.45, -0.15), (0.3, 0), (-0.3, 0))
    sail = ((0, -1.1), (0, -0.2), (0.45, -0.2))
    for shape in (hull, sail):
        colour = rng.choice((WHITE, vivid(rng)))
        canvas.polygon([(x + a * size, y + b * size) for a, b in shape], colour)


def _on_the_sand(canvas: Canvas, rng: Random, top: float) -> None:
    """People, towels, parasols, a palm tree."""
    people(canvas, rng, top, 0.85, rng.uniform(0.15, 0.4), rng.choice((0, 2, 5, 9)))
    for y in sorted(rng.uniform(top, 1.02) for _ in range(rng.choice((0, 1, 1, 2, 5)))):
        x, size = rng.random(), 0.12 + 0.5 * (y - top)
        for colour, aside in ((BLACK, 0.1 * size), (vivid(rng), 0.0)):  # a shadow and a towel
            left, low = x - 0.5 * size + aside, y + 0.16 * size
            towel = [(left, y), (left + 0.9 * size, y), (left + 1.1 * size, low)]
            canvas.blend([*towel, (left + 0.1 * size, low)], colour, 0.35 if aside else 1)
        if rng.random() < 0.75:
            parasol(canvas, rng, x, y, size)
    if rng.random() < 0.25:
        palm(canvas, rng, rng.choice((0.08, 0.9)), rng.uniform(top, 1.0), rng.uniform(0.4, 0.8))


def _from_above(canvas: Canvas, rng: Random, sand: Colour, sea: Colour) -> None:
    """What a drone sees: the waterline, and parasols beside towels."""
    canvas.box(0, 0, 1, 1, sand)
    canvas.mottle(rng, (0, 0, 1, 1), (32, 32), 0.1)
    edge, slope, phase = rng.uniform(0.3, 0.65), rng.uniform(-0.5, 0.5), rng.uniform(0, 6)
    rows = [(0.1 * i - 0.1, 0.03 * math.sin(0.8 * i + phase)) for i in range(13)]
    depths = (0.1, shade(sand, 0.8)), (0.06, WHITE), (0.03, shade(sea, 1.35)), (-0.12, sea)
    for aside, colour in depths:
        line = [(edge + aside + slope * (y - 0.5) + wave, y) for y, wave in rows]
        canvas.polygon([(-0.1, -0.1), *line, (-0.1, 1.1)], colour)
    for _ in range(rng.randint(4, 14)):
        y, size, colour = rng.random(), rng.uniform(0.025, 0.05), vivid(rng)
        x = rng.uniform(edge + 0.2 + slope * (y - 0.5), 1.0)
        canvas.box(x, y, x + 0.04, y + 0.075, rng.choice((WHITE, vivid(rng))))
        canvas.ellipse(x + 0.025, y + 0.025, size, size, shade(colour, 0.45))
        canvas.ellipse(x, y, size, size, colour)
        canvas.ellipse(x, y, 0.3 * size, 0.3 * size, WHITE)
