"""Metrics of a ranked list of customers in a randomised experiment, exact over batches and ranks.

Qini, AUUC and their bootstrap intervals are defined in `marketorch.metrics.uplift_curves`.
Shapes: B customers, N customers of all batches, A treatments and nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from marketorch.metrics import uplift_curves


class OfExperiment(Metric):
    """Base: what can only be said once every customer is there.

    Args:
        arms: names of the A treatments, without nothing.
        resamples: of the bootstrap.
    """

    effects: list[Tensor]
    treatment: list[Tensor]
    labels: list[Tensor]

    def __init__(self, arms: Sequence[str], resamples: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arms, self.resamples = list(arms), resamples
        for name in ("effects", "treatment", "labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, effects: Tensor, treatment: Tensor, labels: Tensor) -> None:
        """Takes effects predicted ``(B, A)``, what was given ``(B,)`` and labels ``(B,)``."""
        self.effects.append(effects.float())
        self.treatment.append(treatment)
        self.labels.append(labels)

    def gathered(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Effects ``(N, A)``, treatment ``(N,)`` and labels ``(N,)``."""
        none = torch.zeros(0, dtype=torch.int64)
        effects = torch.cat([torch.zeros(0, len(self.arms)), *(e.cpu() for e in self.effects)])
        given = torch.cat([none, *(t.cpu() for t in self.treatment)])
        labels = torch.cat([none, *(own.cpu() for own in self.labels)])
        return effects.numpy(), given.numpy(), labels.numpy()


class UpliftAreas(OfExperiment):
    """``qini`` and ``auuc``, with what 95 % of resamples lie between, and the mean ``effect``.

    They are those of the policy that gives everybody the treatment of the greatest effect, to who
    gains most first. Of several treatments, those of each alone are added as ``qini/name``: its
    own customers and who was given nothing, ranked by its own effect.
    """

    def compute(self) -> dict[str, Tensor]:
        """All of them."""
        effects, treatment, labels = self.gathered()
        found = uplift_curves.uplift_estimates(
            policy_counts(effects, treatment, labels), self.resamples
        )
        for place, name in enumerate(self.arms if len(self.arms) > 1 else ()):
            own = (treatment == 0) | (treatment == place + 1)
            given = (treatment[own] > 0).astype(np.int64)
            counts = policy_counts(effects[own, place, None], given, labels[own])
            alone = uplift_curves.uplift_estimates(counts, self.resamples)
            found |= {f"{key}/{name}": value for key, value in alone.items()}
        bounds = ("effect_low", "effect_high")
        kept = {name: own for name, own in found.items() if not name.startswith(bounds)}
        return {name: torch.tensor(value) for name, value in kept.items()}


class UpliftProfit(OfExperiment):
    """Profit a customer of the list when all who are worth it are contacted, with its interval.

    Args:
        value: of a customer who acts.
        cost: of a contact.
    """

    def __init__(self, arms: Sequence[str], value: float, cost: float, **kwargs: Any) -> None:
        super().__init__(arms, **kwargs)
        self.value, self.cost = value, cost

    def compute(self) -> dict[str, Tensor]:
        """``profit``, ``profit_low`` and ``profit_high``."""
        effects, treatment, labels = self.gathered()
        chosen = effects.argmax(1) + 1
        worth = effects.max(1) * self.value > self.cost
        counts = uplift_curves.count(worth, treatment, labels, chosen, len(self.arms))
        end = 1 if worth.any() else 0
        values = []
        for own in (counts[None], uplift_curves.resampled(counts, self.resamples)):
            share, gain = uplift_curves.gain(own)
            values.append(gain[:, end] * self.value - share[:, end] * self.cost)
        low, high = uplift_curves.middle(values[1])
        estimates = {"profit": float(values[0][0]), "profit_low": low, "profit_high": high}
        return {name: torch.tensor(value) for name, value in estimates.items()}


def policy_counts(effects: np.ndarray, treatment: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts of the list by the greatest of the effects ``(N, A)``, see `uplift_curves.count`."""
    chosen, arms = effects.argmax(1) + 1, effects.shape[1]
    return uplift_curves.count(effects.max(1), treatment, labels, chosen, arms)
