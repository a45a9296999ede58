"""Text classification: which of a few classes a text belongs to, how surely, and why.

A text model brings a ``tokenizer`` (see `marketorch.models.texts.tokenizer`), maps tokens
``(B, L)`` to logits ``(B, C)``, or to ``(B, K, C)`` for K members that are trained each with a loss
of its own and mixed to predict, and may have ``fit(train)`` for what is learnt in closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from marketorch.data.texts.source import TextDataset
from marketorch.data.texts.tokens import TokenDataset
from marketorch.engine.task import Batch, Predictions, Row, Step
from marketorch.errors import ConfigError
from marketorch.explain.words import word_importance
from marketorch.models.texts.tokenizer import tokenise
from marketorch.tasks.card import REVEALS_WORDS, TaskCard
from marketorch.tasks.classification import Classification

if TYPE_CHECKING:
    from marketorch.tasks.exports import ExportedFunction


CARD = TaskCard(
    "text-classification",
    "tells which of a few classes a text belongs to",
    "Reading many texts of the kind it was trained on: triage, trends, a first look that a person "
    "checks. The probabilities say how sure it is; `explain` says which words count.",
    (
        "Judging a person by what they wrote, or acting on a single text without reading it.",
        "Texts of another kind or language than those it learnt from.",
        "Irony, quotations and what is left unsaid: it reads words, not intentions.",
    ),
    REVEALS_WORDS,
    '["A text."]',
)


class TextClassification(Classification):
    """The task of every text classifier.

    Args:
        model: builds the model from ``num_classes``.
        schema: the data's description; ``classes`` are its class names.
        label_smoothing: share of the target spread over all classes.
        token_dropout: share of tokens blanked while training.
        calibration: fit the members' weights (with them the temperature) and a bias a class to the
            log-loss of the validation split when training ends (bias-corrected temperature
            scaling, Alexandari et al. 2020). Off: the members' plain mean.

    Raises:
        ConfigError: the model reads no texts.
    """

    name = "text_classification"
    card = CARD
    explanation = "words"

    def __init__(
        self,
        *,
        model: Callable[..., Any],
        schema: dict[str, Any],
        label_smoothing: float = 0.0,
        token_dropout: float = 0.0,
        calibration: bool = True,
    ) -> None:
        super().__init__(
            model=lambda: model(num_classes=len(schema["classes"])),
            schema=schema,
            label_smoothing=label_smoothing,
            calibration=calibration,
        )
        if not hasattr(self.model, "tokenizer"):
            raise ConfigError(f"model: {type(self.model).__name__} has no tokenizer for texts.")
        self.token_dropout = token_dropout

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
        logits = self.members(self._drop(batch["tokens"]))
        loss, weight = self.head.loss(logits, labels)
        correct = (logits.detach().mean(1).argmax(1) == labels).sum()
        return Step(loss, weight, {"accuracy": correct})

    def inputs(self, batch: Batch) -> Tensor:
        """Tokens ``(B, L)``."""
        tokens: Tensor = batch["tokens"]
        return tokens

    def _drop(self, tokens: Tensor) -> Tensor:
        """Blanks a random share of the words, never padding or special tokens."""
        if not self.token_dropout:
            return tokens
        dropped = torch.rand(tokens.shape, device=tokens.device) < self.token_dropout
        tokenizer = self.model.tokenizer
        return tokens.masked_fill(dropped & tokenizer.is_word(tokens), tokenizer.blank)

    def rows(
        self,
        predictions: Predictions,
        dataset: TextDataset,
        *,
        explain: int = 0,
    ) -> list[Row]:
        """One row a text: label, probabilities, and the ``explain`` words of most importance.

        A word's weight is what the predicted class's log-odds lose without it; negative ones
        spoke against the prediction.
        """
        rows = []
        for index, shares in zip(
            predictions["index"].tolist(), predictions["probabilities"].tolist(), strict=True
        ):
            row = {"text": dataset.texts[index]} | self.answer(shares)
            if dataset.ids is not None:
                row = {"row": dataset.ids[index]} | row
            if explain:
                best = self.classes.index(row["label"])
                row["words"] = self.word_importance(dataset.texts[index], best, explain)
            rows.append(row)
        return rows

    def answers_about(self, source: Any) -> str:
        """The captions of posts."""
        return "text"

    def export(self, source: Any) -> ExportedFunction:
        """Tokens to probabilities."""
        from marketorch.tasks.exports import TextExport

        return TextExport(self, source)

    @torch.no_grad()
    def word_importance(self, text: str, label: int, number: int) -> list[dict[str, Any]]:
        """The words that moved the log-odds of class ``label`` the most, the strongest first."""
        others = [i for i in range(len(self.classes)) if i != label]

        def log_odds(tokens: Tensor) -> Tensor:
            logits = self.head.blend(self.members(tokens.to(self.head.mix.device)))
            return (logits[:, label] - logits[:, others].mean(1)).cpu()

        return word_importance(log_odds, self.model.tokenizer, text, number)
