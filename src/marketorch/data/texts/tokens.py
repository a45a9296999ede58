"""Tokenised texts as a data set."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from marketorch.data.ragged import Ragged
from marketorch.engine.task import Batch


class TokenDataset:
    """Tokenised texts with their labels; a batch is one index, whatever its size.

    Batches hold ``tokens (B, L)``, ``index (B,)`` and, where there are labels, ``labels (B,)``.
    """

    def __init__(
        self, tokens: Ragged, labels: Tensor | None = None, ids: Sequence[object] | None = None
    ) -> None:
        self.tokens, self.labels = tokens, labels
        self.lengths = tokens.lengths
        self.ids = ids

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitems__(self, indices: list[int]) -> Batch:
        index = torch.as_tensor(indices, dtype=torch.int64)
        batch = {"tokens": self.tokens.pad(index), "index": index}
        if self.labels is not None:
            batch["labels"] = self.labels[index]
        return batch
