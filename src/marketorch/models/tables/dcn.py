"""Cross network beside a deep one, for wide tables such as logs of clicks (DCN-V2).

Wang et al. 2021, "DCN V2: Improved deep & cross network". Each cross layer multiplies the row's own
vector with a linear map of what the layer before has found: after L layers there are products of
up to L + 1 columns, which a deep network has to imitate. Columns of a hundred thousand levels are
rows of one table. Shapes: B rows, D width of a row's vector, F numbers, C categories, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from marketorch.models.tables.features import TableFeatures
from marketorch.models.tables.mlp import perceptron


class CrossLayer(nn.Module):
    """x₀ ∘ (W x + b) + x.

    Args:
        dim: D.
        rank: W is the product of two matrices ``(D, rank)`` and ``(rank, D)``; 0: it is whole.
    """

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(dim, rank, bias=False) if rank else nn.Identity()
        self.up = nn.Linear(rank or dim, dim)

    def forward(self, first: Tensor, x: Tensor) -> Tensor:
        """The row's own vector ``(B, D)`` and what came so far ``(B, D)``, to ``(B, D)``."""
        return torch.addcmul(x, first, self.up(self.down(x)))


class DCN(nn.Module):
    """Classifies rows of numbers ``(B, F)`` and levels ``(B, C)``; logits ``(B, K)``.

    Args:
        num_numbers, level_counts, num_classes: F, the levels of each category, K.
        crosses: cross layers.
        rank: of their matrices, see `CrossLayer`.
        width, depth: of the deep network's hidden layers.
        dropout: after each of them.
        number_dim, bins, one_hot, max_dim: how columns are embedded, see `TableFeatures`.
        sparse: tables of levels get gradients of a batch's rows alone, and no decay.
    """

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        num_classes: int,
        crosses: int = 3,
        rank: int = 64,
        width: int = 256,
        depth: int = 2,
        dropout: float = 0.2,
        number_dim: int = 8,
        bins: int = 16,
        one_hot: int = 0,
        max_dim: int = 16,
        sparse: bool = False,
    ) -> None:
        super().__init__()
        self.features = TableFeatures(
            num_numbers=num_numbers,
            level_counts=level_counts,
            number_dim=number_dim,
            bins=bins,
            one_hot=one_hot,
            max_dim=max_dim,
            sparse=sparse,
        )
        dim = self.features.out_features
        rank = 0 if rank >= dim else rank
        self.crosses = nn.ModuleList(CrossLayer(dim, rank) for _ in range(crosses))
        self.deep = perceptron(dim, width, depth, dropout)
        self.head = nn.Linear(dim + width, num_classes)

    def fit(self, train: Any) -> None:
        """Places the bins of numbers by the training rows."""
        self.features.fit(train)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        first = crossed = self.features(numbers, categories)
        for layer in self.crosses:
            crossed = layer(first, crossed)
        logits: Tensor = self.head(torch.cat([crossed, self.deep(first)], dim=1))
        return logits
