"""Learners of what a treatment changes, around any model of tables.

A learner says how likely each customer is to act under each treatment: log-odds ``(B, A + 1)``, of
nothing first, or ``(B, M, A + 1)`` for M members; the effect of a treatment is the difference of
two probabilities. It is trained on what was done (`Learner.losses`), or fitted in closed form by
``fit(train)`` where the model inside is. A model inside is built as any model of tables is, from
``num_numbers``, ``level_counts`` and ``num_classes`` (Künzel et al. 2019 name the letters).
Shapes: B rows, N rows of training, F numbers, C categories, A treatments and nothing, M members.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.errors import ConfigError

Builder = Callable[..., Any]


class Learner(nn.Module):
    """Base: log-odds of acting under each treatment, for rows ``(B, F)`` and ``(B, C)``."""

    def factual(self, numbers: Tensor, categories: Tensor, treatment: Tensor) -> Tensor:
        """Log-odds ``(B,)`` or ``(B, M)`` under the treatment that each was given ``(B,)``."""
        return of_treatment(self(numbers, categories), treatment)

    def losses(
        self, numbers: Tensor, categories: Tensor, treatment: Tensor, labels: Tensor
    ) -> Tensor:
        """Cross-entropy ``(B,)`` of labels ``(B,)``, 0 or 1; the mean over the members."""
        return cross_entropy(self.factual(numbers, categories, treatment), labels)


class Everyone(Learner):
    """The same effects for everybody: the shares that acted under each treatment.

    Fitted, not trained. It puts nobody first; the treatment of the greatest mean effect is
    everybody's.

    Args:
        num_numbers, level_counts: taken like any model's; the columns do not matter.
        num_arms: A + 1.
    """

    log_odds: Tensor

    def __init__(self, *, num_numbers: int, level_counts: Sequence[int], num_arms: int) -> None:
        super().__init__()
        self.register_buffer("log_odds", torch.zeros(num_arms))

    def fit(self, train: Any) -> None:
        """Counts who acted."""
        for arm in range(len(self.log_odds)):
            own = train.labels[(train.treatment == arm) & (train.labels >= 0)]
            self.log_odds[arm] = own.double().mean().nan_to_num(0.5).logit(eps=1e-6)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Log-odds ``(B, A + 1)``."""
        return self.log_odds.expand(len(numbers), -1)


class SLearner(Learner):
    """One model that reads the treatment as one more category.

    It tends to think little of treatments: nothing makes it look at that column.

    Args:
        num_numbers, level_counts, num_arms: F, the levels of each category, A + 1.
        model: builds the model.
    """

    def __init__(
        self, *, num_numbers: int, level_counts: Sequence[int], num_arms: int, model: Builder
    ) -> None:
        super().__init__()
        self.num_arms = num_arms
        self.model: Any = model(
            num_numbers=num_numbers,
            level_counts=[*level_counts, num_arms + 1],  # level 0 is of what is unknown
            num_classes=2,
        )

    def fit(self, train: Any) -> None:
        """Fits what has a closed form."""
        if hasattr(self.model, "fit"):
            categories = with_treatment(train.categories, train.treatment)
            self.model.fit(replace(train, categories=categories))

    def factual(self, numbers: Tensor, categories: Tensor, treatment: Tensor) -> Tensor:
        """Log-odds ``(B,)`` or ``(B, M)`` under the treatment that each was given ``(B,)``."""
        return log_odds(self.model(numbers, with_treatment(categories, treatment)))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Log-odds ``(B, [M,] A + 1)``: everybody is asked about under each treatment."""
        arms = torch.arange(self.num_arms, device=categories.device)
        asked = [arm.expand(len(categories)) for arm in arms]
        return torch.stack([self.factual(numbers, categories, arm) for arm in asked], -1)


class TLearner(Learner):
    """A model for each treatment and one for nothing; each sees its own customers alone.

    Args:
        num_numbers, level_counts, num_arms: F, the levels of each category, A + 1.
        model: builds each of the models.
    """

    def __init__(
        self, *, num_numbers: int, level_counts: Sequence[int], num_arms: int, model: Builder
    ) -> None:
        super().__init__()
        sizes = {"num_numbers": num_numbers, "level_counts": level_counts, "num_classes": 2}
        self.models = nn.ModuleList(model(**sizes) for _ in range(num_arms))

    def fit(self, train: Any) -> None:
        """Fits what has a closed form."""
        for arm, model in enumerate(self.models):
            fit: Any = getattr(model, "fit", None)
            if fit is not None:
                fit(given(train, arm))

    def factual(self, numbers: Tensor, categories: Tensor, treatment: Tensor) -> Tensor:
        """Log-odds ``(B,)`` or ``(B, M)`` under the treatment that each was given ``(B,)``."""
        places = [(treatment == arm).nonzero()[:, 0] for arm in range(len(self.models))]
        parts = [
            log_odds(model(numbers[own], categories[own]))
            for model, own in zip(self.models, places, strict=True)
        ]
        return torch.cat(parts)[torch.cat(places).argsort()]

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Log-odds ``(B, [M,] A + 1)``."""
        return torch.stack([log_odds(model(numbers, categories)) for model in self.models], -1)


class DragonNet(Learner):
    """One network with a head for each treatment, and heads that tell who was given what.

    What is known of all customers shapes the trunk, so an effect need not be learnt from two halves
    of them (TARNet, Shalit et al. 2017). Heads for the propensity (DragonNet, Shi et al. 2019) make
    the trunk keep what decides who is treated. Where treatments are drawn by lot nothing does, the
    propensity is known, and all that these heads can learn is chance: leave ``propensity`` at 0.
    All heads are outputs of one model of tables, each linear in what its last layer gives.

    Args:
        num_numbers, level_counts, num_arms: F, the levels of each category, A + 1.
        model: builds the network.
        propensity: weight of the cross-entropy of the treatment; 0: no such heads.

    Raises:
        ConfigError: the model has nothing to train.
    """

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        num_arms: int,
        model: Builder,
        propensity: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_arms, self.propensity = num_arms, propensity
        self.model: Any = model(
            num_numbers=num_numbers,
            level_counts=level_counts,
            num_classes=num_arms * (2 if propensity else 1),
        )
        if not any(True for _ in self.model.parameters()):
            raise ConfigError(
                f"model.model is {type(self.model).__name__}, which is fitted in closed form; "
                "expected a network, whose trunk the heads share."
            )

    def fit(self, train: Any) -> None:
        """Fits what has a closed form: where numbers are cut into bins."""
        if hasattr(self.model, "fit"):
            self.model.fit(train)

    def losses(
        self, numbers: Tensor, categories: Tensor, treatment: Tensor, labels: Tensor
    ) -> Tensor:
        """Cross-entropies ``(B,)`` of the outcome and, weighted, of the treatment."""
        logits = self.model(numbers, categories).float()
        losses = cross_entropy(of_treatment(logits, treatment), labels)
        if not self.propensity:
            return losses
        members = logits[..., self.num_arms :].reshape(len(logits), -1, self.num_arms)
        wanted = treatment[:, None].expand(-1, members.shape[1])
        of_lot = F.cross_entropy(members.transpose(1, 2), wanted, reduction="none").mean(1)
        return losses + self.propensity * of_lot

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Log-odds ``(B, [M,] A + 1)``."""
        logits: Tensor = self.model(numbers, categories)
        return logits[..., : self.num_arms]


def log_odds(logits: Tensor) -> Tensor:
    """Of the second of two classes ``(…)``, from logits ``(…, 2)``."""
    return logits[..., 1] - logits[..., 0]


def of_treatment(log_odds: Tensor, treatment: Tensor) -> Tensor:
    """The log-odds ``(B,)`` or ``(B, M)`` under what was given ``(B,)``, of ``(B, [M,] A + 1)``."""
    place = treatment.reshape(-1, *[1] * (log_odds.ndim - 1)).expand(*log_odds.shape[:-1], 1)
    return log_odds.gather(-1, place)[..., 0]


def cross_entropy(log_odds: Tensor, labels: Tensor) -> Tensor:
    """Of labels ``(B,)``, 0 or 1, from log-odds ``(B,)`` or ``(B, M)``; the mean over members."""
    members = log_odds.float().reshape(len(labels), -1)
    wanted = labels[:, None].expand(-1, members.shape[1]).to(members.dtype)
    return F.binary_cross_entropy_with_logits(members, wanted, reduction="none").mean(1)


def with_treatment(categories: Tensor, treatment: Tensor) -> Tensor:
    """Categories ``(B, C + 1)``, the last of which says what was given."""
    return torch.cat([categories, (treatment + 1)[:, None].to(categories.dtype)], 1)


def given(train: Any, arm: int) -> Any:
    """The customers who were given one treatment, or nothing."""
    return train.select((train.treatment == arm).nonzero()[:, 0])
