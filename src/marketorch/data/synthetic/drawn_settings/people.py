"""People in pictures: standing, in rows, and close to the camera.

They are drawn from where they stand, ``x`` and ``y``, upward by their height.
"""

from __future__ import annotations

from random import Random

from marketorch.data.synthetic.drawn_settings.canvas import Canvas
from marketorch.data.synthetic.drawn_settings.colours import (
    BLACK,
    HAIRS,
    SKINS,
    Colour,
    muted,
    shade,
    varied,
    vivid,
)


def person(
    canvas: Canvas, rng: Random, x: float, y: float, h: float, colour: Colour | None = None
) -> None:
    """Somebody standing or walking, from any side.

    Args:
        h: the height.
        colour: of a silhouette; None: skin, hair and clothes are drawn.
    """
    skin, hair = colour or varied(rng, rng.choice(SKINS)), colour or rng.choice(HAIRS)
    top = colour or rng.choice((vivid, muted))(rng)
    legs = colour or rng.choice((muted(rng), (44, 52, 84), BLACK, skin))
    wide, stride = h * rng.uniform(0.1, 0.135), h * rng.uniform(0.01, 0.11)
    hips, neck, head = y - 0.48 * h, y - 0.83 * h, y - 0.915 * h
    for side in (-1, 1):
        canvas.line([(x + side * wide / 2, hips), (x + side * stride, y)], 0.085 * h, legs)
        hand = x + side * wide * rng.uniform(1, 1.6), neck + h * rng.choice((0.36, 0.36, -0.14))
        canvas.line([(x + side * wide, neck + 0.05 * h), hand], 0.055 * h, top)
    shoulders = [(x - wide, neck + 0.03 * h), (x + wide, neck + 0.03 * h)]
    canvas.polygon([*shoulders, (x + 0.8 * wide, hips), (x - 0.8 * wide, hips)], top)
    if rng.random() < 0.3:  # a skirt or a long coat
        hem, waist = (
            y - rng.uniform(0.15, 0.35) * h,
            [(x - 0.8 * wide, hips), (x + 0.8 * wide, hips)],
        )
        canvas.polygon([*waist, (x + 1.2 * wide, hem), (x - 1.2 * wide, hem)], top)
    canvas.ellipse(x, head, 0.055 * h, 0.072 * h, skin)
    canvas.ellipse(x, head - 0.025 * h, 0.06 * h, 0.055 * h, hair)
    if rng.random() < 0.5:  # the face is seen
        canvas.ellipse(x, head + 0.012 * h, 0.045 * h, 0.052 * h, skin)


def people(canvas: Canvas, rng: Random, far: float, near: float, height: float, most: int) -> None:
    """None or some people about the picture, the farther the smaller.

    Args:
        far, near: y of the ground under the farthest and the nearest.
        height: of the nearest.
        most: the largest number of people.
    """
    for y in sorted(rng.uniform(far, near) for _ in range(rng.randint(0, most))):
        share = (y - far) / max(near - far, 1e-6)
        person(canvas, rng, rng.random(), y, height * (0.3 + 0.7 * share))


def bust(canvas: Canvas, rng: Random, x: float, size: float) -> None:
    """Somebody close to the camera, head and shoulders, from the front or from behind."""
    skin, hair = varied(rng, rng.choice(SKINS)), rng.choice(HAIRS)
    clothes = rng.choice((vivid, muted))(rng)
    y = 1 - rng.uniform(0.45, 1.05) * size
    canvas.ellipse(x, y + 1.25 * size, 0.62 * size, 0.72 * size, clothes)
    canvas.box(x - 0.13 * size, y + 0.2 * size, x + 0.13 * size, y + 0.6 * size, shade(skin, 0.85))
    if rng.random() < 0.5:  # long hair
        canvas.box(x - 0.33 * size, y - 0.1 * size, x + 0.33 * size, y + 0.5 * size, hair)
    canvas.ellipse(x, y - 0.06 * size, 0.34 * size, 0.38 * size, hair)
    if rng.random() < 0.35:
        return
    canvas.ellipse(x, y + 0.05 * size, 0.27 * size, 0.35 * size, skin)
    for side in (-0.11, 0.11):
        canvas.ellipse(x + side * size, y, 0.035 * size, 0.025 * size, BLACK)
    mouth = [(x - 0.1 * size, y + 0.2 * size), (x + 0.1 * size, y + 0.2 * size)]
    canvas.line(mouth, 0.035 * size, (170, 70, 70))


def heads(
    canvas: Canvas, rng: Random, y: float, size: float, colour: Colour | None, raised: float
) -> None:
    """A row of people from behind, all across the picture.

    Args:
        size: half the width of a head.
        colour: of silhouettes; None: everybody has colours of their own.
        raised: share of the people whose arms are up.
    """
    x = -rng.random() * size
    while x < 1.05:
        clothes, head = colour or muted(rng), colour or rng.choice((*SKINS, *HAIRS))
        top = y + rng.uniform(-0.6, 0.6) * size
        canvas.ellipse(x, top + 3.2 * size, 1.9 * size, 2.3 * size, clothes)
        canvas.ellipse(x, top, size, 1.25 * size, head)
        if rng.random() < raised:
            for side in rng.choice(((-1, 1), (1,), (-1,))):
                hand = x + side * size * rng.uniform(1.2, 2.4), top - size * rng.uniform(2, 5)
                shoulder = x + side * 1.5 * size, top + 2.5 * size
                canvas.line([shoulder, hand], 0.55 * size, clothes)
                canvas.ellipse(*hand, 0.5 * size, 0.5 * size, head)
        x += size * rng.uniform(2.2, 4.2)
