"""What a network sees of a table's row: its numbers and its levels, side by side.

Numbers are embedded (see `marketorch.models.tables.number_embeddings`) or handed on as they are.
Levels of a column that has few are one-hot, others by a vector that is learnt;
columns with vectors of one width share a table, so a hundred columns are a handful of look-ups.
Shapes: B rows, F numbers, C categories, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from marketorch.models.tables.number_embeddings import NumberEmbeddings


class LevelTable(nn.Module):
    """A vector for each level of several columns, in one table: ``(B, C)`` to ``(B, C, D)``.

    Level 0 stands for what is missing, rare or unseen. Its vector begins at zero: where training
    has no such row, one that comes later is known by its other columns alone.

    Args:
        level_counts: levels of each column, level 0 among them.
        dim: D.
        sparse: gradients of a batch's rows alone, for tables of many levels.
    """

    offsets: Tensor

    def __init__(self, level_counts: Sequence[int], dim: int, *, sparse: bool = False) -> None:
        super().__init__()
        self.register_buffer("offsets", starts(level_counts), persistent=False)
        self.table = nn.Embedding(sum(level_counts), dim, sparse=sparse)
        nn.init.normal_(self.table.weight, std=dim**-0.5)
        with torch.no_grad():
            self.table.weight[self.offsets] = 0.0

    def forward(self, levels: Tensor) -> Tensor:
        """Looks up."""
        vectors: Tensor = self.table(levels + self.offsets)
        return vectors


class TableFeatures(nn.Module):
    """A row's numbers ``(B, F)`` and levels ``(B, C)`` as one vector ``(B, out_features)``.

    ``widths`` says how much of it each column takes: numbers first, then one-hot columns, then
    those with vectors.

    Args:
        num_numbers: F.
        level_counts: levels of each category.
        number_dim: width of a number's embedding; 0: numbers as they are.
        bins: pieces of a number's embedding, see `NumberEmbeddings`.
        one_hot: columns of at most so many levels are one-hot.
        max_dim: widest vector of a level; it grows with the fourth root of the number of levels.
        sparse: see `LevelTable`.
    """

    offsets: Tensor
    seen: Tensor

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        number_dim: int,
        bins: int,
        one_hot: int,
        max_dim: int,
        sparse: bool = False,
    ) -> None:
        super().__init__()
        self.numbers = NumberEmbeddings(num_numbers, number_dim, bins) if number_dim else None
        self.hot = [i for i, count in enumerate(level_counts) if count <= one_hot]
        self.hot_counts = [level_counts[i] for i in self.hot]
        self.register_buffer("offsets", starts(self.hot_counts), persistent=False)
        self.register_buffer("seen", torch.ones(sum(self.hot_counts)))
        groups: dict[int, list[int]] = {}
        for i, count in enumerate(level_counts):
            if count > one_hot:
                groups.setdefault(level_dim(count, max_dim), []).append(i)
        self.groups = list(groups.values())
        self.tables = nn.ModuleList(
            LevelTable([level_counts[i] for i in columns], dim, sparse=sparse)
            for dim, columns in groups.items()
        )
        self.widths = [number_dim or 1] * num_numbers + self.hot_counts
        self.widths += [dim for dim, columns in groups.items() for _ in columns]
        self.out_features = sum(self.widths)

    def fit(self, train: Any) -> None:
        """Places the bins of numbers by the training rows, and sees which levels they have.

        A level that none of them has gets no one: its weights would stay as they were drawn.
        """
        if self.numbers is not None:
            self.numbers.fit(train.numbers)
        counts = [
            torch.bincount(train.categories[:, i], minlength=number)
            for i, number in zip(self.hot, self.hot_counts, strict=True)
        ]
        if counts:
            self.seen = (torch.cat(counts) > 0).float()

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Side by side."""
        parts = [numbers if self.numbers is None else self.numbers(numbers).flatten(1)]
        if self.hot:
            places = categories[:, self.hot] + self.offsets
            ones = self.seen.new_zeros(numbers.shape[0], len(self.seen))
            parts.append(ones.scatter_(1, places, self.seen[places]))
        for columns, table in zip(self.groups, self.tables, strict=True):
            parts.append(table(categories[:, columns]).flatten(1))
        return torch.cat(parts, dim=1)


def level_dim(count: int, max_dim: int) -> int:
    """Width of the vectors of ``count`` levels: 6 ⁴√count (Wang et al. 2021), in eights."""
    return min(max_dim, 8 * max(1, round(0.75 * count**0.25)))


def starts(level_counts: Sequence[int]) -> Tensor:
    """Where each column's levels begin if they are numbered through ``(C,)``."""
    counts = torch.tensor(level_counts, dtype=torch.int64)
    return counts.cumsum(0) - counts
