"""Keypoints of a photo: places that can be found again at another size or angle, and their looks.

SIFT (Lowe 2004, "Distinctive image features from scale-invariant keypoints") gives each point a
direction, a size and 128 numbers on the gradients around it: its descriptor. Descriptors are
compared as roots of histograms (RootSIFT, Arandjelović & Zisserman 2012, "Three things everyone
should know to improve object retrieval").

Points of a photo are complex numbers, x + iy in pixels, so that a product turns and scales them.
Shapes: P keypoints.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.data.cuts import evenly_spaced

WIDTH = 128  # of a descriptor
MOST = 2_000  # keypoints of a photo, the strongest


class Keypoints(NamedTuple):
    """Keypoints of a photo.

    Args:
        places: ``(P,)`` complex.
        arrows: ``(P,)`` complex: where they point, as long as they are large.
        descriptors: ``(P, 128)`` uint8.
    """

    places: Tensor
    arrows: Tensor
    descriptors: Tensor


def keypoints(image: Tensor, scale: float) -> Keypoints:
    """Finds the keypoints of a photo ``(3, S, S)`` uint8, enlarged by ``scale``."""
    grey = cv2.cvtColor(image.permute(1, 2, 0).contiguous().numpy(), cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    points, descriptors = cv2.SIFT.create(nfeatures=MOST).detectAndCompute(grey, None)
    rows = torch.tensor([(*point.pt, point.size, point.angle) for point in points]).view(-1, 4)
    x, y, sizes, degrees = rows.unbind(1)
    # OpenCV has its origin in the middle of the first pixel, boxes have it at the corner.
    places = torch.complex(x + 0.5, y + 0.5) / scale
    arrows = torch.polar(sizes / scale, degrees.deg2rad())
    none = torch.zeros(0, WIDTH, dtype=torch.uint8)
    return Keypoints(
        places, arrows, none if descriptors is None else torch.from_numpy(descriptors).byte()
    )


def select_keypoints(found: Keypoints, kept: Tensor, number: int) -> Keypoints:
    """Of the keypoints that are ``kept (P,)`` at most ``number``, evenly select_keypoints."""
    rows = kept.nonzero()[:, 0]
    rows = rows[evenly_spaced(len(rows), number)]
    return Keypoints(*(values[rows] for values in found))


def rooted(descriptors: Tensor) -> Tensor:
    """Descriptors ``(n, 128)`` of length 1 whose products compare histograms by Hellinger."""
    return F.normalize(descriptors.float(), p=1, dim=1).sqrt()


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Squared distances ``(n, m)`` of vectors of length 1, or 0."""
    return 2 - 2 * (one @ other.T)
