"""The sceptics of recommendation: what everybody took, and what usually follows the last item.

Both are counted, not trained. Shapes: B users, L items, N catalogue.
"""

from __future__ import annotations

import torch
from torch import Tensor

from marketorch.data.catalogue import Sizes
from marketorch.data.events import EventDataset
from marketorch.models.recommender import Recommender, last_index


class Popularity(Recommender):
    """The same scores for everybody: how often each item was taken.

    Args:
        sizes: what there is; the catalogue's size counts.
        length: accepted like any recommender's; the history does not matter.
    """

    counts: Tensor

    def __init__(self, *, sizes: Sizes, length: int = 1) -> None:
        super().__init__()
        self.length = length
        self.register_buffer("counts", torch.zeros(sizes.num_items + 1))

    def fit(self, train: EventDataset) -> None:
        """Counts."""
        self.counts = torch.bincount(train.histories.values, minlength=len(self.counts)).float()

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``."""
        return self.counts.expand(len(batch["items"]), -1)


class Markov(Recommender):
    """First-order Markov chain: how often each item came right after the last one.

    Popularity, scaled below one count, orders what never came.

    Args:
        sizes: what there is; the catalogue's size counts; the table has its square.
        length: see `Popularity`; one item is read.
    """

    counts: Tensor

    def __init__(self, *, sizes: Sizes, length: int = 1) -> None:
        super().__init__()
        self.length = length
        self.register_buffer("counts", torch.zeros(sizes.num_items + 1, sizes.num_items + 1))

    def fit(self, train: EventDataset) -> None:
        """Counts each step from an item to the next."""
        size, histories = len(self.counts), train.histories
        values = histories.values.long()
        inside = torch.ones(len(values), dtype=torch.bool)
        inside[histories.offsets[1:] - 1] = False  # the last of a user leads nowhere
        steps = inside.nonzero()[:, 0]
        pairs = values[steps] * size + values[steps + 1]
        self.counts = torch.bincount(pairs, minlength=size * size).view(size, size).float()
        popularity = torch.bincount(values, minlength=size).float()
        self.counts += 0.5 * popularity / popularity.max()

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``."""
        items = batch["items"]
        return self.counts[items.gather(1, last_index(items)[:, None])[:, 0]]
