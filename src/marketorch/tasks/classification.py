"""What every classifier shares, whatever it reads: loss, calibration, metrics and pictures.

A model gives logits ``(B, C)``, or ``(B, K, C)`` for K members that are trained each with a loss of
its own and mixed to predict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from marketorch.data.cuts import UNLABELLED
from marketorch.engine.task import Batch, Predictions, Row, Task
from marketorch.errors import DataError
from marketorch.figures import plots
from marketorch.tasks.heads import ClassHead

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Classification(Task):
    """Base of the tasks that tell classes apart.

    Args:
        model: the network, built by the task that knows what it reads.
        schema: the data's description; ``classes`` are its class names.
        label_smoothing: share of the target spread over all classes.
        calibration: fit the head to the validation split when training ends, see
            `ClassHead.calibrate`. Off: the members' plain mean.
        members: whose logits the head gets; None: as many as the model has.
    """

    name: str
    main_metric = "accuracy"
    compares = True

    def __init__(
        self,
        *,
        model: Callable[[], Any],
        schema: dict[str, Any],
        label_smoothing: float,
        calibration: bool,
        members: int | None = None,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.classes: list[str] = schema["classes"]
        if len(self.classes) < 2:
            raise DataError(
                f"{self.name} needs one column of classes: set data.label, of a table data.target."
            )
        self.model: Any = model()
        self.calibration = calibration
        number = members or int(getattr(self.model, "num_members", 1))
        self.head = ClassHead(len(self.classes), members=number, label_smoothing=label_smoothing)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Weights of before the head was a part have its two buffers beside it."""
        for name in ("mix", "bias"):
            if prefix + name in state:
                state[f"{prefix}head.{name}"] = state.pop(prefix + name)
        super()._load_from_state_dict(state, prefix, *rest)

    def inputs(self, batch: Batch) -> Tensor:
        """What the model reads of a batch."""
        raise NotImplementedError

    def members(self, inputs: Tensor) -> Tensor:
        """Logits ``(B, K, C)`` in fp32; K is 1 for a model of one member."""
        logits: Tensor = self.model(inputs)
        return (logits if logits.ndim == 3 else logits[:, None]).float()

    # -- prediction ---------------------------------------------------------------------------

    def predict(self, batch: Batch) -> Predictions:
        """Class probabilities ``(B, C)`` and the examples' positions."""
        members = self.members(self.inputs(batch))
        probabilities = self.head.probabilities(members)
        return {"index": batch["index"], "probabilities": probabilities, "members": members}

    @property
    def calibrates(self) -> bool:
        """Whether members' weights and biases are fitted."""
        return self.calibration

    def calibrate(self, predictions: Predictions, validation: Any) -> bool:
        """Fits the head to the labels of ``validation``."""
        if not self.calibration or validation.labels is None:
            return False
        self.head.calibrate(predictions["members"], validation.labels)
        return True

    # -- evaluation ---------------------------------------------------------------------------

    def metrics(self) -> MetricCollection:
        """Accuracy, macro-F1, recall a class, AUROC, log-loss, Brier and calibration error."""
        from marketorch.metrics.classification import classification_metrics

        return classification_metrics(self.classes)

    def update(self, metrics: MetricCollection, predictions: Predictions, batch: Batch) -> None:
        """Feeds the labelled examples of a batch."""
        if "labels" not in batch:
            raise DataError("This split has no labels to evaluate on.")
        known = batch["labels"] != UNLABELLED
        metrics.update(predictions["probabilities"][known], batch["labels"][known])

    def figures(self, collected: Predictions, dataset: Any, folder: Path) -> Sequence[Path]:
        """Confusion matrix and reliability diagram of a split."""
        assert dataset.labels is not None
        probabilities = collected["probabilities"].float()
        known = dataset.labels != UNLABELLED
        labels = dataset.labels[known]
        return [
            plots.confusion(probabilities[known], labels, self.classes, folder),
            plots.reliability(probabilities[known], labels, folder),
        ]

    def answer(self, shares: Sequence[float]) -> Row:
        """The likeliest class and the probabilities of all, as columns of a row."""
        best = max(range(len(shares)), key=shares.__getitem__)
        row: Row = {"label": self.classes[best], "probability": round(shares[best], 6)}
        return row | {
            f"p_{name}": round(p, 6) for name, p in zip(self.classes, shares, strict=True)
        }


def log_class_weights(counts: Sequence[int] | None, classes: int, balance: float) -> Tensor:
    """Logarithms ``(C,)`` of what an example of a class weighs: a power of how rare the class is.

    Taken off the logits to predict, they leave probabilities that are those of the data.

    Args:
        counts: training examples of each class; None: not known, all the same.
        balance: 0 weighs each example the same, 1 each class.
    """
    found = torch.tensor(counts or [1] * classes).float().clamp_min(1)
    return -balance * (found / found.mean()).log()
