"""Interpolation between knots, in operators that ONNX has."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Interpolation(nn.Module):
    """Straight lines between knots, column by column: ``(B, F)`` to ``(B, F)``, NaN to 0.

    Args:
        knots, heights: ``(F, L)``, the knots rising.
        lengths: how many of them count ``(F,)``.
    """

    knots: Tensor
    heights: Tensor
    first: Tensor
    last: Tensor

    def __init__(self, knots: Tensor, heights: Tensor, lengths: Tensor) -> None:
        super().__init__()
        beyond = torch.arange(knots.shape[1]) >= lengths[:, None]
        self.register_buffer("knots", knots.float().masked_fill(beyond, torch.inf).flatten())
        self.register_buffer("heights", heights.float().flatten())
        self.register_buffer("last", (lengths - 1).clamp_min(1))
        self.register_buffer("first", torch.arange(len(knots)) * knots.shape[1])
        self.size = knots.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """Halving finds the knots on both sides."""
        places = torch.zeros_like(x, dtype=torch.int64)
        step = 1 << self.size.bit_length()
        while step := step // 2:
            ahead = places + step
            below = self.knots[self.first + (ahead - 1).clamp_max(self.size - 1)] < x
            places = torch.where((ahead <= self.size) & below, ahead, places)
        right = self.first + torch.minimum(places.clamp_min(1), self.last)
        left, right_knot = self.knots[right - 1], self.knots[right]
        width = right_knot - left
        share = torch.where(width > 0, (x - left) / width, 0.0).clamp(0, 1)
        low, high = self.heights[right - 1], self.heights[right]
        return torch.where(x.isnan(), 0.0, low + share * (high - low))
