"""The metrics of every classifier, whatever it reads."""

from __future__ import annotations

from collections.abc import Sequence

from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCalibrationError,
    MulticlassF1Score,
    MulticlassRecall,
)
from torchmetrics.wrappers import ClasswiseWrapper

from marketorch.metrics.probabilities import Brier, LogLoss


def classification_metrics(classes: Sequence[str]) -> MetricCollection:
    """The metrics of every classifier, from probabilities ``(B, C)`` and labels ``(B,)``."""
    number = len(classes)
    recall = MulticlassRecall(number, average="none")
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(number, average="micro"),
            "f1_macro": MulticlassF1Score(number, average="macro"),
            "auroc": MulticlassAUROC(number, average="macro"),
            "log_loss": LogLoss(),
            "brier": Brier(),
            "ece": MulticlassCalibrationError(number, n_bins=15),
            "recall": ClasswiseWrapper(recall, labels=list(classes), prefix="recall/"),
        },
        compute_groups=False,
    )
