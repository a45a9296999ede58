"""Colours as red, green and blue between 0 and 255, and those that many things have."""

from __future__ import annotations

import colorsys
from random import Random

Colour = tuple[float, float, float]

WHITE: Colour = (245, 245, 240)
BLACK: Colour = (22, 22, 26)
METAL: Colour = (176, 180, 186)
SKINS: tuple[Colour, ...] = ((244, 208, 177), (224, 172, 130), (176, 122, 82), (112, 72, 48))
HAIRS: tuple[Colour, ...] = (
    *((30, 24, 22), (74, 48, 30), (128, 84, 46)),
    *((206, 168, 102), (150, 150, 150)),
)
OAK: Colour = (196, 152, 104)
MAPLE: Colour = (222, 196, 158)
WOODS: tuple[Colour, ...] = (OAK, MAPLE, (150, 102, 62), (98, 62, 38), (60, 44, 36))
GREENS: tuple[Colour, ...] = ((70, 122, 48), (48, 96, 44), (108, 144, 60), (40, 78, 52))


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two: ``share`` 0 is the first, 1 the second."""
    (a, b, c), (d, e, f) = one, other
    return a + share * (d - a), b + share * (e - b), c + share * (f - c)


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


def varied(rng: Random, colour: Colour, spread: float = 14) -> Colour:
    """A colour like another one."""
    red, green, blue = (min(255.0, max(0.0, c + rng.uniform(-spread, spread))) for c in colour)
    return red, green, blue
