"""Metrics of ranked lists, from ranks: exact under ties, batches and ranks of processes.

Shapes: B users, T targets a user (padded), N catalogue, k length of the list.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from marketorch.metrics.base import MeanOfSums


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


class Popularity(MeanOfSums):
    """How popular what is shown is: the mean share of users who had taken it in training.

    Average recommendation popularity (Abdollahpouri et al. 2019). Far above that of what people
    take next, a recommender leans on the popular.
    """

    share: Tensor

    def __init__(self, share: Tensor, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = k
        self.register_buffer("share", share.clone(), persistent=False)

    def update(self, items: Tensor) -> None:  # type: ignore[override]
        """Takes lists ``(B, K)``, best first."""
        super().update(self.share[items[:, : self.k]].mean(1))
