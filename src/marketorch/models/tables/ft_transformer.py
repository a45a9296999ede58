"""A transformer over the columns of a row (Gorishniy et al. 2021, FT-Transformer).

Each column becomes a token, a number by its embedding, a level by its vector, with a bias that
says which column it is; a further token, read by the head, gathers what the others tell. Blocks are
those of `marketorch.models.blocks.transformer`, without positions: columns have no order. Its cost
grows with the square of the number of columns.
Shapes: B rows, F numbers, C categories, D width, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.models.blocks.transformer import Block, PositionDropout
from marketorch.models.tables.features import LevelTable
from marketorch.models.tables.number_embeddings import NumberEmbeddings


class FTTransformer(nn.Module):
    """Classifies rows of numbers ``(B, F)`` and levels ``(B, C)``; logits ``(B, K)``.

    Args:
        num_numbers, level_counts, num_classes: F, the levels of each category, K.
        dim, depth, num_heads, mlp_ratio: width, blocks, heads, feed-forward width over ``dim``.
        dropout: in the blocks.
        bins: pieces of a number's embedding, see `NumberEmbeddings`; 0 as in the paper.
    """

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        num_classes: int,
        dim: int = 64,
        depth: int = 3,
        num_heads: int = 8,
        mlp_ratio: float = 2.0,
        dropout: float = 0.1,
        bins: int = 32,
    ) -> None:
        super().__init__()
        self.numbers = NumberEmbeddings(num_numbers, dim, bins)
        self.levels = LevelTable(level_counts, dim)
        self.column_bias = nn.Parameter(torch.empty(len(level_counts), dim))
        self.reader = nn.Parameter(torch.empty(dim))
        for parameter in (self.column_bias, self.reader):
            nn.init.uniform_(parameter, -(dim**-0.5), dim**-0.5)
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, mlp_ratio, PositionDropout(dropout)) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def fit(self, train: Any) -> None:
        """Places the bins of numbers by the training rows."""
        self.numbers.fit(train.numbers)

    def tokens(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """A token a column, after the one that gathers ``(B, 1 + F + C, D)``."""
        reader = self.reader.expand(len(numbers), 1, -1)
        levels = self.levels(categories) + self.column_bias
        return torch.cat([reader, self.numbers(numbers), levels], dim=1)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        x = self.tokens(numbers, categories)
        everywhere = torch.ones(1, 1, 1, x.shape[1], dtype=torch.bool, device=x.device)
        for block in self.blocks:
            x = block(x, everywhere, None)
        logits: Tensor = self.head(F.relu(self.norm(x[:, 0])))
        return logits
