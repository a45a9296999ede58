"""A plain network on a table: embedded columns side by side, then layers of one width.

With numbers embedded piecewise, it is what the ensembles of `marketorch.models.tables.tabm` are
made of.
Shapes: B rows, F numbers, C categories, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from marketorch.models.blocks.transformer import PositionDropout
from marketorch.models.tables.features import TableFeatures


class TableMLP(nn.Module):
    """Classifies rows of numbers ``(B, F)`` and levels ``(B, C)``; logits ``(B, K)``.

    Args:
        num_numbers, level_counts, num_classes: F, the levels of each category, K.
        width, depth: of the hidden layers; without any, what columns add up to is linear.
        dropout: after each of them.
        number_dim, bins, one_hot, max_dim: how columns are embedded, see `TableFeatures`.
    """

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        num_classes: int,
        width: int = 256,
        depth: int = 3,
        dropout: float = 0.2,
        number_dim: int = 16,
        bins: int = 128,
        one_hot: int = 0,
        max_dim: int = 32,
    ) -> None:
        super().__init__()
        self.features = TableFeatures(
            num_numbers=num_numbers,
            level_counts=level_counts,
            number_dim=number_dim,
            bins=bins,
            one_hot=one_hot,
            max_dim=max_dim,
        )
        self.network = perceptron(self.features.out_features, width, depth, dropout)
        self.head = nn.Linear(width if depth else self.features.out_features, num_classes)

    def fit(self, train: Any) -> None:
        """Places the bins of numbers by the training rows."""
        self.features.fit(train)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        logits: Tensor = self.head(self.network(self.features(numbers, categories)))
        return logits


def perceptron(inside: int, width: int, depth: int, dropout: float) -> nn.Sequential:
    """``depth`` layers of ReLU units, each with dropout."""
    layers: list[nn.Module] = []
    for number in range(depth):
        layers.append(nn.Linear(width if number else inside, width))
        layers += [nn.ReLU(inplace=True), PositionDropout(dropout)]
    return nn.Sequential(*layers)
