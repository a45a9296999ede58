"""The camera that looks at a canvas: framing, exposure, colours, blur, grain, compression."""

from __future__ import annotations

import math
from random import Random

import cv2
import numpy as np

from marketorch.data.images.dataset import Pixels
from marketorch.data.scenes.printing import LUMA
from marketorch.data.synthetic.drawn_settings.canvas import FINER, Canvas

GREY = 1 / 12  # share of the pictures that have no colours
SHARP = 0.5  # share of the pictures that are not blurred
COMPRESSED = 0.3


def photograph(rng: Random, canvas: Canvas) -> Pixels:
    """Takes a picture of the canvas, ``(S, S, 3)`` uint8."""
    picture = _blurred(rng, _graded(rng, _framed(rng, canvas)))
    strength, quality = rng.uniform(0.02, 0.14), rng.randint(30, 90)
    compressed = rng.random() < COMPRESSED
    grain = np.frombuffer(rng.randbytes(picture.size), np.uint8).reshape(picture.shape)
    picture = cv2.addWeighted(picture, 1, grain, strength, -127.5 * strength)
    if compressed:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return picture


def _framed(rng: Random, canvas: Canvas) -> Pixels:
    """Mirrored in every second picture, turned and sheared a little, cut and shrunk."""
    size, zoom, mirror = canvas.side // FINER, rng.uniform(1.02, 1.35), rng.choice((-1, 1))
    turn, shear = math.radians(rng.gauss(0, 3.5)), rng.gauss(0, 0.05)
    room = (1 - 1 / zoom) / 2
    middle = np.array([0.5 + rng.uniform(-room, room) for _ in range(2)]) * canvas.side
    cos, sin = FINER / zoom * math.cos(turn), FINER / zoom * math.sin(turn)
    back = np.array([[mirror * cos, shear - mirror * sin, 0], [sin, cos, 0]])
    back[:, 2] = middle - 0.5 - back[:, :2].sum(1) * (size - 1) / 2
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    edge = cv2.BORDER_REPLICATE
    framed = cv2.warpAffine(canvas.pixels, back, (size, size), flags=how, borderMode=edge)
    return np.asarray(framed)


def _graded(rng: Random, picture: Pixels) -> Pixels:
    """Exposed as a camera does, then with another contrast, white balance and saturation."""
    metered = (110 / max(20.0, float(picture.mean()))) ** 0.5  # it opens up in the dark
    warm, green = rng.gauss(0, 0.09), rng.gauss(0, 0.04)
    gains = np.array([1 + warm, 1 + green, 1 - warm]) * metered * rng.uniform(0.8, 1.2)
    colours = 0.0 if rng.random() < GREY else rng.uniform(0.5, 1.25)
    contrast, offset = rng.uniform(0.7, 1.15), rng.uniform(-18, 18)
    matrix = contrast * (np.diag(colours * gains) + (1 - colours) * np.outer(gains, LUMA))
    offset += 110 * (1 - contrast)
    return np.asarray(cv2.transform(picture, np.column_stack([matrix, [offset] * 3])))


def _blurred(rng: Random, picture: Pixels) -> Pixels:
    """Sharp, or out of focus, shaken, or of few pixels."""
    size, kind, how_much = picture.shape[0], rng.random(), rng.random()
    if kind < SHARP:
        return picture
    if kind < 0.7:
        sigma = (0.4 + 0.6 * how_much) * size / 64
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma))
    if kind < 0.83:
        length = max(2, round((2 + 2 * how_much) * size / 64))
        return np.asarray(cv2.blur(picture, rng.choice(((length, 1), (1, length)))))
    small = round(size * (0.45 + 0.35 * how_much))
    picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR))
