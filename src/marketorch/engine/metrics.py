"""Metrics of probabilities that torchmetrics has not, summed exactly over batches and ranks."""

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


class LogLoss(MeanOfSums):
    """Mean negative log-probability of the label."""

    def update(self, probabilities: Tensor, labels: Tensor) -> None:  # type: ignore[override]
        """Takes probabilities ``(B, C)`` and labels ``(B,)``."""
        chosen = probabilities.float().gather(1, labels[:, None]).squeeze(1)
        super().update(-chosen.clamp_min(1e-12).log())


class Brier(MeanOfSums):
    """Mean squared distance between probabilities and the one-hot label (Brier 1950; 0 to 2)."""

    def update(self, probabilities: Tensor, labels: Tensor) -> None:  # type: ignore[override]
        """Takes probabilities ``(B, C)`` and labels ``(B,)``."""
        target = torch.nn.functional.one_hot(labels, probabilities.shape[1])
        super().update((probabilities.float() - target).square().sum(1))
