"""Whom to contact: what a contact costs, what the right one brings, from which score on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from marketorch.engine.metrics import MeanOfSums


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


def profit_curve(scores: Tensor, hits: Tensor, value: float, cost: float) -> tuple[Tensor, Tensor]:
    """Profit of contacting the first so many of a ranked list.

    Args:
        scores, hits: of each customer ``(N,)``.

    Returns:
        The scores at which the list can be cut ``(S,)``, the highest first, and the profit ``(S,)``
        of contacting all from each on. Equal scores are not torn apart.
    """
    cuts, group = scores.double().unique(return_inverse=True)
    earned = torch.bincount(group, hits.double() * value - cost, minlength=len(cuts))
    return cuts.flip(0), earned.flip(0).cumsum(0)


def best_threshold(scores: Tensor, hits: Tensor, value: float, cost: float) -> float:
    """From which score on to contact at the highest profit; infinite if nobody is worth it.

    It lies halfway to the next score below: rounding then leaves nobody out who was meant.
    """
    cuts, profit = profit_curve(scores, hits, value, cost)
    best = int(profit.argmax())
    if profit[best] <= 0:
        return float("inf")
    return float(cuts[best : best + 2].mean())
