"""Metrics of probabilities that torchmetrics has not, exact over batches and ranks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from marketorch.metrics.base import MeanOfSums, WholeListMetric


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


class AdaptiveCalibrationError(WholeListMetric):
    """Mean gap between what is predicted and what happens, in bins of equally many examples.

    Bins of equal width, as in the usual calibration error, leave nearly all rare events in one
    (Nixon et al. 2019). Of two classes, the second one's probability is asked; of more, that of the
    likeliest class. Examples with equal scores stand in no order, so their hits are shared evenly.

    Args:
        bins: how many; at most one an example.
    """

    def __init__(self, bins: int = 15, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins = bins

    def compute(self) -> Tensor:
        """The error, between 0 and 1."""
        scores, hits = self.gathered()
        _, group, sizes = scores.unique(return_inverse=True, return_counts=True)
        hits = (torch.bincount(group, hits, minlength=len(sizes)) / sizes)[group]
        order = scores.argsort()
        parts = (scores - hits)[order].tensor_split(min(self.bins, len(scores)))
        return (torch.stack([part.sum().abs() for part in parts]).sum() / len(scores)).float()
