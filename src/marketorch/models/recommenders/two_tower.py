"""Two towers (Yi et al. 2019): who a user is and did on one side, what an item is on the other.

Ids are left out at random in training, so the towers also learn to do without: a user or an item
never seen is served by attributes and history alone. Shapes: B users, L items, F attributes of
one, K items, D width, N catalogue.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.data.events.catalogue import Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import PAD
from marketorch.models.recommenders.base import Positives, VectorRecommender


class TwoTower(VectorRecommender):
    """Cosines of two networks' outputs, over a temperature, and a bias an item.

    Args:
        sizes: what there is, of everything.
        dim: width D of tables and towers.
        depth: hidden layers of each tower.
        temperature: divides the cosines.
        dropout: in the towers.
        id_dropout: share of ids that are left out in training.
        history_dropout: share of histories that are left out in training.
        length: items of a history that are read, the last ones.
    """

    item_tokens: Tensor
    trained: Tensor

    def __init__(
        self,
        *,
        sizes: Sizes,
        dim: int = 64,
        depth: int = 1,
        temperature: float = 0.1,
        dropout: float = 0.1,
        id_dropout: float = 0.3,
        history_dropout: float = 0.3,
        length: int = 100,
    ) -> None:
        super().__init__()
        self.length, self.temperature = length, temperature
        self.id_dropout, self.history_dropout = id_dropout, history_dropout
        self.items = nn.Embedding(sizes.num_items + 1, dim, padding_idx=PAD)
        self.users = nn.Embedding(sizes.num_users + 1, dim, padding_idx=0)
        self.item_attributes = _bag(sizes.item_tokens, dim)
        self.user_attributes = _bag(sizes.user_tokens, dim)
        for table in (self.items, self.users):
            nn.init.normal_(table.weight, std=0.05)
        self.item_tower = tower(2 * dim, dim, depth, dropout)
        self.user_tower = tower(3 * dim, dim, depth, dropout)
        self.bias = nn.Parameter(torch.zeros(sizes.num_items + 1))
        shape = (sizes.num_items + 1, max(1, sizes.item_width))
        self.register_buffer("item_tokens", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("trained", torch.zeros(sizes.num_items + 1, dtype=torch.bool))

    def fit(self, train: EventDataset) -> None:
        """Keeps the items' attributes, and which items have events to learn an id from."""
        if train.item_tokens is not None:
            self.item_tokens = train.item_tokens
        self.trained = torch.bincount(train.histories.values, minlength=len(self.trained)) > 0

    def positives(self, batch: dict[str, Tensor]) -> Positives:
        """Every item of a user is a positive of that user, and is not part of the history."""
        items = batch["items"]
        chosen = items != PAD
        shown = chosen & (torch.rand(items.shape, device=items.device) < 0.5)
        shown &= torch.rand(len(items), 1, device=items.device) >= self.history_dropout
        queries = self._user_vectors(batch, items * shown)
        rows, columns = (chosen & ~shown).nonzero(as_tuple=True)
        return Positives(queries, rows, items[rows, columns])

    def query(self, batch: dict[str, Tensor]) -> Tensor:
        """The users' vectors ``(B, D)``, over the temperature."""
        return self._user_vectors(batch, batch["items"])

    def catalogue(self, items: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Vectors ``(K, D)`` and biases ``(K,)``."""
        everything = torch.arange(len(self.trained), device=self.trained.device)
        numbers = everything if items is None else items
        known = numbers * self.trained[numbers]
        ids = self.items(self._left_out(known))
        described = self.item_attributes(self.item_tokens[numbers])
        vectors = F.normalize(self.item_tower(torch.cat([ids, described], 1)), dim=1)
        return vectors, self.bias[known]

    def _user_vectors(self, batch: dict[str, Tensor], history: Tensor) -> Tensor:
        """Vectors ``(B, D)`` of users with these histories ``(B, L)``."""
        ids = self.users(self._left_out(batch["users"]))
        tokens = batch.get("user_tokens", torch.zeros_like(batch["users"])[:, None])
        taken = F.embedding_bag(history, self.items.weight, mode="mean", padding_idx=PAD)
        parts = [ids, self.user_attributes(tokens), taken]
        return F.normalize(self.user_tower(torch.cat(parts, 1)), dim=1) / self.temperature

    def _left_out(self, numbers: Tensor) -> Tensor:
        """The same numbers ``(B,)``, some of them 0 in training."""
        if not self.training:
            return numbers
        kept = torch.rand(numbers.shape, device=numbers.device) >= self.id_dropout
        return numbers * kept


def _bag(tokens: int, dim: int) -> nn.EmbeddingBag:
    bag = nn.EmbeddingBag(tokens + 1, dim, mode="sum", padding_idx=PAD)
    nn.init.normal_(bag.weight, std=0.05)
    return bag


def tower(width: int, dim: int, depth: int, dropout: float) -> nn.Sequential:
    """``depth`` hidden layers of twice the width ``dim``, and one to ``dim``."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, 2 * dim), nn.GELU(), nn.Dropout(dropout)]
        width = 2 * dim
    return nn.Sequential(*layers, nn.Linear(width, dim))
