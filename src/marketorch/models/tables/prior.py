"""The class shares of the training rows: what any model has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Prior(nn.Module):
    """The same logits ``(B, K)`` for every row: the logarithms of the classes' shares.

    Args:
        num_numbers, level_counts: taken like any model's; the columns do not matter.
        num_classes: K.
    """

    log_prior: Tensor

    def __init__(self, *, num_numbers: int, level_counts: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.register_buffer("log_prior", torch.zeros(num_classes))

    def fit(self, train: Any) -> None:
        """Counts the labels."""
        labels = train.labels[train.labels >= 0]
        counts = torch.bincount(labels, minlength=len(self.log_prior))
        self.log_prior = (counts / counts.sum()).clamp_min(1e-6).log()

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        return self.log_prior.expand(len(numbers), -1)
