"""Which point of a detector answers for which box (task alignment, TOOD, Feng et al. 2021).

A point is fit for a box if it lies within it, already gives the box's class a high score and
already predicts its place well: alignment = score^alpha · IoU^beta. The fittest points of each box
learn it, and the best of them is taught a score equal to its IoU: so a score says both what is
there and how well it is framed. Points between boxes belong to the one they overlap most.

Shapes: B images, A points, G boxes an image (padded), K classes. Boxes are x1 y1 x2 y2 in pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Assignment(NamedTuple):
    """What the points have to learn.

    Args:
        scores: ``(B, A, K)``, zero but for the class of an assigned box.
        boxes: box of each assigned point ``(B, A, 4)``; of others, arbitrary.
        positive: whether a point is assigned ``(B, A)``.
    """

    scores: Tensor
    boxes: Tensor
    positive: Tensor


@torch.no_grad()
def assign(
    scores: Tensor,
    predicted: Tensor,
    points: Tensor,
    boxes: Tensor,
    labels: Tensor,
    *,
    top: int = 5,
    alpha: float = 1.0,
    beta: float = 6.0,
) -> Assignment:
    """Assigns points to boxes.

    Args:
        scores: probabilities ``(B, A, K)``.
        predicted: boxes ``(B, A, 4)``.
        points: centres ``(A, 2)`` as x, y.
        boxes, labels: what is there, ``(B, G, 4)`` and ``(B, G)``; label -1 is padding.
        top: points a box, at most.
    """
    number = len(points)
    if boxes.shape[1] == 0:
        nothing = torch.zeros_like(scores)
        return Assignment(nothing, predicted, nothing[..., 0].bool())
    real = labels >= 0
    fit = within(points, boxes) & real[:, :, None]  # (B, G, A)
    overlap = pairwise_iou(boxes, predicted) * fit
    wanted = labels.clamp_min(0)[:, None, :].expand(-1, number, -1)
    likely = scores.gather(2, wanted).transpose(1, 2)
    aligned = likely.pow(alpha) * overlap.pow(beta) * fit
    best = aligned.topk(min(top, number), dim=2)
    chosen = torch.zeros_like(fit).scatter_(2, best.indices, True) & fit
    owner = overlap.masked_fill(~chosen, -1.0).argmax(1)  # (B, A): of several boxes, the nearest
    positive = chosen.any(1)
    mine = chosen & (owner[:, None] == torch.arange(boxes.shape[1], device=boxes.device)[:, None])
    aligned = aligned * mine
    peak = aligned.amax(2, keepdim=True)
    reach = (overlap * mine).amax(2, keepdim=True)
    quality = (aligned / peak.clamp_min(1e-9) * reach).amax(1)  # (B, A)
    label = labels.gather(1, owner).clamp_min(0)
    targets = torch.zeros_like(scores)
    targets.scatter_(2, label[:, :, None], (quality * positive)[:, :, None].to(scores.dtype))
    own_boxes = boxes.gather(1, owner[:, :, None].expand(-1, -1, 4))
    return Assignment(targets, own_boxes, positive)


def within(points: Tensor, boxes: Tensor) -> Tensor:
    """Whether points ``(A, 2)`` lie inside boxes ``(B, G, 4)``: ``(B, G, A)``."""
    x, y = points.unbind(1)
    x1, y1, x2, y2 = boxes[..., None].unbind(2)
    return (x > x1) & (x < x2) & (y > y1) & (y < y2)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes ``(B, G, 4)`` with boxes ``(B, A, 4)``: ``(B, G, A)``."""
    a, b = first[:, :, None], second[:, None]
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    common = (high - low).clamp_min(0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp_min(0).prod(-1) for box in (a, b)]
    return common / (areas[0] + areas[1] - common).clamp_min(1e-9)
