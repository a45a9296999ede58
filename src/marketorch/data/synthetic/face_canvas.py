"""A canvas for many faces at a time, painted in windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EXTENT = 1.2  # of the canvas: more than the image shows of a face that is turned and made smaller
DENSITY = 1.15  # pixels of the canvas to one of the image


@dataclass(frozen=True)
class Window:
    """A part of the canvas.

    Args:
        grey: ``(B, H, W)``, drawn on in place.
        x, y: of the pixels' centres, ``(1, 1, W)`` and ``(1, H, 1)``.
        far: the absolute value of x, by which both halves of a face are drawn at once.
        columns: which ones of the canvas.
        pixel: the length of a side of a pixel.
    """

    grey: Tensor
    x: Tensor
    y: Tensor
    far: Tensor
    columns: slice
    pixel: float

    def inside(self, edge: Tensor, place: Tensor | float = 0.0) -> Tensor:
        """The share of each pixel that lies inside, where ``place`` is less than ``edge``."""
        scale = 1 / self.pixel
        return (edge * scale + (0.5 - place * scale)).clamp_(0, 1)

    def paint(self, tone: Tensor, cover: Tensor) -> None:
        """Lays a tone over the share ``cover`` of each pixel."""
        self.grey.lerp_(tone, cover)

    def shade(self, amount: Tensor) -> None:
        """Takes away a share of the light; adds light where it is negative."""
        self.grey.addcmul_(self.grey, amount, value=-1)

    def line(self, distance: Tensor, width: float, amount: Tensor) -> None:
        """Shades a soft line where ``distance`` is zero, fainter where thinner than a pixel."""
        wide = max(width, 1.2 * self.pixel)
        profile = (wide - distance.abs()).clamp_(min=0)
        self.shade(profile * (amount * (width / wide**2)))


class Canvas:
    """Upright faces ``(B, T, T)`` on a backdrop of patches ``(B, P, P)``."""

    def __init__(self, backdrop: Tensor, size: int) -> None:
        self.side = round(size * EXTENT * DENSITY)
        self.pixel = 2 * EXTENT / self.side
        self.axis = (torch.arange(self.side) + 0.5) * self.pixel - EXTENT
        patches = backdrop.shape[1]
        place = (self.axis + EXTENT) * (0.5 * patches / EXTENT) - 0.5
        away = place.clamp(0, patches - 1)[:, None] - torch.arange(patches)
        near = ramp(0.7 - away.abs(), 0.4)
        self.grey = near @ backdrop @ near.T

    def window(self, right: float, top: float, bottom: float) -> Window:
        """The part between two y, and between an x and its negative."""
        first = max(self.side // 2 - round(right / self.pixel), 0)
        upper, lower = (
            min(max(round((y + EXTENT) / self.pixel), 0), self.side) for y in (top, bottom)
        )
        columns, rows = slice(first, self.side - first), slice(upper, lower)
        x, y = self.axis[columns].view(1, 1, -1), self.axis[rows].view(1, -1, 1)
        return Window(self.grey[:, rows, columns], x, y, x.abs(), columns, self.pixel)


def bump(distance: Tensor, width: float) -> Tensor:
    """A smooth hill around zero, 1 high and about ``width`` wide at a third of that."""
    return (1 - (distance * (0.6 / width)).square_()).clamp_(min=0).square_()


def ramp(value: Tensor, width: float) -> Tensor:
    """0 below zero, 1 above ``width``, linear in between."""
    return (value * (1 / width)).clamp_(0, 1)
