"""The light outdoors, from day to night, and in rooms, from windows to few lamps.

A light is a factor for each of red, green and blue; see `Canvas.lit`.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from marketorch.data.synthetic.drawn_settings.canvas import Canvas
from marketorch.data.synthetic.drawn_settings.colours import WHITE, Colour, mixed, varied

PLAIN: Colour = (1, 1, 1)
ROOMS: tuple[Colour, ...] = (  # by day, under cold tubes, under warm lamps, with few lamps on
    *(PLAIN, PLAIN, (0.92, 1.0, 1.04), (1.04, 0.9, 0.7)),
    *((0.7, 0.58, 0.45), (0.45, 0.42, 0.5)),
)
BRIGHT_ROOMS = ROOMS[:4]


class Hour(NamedTuple):
    """The light outdoors, and the colours of the sky before this light is put on them."""

    light: Colour
    above: Colour
    below: Colour


DAY = Hour(PLAIN, (92, 158, 226), (190, 222, 244))
HAZE = Hour((1.05, 1.0, 0.95), (196, 212, 224), (236, 234, 228))
CLOUDED = Hour((0.8, 0.83, 0.88), (168, 176, 188), (222, 224, 226))
GOLDEN = Hour((1.05, 0.8, 0.6), (150, 170, 220), (255, 214, 160))
DUSK = Hour((0.6, 0.52, 0.68), (96, 92, 170), (255, 160, 130))
NIGHT = Hour((0.4, 0.42, 0.55), (40, 44, 84), (86, 84, 110))
HOURS = (DAY, DAY, DAY, HAZE, CLOUDED, GOLDEN, DUSK, NIGHT)


def sky(canvas: Canvas, rng: Random, hour: Hour, horizon: float) -> None:
    """The sky down to the horizon, with clouds or none, at times with the sun or the moon."""
    below = varied(rng, hour.below, 16)
    canvas.fade(0, horizon + 0.02, varied(rng, hour.above, 22), below)
    cloud = mixed(below, WHITE, 0.6)
    for _ in range(rng.choice((0, 0, 1, 3, 5))):
        x, y, far = rng.random(), rng.uniform(0, horizon), rng.uniform(0.05, 0.2)
        for _ in range(3):
            canvas.ellipse(x + rng.uniform(-far, far), y, far, 0.25 * far, cloud)
    if rng.random() < 0.25:
        canvas.ellipse(rng.random(), horizon * rng.uniform(0.2, 0.9), 0.035, 0.035, (255, 250, 230))


def is_dim(light: Colour) -> bool:
    """Whether it is evening in a room: lamps are on, and it is dark outside."""
    return max(light) < 0.9


def lamp_light(canvas: Canvas, rng: Random, light: Colour) -> None:
    """Puts a room into its light; where that is dim, some lamps are seen."""
    canvas.lit(light)
    for _ in range(rng.randint(1, 3) if is_dim(light) else 0):
        reach = rng.uniform(0.2, 0.45)
        canvas.glow(rng.random(), rng.uniform(0.1, 0.5), reach, (160, 120, 70))
