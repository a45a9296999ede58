"""The doubly robust learner: effects are regressed, as no difference of two models is.

Kennedy 2020, "Towards optimal doubly robust estimation of heterogeneous causal effects". Models of
the outcome are fitted on other customers (cross-fitting). What they foretell, corrected by what
happened, is a noisy but unbiased effect of each customer: if treatments are drawn by lot, however
wrong the models are. A second model regresses these effects on the columns, and is as smooth as
effects are, not as outcomes are.
Shapes: B rows, N rows of training, F numbers, C categories, A treatments and nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from marketorch.errors import ConfigError
from marketorch.models.tables.boosted_trees import BoostedTrees, side_by_side
from marketorch.models.uplift.learners import Builder, Learner, TLearner, given, log_odds

SURE = 1e-4  # probabilities are kept so far from 0 and 1


class EffectTrees(BoostedTrees):
    """Boosted trees that regress a number instead of telling classes apart.

    Args:
        num_numbers, level_counts: F, the levels of each category.
        others: see `BoostedTrees`.
    """

    def __init__(self, *, num_numbers: int, level_counts: Sequence[int], **others: Any) -> None:
        super().__init__(
            num_numbers=num_numbers, level_counts=level_counts, num_classes=2, **others
        )

    def regress(self, train: Any, wanted: np.ndarray) -> None:
        """Grows the trees on numbers ``wanted (N,)``."""
        draw = np.random.default_rng(self.seed)
        aside = draw.permutation(len(wanted)) < round(self.held_out * len(wanted))
        self.fit_rows(side_by_side(train.numbers, train.categories), wanted, aside)

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"objective": "regression"}

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """What is expected ``(B,)``."""
        rows = side_by_side(numbers, categories)
        found = self.booster.predict(rows, num_threads=torch.get_num_threads())
        return torch.from_numpy(found).to(numbers.device).float()


class DRLearner(Learner):
    """Log-odds ``(B, A + 1)`` of which the effects are regressed; fitted, not trained.

    Args:
        num_numbers, level_counts, num_arms: F, the levels of each category, A + 1.
        model: builds the models of the outcome, one for each treatment; fitted in closed form.
        folds: parts of the training rows; each is predicted by a model of the others.
        rounds, learning_rate, num_leaves, min_rows: of the trees that regress effects, see
            `BoostedTrees`. Effects are few and noisy: small trees with large leaves.
        seed: of the folds and of the rows that say when to stop.

    Raises:
        ConfigError: the model is one that has to be trained.
    """

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        num_arms: int,
        model: Builder,
        folds: int = 5,
        rounds: int = 1000,
        learning_rate: float = 0.02,
        num_leaves: int = 4,
        min_rows: int = 500,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.folds, self.seed, self.num_arms = folds, seed, num_arms
        sizes: dict[str, Any] = {"num_numbers": num_numbers, "level_counts": level_counts}
        self._outcomes = lambda: TLearner(**sizes, num_arms=num_arms, model=model)
        self.control: Any = model(**sizes, num_classes=2)
        if any(True for _ in self.control.parameters()) or not hasattr(self.control, "fit"):
            raise ConfigError(
                f"model.model is {type(self.control).__name__}, which has to be trained; expected "
                "one that is fitted in closed form, such as boosted_trees or logistic."
            )
        options: dict[str, Any] = {"rounds": rounds, "learning_rate": learning_rate, "seed": seed}
        options |= {"num_leaves": num_leaves, "min_rows": min_rows}
        self.effects = nn.ModuleList(EffectTrees(**sizes, **options) for _ in range(num_arms - 1))

    def fit(self, train: Any) -> None:
        """Fits the outcome of who was given nothing and the effect of each treatment."""
        train = train.select((train.labels >= 0).nonzero()[:, 0])
        self.control.fit(given(train, 0))
        trees: Any
        for trees, wanted in zip(self.effects, self.scores(train), strict=True):
            trees.regress(train, wanted)

    def scores(self, train: Any) -> np.ndarray:
        """An unbiased effect ``(A, N)`` of each treatment on each labelled customer.

        The shares of the treatments are their probabilities, as they are drawn by lot.
        """
        predicted = self._predicted(train)
        treatment, labels = train.treatment.numpy(), train.labels.numpy()
        shares = np.bincount(treatment, minlength=self.num_arms) / len(labels)
        was_given = np.eye(self.num_arms)[treatment]
        missed = was_given * (labels[:, None] - predicted) / shares
        corrected = (predicted + missed).T
        return corrected[1:] - corrected[:1]

    def _predicted(self, train: Any) -> np.ndarray:
        """Probabilities ``(N, A + 1)`` by models that have not seen the row."""
        order = np.random.default_rng(self.seed).permutation(len(train))
        predicted = np.empty((len(train), self.num_arms))
        for part in np.array_split(order, self.folds):
            outcomes = self._outcomes()
            outcomes.fit(train.select(np.setdiff1d(order, part)))
            own = train.select(part)
            predicted[part] = outcomes(own.numbers, own.categories.long()).sigmoid().numpy()
        return predicted

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Log-odds ``(B, A + 1)``."""
        base = log_odds(self.control(numbers, categories)).sigmoid()
        treated = [base + effect(numbers, categories) for effect in self.effects]
        return torch.stack([base, *treated], 1).clamp(SURE, 1 - SURE).logit()
