"""The sceptics of image classification: logistic regression on pixels or on gradients.

Histograms of oriented gradients (HOG, Dalal & Triggs 2005) were how faces were recognised before
networks: in each cell of the image, how strong its edges are in each direction, normalised with
its neighbours. Both are fitted by scikit-learn, never by gradient.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.errors import ConfigError, check_choice
from marketorch.models.tables.logistic import coefficients


class LinearPixels(nn.Module):
    """Logits ``(B, K)`` that are linear in the pixels or in the gradients of ``(B, C, S, S)``.

    Args:
        num_classes: K.
        num_channels: C.
        features: ``pixels`` or ``hog``.
        side: images are shrunk to so many pixels first.
        inverse_penalty: scikit-learn's C, on features of unit spread.
    """

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        num_channels: int = 1,
        features: str = "pixels",
        side: int = 48,
        inverse_penalty: float = 1e-3,
    ) -> None:
        super().__init__()
        check_choice("model.features", features, ("pixels", "hog"), ConfigError)
        self.kind, self.side, self.inverse_penalty = features, side, inverse_penalty
        width = self.features(torch.zeros(1, num_channels, side, side)).shape[1]
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.register_buffer("weight", torch.zeros(num_classes, width))
        self.register_buffer("bias", torch.zeros(num_classes))

    def features(self, images: Tensor) -> Tensor:
        """What the logits are linear in ``(B, F)``."""
        if images.shape[-1] != self.side:
            images = F.interpolate(images, (self.side, self.side), mode="bilinear", antialias=True)
        return images.flatten(1) if self.kind == "pixels" else hog(images.mean(1))

    def fit(self, train: Any) -> None:
        """Fits the regression on the labelled images of ``train``."""
        from sklearn.linear_model import LogisticRegression  # seconds, which only a fit costs

        known = train.labels >= 0
        images, labels = train.images[known], train.labels[known]
        found = torch.cat([self.features(part) for part in images.split(1024)])
        self.mean, self.std = found.mean(0), found.std(0).clamp_min(1e-3)
        model = LogisticRegression(C=self.inverse_penalty, max_iter=300)
        model.fit(((found - self.mean) / self.std).numpy(), labels.numpy())
        self.weight, self.bias = coefficients(model, len(self.bias))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        standard = (self.features(images.float()) - self.mean) / self.std
        return F.linear(standard, self.weight, self.bias)


def hog(images: Tensor, *, cell: int = 6, bins: int = 9) -> Tensor:
    """Histograms of oriented gradients of grey images ``(B, S, S)``, flattened ``(B, F)``.

    Args:
        cell: side of a cell in pixels; blocks are of two by two cells.
        bins: directions, between 0 and 180 degrees; a gradient counts for the two nearest.
    """
    padded = F.pad(images[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    strength = (across.square() + down.square()).sqrt()
    place = torch.atan2(down, across).remainder(math.pi) * (bins / math.pi)
    centres = torch.arange(bins, device=images.device)[:, None, None]
    apart = (place[:, None] - centres).abs()
    near = (1 - torch.minimum(apart, bins - apart)).clamp_min(0)
    cells = F.avg_pool2d(strength[:, None] * near, cell)
    blocks = F.unfold(cells, 2)  # (B, 4 bins, blocks)
    return F.normalize(blocks, dim=1, eps=1e-3).flatten(1)
