"""Ranks of the targets in scores of the whole catalogue, exact under ties.

Shapes: B users, T targets a user (padded), N catalogue, k length of the list.
"""

from __future__ import annotations

import torch
from torch import Tensor

PAD = 0  # items are numbered from 1


def mean_ranks(scores: Tensor, targets: Tensor, k: int | None = None) -> Tensor:
    """Ranks ``(B, T)`` of ``targets`` ``(B, T)`` by ``scores`` ``(B, N + 1)``, 1 is the best.

    Equal scores share the mean of their ranks, and a score that is no number is the worst there
    is. Infinite at padding. Ranks that are surely beyond ``k`` are all given as N + 1: that takes
    one look at the scores, however many targets there are.
    """
    size = scores.shape[1]
    best = scores.nan_to_num(nan=-torch.inf).topk(min(k or size, size), dim=1).values
    own = scores.gather(1, targets).nan_to_num(nan=-torch.inf)
    above = (best[:, None] > own[..., None]).sum(2)
    tied = (best[:, None] == own[..., None]).sum(2)
    last = best[:, -1:]
    at_the_edge = (scores == last).sum(1, keepdim=True).where(last > -torch.inf, size - above)
    tied = torch.where(own == last, at_the_edge, tied)
    ranks = above + (tied + 1) / 2
    ranks = ranks.masked_fill(own < last, size)
    return ranks.masked_fill(targets == PAD, torch.inf)


def ranks_among(scores: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """Mean ranks ``(B, T)`` of ``targets`` among ``negatives`` ``(B, M)`` alone."""
    own = scores.gather(1, targets)[..., None]
    others = scores.gather(1, negatives)[:, None]
    real = (negatives != PAD)[:, None]
    not_below = ~(others < own) & real  # a score that is no number is the worst there is
    ranks = 1 + (not_below.sum(2) + (not_below & (others != own)).sum(2)) / 2
    return ranks.masked_fill(targets == PAD, torch.inf)
