"""Text classification: which of a few classes a text belongs to, how surely, and why.

A text model brings a ``tokenizer`` (see `marketorch.models.tokenizer`), maps ``tokens (B, L)`` to
logits ``(B, C)``, or to ``(B, K, C)`` for K members that are trained each with a loss of its own
and mixed to predict, and may have ``fit(train)`` for what is learnt in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCalibrationError,
    MulticlassF1Score,
    MulticlassRecall,
)
from torchmetrics.wrappers import ClasswiseWrapper

from marketorch import plots
from marketorch.data.ragged import TokenDataset
from marketorch.data.splits import UNLABELLED
from marketorch.data.text import TextDataset
from marketorch.engine.metrics import Brier, LogLoss
from marketorch.engine.task import Batch, Predictions, Row, Step, Task
from marketorch.errors import DataError
from marketorch.models.tokenizer import tokenise
from marketorch.tasks.telling import telling_words


class TextClassification(Task):
    """The task of every text classifier.

    Args:
        model: builds the model from ``num_classes``.
        schema: the data's description; ``classes`` are its class names.
        label_smoothing: share of the target spread over all classes.
        token_dropout: share of tokens blanked while training.
        calibration: fit the members' weights (with them the temperature) and a bias a class to the
            log-loss of the validation split when training ends (bias-corrected temperature
            scaling, Alexandari et al. 2020). Off: the members' plain mean.
    """

    main_metric = "accuracy"

    def __init__(
        self,
        *,
        model: Callable[..., Any],
        schema: dict[str, Any],
        label_smoothing: float = 0.0,
        token_dropout: float = 0.0,
        calibration: bool = True,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.classes: list[str] = schema["classes"]
        if len(self.classes) < 2:
            raise DataError("text_classification needs labels: set data.label to their column.")
        self.model: Any = model(num_classes=len(self.classes))
        self.label_smoothing, self.token_dropout = label_smoothing, token_dropout
        self.calibration = calibration
        members = getattr(self.model, "num_members", 1)
        self.mix: Tensor
        self.bias: Tensor
        self.register_buffer("mix", torch.full((members,), 1 / members))
        self.register_buffer("bias", torch.zeros(len(self.classes)))

    # -- data ---------------------------------------------------------------------------------

    def prepare(self, train: TextDataset) -> None:
        """Fits the vocabulary on training texts, and whatever the model learns in closed form."""
        fresh = not self.model.tokenizer.fitted
        if fresh:
            self.model.tokenizer.fit(train.texts)
        tokens = self.encode(train)
        if fresh and hasattr(self.model, "initialise"):
            self.model.initialise(tokens)
        if hasattr(self.model, "fit"):
            self.model.fit(tokens)

    def encode(self, dataset: TextDataset) -> TokenDataset:
        """Tokenises a data set once; large ones are cached on disk."""
        tokens = tokenise(self.model.tokenizer, dataset.texts)
        return TokenDataset(tokens, dataset.labels, dataset.ids)

    # -- training and prediction --------------------------------------------------------------

    def forward(self, batch: Batch) -> Step:
        """Cross-entropy of every member; examples without a label count nothing."""
        labels = batch["labels"]
        logits = self._members(self._drop(batch["tokens"]))
        loss = self._cross_entropy(logits, labels)
        weight = (labels != UNLABELLED).sum()
        correct = (logits.detach().mean(1).argmax(1) == labels).sum()
        return Step(loss, weight, {"accuracy": correct})

    def predict(self, batch: Batch) -> Predictions:
        """Class probabilities ``(B, C)`` and the examples' positions."""
        members = self._members(batch["tokens"])
        probabilities = self._mix(members).softmax(1)
        return {"index": batch["index"], "probabilities": probabilities, "members": members}

    def _mix(self, members: Tensor) -> Tensor:
        """Weighted sum ``(B, C)`` of the members' logits ``(B, K, C)``, and the class biases."""
        return torch.einsum("bkc,k->bc", members, self.mix) + self.bias

    def calibrate(self, predictions: Predictions, validation: TokenDataset) -> bool:
        """Finds the mixture that gives the labels of ``validation`` the least log-loss."""
        if not self.calibration or validation.labels is None:
            return False
        known = validation.labels != UNLABELLED
        members = predictions["members"][known].detach()
        mix, bias = mixture(members, validation.labels[known])
        self.mix, self.bias = mix.to(self.mix), bias.to(self.bias)
        return True

    def _members(self, tokens: Tensor) -> Tensor:
        """Logits ``(B, K, C)`` in fp32; K is 1 for a model of one member."""
        logits: Tensor = self.model(tokens)
        return (logits if logits.ndim == 3 else logits[:, None]).float()

    def _drop(self, tokens: Tensor) -> Tensor:
        """Blanks a random share of the words, never padding or special tokens."""
        if not self.token_dropout:
            return tokens
        dropped = torch.rand(tokens.shape, device=tokens.device) < self.token_dropout
        tokenizer = self.model.tokenizer
        return tokens.masked_fill(dropped & tokenizer.is_word(tokens), tokenizer.blank)

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Sum over examples of the mean over members."""
        members = logits.shape[1]
        return (
            F.cross_entropy(
                logits.flatten(0, 1),
                labels.repeat_interleave(members),
                ignore_index=UNLABELLED,
                label_smoothing=self.label_smoothing,
                reduction="sum",
            )
            / members
        )

    # -- evaluation ---------------------------------------------------------------------------

    def metrics(self) -> MetricCollection:
        """Accuracy, macro-F1, recall a class, AUROC, log-loss, Brier and calibration error."""
        return classification_metrics(self.classes)

    def update(self, metrics: MetricCollection, predictions: Predictions, batch: Batch) -> None:
        """Feeds the labelled examples of a batch."""
        if "labels" not in batch:
            raise DataError("This split has no labels to evaluate on.")
        known = batch["labels"] != UNLABELLED
        metrics.update(predictions["probabilities"][known], batch["labels"][known])

    def figures(
        self,
        collected: Predictions,
        dataset: TextDataset,
        folder: Path,
    ) -> Sequence[Path]:
        """Confusion matrix and reliability diagram of a split."""
        assert dataset.labels is not None
        probabilities = collected["probabilities"].float()
        known = dataset.labels != UNLABELLED
        labels = dataset.labels[known]
        return [
            plots.confusion(probabilities[known], labels, self.classes, folder),
            plots.reliability(probabilities[known], labels, folder),
        ]

    def rows(
        self,
        predictions: Predictions,
        dataset: TextDataset,
        *,
        explain: int = 0,
    ) -> list[Row]:
        """One row a text: label, probability, all probabilities and the ``explain`` telling words.

        A word's weight is what the predicted class's log-odds lose without it; negative ones
        spoke against the prediction.
        """
        rows = []
        for index, shares in zip(
            predictions["index"].tolist(), predictions["probabilities"].tolist(), strict=True
        ):
            best = max(range(len(shares)), key=shares.__getitem__)
            row: Row = {
                "text": dataset.texts[index],
                "label": self.classes[best],
                "probability": round(shares[best], 6),
            }
            row |= {f"p_{name}": round(p, 6) for name, p in zip(self.classes, shares, strict=True)}
            if dataset.ids is not None:
                row = {"row": dataset.ids[index]} | row
            if explain:
                row["words"] = self.telling_words(dataset.texts[index], best, explain)
            rows.append(row)
        return rows

    @torch.no_grad()
    def telling_words(self, text: str, label: int, number: int) -> list[dict[str, Any]]:
        """The words that moved the log-odds of class ``label`` the most, the strongest first."""
        others = [i for i in range(len(self.classes)) if i != label]

        def log_odds(tokens: Tensor) -> Tensor:
            logits = self._mix(self._members(tokens.to(self.mix.device)))
            return (logits[:, label] - logits[:, others].mean(1)).cpu()

        return telling_words(log_odds, self.model.tokenizer, text, number)


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


def mixture(members: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Positive weights ``(K,)`` and biases ``(C,)`` that mix logits ``(B, K, C)`` to predict best.

    A faint pull to equal weights and no bias keeps them finite where a sample can be separated.
    """
    members = members.double()
    weights = members.new_full((members.shape[1],), 1 / members.shape[1])
    logarithm, bias = weights.log(), members.new_zeros(members.shape[2])
    start = logarithm.clone()
    free = [logarithm.requires_grad_(), bias.requires_grad_()]
    optimizer = torch.optim.LBFGS(free, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = torch.einsum("bkc,k->bc", members, logarithm.exp()) + bias
        pull = (logarithm - start).square().sum() + bias.square().sum()
        loss = F.cross_entropy(logits, labels) + 1e-4 * pull
        loss.backward()
        return loss

    optimizer.step(closure)
    return logarithm.detach().exp(), bias.detach()
