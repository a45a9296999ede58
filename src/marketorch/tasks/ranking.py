"""Metrics of ranked lists, from ranks: exact under ties, batches and ranks of processes.

Shapes: B users, T targets a user (padded), N catalogue, k length of the list.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from marketorch.data.ragged import PAD
from marketorch.engine.metrics import MeanOfSums


def mean_ranks(scores: Tensor, targets: Tensor) -> Tensor:
    """Ranks ``(B, T)`` of ``targets`` ``(B, T)`` by ``scores`` ``(B, N + 1)``, 1 is the best.

    Equal scores share the mean of their ranks, and a score that is no number is the worst there
    is. Infinite at padding.
    """
    own = scores.gather(1, targets)
    ranks = torch.empty(targets.shape, device=scores.device)
    for column in range(targets.shape[1]):  # a B x N comparison each; most users have few targets
        score = own[:, column, None]
        not_above, equal = (scores <= score).sum(1), (scores == score).sum(1)
        ranks[:, column] = scores.shape[1] - not_above + (equal + 1) / 2
    return ranks.masked_fill(targets == PAD, torch.inf)


class RankMetric(MeanOfSums):
    """Mean over users of ``recall``, ``ndcg`` or ``mrr`` at ``k``.

    Recall divides by the number of targets, NDCG by the gain of an ideal list, MRR is that of the
    best target.
    """

    def __init__(self, kind: str, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.k = kind, k

    def update(self, ranks: Tensor) -> None:  # type: ignore[override]
        """Takes ranks ``(B, T)``, infinite where there is no target."""
        number = ranks.isfinite().sum(1).clamp_min(1)
        hit = ranks <= self.k
        if self.kind == "recall":
            values = hit.sum(1) / number
        elif self.kind == "mrr":
            values = (hit / ranks).amax(1)
        else:
            gain = (hit / (1 + ranks).log2()).sum(1)
            ideal = (1 / torch.arange(2, self.k + 2, device=ranks.device).log2()).cumsum(0)
            values = gain / ideal[number.clamp_max(self.k) - 1]
        super().update(values)


class Coverage(Metric):
    """Share of the catalogue that stands in somebody's list of ``k``."""

    shown: Tensor

    def __init__(self, num_items: int, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = k
        self.add_state("shown", torch.zeros(num_items + 1), dist_reduce_fx="sum")

    def update(self, items: Tensor) -> None:
        """Takes lists ``(B, K)``, best first."""
        self.shown += torch.bincount(items[:, : self.k].flatten(), minlength=len(self.shown))

    def compute(self) -> Tensor:
        """Between 0 and 1."""
        return (self.shown[1:] > 0).float().mean()
