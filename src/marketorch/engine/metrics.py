"""Metrics of probabilities that torchmetrics has not, exact over batches and ranks."""

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


class OfAll(Metric):
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


class AdaptiveCalibrationError(OfAll):
    """Mean gap between what is foretold and what happens, in bins of equally many examples.

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


class Lift(OfAll):
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
        return (gains(scores, hits, share)[0] / self.share).float()


def scored(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What an example is ranked by ``(B,)`` and whether it came true ``(B,)``, from ``(B, C)``."""
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], (labels == 1).float()
    confidence, predicted = probabilities.max(1)
    return confidence, (predicted == labels).float()


def gains(scores: Tensor, hits: Tensor, shares: Tensor) -> Tensor:
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
