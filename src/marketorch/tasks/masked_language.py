"""Masked-language modelling: pretraining on texts without labels.

A share of the tokens is hidden and the encoder names them (Devlin et al. 2019). Only hidden
positions enter the output layer, which shares its matrix with the embedding; that is most of the
cost saved. A classification run starts from the result with ``init_from`` or ``pretrain``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.data.texts.source import TextDataset
from marketorch.data.texts.tokens import TokenDataset
from marketorch.engine.task import Batch, Predictions, Step, Task
from marketorch.models.texts.tokenizer import CLS, MASK, tokenise
from marketorch.tasks.card import REVEALS_WORDS, TaskCard

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


CARD = TaskCard(
    None,
    "has learnt to name words that are hidden in a text, for others to start from",
    "Starting a text classifier from it: `init_from=` its folder.",
    ("Anything without further training.",),
    REVEALS_WORDS,
)


class MaskedLanguage(Task):
    """The task of every text encoder that learns from plain text.

    Args:
        model: builds the encoder; called with ``num_classes=0``.
        schema: the data's description; its classes, if any, are not used.
        mask_rate: share of tokens to predict. Of these, 80 % are hidden, 10 % replaced by a random
            token and 10 % left as they are.
    """

    main_metric, lower_is_better = "log_loss", True
    card = CARD

    def __init__(
        self, *, model: Callable[..., Any], schema: dict[str, Any], mask_rate: float = 0.15
    ) -> None:
        super().__init__()
        self.schema, self.mask_rate = schema, mask_rate
        self.model: Any = model(num_classes=0)
        vocab_size, dim = self.model.embedding.weight.shape
        self.norm = nn.LayerNorm(dim)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def prepare(self, train: TextDataset) -> None:
        """Fits the vocabulary on the training texts."""
        if not self.model.tokenizer.fitted:
            self.model.tokenizer.fit(train.texts)

    def encode(self, dataset: TextDataset) -> TokenDataset:
        """Tokenises a data set once; labels are left behind."""
        return TokenDataset(tokenise(self.model.tokenizer, dataset.texts), None, dataset.ids)

    def forward(self, batch: Batch) -> Step:
        """Cross-entropy of the hidden tokens."""
        tokens = batch["tokens"]
        masked, hidden = mask_tokens(tokens, self.mask_rate, self.bias.numel())
        logits = self._logits(masked, hidden)
        loss = F.cross_entropy(logits, tokens[hidden], reduction="sum")
        return Step(loss, hidden.sum())

    def _logits(self, tokens: Tensor, where: Tensor) -> Tensor:
        """Vocabulary logits ``(M, V)`` at the M True positions of ``where`` ``(B, L)``."""
        states = self.norm(self.model.encode(tokens)[where])
        return F.linear(states, self.model.embedding.weight, self.bias).float()

    def predict(self, batch: Batch) -> Predictions:
        """Summed log-loss and hits over hidden tokens; what is hidden depends on the text alone."""
        tokens = batch["tokens"]
        columns = torch.arange(tokens.shape[1], device=tokens.device)
        chosen = (tokens * 7919 + columns * 104_729) % 1000 < 1000 * self.mask_rate
        hidden = chosen & (tokens > CLS)
        logits = self._logits(tokens.masked_fill(hidden, MASK), hidden)
        owner = hidden.nonzero()[:, 0]
        loss = F.cross_entropy(logits, tokens[hidden], reduction="none")
        hits = (logits.argmax(1) == tokens[hidden]).float()
        zeros = torch.zeros(len(tokens), device=tokens.device)
        return {
            "index": batch["index"],
            "loss": zeros.index_add(0, owner, loss),
            "hits": zeros.index_add(0, owner, hits),
            "hidden": hidden.sum(1),
        }

    def metrics(self) -> MetricCollection:
        """Log-loss and accuracy a hidden token."""
        from torchmetrics import MetricCollection

        from marketorch.metrics.base import MeanOfSums

        return MetricCollection(
            {"log_loss": MeanOfSums(), "accuracy": MeanOfSums()}, compute_groups=False
        )

    def update(self, metrics: MetricCollection, predictions: Predictions, batch: Batch) -> None:
        """Adds the sums of a batch."""
        metrics["log_loss"].update(predictions["loss"], predictions["hidden"])
        metrics["accuracy"].update(predictions["hits"], predictions["hidden"])


def mask_tokens(tokens: Tensor, rate: float, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Returns (tokens with some hidden, where to predict), both ``(B, L)``."""
    draw = torch.rand(tokens.shape, device=tokens.device)
    words = tokens > CLS
    hidden = (draw < rate) & words
    # An all-special batch would have no loss at all; one position keeps the graph whole.
    hidden[0, 0] |= ~hidden.any()
    random = torch.randint_like(tokens, MASK + 1, vocab_size)
    masked = tokens.masked_fill(hidden & (draw < 0.8 * rate), MASK)
    return torch.where(hidden & (draw >= 0.9 * rate) & words, random, masked), hidden
