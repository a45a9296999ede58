"""What may be in front of any setting: somebody, a product in a hand, a sign, a plant."""

from __future__ import annotations

from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Canvas
from marketorch.data.synthetic.drawn_settings.colours import METAL, SKINS, shade, varied
from marketorch.data.synthetic.drawn_settings.people import bust, person
from marketorch.data.synthetic.drawn_settings.plants import potted
from marketorch.data.synthetic.drawn_settings.things import board, parasol, product


def in_front(canvas: Canvas, rng: Random) -> None:
    """Draws one thing near the left or the right edge in half of the pictures."""
    kind, low = rng.random(), rng.uniform(0.95, 1.1)
    x = rng.choice((rng.uniform(0.05, 0.35), rng.uniform(0.65, 0.95)))
    if kind < 0.12:
        bust(canvas, rng, x, rng.uniform(0.3, 0.5))
    elif kind < 0.24:
        person(canvas, rng, x, low, rng.uniform(0.5, 0.85))
    elif kind < 0.36:
        _held(canvas, rng, x, rng.uniform(0.2, 0.4))
    elif kind < 0.42:
        _signpost(canvas, rng, x)
    elif kind < 0.46:
        potted(canvas, rng, x, low, rng.uniform(0.3, 0.6))
    elif kind < 0.5:
        parasol(canvas, rng, x, low, rng.uniform(0.5, 0.8))


def _held(canvas: Canvas, rng: Random, x: float, h: float) -> None:
    """A product in somebody's hand."""
    skin, y, side = varied(rng, rng.choice(SKINS)), rng.uniform(0.75, 0.95), 1 if x > 0.5 else -1
    canvas.line([(x + 0.1 * side, y - 0.3 * h), (x + 0.35 * side, 1.15)], 0.13, skin)
    product(canvas, rng, x, y, h)
    for number in range(4):
        finger = y - h * (0.25 + 0.13 * number)
        canvas.ellipse(x + 0.02 * side, finger, 0.28 * h, 0.06 * h, shade(skin, 1 - 0.05 * number))


def _signpost(canvas: Canvas, rng: Random, x: float) -> None:
    y, half = rng.uniform(0.3, 0.75), rng.uniform(0.08, 0.18)
    canvas.line([(x, y), (x, 1.1)], 0.02, METAL)
    board(canvas, rng, (x - half, y - half, x + half, y + half * rng.random()))
