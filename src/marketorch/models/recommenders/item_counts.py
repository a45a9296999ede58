"""The sceptics of recommendation: what everybody took, what usually follows the last item, and
that with what the user took before.

All are counted, not trained. Shapes: B users, L items, P pairs, N catalogue.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.data.events.catalogue import Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import PAD
from marketorch.models.recommenders.base import Recommender, last_index


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

    Popularity, scaled below one count, orders what never came. Only pairs that came are kept, a
    row an item in compressed form, so the table is never larger than the log.

    Args:
        sizes: what there is; the catalogue's size counts.
        repeats: weight of the user's own shares of items against the shares of what follows.
        length: items of a history that are read, the last ones; None: all, for ``repeats``.
    """

    sized_by_data = ("successors", "counts")
    offsets: Tensor
    successors: Tensor
    counts: Tensor
    popularity: Tensor

    def __init__(self, *, sizes: Sizes, repeats: float = 0.0, length: int | None = 1) -> None:
        super().__init__()
        self.repeats, self.length = repeats, length
        number = sizes.num_items + 1
        self.register_buffer("offsets", torch.zeros(number + 1, dtype=torch.int64))
        self.register_buffer("successors", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("counts", torch.zeros(0))
        self.register_buffer("popularity", torch.zeros(number))

    def fit(self, train: EventDataset) -> None:
        """Counts each step from an item to the next."""
        size, histories = len(self.popularity), train.histories
        values = histories.values.long()
        inside = torch.ones(len(values), dtype=torch.bool)
        inside[histories.offsets[1:] - 1] = False  # the last of a user leads nowhere
        steps = inside.nonzero()[:, 0]
        pairs, counts = torch.unique(values[steps] * size + values[steps + 1], return_counts=True)
        numbers = torch.bincount(pairs // size, minlength=size)  # pairs come sorted
        self.offsets = F.pad(numbers.cumsum(0), (1, 0))
        self.successors, self.counts = pairs % size, counts.float()
        popularity = torch.bincount(values, minlength=size).float()
        self.popularity = 0.5 * popularity / popularity.max()

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``."""
        items = batch["items"]
        rows, pairs = self._pairs(items.gather(1, last_index(items)[:, None])[:, 0])
        scores = self.popularity.repeat(len(items), 1)
        scores[rows, self.successors[pairs]] += self.counts[pairs]
        if self.repeats:
            known = (items != PAD).float()
            total = known.new_ones(len(items)).index_add_(0, rows, self.counts[pairs])
            weight = self.repeats * total / known.sum(1).clamp_min(1)
            scores.scatter_add_(1, items, weight[:, None] * known)
        return scores

    def _pairs(self, last: Tensor) -> tuple[Tensor, Tensor]:
        """Where the successors of items ``(B,)`` are: rows of the batch and places, ``(P,)``."""
        first, end = self.offsets[last], self.offsets[last + 1]
        numbers = end - first
        rows = torch.repeat_interleave(numbers)
        shift = first - (numbers.cumsum(0) - numbers)
        return rows, torch.arange(len(rows), device=last.device) + shift[rows]
