"""Linear recommenders over a whole history: neighbours of its items, and EASE.

Both are solved, not trained. Shapes: B users, L items, N catalogue, k neighbours.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from marketorch.data.events.catalogue import Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import PAD
from marketorch.errors import ConfigError
from marketorch.models.recommenders.base import Recommender

BLOCK = 1024  # items whose similarities to all others exist at one time


class ItemKNN(Recommender):
    """Item-based neighbours by cosine of who took them (Deshpande & Karypis 2004).

    Args:
        sizes: what there is; the catalogue's size counts.
        neighbours: kept of each item.
        shrinkage: added to the product of the norms; it takes down what rests on few users.
        length: items of a history that are read, the last ones; None: all.
    """

    items: Tensor
    weights: Tensor

    def __init__(
        self,
        *,
        sizes: Sizes,
        neighbours: int = 100,
        shrinkage: float = 10.0,
        length: int | None = None,
    ) -> None:
        super().__init__()
        self.length, self.shrinkage = length, shrinkage
        shape = (sizes.num_items + 1, min(neighbours, sizes.num_items))
        self.register_buffer("items", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("weights", torch.zeros(shape))

    def fit(self, train: EventDataset) -> None:
        """Finds the neighbours of each item."""
        taken = interactions(train, len(self.items))
        norms = np.sqrt(np.asarray(taken.sum(0))[0])
        for start in range(0, len(self.items), BLOCK):
            block = slice(start, start + BLOCK)
            together = (taken[:, block].T @ taken).toarray()
            together /= norms[block, None] * norms + self.shrinkage
            rows = np.arange(len(together))
            together[rows, start + rows] = 0
            best = torch.from_numpy(together).topk(self.items.shape[1], dim=1)
            self.items[block], self.weights[block] = best.indices, best.values.float()

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``: similarities to the items of the history, summed."""
        items = batch["items"]
        scores = self.weights.new_zeros(len(items), len(self.items))
        return scores.scatter_add_(1, self.items[items].flatten(1), self.weights[items].flatten(1))


class EASE(Recommender):
    """Shallow linear autoencoder with a closed form (Steck 2019); the table has N² entries.

    Args:
        sizes: what there is; the catalogue's size counts.
        l2: ridge.
        length: items of a history that are read, the last ones; None: all.
    """

    MOST = 50_000  # items; the table and its inverse would take 20 GB
    weights: Tensor

    def __init__(self, *, sizes: Sizes, l2: float = 500.0, length: int | None = None) -> None:
        super().__init__()
        if sizes.num_items > self.MOST:
            raise ConfigError(
                f"model=ease keeps a table of the square of {sizes.num_items:,} items; it takes "
                f"at most {self.MOST:,}. Use item_knn or ials."
            )
        self.length, self.l2 = length, l2
        self.register_buffer("weights", torch.zeros(sizes.num_items + 1, sizes.num_items + 1))

    def fit(self, train: EventDataset) -> None:
        """Inverts the Gram matrix of the items."""
        taken = interactions(train, len(self.weights))
        gram = torch.from_numpy((taken.T @ taken).toarray())
        gram.diagonal().add_(self.l2)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        inverse /= -inverse.diagonal().clone()
        inverse.diagonal().zero_()
        self.weights = inverse

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``."""
        items = batch["items"]
        taken = self.weights.new_zeros(len(items), len(self.weights))
        taken.scatter_(1, items, 1.0)[:, PAD] = 0.0
        return taken @ self.weights


def interactions(train: EventDataset, width: int) -> sp.csr_matrix:
    """Who took what ``(U, width)``, 1 or 0."""
    histories = train.histories
    shape = (len(histories), width)
    ones = np.ones(len(histories.values), np.float32)
    matrix = sp.csr_matrix((ones, histories.values.numpy(), histories.offsets.numpy()), shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
