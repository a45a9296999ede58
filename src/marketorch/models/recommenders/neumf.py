"""Neural matrix factorization (He et al. 2017): a product and a network over user and item.

Every pair goes through the network, so there is no product of vectors to rank by, and no full
softmax: train it with ``task.loss=gbce`` or ``sampled_softmax``. Shapes: Q queries, P pairs,
K items, D width, N catalogue.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.data.events.catalogue import Sizes
from marketorch.data.ragged import PAD
from marketorch.models.recommenders.base import Positives, VectorRecommender

PAIRS = 2**18  # pairs that go through the network at one time when a catalogue is ranked


class NeuMF(VectorRecommender):
    """A generalised product beside a multilayer perceptron, joined by one linear layer.

    Args:
        sizes: what there is; numbers of users and items count.
        dim: width of each of the four tables.
        hidden: widths of the perceptron's layers.
        dropout: in the perceptron.
    """

    def __init__(
        self,
        *,
        sizes: Sizes,
        dim: int = 32,
        hidden: tuple[int, ...] = (64, 32, 16),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.users = nn.Embedding(sizes.num_users + 1, 2 * dim)
        self.items = nn.Embedding(sizes.num_items + 1, 2 * dim, padding_idx=PAD)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.05)
        layers: list[nn.Module] = []
        for width, after in zip((2 * dim, *hidden), hidden, strict=False):
            layers += [nn.Linear(width, after), nn.ReLU(), nn.Dropout(dropout)]
        self.network = nn.Sequential(*layers)
        self.join = nn.Linear(dim + hidden[-1], 1)

    def positives(self, batch: dict[str, Tensor]) -> Positives:
        """Every item of a user is a positive of that user."""
        rows, columns = (batch["items"] != PAD).nonzero(as_tuple=True)
        return Positives(self.query(batch), rows, batch["items"][rows, columns])

    def query(self, batch: dict[str, Tensor]) -> Tensor:
        """Both vectors ``(B, 2 D)`` of each user."""
        vectors: Tensor = self.users(batch["users"])
        return vectors

    def catalogue(self, items: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Both vectors ``(K, 2 D)`` of each item."""
        return self.items.weight if items is None else self.items(items), None

    def scores(self, queries: Tensor, items: Tensor | None = None) -> Tensor:
        """Scores ``(Q, K)``: every pair goes through the network."""
        vectors, _ = self.catalogue(items)
        step = max(1, PAIRS // len(vectors)) if not self.training else len(queries)
        parts = [
            self.pair_network(part[:, None].expand(-1, len(vectors), -1), vectors)
            for part in queries.split(max(1, step))
        ]
        return torch.cat(parts)

    def pair_scores(self, queries: Tensor, items: Tensor) -> Tensor:
        """Scores ``(P,)``."""
        return self.pair_network(queries, self.items(items))

    def pair_network(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(…)`` of pairs of vectors ``(…, 2 D)``."""
        user_product, user_deep = users.split(self.dim, -1)
        item_product, item_deep = items.split(self.dim, -1)
        # The first layer on each side alone: its sum is the layer on both, for a K-th of the work.
        first = self.network[0]
        own, other = first.weight.split(self.dim, 1)  # type: ignore[operator]
        deep = F.linear(user_deep, own) + F.linear(item_deep, other, first.bias)  # type: ignore[arg-type]
        for layer in list(self.network)[1:]:
            deep = layer(deep)
        joined: Tensor = self.join(torch.cat([user_product * item_product, deep], -1))
        return joined[..., 0]
