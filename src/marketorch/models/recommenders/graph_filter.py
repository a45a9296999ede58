"""A filter on the graph of users and items: solved, not trained, and hard to beat.

With R̃ = D_u^-a R D_i^-b, who took what divided by powers of the degrees, P = R̃ᵀ R̃ / λ carries a
history r two steps along the graph, to what was taken by those who took the same; λ makes its
greatest eigenvalue 1. It keeps detail but is noisy where counts are small; its first eigenvectors V
keep only what is smooth. Both blur, and one step back sharpens again what all have in common:

    scores = (r P + low_pass · r D_i^-½ V Vᵀ D_i^½) (1 − sharpen · P)

GF-CF (Shen et al. 2021, "How Powerful is Graph Convolution for Recommendation?") has a = b = ½ and
no sharpening, which is of BSPM (Choi et al. 2023, "Blurring-Sharpening Process Models for
Collaborative Filtering"). The powers say how much busy users and popular items are taken down
(Peng et al. 2024, "How Powerful is Graph Filtering for Recommendation?"). P is never written out:
two sums along the edges apply it. A user is a history, so one who was never seen is served like any
other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.data.events.catalogue import Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import PAD
from marketorch.models.recommenders.base import Recommender

ROUNDS, SPARE = 6, 64  # of the block power iteration, and vectors that it carries and drops


class GraphFilter(Recommender):
    """Scores of a history after two steps on the graph, and of its smooth part.

    Shapes: B users asked for, L items of a history, U training users, N catalogue, E edges, K rank.

    Args:
        sizes: what there is; numbers of users and items count.
        rank: singular vectors K of the low-pass part.
        low_pass: weight of that part; 0: steps on the graph alone.
        sharpen: how much of what further steps on the graph reach is taken off again.
        user_power: a, how much an edge of a busy user is taken down.
        item_power: b, how much an edge of a popular item is taken down.
        length: items of a history that are read, the last ones; None: all.
    """

    sized_by_data = ("items", "users")
    items: Tensor
    item_offsets: Tensor
    users: Tensor
    user_offsets: Tensor
    vectors: Tensor
    greatest: Tensor

    def __init__(
        self,
        *,
        sizes: Sizes,
        rank: int = 512,
        low_pass: float = 0.2,
        sharpen: float = 1.0,
        user_power: float = 0.35,
        item_power: float = 0.45,
        length: int | None = None,
    ) -> None:
        super().__init__()
        self.length, self.low_pass, self.sharpen = length, low_pass, sharpen
        self.user_power, self.item_power = user_power, item_power
        number = sizes.num_items + 1
        self.rank = min(rank, sizes.num_users, sizes.num_items) if low_pass else 0
        # Edges twice: items of each user in order, and users of each item, with where each begins.
        self.register_buffer("items", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("users", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("user_offsets", torch.zeros(sizes.num_users + 1, dtype=torch.int32))
        self.register_buffer("item_offsets", torch.zeros(number + 1, dtype=torch.int32))
        self.register_buffer("vectors", torch.zeros(number, self.rank))
        self.register_buffer("greatest", torch.ones(()))  # eigenvalue of R̃ᵀ R̃

    def fit(self, train: EventDataset) -> None:
        """Keeps who took what, once each, and finds the singular vectors."""
        histories, size = train.histories, len(self.vectors)
        owners = torch.repeat_interleave(torch.arange(len(histories)), histories.lengths)
        edges = torch.unique(owners * size + histories.values)  # sorted by user
        users, items = edges // size, edges % size
        by_item = items.argsort(stable=True)
        self.items, self.users = items.int(), users[by_item].int()
        self.user_offsets = offsets(users, len(histories))
        self.item_offsets = offsets(items, size)
        self.vectors, self.greatest = self._singular_vectors()

    def _singular_vectors(self) -> tuple[Tensor, Tensor]:
        """The first right singular vectors of R̃ ``(N + 1, K)``, by block power iteration.

        Also returns the square of the greatest singular value, the eigenvalue of R̃ᵀ R̃.
        """
        number, users = len(self.vectors), len(self.user_offsets) - 1
        width = min(self.rank + SPARE, number, users)
        vectors = torch.randn(number, width)
        for _ in range(ROUNDS):
            vectors = torch.linalg.qr(self.to_items(self.to_users(vectors)))[0]
        left = self.to_users(vectors)
        values, turn = torch.linalg.eigh(left.T @ left)  # in rising order
        return vectors @ turn.flip(1)[:, : self.rank], values[-1]

    def to_users(self, values: Tensor) -> Tensor:
        """R̃ times ``values (N + 1, W)``: ``(U, W)``."""
        values = (values * scale(self.item_offsets, self.item_power)).contiguous()
        sums = F.embedding_bag(
            self.items, values, self.user_offsets, mode="sum", include_last_offset=True
        )
        return sums * scale(self.user_offsets, self.user_power)

    def to_items(self, values: Tensor) -> Tensor:
        """R̃ᵀ times ``values (U, W)``: ``(N + 1, W)``."""
        values = (values * scale(self.user_offsets, self.user_power)).contiguous()
        sums = F.embedding_bag(
            self.users, values, self.item_offsets, mode="sum", include_last_offset=True
        )
        return sums * scale(self.item_offsets, self.item_power)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``."""
        items = batch["items"]
        taken = self.vectors.new_zeros(len(items), len(self.vectors))
        taken.scatter_(1, items, 1.0)[:, PAD] = 0.0
        scores = self.steps(taken)
        if self.rank:
            half = scale(self.item_offsets, 0.5)
            # In full precision: ranks hang on small differences.
            with torch.autocast(taken.device.type, enabled=False):
                smooth = taken @ (self.vectors * half)
                scores = torch.addmm(scores, smooth, (self.vectors / half).T, alpha=self.low_pass)
        return scores - self.sharpen * self.steps(scores) if self.sharpen else scores

    def steps(self, values: Tensor) -> Tensor:
        """Two steps on the graph, from items to items: ``(B, N + 1)`` times P."""
        return self.to_items(self.to_users(values.T)).T / self.greatest


def offsets(numbers: Tensor, total: int) -> Tensor:
    """Where each of the sorted ``numbers`` below ``total`` begins ``(total + 1,)`` int32."""
    return F.pad(torch.bincount(numbers, minlength=total).cumsum(0), (1, 0)).int()


def scale(offsets: Tensor, power: float) -> Tensor:
    """Degrees to the power of −``power``, a column."""
    return offsets.diff().clamp_min(1).float()[:, None] ** -power
