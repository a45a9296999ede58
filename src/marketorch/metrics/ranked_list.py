"""Whom to contact: what a contact costs, what the right one brings, from which score on."""

from __future__ import annotations

import torch
from torch import Tensor


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

    Args:
        scores, hits: of each customer ``(N,)``.
        value, cost: what a contact brings of a customer who hits, and what any contact costs.
    """
    cuts, profit = profit_curve(scores, hits, value, cost)
    best = int(profit.argmax())
    if profit[best] <= 0:
        return float("inf")
    return float(cuts[best : best + 2].mean())


def cumulative_gains(scores: Tensor, hits: Tensor, shares: Tensor) -> Tensor:
    """The share of all hits ``(S,)`` that the top ``shares (S,)`` of a ranked list hold.

    Args:
        scores, hits: of the list ``(N,)``; equal scores stand in no order, so their hits are spread
            evenly over their places.
    """
    values, group = scores.unique(return_inverse=True)
    group = len(values) - 1 - group  # the highest first
    sizes = torch.bincount(group).double()
    found = torch.bincount(group, hits.double())
    ends = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    total = torch.cat([found.new_zeros(1), found.cumsum(0)])
    asked = shares.double() * len(scores)
    place = torch.searchsorted(ends, asked, right=True).clamp(1, len(ends) - 1)
    inside = (asked - ends[place - 1]) / sizes[place - 1]
    return (total[place - 1] + inside * found[place - 1]) / hits.double().sum()
