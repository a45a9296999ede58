"""Bases of metrics: sums that add up over ranks, and lists that are measured as a whole."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanOfSums(Metric):
    """Base: a sum and a count, both reduced by addition."""

    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, values: Tensor, weights: Tensor | None = None) -> None:
        """Adds ``values`` ``(B,)``, or sums ``(B,)`` over ``weights`` ``(B,)`` items each."""
        self.total += values.double().sum()
        self.count += len(values) if weights is None else weights.double().sum()

    def compute(self) -> Tensor:
        """The mean over everything seen."""
        return (self.total / self.count).float()


class WholeListMetric(Metric):
    """Base: what can only be said once every score and every hit is there."""

    scores: list[Tensor]
    hits: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("hits", [], dist_reduce_fx="cat")

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Takes probabilities ``(B, C)`` and labels ``(B,)``."""
        scores, hits = scored(probabilities.float(), labels)
        self.scores.append(scores)
        self.hits.append(hits)

    def gathered(self) -> tuple[Tensor, Tensor]:
        """Scores ``(N,)`` and hits ``(N,)`` in fp64."""
        none = torch.zeros(0, device=self.device)
        return torch.cat([none, *self.scores]).double(), torch.cat([none, *self.hits]).double()


def scored(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What an example is ranked by ``(B,)`` and whether it came true ``(B,)``, from ``(B, C)``."""
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], (labels == 1).float()
    confidence, predicted = probabilities.max(1)
    return confidence, (predicted == labels).float()
