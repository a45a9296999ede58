"""Propensity: how likely each customer is to do something, in which order to call them, and why.

A model of tables maps scaled numbers ``(B, F)`` and numbered categories ``(B, C)`` to logits
``(B, K)``, or to ``(B, M, K)`` for M members whose probabilities are averaged, and may have
``fit(train)`` for what is learnt in closed form. Of two classes the second is the positive class;
there may be more. Nothing is resampled: whatever weighs rare classes up while training is taken off
again to predict, so probabilities are those of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from marketorch.data.cuts import UNLABELLED
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.engine.task import Batch, Predictions, Row, Step
from marketorch.errors import ConfigError
from marketorch.metrics.ranked_list import best_threshold
from marketorch.tasks.classification import Classification, log_class_weights
from marketorch.tasks.tables import CustomerTask, table_encoder

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from marketorch.tasks.exports import ExportedFunction

Table = tuple[Tensor, Tensor]


class Propensity(CustomerTask, Classification):
    """The task of every model of customers. Shapes: K classes, M members.

    Args:
        model: builds the model from ``num_numbers``, ``level_counts`` and ``num_classes``.
        schema: the data's description: ``classes``, ``class_counts``, ``columns``.
        label_smoothing: share of the target spread over all classes.
        balance: 0 weighs each customer the same, 1 each class; probabilities are corrected for it.
        value: what a customer who is of the second class and is contacted brings; None: no profit
            is counted.
        cost: of contacting a customer, in the same unit.
        calibration: fit a temperature and a bias a class to the validation split at the end.

    Raises:
        ConfigError: ``value`` is given and there are more than two classes.
    """

    name = "propensity"
    main_metric = "auroc"
    log_weights: Tensor
    threshold: Tensor

    def __init__(
        self,
        *,
        model: Callable[..., Any],
        schema: dict[str, Any],
        label_smoothing: float = 0.0,
        balance: float = 0.0,
        value: float | None = None,
        cost: float = 0.0,
        calibration: bool = True,
    ) -> None:
        number, encoder = len(schema["classes"]), table_encoder(model, schema)
        super().__init__(
            model=lambda: model(
                num_numbers=encoder.num_numbers,
                level_counts=encoder.level_counts,
                num_classes=number,
            ),
            schema=schema,
            label_smoothing=label_smoothing,
            calibration=calibration,
            members=1,  # whose probabilities are averaged before
        )
        if value is not None and number != 2:
            raise ConfigError(f"task.value is given, but there are {number} classes; expected two.")
        self.encoder, self.value, self.cost = encoder, value, cost
        self.rank_by = self.classes[1] if number == 2 else None
        weights = log_class_weights(schema.get("class_counts"), number, balance)
        self.register_buffer("log_weights", weights)
        # Where a contact pays for itself, until `calibrate` finds what earns most on validation.
        self.register_buffer("threshold", torch.tensor(cost / value if value else 0.5))

    # -- training and prediction --------------------------------------------------------------

    def forward(self, batch: Batch) -> Step:
        """Cross-entropy of every member; customers without a label count nothing."""
        labels = batch["labels"]
        logits = self.logits(self.inputs(batch))
        loss, weight = self.head.loss(logits, labels, self.log_weights.exp())
        right = (logits.detach().mean(1).argmax(1) == labels).sum()
        return Step(loss, weight, {"accuracy": right})

    def logits(self, inputs: Table) -> Tensor:
        """Of every member ``(B, M, K)`` in fp32, as they are trained."""
        logits: Tensor = self.model(*inputs)
        return (logits if logits.ndim == 3 else logits[:, None]).float()

    def members(self, inputs: Any) -> Tensor:
        """Log-probabilities ``(B, 1, K)``: the mean over the members, corrected for ``balance``."""
        shares = (self.logits(inputs) - self.log_weights).softmax(2).mean(1, keepdim=True)
        return shares.clamp_min(1e-12).log()

    @property
    def calibrates(self) -> bool:
        """Probabilities are, and the threshold where there is money in it."""
        return self.calibration or self.value is not None

    def calibrate(self, predictions: Predictions, validation: Any) -> bool:
        """Fits a temperature, biases, and the threshold that earns the most on ``validation``."""
        changed = super().calibrate(predictions, validation)
        if self.value is None or validation.labels is None:
            return changed
        known = validation.labels != UNLABELLED
        members = predictions["members"][known].to(self.head.mix)
        shares = self.head.probabilities(members)[:, 1].cpu()
        found = best_threshold(shares, validation.labels[known] == 1, self.value, self.cost)
        self.threshold = torch.tensor(found).to(self.threshold)
        return True

    # -- evaluation ---------------------------------------------------------------------------

    def metrics(self) -> MetricCollection:
        """Those of a classifier, average precision, the error of calibration, and lift."""
        from marketorch.metrics.probabilities import AdaptiveCalibrationError
        from marketorch.metrics.propensity import AveragePrecision, Lift, Profit

        metrics = super().metrics()
        two = len(self.classes) == 2
        more: dict[str, Any] = {"auprc": AveragePrecision(len(self.classes))}
        more |= {"ece": AdaptiveCalibrationError()} | ({"lift@10%": Lift(0.1)} if two else {})
        if self.value is not None:
            more["profit"] = Profit(self.value, self.cost, float(self.threshold))
        metrics.add_metrics(more)
        return metrics

    def figures(self, collected: Predictions, dataset: Any, folder: Path) -> Sequence[Path]:
        """Confusion, reliability, and of two classes what the ranked list gains and earns."""
        from marketorch.figures import propensity as figures

        paths = list(super().figures(collected, dataset, folder))
        known = dataset.labels != UNLABELLED
        if len(self.classes) == 2:
            scores = collected["probabilities"].float()[known][:, 1]
            hits = dataset.labels[known] == 1
            paths += [figures.gains_and_lift(scores, hits, self.classes[1], folder)]
            if self.value is not None:
                money, least = (self.value, self.cost), float(self.threshold)
                paths += [figures.profit(scores, hits, *money, least, folder)]
        return paths

    # -- what is shown ------------------------------------------------------------------------

    def describe_prediction(self, shares: Sequence[float]) -> Row:
        """Label, probabilities and what a contact is worth."""
        return self.answer(shares) | self._worth(shares)

    def _worth(self, shares: Sequence[float]) -> Row:
        """Whether to contact a customer, and what that is expected to earn."""
        if self.value is None:
            return {}
        earned = round(shares[1] * self.value - self.cost, 6)
        return {"contact": shares[1] >= float(self.threshold), "expected_profit": earned}

    def reasons(self, dataset: CustomerDataset, rows: Sequence[Row], number: int) -> Any:
        """Reasons for the second of two classes, or for the likeliest of more.

        A reason's weight is what the log-odds of the class lose if the customer were like most in
        that column; negative ones spoke against.
        """
        labels = [1 if self.rank_by else self.classes.index(row["label"]) for row in rows]
        return self.strongest_columns(self.log_odds, dataset, torch.tensor(labels), number)

    def export(self, source: Any) -> ExportedFunction:
        """Rows of numbers and levels to probabilities."""
        from marketorch.tasks.exports import TableExport

        return TableExport(self, source)

    @torch.no_grad()
    def log_odds(self, numbers: Tensor, categories: Tensor, labels: Tensor) -> Tensor:
        """Log-odds ``(B,)`` of the classes ``labels (B,)``."""
        inputs = self.on_device(numbers, categories)
        shares = self.head.probabilities(self.members(inputs)).cpu()
        return shares.gather(1, labels[:, None])[:, 0].double().logit(eps=1e-9)
