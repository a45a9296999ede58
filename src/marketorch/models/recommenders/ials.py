"""Implicit alternating least squares (Hu, Koren & Volinsky 2008) as tuned by Rendle et al. 2022.

Users have no parameters of their own here: a user's vector is the ridge regression of a history on
the item vectors, so a user never seen is served like any other. Shapes: B users, L items, D width,
N catalogue.
"""

from __future__ import annotations

import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.events.catalogue import Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import PAD, Ragged
from marketorch.models.recommenders.base import Recommender

ENTRIES = 2**25  # numbers of a block of histories' vectors or of their Gram matrices


class IALS(Recommender):
    """Minimises Σ (1 − u·v)² over what was taken + ``unseen`` Σ (u·v)² over all + ridges.

    The ridge of a user (or item) with n events is ``l2`` (n + ``unseen`` N)^``power``.

    Args:
        sizes: what there is; the catalogue's size counts.
        dim: width D.
        epochs: rounds of users and items.
        unseen: weight of every pair, taken or not.
        l2, power: ridge and how it grows with the number of events.
        length: items of a history that are read, the last ones; None: all.
    """

    vectors: Tensor

    def __init__(
        self,
        *,
        sizes: Sizes,
        dim: int = 128,
        epochs: int = 16,
        unseen: float = 0.1,
        l2: float = 0.003,
        power: float = 1.0,
        length: int | None = None,
    ) -> None:
        super().__init__()
        self.length, self.epochs = length, epochs
        self.unseen, self.l2, self.power = unseen, l2, power
        self.register_buffer("vectors", torch.zeros(sizes.num_items + 1, dim))

    def fit(self, train: EventDataset) -> None:
        """Alternates between users and items."""
        by_user, size = train.histories, len(self.vectors)
        by_item = transposed(by_user, size)
        items = torch.randn(self.vectors.shape) * 0.1 / self.vectors.shape[1] ** 0.5
        items[PAD] = 0
        for epoch in range(self.epochs):
            users = self._solve(by_user, items, size - 1)
            users = torch.cat([users.new_zeros(1, users.shape[1]), users])
            items = self._solve(by_item, users, len(by_user))
            if (epoch + 1) % 4 == 0:
                say(f"ials      {epoch + 1} of {self.epochs} epochs")
        self.vectors = items

    def _solve(self, sequences: Ragged, vectors: Tensor, total: int) -> Tensor:
        """Ridge regressions ``(num, D)`` of sequences on the vectors of their entries."""
        gram, dim = vectors.T @ vectors, vectors.shape[1]
        solved = vectors.new_zeros(len(sequences), dim)
        order = sequences.lengths.argsort()
        while len(order):
            longest = int(sequences.lengths[order[-1]].clamp_min(1))
            number = max(1, ENTRIES // (dim * max(longest, dim)))
            rows, order = order[-number:], order[:-number]
            solved[rows] = self.regress(sequences.pad(rows), vectors, gram, total)
        return solved

    def regress(self, entries: Tensor, vectors: Tensor, gram: Tensor, total: int) -> Tensor:
        """Vectors ``(B, D)`` of histories ``(B, L)``; ``gram`` is that of all ``vectors``."""
        own = vectors[entries]
        counts = (entries != PAD).sum(1)
        ridge = self.l2 * (counts + self.unseen * total) ** self.power
        matrix = torch.baddbmm(self.unseen * gram, own.transpose(1, 2), own)
        matrix.diagonal(dim1=1, dim2=2).add_(ridge[:, None])
        factor = torch.linalg.cholesky(matrix)
        return torch.cholesky_solve(own.sum(1)[..., None], factor)[..., 0]

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``."""
        vectors = self.vectors.float()
        gram = vectors.T @ vectors
        with torch.autocast(vectors.device.type, enabled=False):
            users = self.regress(batch["items"], vectors, gram, len(vectors) - 1)
        return users @ vectors.T

    def similar(self, items: Tensor) -> Tensor:
        """Cosines ``(B, N + 1)`` with every item."""
        vectors = torch.nn.functional.normalize(self.vectors, dim=1)
        return vectors[items] @ vectors.T


def transposed(sequences: Ragged, num_items: int) -> Ragged:
    """Which sequences hold each item ``0 … num_items − 1``, numbered from 1."""
    owners = torch.repeat_interleave(torch.arange(1, len(sequences) + 1), sequences.lengths)
    values, order = sequences.values.long().sort(stable=True)
    lengths = torch.bincount(values, minlength=num_items)
    return Ragged.packed(owners[order].int(), lengths)
