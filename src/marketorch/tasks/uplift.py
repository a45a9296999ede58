"""Uplift: whom an e-mail, a coupon or a call changes, and which of several is best for whom.

Data of an experiment are needed: customers were given one of A treatments or nothing, by lot. A
learner (`marketorch.models.uplift.learners`) says how likely a customer is to act under each; the
uplift is what the best treatment adds to that. Nobody is ever seen with and without a treatment, so
neither loss nor metric is of single customers: lists are measured by Qini and AUUC, with intervals,
which on a few thousand customers are wide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.cuts import UNLABELLED
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.engine.task import Batch, Predictions, Row, Step
from marketorch.errors import ConfigError, DataError
from marketorch.figures import uplift as figures
from marketorch.metrics.uplift_curves import uplift_estimates
from marketorch.models.uplift.learners import Learner, of_treatment
from marketorch.tasks.tables import CARD, CustomerTask, table_encoder

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Uplift(CustomerTask):
    """The task of every learner of uplift. Shapes: A treatments and nothing, M members.

    Args:
        model: builds the learner from ``num_numbers``, ``level_counts`` and ``num_arms``, A + 1.
        schema: the data's description: two ``classes``, ``treatments``, ``columns``.
        value: what a customer who acts brings; None: no profit is counted.
        cost: of a contact, in the same unit.
        resamples: of the bootstrap that gives intervals.

    Raises:
        ConfigError: the model is no learner.
        DataError: there are no treatments, or other than two classes.
    """

    name = "uplift"
    main_metric = "qini"
    rank_by = "uplift"
    card = CARD._replace(
        tag=None,
        does="tells whom an offer changes, and ranks customers by how much",
        misuse=(
            CARD.misuse[0],
            "Saying what it did to any one customer: nobody is ever seen with and without it.",
            CARD.misuse[2],
        ),
    )

    def __init__(
        self,
        *,
        model: Callable[..., Any],
        schema: dict[str, Any],
        value: float | None = None,
        cost: float = 0.0,
        resamples: int = 1000,
    ) -> None:
        super().__init__()
        self.schema, self.arms = schema, usable_treatments(schema)
        kind = getattr(model, "func", model)
        if isinstance(kind, type) and not issubclass(kind, Learner):
            raise ConfigError(
                f"model is {kind.__name__}, which knows no treatments; expected a learner: "
                "model=t_learner, and the model inside of it as model.model."
            )
        self.encoder, self.value, self.cost = table_encoder(model, schema), value, cost
        self.resamples = resamples
        self.model = model(
            num_numbers=self.encoder.num_numbers,
            level_counts=self.encoder.level_counts,
            num_arms=len(self.arms),
        )

    # -- training and prediction --------------------------------------------------------------

    def forward(self, batch: Batch) -> Step:
        """The learner's loss; customers without a label count nothing."""
        labels = batch["labels"]
        known = labels != UNLABELLED
        inputs = self.inputs(batch)
        losses = self.model.losses(*inputs, batch["treatment"], labels.clamp_min(0))
        return Step((losses * known).sum(), known.sum())

    def predict(self, batch: Batch) -> Predictions:
        """Probabilities ``(B, A + 1)`` to act under each treatment, under nothing first."""
        return {"index": batch["index"], "probabilities": self.probabilities(*self.inputs(batch))}

    def probabilities(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Means over the members ``(B, A + 1)``."""
        shares: Tensor = self.model(numbers, categories).float().sigmoid()
        return shares.mean(1) if shares.ndim == 3 else shares

    # -- evaluation ---------------------------------------------------------------------------

    def metrics(self) -> MetricCollection:
        """Qini and AUUC with intervals, the mean effect, and the log-loss under what was given."""
        from torchmetrics import MetricCollection

        from marketorch.metrics.probabilities import LogLoss
        from marketorch.metrics.uplift import UpliftAreas, UpliftProfit

        names, more = self.arms[1:], {"resamples": self.resamples}
        metrics: dict[str, Any] = {"areas": UpliftAreas(names, **more), "log_loss": LogLoss()}
        if self.value is not None:
            metrics["profit"] = UpliftProfit(names, self.value, self.cost, **more)
        return MetricCollection(metrics, compute_groups=False)

    def update(self, metrics: MetricCollection, predictions: Predictions, batch: Batch) -> None:
        """Feeds the labelled customers of a batch."""
        if "labels" not in batch or "treatment" not in batch:
            raise DataError("This split has no labels, or no treatments, to evaluate on.")
        known = batch["labels"] != UNLABELLED
        shares, labels = predictions["probabilities"][known], batch["labels"][known]
        treatment = batch["treatment"][known]
        own = of_treatment(shares, treatment)
        metrics.update(
            effects=effects(shares),
            treatment=treatment,
            labels=labels,
            probabilities=torch.stack([1 - own, own], 1),
        )

    def figures(self, collected: Predictions, dataset: Any, folder: Path) -> Sequence[Path]:
        """The Qini curve and the effect by tenth; says what the experiment does and cannot show."""
        from marketorch.metrics.uplift import policy_counts

        known = dataset.labels != UNLABELLED
        describe_prediction = effects(collected["probabilities"].float())[known].numpy()
        given, labels = dataset.treatment[known].numpy(), dataset.labels[known].numpy()
        counts, name = policy_counts(describe_prediction, given, labels), self.schema["classes"][1]
        self._judge(counts)
        return [
            figures.qini_curve(counts, name, self.resamples, folder),
            figures.by_tenth(describe_prediction, given, labels, self.resamples, folder),
        ]

    def _judge(self, counts: np.ndarray) -> None:
        """Says whether the order is better than none, as far as these customers can tell."""
        found = uplift_estimates(counts, self.resamples)
        low, high = found["qini_low"], found["qini_high"]
        if low > 0:
            judged = "the order is better than none"
        elif high < 0:
            judged = "the order is worse than none"
        else:
            judged = "covers 0, so these customers do not show that the order is better than none"
        between = f"95 % between {found['effect_low']:.4f} and {found['effect_high']:.4f}"
        say(f"effect    {found['effect']:.4f} a customer if all are treated, {between}")
        say(f"Qini      {found['qini']:.4f}, 95 % between {low:.4f} and {high:.4f}: {judged}")

    # -- what is shown ------------------------------------------------------------------------

    def describe_prediction(self, shares: Sequence[float]) -> Row:
        """The best treatment, what it adds, and the probability under each.

        Nothing is best for who would be less likely to act under every treatment.
        """
        gained = [share - shares[0] for share in shares[1:]]
        best = max(range(len(gained)), key=gained.__getitem__)
        row: Row = {"best": self.arms[best + 1] if gained[best] > 0 else self.arms[0]}
        row |= {"uplift": round(gained[best], 6)}
        if self.value is not None:
            earned = gained[best] * self.value - self.cost
            row |= {"contact": earned > 0, "expected_profit": round(earned, 6)}
        own = zip(self.arms[1:], gained, strict=True)
        row |= {f"uplift_{name}": round(gain, 6) for name, gain in own if len(gained) > 1}
        return row | {f"p_{name}": round(p, 6) for name, p in zip(self.arms, shares, strict=True)}

    def reasons(self, dataset: CustomerDataset, rows: Sequence[Row], number: int) -> Any:
        """Reasons for the uplift of the treatment that adds most.

        A reason's weight is what the uplift loses, as a probability, if the customer were like most
        in that column.
        """
        shares = torch.tensor([[row[f"p_{name}"] for name in self.arms] for row in rows])
        return self.strongest_columns(self.effect, dataset, effects(shares).argmax(1), number)

    @torch.no_grad()
    def effect(self, numbers: Tensor, categories: Tensor, places: Tensor) -> Tensor:
        """Effects ``(B,)`` of the treatments at ``places (B,)``, 0 is the first after nothing."""
        shares = self.probabilities(*self.on_device(numbers, categories)).cpu()
        return effects(shares).gather(1, places[:, None])[:, 0].double()


def effects(probabilities: Tensor) -> Tensor:
    """What each treatment adds to nothing ``(B, A)``, of probabilities ``(B, A + 1)``."""
    return probabilities[:, 1:] - probabilities[:, :1]


def usable_treatments(schema: dict[str, Any]) -> list[str]:
    """Names of nothing and of the treatments. DataError if there are none, or more classes."""
    names: list[str] = schema.get("treatments", [])
    if len(names) < 2:
        raise DataError(
            "task=uplift needs an experiment: set data.treatment to the column of what was done "
            "with a customer, and data.control to its word for nothing."
        )
    classes = schema["classes"]
    if len(classes) != 2:
        raise DataError(
            f"task=uplift needs a target of two classes; found {len(classes)}: "
            f"{', '.join(classes[:10]) or 'set data.target to one column'}."
        )
    return names
