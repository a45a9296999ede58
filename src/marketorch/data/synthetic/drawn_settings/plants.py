"""Trees, bushes and plants in pots, drawn from the ground upward by their height ``h``."""

from __future__ import annotations

import math
from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Canvas
from marketorch.data.synthetic.drawn_settings.colours import GREENS, Colour, muted, shade, varied

BARKS: tuple[Colour, ...] = ((84, 62, 46), (110, 94, 80), (62, 50, 44))


def tree(canvas: Canvas, rng: Random, x: float, y: float, h: float, leaf: Colour | None) -> None:
    """A broad tree; a bare one if ``leaf`` is None."""
    bark, fork = varied(rng, rng.choice(BARKS)), y - h * rng.uniform(0.3, 0.5)
    canvas.line([(x, y), (x, fork)], 0.07 * h, bark)
    for side in (-1, 1) if leaf else (-2, -1, 0, 1, 2):
        end = x + 0.16 * side * h, fork - rng.uniform(0.2, 0.5) * h
        canvas.line([(x, fork), end], 0.03 * h, bark)
        if not leaf:
            twig = end[0] + rng.uniform(-0.15, 0.15) * h, end[1] - 0.12 * h
            canvas.line([end, twig], 0.012 * h, bark)
    if leaf:
        bush(canvas, rng, x, fork - 0.22 * h, 0.34 * h, leaf)


def bush(canvas: Canvas, rng: Random, x: float, y: float, reach: float, leaf: Colour) -> None:
    """A bush or the crown of a tree about ``x``, ``y``: clumps, dark below and light on top."""
    clumps = min(9, 3 + round(50 * reach))
    for number in range(clumps):
        turn, far = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.75)
        light = 0.65 + 0.7 * number / clumps - 0.25 * far * math.sin(turn)
        across, down = far * reach * math.cos(turn), 0.75 * far * reach * math.sin(turn)
        size, colour = reach * rng.uniform(0.3, 0.55), shade(varied(rng, leaf, 8), light)
        canvas.ellipse(x + across, y + down, size, 0.8 * size, colour)


def fir(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """A fir or another conifer."""
    leaf, wide = varied(rng, (44, 84, 56)), h * rng.uniform(0.16, 0.28)
    canvas.line([(x, y), (x, y - 0.2 * h)], 0.05 * h, (70, 52, 40))
    for step in range(4):
        low, half = y - (0.12 + 0.2 * step) * h, wide * (1 - 0.22 * step)
        branches = [(x - half, low), (x + half, low), (x, low - 0.36 * h)]
        canvas.polygon(branches, shade(leaf, 0.65 + 0.12 * step))


def palm(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """A palm tree that leans."""
    lean, leaf = rng.uniform(-0.35, 0.35) * h, varied(rng, rng.choice(GREENS))
    top = x + lean, y - h
    canvas.line([(x, y), (x + 0.3 * lean, y - 0.5 * h), top], 0.045 * h, (122, 94, 66))
    for turn in (0.0, 0.5, 1.0, 1.6, 2.1, 2.7, 3.2):
        far = h * rng.uniform(0.3, 0.42)
        across, up = far * math.cos(turn), far * math.sin(turn)
        bend = top[0] + 0.6 * across, top[1] - 0.35 * up - 0.03
        tip = top[0] + across, top[1] + 0.45 * far - 0.6 * up
        canvas.line([top, bend, tip], 0.035 * h, shade(leaf, rng.uniform(0.7, 1.2)))


def potted(canvas: Canvas, rng: Random, x: float, y: float, h: float) -> None:
    """A plant in a pot."""
    leaf, rim, wide = varied(rng, rng.choice(GREENS)), y - 0.3 * h, 0.16 * h
    for _ in range(7):
        tip = x + rng.uniform(-0.4, 0.4) * h, y - h * rng.uniform(0.6, 1.0)
        canvas.line([(x, rim), tip], 0.05 * h, shade(leaf, rng.uniform(0.7, 1.25)))
        canvas.ellipse(*tip, 0.09 * h, 0.07 * h, shade(leaf, rng.uniform(0.8, 1.25)))
    pot = [(x - wide, rim), (x + wide, rim), (x + 0.75 * wide, y), (x - 0.75 * wide, y)]
    canvas.polygon(pot, muted(rng))
