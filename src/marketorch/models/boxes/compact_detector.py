"""A small detector that learns from scratch: residual backbone, feature pyramid, one shared head.

The backbone is that of the compact classifier, pre-activation blocks that halve the side. A pyramid
(Lin et al. 2017) carries what the deep stages know to the fine ones. At every point of three grids,
8, 16 and 32 pixels apart, the head says how surely each class is there and how far its box reaches
to all four sides (FCOS, Tian et al. 2019). There are no anchors to tune. Points learn the boxes
that they already predict best (see `assignment`), a score stands for class and fit at once
(varifocal loss, Zhang et al. 2021), and boxes learn by generalised IoU (Rezatofighi et al. 2019).

Shapes: B images of side S, A points (21 S² / 1024), K classes, G boxes an image (padded).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, generalized_box_iou_loss

from marketorch.models.boxes.assignment import assign
from marketorch.models.images.compact_cnn import Residual

MEAN, SPREAD = 0.45, 0.25  # of the pixels of photos, about
PRIOR = 0.01  # score of a class at a point before anything is learnt
DOUBT = 0.75  # weight of a score that should be 0 and is 1
CANDIDATES = 300  # pairs of point and class an image that go into suppression


class Detections(NamedTuple):
    """Detections, surest first; an image with fewer than D has score 0 and label -1 beyond them.

    Args:
        boxes: ``(B, D, 4)`` x1 y1 x2 y2 in pixels.
        scores: ``(B, D)``.
        labels: ``(B, D)``.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class CompactDetector(nn.Module):
    """Detects K classes in images ``(B, 3, S, S)`` between 0 and 1; S is a multiple of 32.

    Args:
        num_classes: K.
        widths: channels at strides 4, 8, 16 and 32.
        depth: blocks at strides 8, 16 and 32.
        neck: channels of the pyramid and the head.
        tower: convolutions of the head, shared by the three grids.
        box_weight: of the loss on boxes against that on scores.
        top: points that learn a box, at most.
        iou: overlap above which the weaker of two detections of a class is dropped.
        num_detections: D, at most so many an image.
    """

    strides = (8, 16, 32)

    def __init__(
        self,
        *,
        num_classes: int,
        widths: Sequence[int] = (32, 48, 96, 160),
        depth: Sequence[int] = (2, 2, 2),
        neck: int = 48,
        tower: int = 2,
        box_weight: float = 1.0,
        top: int = 5,
        iou: float = 0.6,
        num_detections: int = 100,
    ) -> None:
        super().__init__()
        self.num_classes, self.box_weight, self.top = num_classes, box_weight, top
        self.iou, self.num_detections = iou, num_detections
        half = widths[0] // 2
        self.stem = nn.Conv2d(3, half, 3, 2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(half)
        self.start = nn.Conv2d(half, widths[0], 3, 2, padding=1, bias=False)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Residual(b if i else a, b, 1 if i else 2) for i in range(number)))
            for a, b, number in zip(widths, widths[1:], depth, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.laterals = nn.ModuleList(nn.Conv2d(width, neck, 1) for width in widths[1:])
        self.tower = nn.ModuleList(nn.Conv2d(neck, neck, 3, padding=1) for _ in range(tower))
        # One set of kernels for the three grids, but each grid measures its own statistics.
        self.tower_norms = nn.ModuleList(
            nn.BatchNorm2d(neck) for _ in self.strides for _ in range(tower)
        )
        self.score_head = nn.Conv2d(neck, num_classes, 1)
        self.box_head = nn.Conv2d(neck, 4, 1)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, Residual):  # each begins as its shortcut
                nn.init.zeros_(module.conv2.weight)
        for head in (self.score_head, self.box_head):
            nn.init.normal_(head.weight, std=0.01)
            assert head.bias is not None
            nn.init.zeros_(head.bias)
        assert self.score_head.bias is not None
        nn.init.constant_(self.score_head.bias, -math.log(1 / PRIOR - 1))

    # -- the network --------------------------------------------------------------------------

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """Feature maps ``(B, neck, S / stride, S / stride)`` of the three grids."""
        x = self.start(F.relu(self.stem_norm(self.stem((images - MEAN) / SPREAD))))
        maps = []
        for stage, norm, lateral in zip(self.stages, self.norms, self.laterals, strict=True):
            x = stage(x)
            maps.append(lateral(F.relu(norm(x))))
        for fine in (1, 0):
            maps[fine] = maps[fine] + F.interpolate(maps[fine + 1], scale_factor=2.0)
        return maps

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(B, A, K)`` and boxes ``(B, A, 4)`` in pixels, fp32."""
        logits, reaches = [], []
        norms = iter(self.tower_norms)
        for x, stride in zip(self.pyramid(images), self.strides, strict=True):
            for convolution in self.tower:
                x = F.relu(next(norms)(convolution(x)))
            logits.append(self.score_head(x).flatten(2))
            reaches.append(F.softplus(self.box_head(x).flatten(2).float()) * (2 * stride))
        reach = torch.cat(reaches, 2).transpose(1, 2)
        points = grid_points(images.shape[-1], self.strides, images.device)
        boxes = torch.cat([points - reach[..., :2], points + reach[..., 2:]], 2)
        return torch.cat(logits, 2).transpose(1, 2).float(), boxes

    # -- training -----------------------------------------------------------------------------

    def losses(self, images: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the losses, and the weight to divide it by: that of what is to be found.

        Args:
            boxes, labels: ``(B, G, 4)`` in pixels and ``(B, G)``; label -1 is padding.
        """
        logits, predicted = self(images)
        points = grid_points(images.shape[-1], self.strides, images.device)
        shares = logits.sigmoid().detach()
        task = assign(shares, predicted.detach(), points, boxes, labels, top=self.top)
        scores = varifocal_loss(logits, task.scores)
        total = task.scores.sum(2)  # (B, A): how good each point is for its box
        apart = generalized_box_iou_loss(predicted, task.boxes) * total
        return scores + self.box_weight * apart.sum(), total.sum().clamp_min(1.0)

    # -- prediction ---------------------------------------------------------------------------

    def detections(self, images: Tensor) -> Detections:
        """What is found in images ``(B, 3, S, S)``, after suppression of repeats."""
        logits, boxes = self(images)
        inside = boxes.clamp(0, images.shape[-1])
        return suppressed(inside, logits.sigmoid(), self.iou, self.num_detections)


def grid_points(side: int, strides: Sequence[int], device: torch.device) -> Tensor:
    """Centres ``(A, 2)`` as x, y of the cells of all grids over a square image."""
    grids = []
    for stride in strides:
        centres = (torch.arange(side // stride, device=device) + 0.5) * stride
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        grids.append(torch.stack([x.flatten(), y.flatten()], 1))
    return torch.cat(grids)


def varifocal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of the cross-entropies ``()`` against soft targets of any shape (Zhang et al. 2021).

    What is there weighs as much as its target, what is not the less the surer that is known.
    """
    weight = torch.where(targets > 0, targets, DOUBT * logits.sigmoid().square()).detach()
    return (F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * weight).sum()


def suppressed(boxes: Tensor, scores: Tensor, iou: float, number: int) -> Detections:
    """The surest boxes of each class that do not overlap a surer one.

    Args:
        boxes: ``(B, A, 4)``.
        scores: ``(B, A, K)``.
        iou: overlap from which on two are the same.
        number: detections an image, at most.
    """
    images, points, classes = scores.shape
    best, places = scores.flatten(1).topk(min(CANDIDATES, points * classes), dim=1)
    labels = places % classes
    candidates = boxes.gather(1, (places // classes)[:, :, None].expand(-1, -1, 4))
    image = torch.arange(images, device=boxes.device)[:, None].expand_as(labels)
    groups = (image * classes + labels).flatten()
    kept = batched_nms(candidates.flatten(0, 1), best.flatten(), groups, iou)
    alive = torch.zeros_like(groups, dtype=torch.bool).index_fill_(0, kept, True)
    best = best.masked_fill(~alive.view_as(best), 0.0)
    best, order = best.topk(min(number, best.shape[1]), dim=1)
    labels = labels.gather(1, order).masked_fill(best == 0, -1)
    return Detections(candidates.gather(1, order[:, :, None].expand(-1, -1, 4)), best, labels)
