"""Colours, red, green and blue between 0 and 255, fixed or drawn at random."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from random import Random

Colour = tuple[float, float, float]
WHITE: Colour = (245, 245, 240)
BLACK: Colour = (22, 22, 26)
METAL: Colour = (176, 180, 186)
WOODS: tuple[Colour, ...] = ((196, 152, 104), (222, 196, 158), (150, 102, 62), (76, 54, 38))
GREENS: tuple[Colour, ...] = ((70, 122, 48), (48, 96, 44), (108, 144, 60), (40, 78, 52))


def shade(colour: Colour, factor: float) -> Colour:
    """A colour in less light or, with a factor above 1, in more."""
    red, green, blue = colour
    return min(255, red * factor), min(255, green * factor), min(255, blue * factor)


def tint(hue: float, saturation: float, value: float) -> Colour:
    """A colour by hue, saturation and value, each from 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def vivid(rng: Random) -> Colour:
    """A colour of packages, posters and clothes."""
    return tint(rng.random(), rng.uniform(0.55, 0.95), rng.uniform(0.45, 1))


def muted(rng: Random) -> Colour:
    """A colour of walls, furniture and plain clothes."""
    return tint(rng.random(), rng.uniform(0, 0.35), rng.uniform(0.2, 0.95))


def one_of(rng: Random, colours: Sequence[Colour]) -> Colour:
    """A colour close to one of some."""
    red, green, blue = (min(255, max(0, c + rng.uniform(-14, 14))) for c in rng.choice(colours))
    return red, green, blue
