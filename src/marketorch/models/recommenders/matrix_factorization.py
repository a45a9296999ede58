"""A vector for each user and for each item (Koren et al. 2009; Rendle et al. 2009), trained.

A user is one query, whatever the history's length, so the full softmax over the catalogue costs
one row a user. Shapes: B users, L items, D width, K items, N catalogue.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.data.events.catalogue import Sizes
from marketorch.data.ragged import PAD
from marketorch.models.recommenders.base import Positives, VectorRecommender


class MatrixFactorization(VectorRecommender):
    """Scores are products of vectors, or their cosines over a temperature.

    A user who was not trained on is served by the mean vector of the items of the history.

    Args:
        sizes: what there is; numbers of users and items count.
        dim: width D.
        temperature: divides cosines; None: plain products and an item bias.
        dropout: on the users' vectors.
    """

    def __init__(
        self,
        *,
        sizes: Sizes,
        dim: int = 64,
        temperature: float | None = 0.1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.users = nn.Embedding(sizes.num_users + 1, dim)
        self.items = nn.Embedding(sizes.num_items + 1, dim, padding_idx=PAD)
        self.bias = nn.Parameter(torch.zeros(sizes.num_items + 1)) if temperature is None else None
        self.dropout = nn.Dropout(dropout)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.1)

    def positives(self, batch: dict[str, Tensor]) -> Positives:
        """Every item of a user is a positive of that user."""
        rows, columns = (batch["items"] != PAD).nonzero(as_tuple=True)
        return Positives(self.query(batch), rows, batch["items"][rows, columns])

    def query(self, batch: dict[str, Tensor]) -> Tensor:
        """The users' vectors ``(B, D)``."""
        users, items = batch["users"], batch["items"]
        own = self.users(users)
        if not self.training and bool((users == 0).any()):
            mean = F.embedding_bag(items, self.items.weight, mode="mean", padding_idx=PAD)
            own = torch.where(users[:, None] == 0, mean, own)
        if self.temperature is not None:
            own = F.normalize(own, dim=1) / self.temperature
        dropped: Tensor = self.dropout(own)
        return dropped

    def catalogue(self, items: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Vectors ``(K, D)`` and biases ``(K,)``."""
        vectors = self.items.weight if items is None else self.items(items)
        if self.temperature is not None:
            return F.normalize(vectors, dim=1), None
        assert self.bias is not None
        return vectors, self.bias if items is None else self.bias[items]
