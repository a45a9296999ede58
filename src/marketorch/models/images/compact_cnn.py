"""A small residual network for small images: faces of 48 pixels, marks, thumbnails.

A strided stem, then stages of pre-activation blocks (He et al. 2016) that halve the side and
multiply the width, then the mean over what is left. Everything is a plain 3 × 3 convolution on a
quarter of the pixels, which is what a CPU computes fastest. Any side from about 32 to 112 pixels
goes in, and another one to predict than to train.

Shapes: B images, C channels, S side, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """Two normalised convolutions beside a shortcut; ``stride`` 2 halves the side.

    Args:
        skip: chance to leave the convolutions out while training (stochastic depth, Huang et al.
            2016), an image at a time.
    """

    def __init__(self, inside: int, outside: int, stride: int = 1, skip: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inside), nn.BatchNorm2d(outside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.skip = skip
        self.shortcut: nn.Module | None = None
        if stride > 1 or inside != outside:
            self.shortcut = nn.Conv2d(inside, outside, 1, bias=False)
        self.pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, S, S)`` to ``(B, C', S / stride, S / stride)``."""
        active = F.relu(self.norm1(x), inplace=True)
        y = self.conv2(F.relu(self.norm2(self.conv1(active)), inplace=True))
        if self.training and self.skip:
            kept = torch.rand(len(y), 1, 1, 1, device=y.device) >= self.skip
            y = y * (kept / (1 - self.skip)).to(y.dtype)
        return y + (x if self.shortcut is None else self.shortcut(self.pool(active)))


class CompactCNN(nn.Module):
    """Classifies images ``(B, C, S, S)``; logits ``(B, K)``.

    Args:
        num_classes: K.
        num_channels: C.
        width: channels after the stem; each stage multiplies them by ``growth``.
        depth: blocks of each stage; the first keeps the side, the others halve it.
        growth: factor on the width from stage to stage.
        stem_stride: 2 halves the side at once; 1 keeps it, at four times the cost.
        dropout: on the mean over the image, before the head.
        skip: chance to skip the last block; the others less, in proportion to their place.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_channels: int = 1,
        width: int = 32,
        depth: Sequence[int] = (2, 2, 2, 2),
        growth: float = 2.0,
        stem_stride: int = 2,
        dropout: float = 0.2,
        skip: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(num_channels, width, 3, stem_stride, padding=1, bias=False)
        blocks: list[Residual] = []
        inside, total = width, sum(depth)
        for stage, number in enumerate(depth):
            outside = round(width * growth**stage)
            for place in range(number):
                stride = 2 if stage and not place else 1
                chance = skip * (len(blocks) + 1) / total
                blocks.append(Residual(inside, outside, stride, chance))
                inside = outside
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(inside)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(inside, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for block in blocks:  # each begins as its shortcut
            nn.init.zeros_(block.conv2.weight)

    def features(self, images: Tensor) -> Tensor:
        """Means over the image ``(B, D)`` of the last stage."""
        return F.relu(self.norm(self.blocks(self.stem(images)))).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        logits: Tensor = self.head(self.dropout(self.features(images)))
        return logits
