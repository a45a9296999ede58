"""What every recommender answers: scores of the whole catalogue, and what an item is like.

Batches hold ``items (B, L)``, histories oldest first, padded with 0 at the end, and ``users (B,)``,
numbers of the users, 0 for one who is not known. Shapes: Q queries, P positives, K items in
question, N catalogue (column 0 is padding), D width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.data.ragged import PAD
from marketorch.models.blocks.sized_by_data import SizedByData


class Positives(NamedTuple):
    """What a batch teaches: positive ``p`` says that query ``rows[p]`` led to ``targets[p]``."""

    queries: Tensor  # (Q, D)
    rows: Tensor  # (P,), ascending
    targets: Tensor  # (P,)
    repeats: Tensor | None = (
        None  # (P, 2), log probabilities: of no repeat, of repeating the target
    )

    def sample(self, limit: int) -> Positives:
        """At most ``limit`` positives, chosen at random, in their order."""
        number = len(self.rows)
        if number <= limit:
            return self
        kept = torch.randperm(number, device=self.rows.device)[:limit].sort().values
        repeats = None if self.repeats is None else self.repeats[kept]
        return Positives(self.queries, self.rows[kept], self.targets[kept], repeats)


class Recommender(SizedByData):
    """Scores every item for a batch of users. ``length`` items of a history are read."""

    length: int | None = None

    def fit(self, train: Any) -> None:
        """Counts, solves or looks up what the training split holds."""

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``."""
        raise NotImplementedError

    def similar(self, items: Tensor) -> Tensor:
        """Scores ``(B, N + 1)`` of what goes with ``items`` ``(B,)``: a history of each alone."""
        return self({"items": items[:, None], "users": torch.zeros_like(items)})


class VectorRecommender(Recommender):
    """A recommender that is trained, and whose scores are products of two vectors."""

    def positives(self, batch: dict[str, Tensor]) -> Positives:
        """What a training batch teaches: its queries ``(Q, D)`` and their targets ``(P,)``."""
        raise NotImplementedError

    def query(self, batch: dict[str, Tensor]) -> Tensor:
        """The vector ``(B, D)`` of each user now."""
        raise NotImplementedError

    def catalogue(self, items: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Vectors ``(K, D)`` and biases ``(K,)`` of ``items`` ``(K,)``, or of all ``N + 1``."""
        raise NotImplementedError

    def scores(self, queries: Tensor, items: Tensor | None = None) -> Tensor:
        """Scores ``(Q, K)`` of ``items`` ``(K,)``, or of all."""
        return F.linear(queries, *self.catalogue(items))

    def pair_scores(self, queries: Tensor, items: Tensor) -> Tensor:
        """Scores ``(P,)`` of one item ``(P,)`` for each of the queries ``(P, D)``."""
        vectors, bias = self.catalogue(items)
        products = (queries * vectors).sum(1)
        return products if bias is None else products + bias

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``."""
        return self.scores(self.query(batch))

    def similar(self, items: Tensor) -> Tensor:
        """Cosines ``(B, N + 1)`` of the vectors of ``items`` ``(B,)`` with all others."""
        vectors = F.normalize(self.catalogue()[0], dim=1)
        return vectors[items] @ vectors.T


def last_index(items: Tensor) -> Tensor:
    """Where the last item of each padded history ``(B, L)`` stands ``(B,)``; 0 if there is none."""
    return ((items != PAD).sum(1) - 1).clamp_min(0)
