"""Photos of the settings in which brands appear, drawn: no files and no network.

Where do people show what they wear, drink and buy? On the beach, at a concert, in the kitchen, …
A picture is one of nine settings, in one of several layouts, at some hour and season, in colours
drawn at random. People and things stand in it or in front of it that stand in other settings as
well, and the camera turns, crops, tints, blurs and grains. So colours and single pixels tell little
of the setting; what is built of what tells it. A share of the labels is wrong, each for a setting
that is easily taken for the true one. Picture i is a function of (seed, i) alone, so any range of
an endless data set can be asked for.

Shapes: N pictures, S pixels of a side.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from marketorch.data.images.dataset import Pixels
from marketorch.data.scenes.drawing import photograph
from marketorch.data.synthetic.drawn_settings.canvas import Canvas
from marketorch.data.synthetic.drawn_settings.settings import DRAWINGS, in_front

CLASSES = tuple(DRAWINGS)
MISTAKEN = {  # what each setting is taken for by those who are wrong
    "beach": ("park", "street"),
    "concert": ("stadium", "street"),
    "kitchen": ("living_room", "office"),
    "living_room": ("kitchen", "office"),
    "office": ("living_room", "kitchen"),
    "park": ("beach", "street", "stadium"),
    "stadium": ("concert", "park"),
    "street": ("park", "supermarket"),
    "supermarket": ("kitchen", "street"),
}


@dataclass(frozen=True, eq=False)
class Settings:
    """Pictures and what is said about them.

    Args:
        images: ``(N, 3, S, S)``, uint8.
        labels: ``(N,)``, int64, positions in `CLASSES`, some of them wrong.
        true: ``(N,)``, int64, the labels without the wrong ones.
        label_noise: the share of labels that are wrong.
    """

    images: Tensor
    labels: Tensor
    true: Tensor
    label_noise: float

    @property
    def best_accuracy(self) -> float:
        """The accuracy against ``labels`` of one who knows every setting: all noise changes one."""
        return 1.0 - self.label_noise


def generate_settings(
    number: int, *, seed: int = 0, start: int = 0, size: int = 64, label_noise: float = 0.03
) -> Settings:
    """Draws the pictures ``start`` to ``start + number`` of the data set ``seed``.

    Args:
        number, start: disjoint ranges make a train and a test set.
        seed: which data set; another seed gives unrelated pictures.
        size: pixels of a side. The same picture is drawn finer, under another grain.
        label_noise: the probability that a label is a wrong one.

    Raises:
        ValueError: a count is negative, or the probability not in [0, 1).
    """
    if min(number, start) < 0 or size < 8:
        raise ValueError(f"out of range: {number=}, {start=}, {size=}")
    if not 0 <= label_noise < 1:
        raise ValueError(f"not in [0, 1): {label_noise=}")
    images = np.empty((number, size, size, 3), np.uint8)
    true, labels = torch.empty(2, number, dtype=torch.int64)
    for place in range(number):
        rng = Random(f"{seed}/{start + place}")
        setting, wrong = rng.choice(CLASSES), rng.random() < label_noise
        said = rng.choice(MISTAKEN[setting])
        true[place] = CLASSES.index(setting)
        labels[place] = CLASSES.index(said) if wrong else true[place]
        images[place] = draw(setting, rng, size)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return Settings(pixels, labels, true, label_noise)


def draw(setting: str, rng: Random, size: int = 64) -> Pixels:
    """Draws one picture of a setting, one of `CLASSES`, ``(S, S, 3)`` uint8."""
    canvas = Canvas(size)
    DRAWINGS[setting](canvas, rng)
    in_front(canvas, rng)
    picture = canvas.framed(rng).astype(np.float32) / 255
    return photograph(np.random.default_rng(rng.getrandbits(64)), picture)
