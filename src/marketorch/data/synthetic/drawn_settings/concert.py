"""Music before people: a stage from the crowd, in the open, a club, or a singer close by."""

from __future__ import annotations

from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Canvas
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    GREENS,
    METAL,
    WHITE,
    Colour,
    mixed,
    shade,
    tint,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.people import heads, person
from marketorch.data.synthetic.drawn_settings.things import board, mark, screen

SKIES: tuple[tuple[Colour, Colour], ...] = (  # above and below: by day, clouded, at dusk, at night
    *(((92, 158, 226), (200, 224, 240)), ((168, 176, 188), (222, 224, 226))),
    *(((70, 60, 130), (250, 150, 110)), ((24, 24, 60), (70, 60, 110))),
)


def concert(canvas: Canvas, rng: Random) -> None:
    """Draws a concert or a club."""
    lamps, kind = [tint(rng.random(), rng.uniform(0.2, 1), 1) for _ in range(2)], rng.random()
    if kind < 0.15:
        _open_air(canvas, rng)
        return
    above, below = rng.uniform(0.05, 0.3), rng.uniform(0.1, 0.5)
    canvas.fade(0, 1, shade(lamps[0], above), shade(lamps[1], below))
    view = _stage if kind < 0.65 else _club if kind < 0.82 else _singer
    view(canvas, rng, lamps)


def _stage(canvas: Canvas, rng: Random, lamps: list[Colour]) -> None:
    """A stage between loudspeakers, behind the heads of the crowd."""
    floor = rng.uniform(0.55, 0.72)
    if rng.random() < 0.6:
        half, y = rng.uniform(0.15, 0.35), rng.uniform(0.1, 0.25)
        colour = shade(rng.choice((vivid(rng), WHITE)), 0.8)
        canvas.box(0.5 - half, y, 0.5 + half, floor - 0.08, colour)
        mark(canvas, rng, 0.5, (y + floor) / 2 - 0.04, half / 2, vivid(rng))
    _beams(canvas, rng, rng.uniform(-0.02, 0.12), lamps, rng.randint(3, 8))
    canvas.box(0, floor, 1, 1, shade(lamps[1], 0.12))
    _band(canvas, rng, floor, shade(lamps[0], 0.08))
    for x in (0.08, 0.92) if rng.random() < 0.5 else ():
        canvas.box(x - 0.08, floor - 0.3, x + 0.08, floor, (20, 20, 22))
        for up in (0.22, 0.12):
            canvas.ellipse(x, floor - up, 0.04, 0.04, (52, 52, 56))
    _crowd(canvas, rng, rng.uniform(0.68, 0.85), shade(lamps[1], rng.uniform(0.02, 0.15)))


def _beams(canvas: Canvas, rng: Random, y: float, lamps: list[Colour], number: int) -> None:
    """Lamps on a truss, and their light in the smoke."""
    canvas.line([(0, y), (1, y)], 0.03, (48, 48, 52))
    for place in range(number):
        x, colour = (place + 0.5) / number + rng.uniform(-0.03, 0.03), rng.choice((*lamps, WHITE))
        end, half = x + rng.uniform(-0.5, 0.5), rng.uniform(0.05, 0.2)
        cone = [(x - 0.01, y), (x + 0.01, y), (end + half, 1.0), (end - half, 1.0)]
        canvas.blend(cone, colour, rng.uniform(0.2, 0.5))
        canvas.ellipse(x, y, 0.022, 0.022, mixed(colour, WHITE, 0.7))
        canvas.glow(x, y, rng.uniform(0.06, 0.16), colour)


def _band(canvas: Canvas, rng: Random, floor: float, colour: Colour) -> None:
    """Musicians, most of them as silhouettes, with guitars or microphones; often drums."""
    for _ in range(rng.randint(1, 5)):
        x, h = rng.uniform(0.15, 0.85), rng.uniform(0.16, 0.3)
        person(canvas, rng, x, floor + 0.01, h, colour if rng.random() < 0.7 else None)
        if rng.random() < 0.5:
            guitar = [(x - 0.3 * h, floor - 0.65 * h), (x + 0.12 * h, floor - 0.5 * h)]
            canvas.line(guitar, 0.02, (120, 60, 30))
        else:
            canvas.line([(x + 0.15 * h, floor), (x + 0.1 * h, floor - 0.85 * h)], 0.008, METAL)
    x = rng.uniform(0.35, 0.65)
    for side, size in ((0, 0.06), (-0.09, 0.04), (0.09, 0.04)) if rng.random() < 0.5 else ():
        canvas.ellipse(x + side, floor - size, size, size, vivid(rng))
        canvas.ellipse(x + side, floor - size, 0.75 * size, 0.75 * size, (226, 224, 216))


def _crowd(canvas: Canvas, rng: Random, y: float, colour: Colour | None) -> None:
    """Rows of people from behind, the nearest the largest; arms and telephones are held up."""
    size, raised = rng.uniform(0.02, 0.04), rng.uniform(0, 0.6)
    while y < 1.05:
        own = shade(colour, 1.3 - 0.3 * y) if colour else None
        heads(canvas, rng, y, size, own, raised)
        if rng.random() < 0.35:
            x, top = rng.random(), y - 4 * size
            canvas.box(x, top, x + 1.6 * size, top + 1.1 * size, (196, 214, 236))
        y, size = y + 2.6 * size, 1.45 * size


def _open_air(canvas: Canvas, rng: Random) -> None:
    """A festival under the sky: the stage is a roof on towers, between screens."""
    (above, below), x, half = rng.choice(SKIES), rng.uniform(0.35, 0.65), rng.uniform(0.26, 0.4)
    floor, top = rng.uniform(0.6, 0.7), rng.uniform(0.12, 0.3)
    canvas.fade(0, floor, above, below)
    canvas.box(0, floor - 0.04, 1, 1, rng.choice((*GREENS, (120, 104, 84))))
    canvas.box(x - half, top, x + half, floor, (26, 24, 32))
    for lamp in (x + half * share for share in (-0.7, -0.25, 0.25, 0.7)):
        colour, end = tint(rng.random(), rng.uniform(0.2, 1), 1), x + half * rng.uniform(-0.8, 0.8)
        foot = [(end - 0.2 * half, floor), (end + 0.2 * half, floor)]
        canvas.blend([(lamp, top), *foot], colour, 0.5)
        canvas.glow(lamp, top + 0.02, 0.08, colour)
    eaves = [(x - 1.15 * half, top + 0.02), (x + 1.15 * half, top + 0.02)]
    ridge = [(x + 0.7 * half, top - 0.1), (x - 0.7 * half, top - 0.1)]
    canvas.polygon([*eaves, *ridge], rng.choice((BLACK, METAL, vivid(rng))))
    for side in (-1, 1):
        tower = x + side * half
        canvas.line([(tower, top), (tower, floor)], 0.035, shade(METAL, 0.5))
        middle = tower + side * 0.4 * half
        if rng.random() < 0.7:
            box = middle - 0.3 * half, top + 0.08, middle + 0.3 * half, floor - 0.12
            screen(canvas, rng, box, work=False)
    board(canvas, rng, (x - 0.6 * half, top - 0.08, x + 0.6 * half, top - 0.01))
    _band(canvas, rng, floor, BLACK)
    _crowd(canvas, rng, rng.uniform(0.68, 0.8), None if sum(above) > 350 else BLACK)


def _club(canvas: Canvas, rng: Random, lamps: list[Colour]) -> None:
    """Dancers under lasers and, most times, a mirror ball; often somebody at turntables."""
    for _ in range(rng.randint(10, 40)):
        spot, colour = (rng.random(), rng.uniform(0, 0.7)), shade(rng.choice(lamps), rng.random())
        canvas.ellipse(*spot, 0.012, 0.012, colour)
    x, y, size = rng.uniform(0.25, 0.75), rng.uniform(0.1, 0.25), rng.uniform(0.07, 0.14)
    for _ in range(rng.randint(4, 9)):
        end = x + rng.uniform(-1, 1), y + rng.uniform(0.2, 1)
        canvas.line([(x, y), end], 0.008, rng.choice(lamps))
    if rng.random() < 0.65:
        _mirror_ball(canvas, rng, x, y, size)
    if rng.random() < 0.5:
        x, y = rng.uniform(0.35, 0.65), rng.uniform(0.52, 0.62)
        person(canvas, rng, x, y + 0.18, 0.42)
        canvas.box(x - 0.22, y, x + 0.22, y + 0.28, (24, 24, 28))
        for deck in (x - 0.11, x + 0.11):
            canvas.ellipse(deck, y, 0.07, 0.025, (90, 90, 96))
        mark(canvas, rng, x, y + 0.13, 0.06, rng.choice(lamps))
    _crowd(canvas, rng, rng.uniform(0.66, 0.8), shade(lamps[1], rng.uniform(0.03, 0.2)))


def _mirror_ball(canvas: Canvas, rng: Random, x: float, y: float, size: float) -> None:
    canvas.line([(x, 0), (x, y)], 0.008, METAL)
    canvas.ellipse(x, y, size, size, (150, 152, 160))
    step = 0.28 * size
    for row in range(-3, 4):
        for column in range(-3, 4):
            if row**2 + column**2 < 12:
                left, top = x + column * step, y + row * step
                mirror = shade(WHITE, rng.uniform(0.2, 1))
                canvas.box(left, top, left + 0.7 * step, top + 0.7 * step, mirror)


def _singer(canvas: Canvas, rng: Random, lamps: list[Colour]) -> None:
    """A singer at a microphone in the light of the stage, from the first rows."""
    _beams(canvas, rng, 0.0, lamps, rng.randint(2, 5))
    x, y, h = rng.uniform(0.35, 0.65), rng.uniform(0.88, 1.1), rng.uniform(0.65, 0.95)
    canvas.ellipse(x, y, 0.4, 0.07, shade(lamps[0], 0.6))
    person(canvas, rng, x, y, h)
    neck, mouth = y - 0.8 * h, (x + 0.04, y - 0.88 * h)
    canvas.line([(x + 0.16, y + 0.02), (x + 0.12, neck), mouth], 0.016, (206, 206, 212))
    canvas.ellipse(*mouth, 0.025, 0.03, (60, 60, 64))
    if rng.random() < 0.7:
        colour, hips = rng.choice(((150, 70, 30), vivid(rng), BLACK)), y - 0.5 * h
        canvas.ellipse(x, hips, 0.14 * h, 0.1 * h, colour)
        canvas.line([(x, hips), (x - 0.42 * h, y - 0.66 * h)], 0.03, (90, 54, 30))
    if rng.random() < 0.6:
        _crowd(canvas, rng, 0.9, shade(lamps[1], 0.06))
