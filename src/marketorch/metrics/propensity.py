"""Metrics of a ranked list of customers: how precise it is, and what contacting its top earns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassAveragePrecision

from marketorch.metrics.base import MeanOfSums, WholeListMetric
from marketorch.metrics.ranked_list import cumulative_gains


class AveragePrecision(MulticlassAveragePrecision):
    """Of two classes, that of the second, the positive class; of more, the mean.

    Args:
        num_classes: how many there are.
    """

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(num_classes, average="none" if num_classes == 2 else "macro", **kwargs)

    def compute(self) -> Tensor:  # type: ignore[override]  # its base is annotated as a curve
        """The average precision."""
        found = super().compute()
        return found[1] if found.ndim else found


class Profit(MeanOfSums):
    """Profit a customer, contacted or not, when all from a probability on are contacted.

    Args:
        value: what a contacted customer of the second class brings.
        cost: of a contact.
        threshold: the least probability that is contacted.
    """

    def __init__(self, value: float, cost: float, threshold: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value, self.cost, self.threshold = value, cost, threshold

    def update(self, probabilities: Tensor, labels: Tensor) -> None:  # type: ignore[override]
        """Takes probabilities ``(B, 2)`` and labels ``(B,)``."""
        contacted = probabilities[:, 1] >= self.threshold
        super().update(contacted * ((labels == 1) * self.value - self.cost))


class Lift(WholeListMetric):
    """How many times as often the top of a ranked list hits as the whole of it.

    Of examples with equal scores at the end of the top, each counts in part.

    Args:
        share: of the list that is its top.
    """

    def __init__(self, share: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def compute(self) -> Tensor:
        """The lift; NaN if nothing hits."""
        scores, hits = self.gathered()
        share = torch.tensor([self.share], device=scores.device)
        return (cumulative_gains(scores, hits, share)[0] / self.share).float()
