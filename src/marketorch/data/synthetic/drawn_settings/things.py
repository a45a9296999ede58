"""Things that stand about in more than one setting: products, signs, screens, lamps, chairs.

They are drawn from where they stand, ``x`` and ``y``, upward by their height ``h``, or into a box.
"""

from __future__ import annotations

from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Box, Canvas, Space
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    GREENS,
    METAL,
    WHITE,
    Colour,
    mixed,
    muted,
    shade,
    tint,
    varied,
    vivid,
)
from marketorch.data.synthetic.drawn_settings.plants import potted

WIDTHS = {
    "bottle": 0.16,
    "can": 0.28,
    "cup": 0.3,
    "box": 0.36,
    "bag": 0.36,
}  # half of it, in heights
CAR_PAINTS = (WHITE, BLACK, METAL)


# -- what has a mark on it --------------------------------------------------------------------


def mark(canvas: Canvas, rng: Random, x: float, y: float, size: float, colour: Colour) -> None:
    """The mark of an invented brand about ``x``, ``y``; ``size`` is half its width."""
    kind = rng.randrange(5)
    if kind == 0:
        canvas.ellipse(x, y, size, size, colour)
        canvas.ellipse(x, y, size / 2, size / 2, WHITE)
    elif kind == 1:
        foot = y + 0.8 * size
        canvas.polygon([(x - size, foot), (x + size, foot), (x, y - size)], colour)
    elif kind == 2:
        for place in (x - 0.7 * size, x, x + 0.7 * size):
            top, bottom = y - 0.9 * size, y + 0.9 * size
            canvas.box(place - 0.2 * size, top, place + 0.2 * size, bottom, colour)
    elif kind == 3:
        canvas.polygon([(x, y - size), (x + size, y), (x, y + size), (x - size, y)], colour)
    else:
        zigzag = ((-1, 0.5), (-0.4, -0.6), (0, 0.5), (0.4, -0.6), (1, 0.5))
        canvas.line([(x + a * size, y + b * size) for a, b in zigzag], 0.4 * size, colour)


def product(canvas: Canvas, rng: Random, x: float, y: float, h: float, kind: str = "") -> None:
    """A thing with a label and a mark, one of `WIDTHS`."""
    kind = kind or rng.choice(list(WIDTHS))
    colour, label = vivid(rng), rng.choice((WHITE, vivid(rng), muted(rng)))
    half, top = h * WIDTHS[kind], y - h
    if kind == "bottle":
        canvas.box(x - 0.4 * half, top, x + 0.4 * half, y, shade(colour, 0.8))
        canvas.box(x - 0.45 * half, top, x + 0.45 * half, top + 0.08 * h, label)
        top += 0.36 * h
        canvas.ellipse(x, top, half, 0.1 * h, colour)
    if kind == "cup":
        foot = 0.7 * half
        canvas.polygon([(x - half, top), (x + half, top), (x + foot, y), (x - foot, y)], colour)
        canvas.ellipse(x, top, half, 0.06 * h, WHITE)
    else:
        canvas.box(x - half, top, x + half, y, colour)
    if kind == "bag":
        handle = [(x - half / 2, top), (x, top - 0.3 * h), (x + half / 2, top)]
        canvas.line(handle, 0.03 * h, BLACK)
    middle = (top + y) / 2
    canvas.box(x - 0.8 * half, middle - 0.2 * h, x + 0.8 * half, middle + 0.2 * h, label)
    mark(canvas, rng, x, middle, 0.62 * half, vivid(rng))


def products(canvas: Canvas, rng: Random, left: float, right: float, y: float, h: float) -> None:
    """Products and plants here and there on a board."""
    x = left + rng.uniform(0, 0.2)
    while x < right:
        size = h * rng.uniform(0.6, 1)
        if rng.random() < 0.2:
            potted(canvas, rng, x, y, 1.3 * size)
        else:
            product(canvas, rng, x, y, size)
        x += rng.uniform(0.08, 0.4)


def board(canvas: Canvas, rng: Random, box: Box) -> None:
    """A sign, a poster or a banner: a mark and, if it is long, a line of letters."""
    left, top, right, bottom = box
    ground, ink = rng.choice((vivid(rng), WHITE, BLACK)), vivid(rng)
    canvas.box(*box, ground)
    h, middle = bottom - top, (top + bottom) / 2
    if right - left < 1.5 * h:
        mark(canvas, rng, (left + right) / 2, middle, 0.3 * min(h, right - left), ink)
        return
    mark(canvas, rng, left + 0.55 * h, middle, 0.32 * h, ink)
    x, plain = left + 1.1 * h, WHITE if ground == BLACK else BLACK
    while x < right - 0.3 * h:
        end = min(x + h * rng.uniform(0.12, 0.3), right - 0.1 * h)
        canvas.box(x, middle - 0.2 * h, end, middle + 0.2 * h, rng.choice((ink, plain)))
        x = end + 0.1 * h


def parasol(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """A parasol or an open umbrella on a pole, in one colour or in stripes."""
    colour, other = vivid(rng), rng.choice((WHITE, vivid(rng)))
    striped, half = rng.random() < 0.6, h * rng.uniform(0.42, 0.6)
    top, bow, rim = y - h, y - 0.92 * h, y - 0.68 * h
    canvas.line([(x, y), (x, top)], 0.035 * h, METAL)
    for number in range(5):
        left, right = half * (0.4 * number - 1), half * (0.4 * number - 0.6)
        stripe = other if striped and number % 2 else shade(colour, 1 - 0.06 * number)
        rib = [(x + 0.55 * right, bow), (x, top), (x + 0.55 * left, bow)]
        canvas.polygon([(x + left, rim), (x + right, rim), *rib], stripe)


# -- on the road ------------------------------------------------------------------------------


def car(canvas: Canvas, rng: Random, x: float, y: float, length: float) -> None:
    """A car from the side, ``x`` its middle."""
    paint, half = rng.choice((vivid(rng), *CAR_PAINTS)), length / 2
    low, hood, roof = y - 0.06 * length, y - 0.21 * length, y - 0.36 * length
    glass = tint(0.57, 0.2, rng.uniform(0.2, 0.6))
    for colour, lower, upper, high in (
        (shade(paint, 0.9), 0.62, 0.32, roof),
        (glass, 0.5, 0.27, roof + 0.03 * length),
    ):
        foot, top = (x - lower * half, hood), (x - upper * half, high)
        canvas.polygon([foot, top, (2 * x - top[0], high), (2 * x - foot[0], hood)], colour)
    canvas.box(x - half, hood, x + half, low, paint)
    for wheel in (x - 0.6 * half, x + 0.6 * half):
        canvas.ellipse(wheel, low, 0.09 * length, 0.09 * length, BLACK)
        canvas.ellipse(wheel, low, 0.045 * length, 0.045 * length, METAL)


def car_ahead(canvas: Canvas, rng: Random, x: float, y: float, width: float) -> None:
    """A car from behind or from the front, as one sees it along a road."""
    paint, half = rng.choice((vivid(rng), *CAR_PAINTS)), width / 2
    low, middle, roof = y - 0.1 * width, y - 0.45 * width, y - 0.8 * width
    for wheel in (x - 0.75 * half, x + 0.75 * half):
        canvas.box(wheel - 0.2 * half, low, wheel + 0.2 * half, y, BLACK)
    for colour, lower, upper, high in (
        (paint, 1.0, 0.75, roof),
        ((58, 70, 84), 0.8, 0.65, roof + 0.07 * width),
    ):
        foot, top = (x - lower * half, middle), (x - upper * half, high)
        canvas.polygon([foot, top, (2 * x - top[0], high), (2 * x - foot[0], middle)], colour)
    canvas.box(x - half, middle, x + half, low, shade(paint, 0.85))
    lamp = rng.choice(((220, 40, 30), (255, 240, 200)))
    for place in (x - 0.8 * half, x + 0.8 * half):
        canvas.ellipse(place, middle + 0.12 * width, 0.09 * width, 0.06 * width, lamp)


# -- in rooms ---------------------------------------------------------------------------------


def chair(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    """A chair from the front or from behind."""
    half, seat = 0.22 * h, y - 0.45 * h
    for leg in (x - 0.8 * half, x + 0.8 * half):
        canvas.line([(leg, seat), (leg, y)], 0.04 * h, shade(colour, 0.6))
    canvas.box(x - half, y - h, x + half, y - 0.55 * h, colour)
    cushion = x - 1.1 * half, seat - 0.05 * h, x + 1.1 * half, seat + 0.04 * h
    canvas.box(*cushion, shade(colour, 0.8))


def pendant(canvas: Canvas, rng: Random, x: float, y: float, size: float) -> None:
    """A lamp that hangs from the ceiling, its lower rim at ``y``; ``size`` is half its width."""
    colour, top = rng.choice((muted(rng), vivid(rng), BLACK, METAL)), y - size
    canvas.line([(x, 0), (x, top)], 0.008, BLACK)
    if rng.random() < 0.5:
        neck = 0.3 * size
        canvas.polygon([(x - size, y), (x + size, y), (x + neck, top), (x - neck, top)], colour)
    else:
        canvas.ellipse(x, y - 0.6 * size, 0.8 * size, 0.7 * size, colour)
    canvas.ellipse(x, y, 0.5 * size, 0.22 * size, (255, 244, 206))


def ceiling_lamps(canvas: Canvas, rng: Random, space: Space) -> None:
    """Rows of bright panels in a ceiling."""
    rows, long = rng.randint(1, 3), rng.uniform(1.15, 1.45)
    for row in range(rows):
        x = space.left + (space.right - space.left) * (row + 0.5) / rows
        half = rng.uniform(0.04, 0.1)
        for depth in (1.0, 1.7, 2.6, 3.8):
            panel = space.level(space.ceiling, x - half, x + half, depth, long * depth)
            canvas.polygon(panel, (255, 255, 250))


def window(canvas: Canvas, rng: Random, box: Box, frame: Colour, dark: bool) -> None:
    """A window from inside: the sky, and trees or houses, behind one to three panes."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    night, day = tint(0.63, 0.6, rng.uniform(0.05, 0.2)), tint(0.57, rng.uniform(0, 0.4), 0.95)
    canvas.box(*box, night if dark else day)
    outside = rng.choice((rng.choice(GREENS), muted(rng)))
    x = left
    while x < right:
        end = min(x + wide * rng.uniform(0.15, 0.5), right)
        colour = shade(varied(rng, outside), 0.25 if dark else 0.9)
        canvas.box(x, top + high * rng.uniform(0.3, 0.85), end, bottom, colour)
        x = end + 1e-6
    for _ in range(5 if dark else 0):
        lamp = rng.uniform(left, right), rng.uniform(top + high / 2, bottom)
        canvas.ellipse(*lamp, 0.008, 0.008, (255, 220, 150))
    bar, panes = 0.012, rng.randint(1, 3)
    for x in (left + wide * number / panes for number in range(panes + 1)):
        canvas.box(x - bar, top, x + bar, bottom, frame)
    for y in (top, bottom):
        canvas.box(left - bar, y - bar, right + bar, y + bar, frame)


def screen(canvas: Canvas, rng: Random, box: Box, *, work: bool) -> None:
    """A screen, off or on; it shows texts and charts at work, and pictures elsewhere."""
    left, top, right, bottom = box
    edge, kind = 0.05 * (right - left), rng.random()
    canvas.box(*box, BLACK)
    if kind < 0.15:
        return
    left, top, right, bottom = left + edge, top + edge, right - edge, bottom - edge
    wide, high = right - left, bottom - top
    ground, ink = rng.choice((WHITE, tint(0.6, 0.5, 0.3), vivid(rng))), vivid(rng)
    canvas.box(left, top, right, bottom, ground)
    if not work:
        canvas.box(left, top + high * rng.uniform(0.4, 0.8), right, bottom, ink)
        x = left + wide * rng.uniform(0.2, 0.8)
        canvas.ellipse(x, (top + bottom) / 2, 0.17 * wide, 0.3 * high, vivid(rng))
    elif kind < 0.6:
        for y in (top + high * share for share in (0.15, 0.35, 0.55, 0.75)):
            end, colour = left + wide * rng.uniform(0.4, 0.9), mixed(ground, BLACK, 0.5)
            canvas.box(left + 0.1 * wide, y, end, y + 0.09 * high, colour)
    else:
        for x in (left + wide * share for share in (0.1, 0.27, 0.44, 0.61, 0.78)):
            bar = bottom - high * rng.uniform(0.15, 0.8)
            canvas.box(x, bar, x + 0.1 * wide, bottom - 0.08 * high, ink)
