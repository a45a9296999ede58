"""The sceptic of tables: logistic regression, fitted by scikit-learn, never by gradient.

Every level has a weight, and so has every number, scaled to unit spread; a number that is missing
counts as the mean, and that it is missing has a weight too.
Shapes: N rows of training, B rows, F numbers, C categories, L levels of all, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix, hstack
from torch import Tensor, nn

from marketorch.models.tables.features import starts


class TableLogistic(nn.Module):
    """Logits ``(B, K)`` that are linear in raw numbers ``(B, F)``, NaN where missing, and levels.

    Args:
        num_numbers, level_counts, num_classes: F, the levels of each category, K.
        inverse_penalty: scikit-learn's C.
        max_iter: iterations of the solver.
    """

    raw = True
    offsets: Tensor
    mean: Tensor
    std: Tensor
    weight: Tensor
    missing: Tensor
    levels: Tensor
    bias: Tensor

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        num_classes: int,
        inverse_penalty: float = 1.0,
        max_iter: int = 1000,
    ) -> None:
        super().__init__()
        self.inverse_penalty, self.max_iter = inverse_penalty, max_iter
        self.register_buffer("offsets", starts(level_counts), persistent=False)
        self.register_buffer("mean", torch.zeros(num_numbers))
        self.register_buffer("std", torch.ones(num_numbers))
        self.register_buffer("weight", torch.zeros(num_classes, num_numbers))
        self.register_buffer("missing", torch.zeros(num_classes, num_numbers))
        self.register_buffer("levels", torch.zeros(sum(level_counts), num_classes))
        self.register_buffer("bias", torch.zeros(num_classes))

    def fit(self, train: Any) -> None:
        """Fits the regression on the labelled rows of ``train``."""
        from sklearn.linear_model import LogisticRegression  # seconds, which only a fit costs

        known = train.labels >= 0
        numbers, categories = train.numbers[known], train.categories[known]
        filled = numbers.double()
        self.mean = filled.nanmean(0).nan_to_num(0.0).float()
        filled = filled.where(~filled.isnan(), self.mean.double())
        std = (filled - self.mean).square().mean(0).sqrt().float()
        self.std = std.where(std > 1e-6 * self.mean.abs().clamp_min(1e-20), torch.ones_like(std))
        model = LogisticRegression(C=self.inverse_penalty, max_iter=self.max_iter)
        model.fit(self._design(numbers, categories), train.labels[known].numpy())
        weight, self.bias = coefficients(model, len(self.bias))
        parts = weight.split([len(self.mean), len(self.mean), len(self.levels)], dim=1)
        self.weight, self.missing = parts[0].contiguous(), parts[1].contiguous()
        self.levels = parts[2].T.contiguous()

    def _design(self, numbers: Tensor, categories: Tensor) -> csr_matrix:
        """What the logits are linear in: ``(N, 2 F + L)``."""
        scaled, missing = (csr_matrix(part.numpy()) for part in self._scaled(numbers))
        levels = one_hot(categories + self.offsets, len(self.levels))
        return hstack([scaled, missing, levels], "csr")

    def _scaled(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of unit spread, 0 where missing, and 1 where missing: both ``(B, F)``."""
        missing = numbers.isnan()
        scaled = (numbers - self.mean) / self.std
        return scaled.masked_fill(missing, 0.0), missing.to(scaled.dtype)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        scaled, missing = self._scaled(numbers)
        logits = F.linear(scaled, self.weight, self.bias) + F.linear(missing, self.missing)
        return logits + self.levels[categories + self.offsets].sum(1)


def one_hot(places: Tensor, number: int) -> csr_matrix:
    """A one in each of a row's places: ``(N, C)``, below ``number``, to ``(N, number)``."""
    rows, columns = places.shape
    ones = np.ones(rows * columns, np.float32)
    starts_of_rows = columns * np.arange(rows + 1)
    return csr_matrix((ones, places.flatten().numpy(), starts_of_rows), (rows, number))


def coefficients(model: Any, num_classes: int) -> tuple[Tensor, Tensor]:
    """Weights ``(K, D)`` and biases ``(K,)`` of a regression of scikit-learn.

    A class that was not there is never the answer.
    """
    weight = torch.from_numpy(model.coef_).float()
    bias = torch.from_numpy(model.intercept_).float()
    if len(weight) == 1:  # two classes share one regression
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    rows = torch.from_numpy(model.classes_)
    full, offsets = (
        weight.new_zeros(num_classes, weight.shape[1]),
        bias.new_full((num_classes,), -30.0),
    )
    return full.index_copy(0, rows, weight), offsets.index_copy(0, rows, bias)
