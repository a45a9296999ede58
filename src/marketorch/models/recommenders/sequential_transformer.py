"""Next-item prediction by a causal transformer over a user's history (Kang & McAuley 2018, SASRec).

Every position is trained at once: the state after item t predicts item t + 1. Items have one
vector on the way in and another on the way out, unless they are tied; attributes of an item, if it
has any, may be added on the way in. Shapes: B users, L items, D width, F attributes of an item,
K items in question, N catalogue.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.data.events.catalogue import Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import PAD
from marketorch.errors import ConfigError, check_choice
from marketorch.models.blocks.transformer import Block, PositionDropout, rotary
from marketorch.models.recommenders.base import Positives, VectorRecommender, last_index

NEVER = -1e4  # the logarithm of what does not happen
POSITIONS = ("rotary", "learned")


class SequentialTransformer(VectorRecommender):
    """States and scores of item histories ``(B, L)``, numbered from 1, padded with 0 at the end.

    Args:
        sizes: what there is; the catalogue's size counts, and that of the items' attributes.
        length: items of a history that are read, the last ones.
        dim, depth, num_heads, mlp_ratio: width, blocks, heads, feed-forward width over ``dim``.
        dropout: on the embeddings and in the blocks.
        positions: ``rotary``, or ``learned`` vectors (as SASRec has them), counted from the first
            item that is read.
        tied: one vector an item, on the way in and out.
        attributes: add the vectors of an item's attributes on the way in.
        repeats: what is taken next may be an earlier item once more: how likely that is, and which,
            is read from the state; needs the full softmax.
        sparse: gradients for the items of a batch alone, for catalogues so large that an update of
            every item costs more than the network; needs a sampled loss and no ``ema_decay``.
    """

    item_tokens: Tensor

    def __init__(
        self,
        *,
        sizes: Sizes,
        length: int = 200,
        dim: int = 128,
        depth: int = 2,
        num_heads: int = 2,
        mlp_ratio: float = 4.0,
        dropout: float = 0.3,
        positions: str = "rotary",
        tied: bool = False,
        attributes: bool = False,
        repeats: bool = False,
        sparse: bool = False,
    ) -> None:
        super().__init__()
        check_choice("model.positions", positions, POSITIONS, ConfigError)
        if attributes and not sizes.item_tokens:
            raise ConfigError("model.attributes needs data.item_attributes: items have none.")
        self.length, self.head_dim, self.sparse = length, dim // num_heads, sparse
        number = sizes.num_items + 1
        self.embedding = nn.Embedding(number, dim, padding_idx=PAD, sparse=sparse)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        self.places = nn.Embedding(length, dim) if positions == "learned" else None
        self.attributes = nn.Embedding(sizes.item_tokens + 1, dim) if attributes else None
        if self.attributes is not None:  # from N(0, 1) they would drown the item's own vector
            nn.init.normal_(self.attributes.weight, std=dim**-0.5)
        self.embedding_norm, self.last_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        # A mask for every position: one a sequence costs .005 of NDCG@10 on MovieLens-1M.
        self.dropout = PositionDropout(dropout)
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, mlp_ratio, PositionDropout(dropout)) for _ in range(depth)
        )
        self.output = self.embedding if tied else nn.Embedding(number, dim, sparse=sparse)
        if not tied:
            nn.init.normal_(self.output.weight, std=0.02)
        self.bias = nn.Embedding(number, 1, sparse=sparse)
        nn.init.zeros_(self.bias.weight)
        self.repeats = Repeats(dim) if repeats else None
        shape = (number, sizes.item_width) if attributes else (0, 0)
        self.register_buffer("item_tokens", torch.zeros(shape, dtype=torch.int64))

    def fit(self, train: EventDataset) -> None:
        """Keeps the items' attributes."""
        if self.attributes is not None and train.item_tokens is not None:
            self.item_tokens = train.item_tokens

    def states(self, items: Tensor, place: Tensor | None = None) -> Tensor:
        """What is known after each item ``(B, L, D)``, or at one ``place (B,)`` alone ``(B, D)``.

        Padding comes last, so nothing looks at it.
        """
        x = self.embedding(items)
        if self.attributes is not None:
            x = x + bag(self.item_tokens[items], self.attributes.weight)
        rotation = None
        if self.places is None:
            rotation = rotary(items.shape[1], self.head_dim, items.device)
        else:
            x = x + self.places.weight[: items.shape[1]]
        x = self.dropout(self.embedding_norm(x))
        *first, last = cast(list[Block], list(self.blocks))
        for block in first:
            x = block(x, None, rotation)
        x = last(x, None, rotation) if place is None else last.at(x, place, rotation)
        normed: Tensor = self.last_norm(x)
        return normed

    def positives(self, batch: dict[str, Tensor]) -> Positives:
        """Every item of a history ``(B, L + 1)`` follows from those before it."""
        before, after = batch["items"][:, :-1], batch["items"][:, 1:]
        known = after != PAD
        states = self.states(before)
        queries, repeats = states[known], None
        if self.repeats is not None:
            fresh, again = self.repeats(states, self.embedding(before), causal(before))
            same = before[:, None] == after[..., None]
            again = again.masked_fill(~same, NEVER).logsumexp(2)
            repeats = torch.stack([fresh, again], 2)[known]
        rows = torch.arange(len(queries), device=before.device)
        return Positives(queries, rows, after[known], repeats)

    def query(self, batch: dict[str, Tensor]) -> Tensor:
        """The state ``(B, D)`` after the last item of each history."""
        return self.states(batch["items"], last_index(batch["items"]))

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores ``(B, N + 1)``; log probabilities with ``repeats``."""
        if self.repeats is None:
            return super().forward(batch)
        items, state = batch["items"], self.query(batch)
        scores = self.scores(state).float()
        scores[:, PAD] = -torch.inf
        known = (items != PAD)[:, None]
        fresh, again = self.repeats(state[:, None], self.embedding(items), known)
        chances = scores.log_softmax(1).add(fresh).exp()
        chances = chances.scatter_add(1, items, again[:, 0].exp())
        return chances.clamp_min(torch.finfo(chances.dtype).tiny).log()

    def catalogue(self, items: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Vectors ``(K, D)`` on the way out and biases ``(K,)``."""
        if items is None:
            return self.output.weight, self.bias.weight[:, 0]
        return self.output(items), self.bias(items)[:, 0]


class Repeats(nn.Module):
    """How likely an earlier item is taken again, and which: a pointer (See et al. 2017)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.ask, self.tell, self.gate = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, 1)

    def forward(self, states: Tensor, items: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities of no repeat ``(B, T)``, and of a repeat of each place ``(B, T, L)``.

        From ``states (B, T, D)`` and vectors of ``items (B, L, D)``, those that are ``known``.
        """
        ask, tell = self.ask(states), self.tell(items)
        match = (ask @ tell.transpose(1, 2)).float().masked_fill(~known, NEVER)
        gate = self.gate(states).float()
        return F.logsigmoid(-gate)[..., 0], F.logsigmoid(gate) + match.log_softmax(2)


def causal(items: Tensor) -> Tensor:
    """Which places ``(B, L, L)`` each place may look at: itself and those before."""
    return (items != PAD)[:, None].expand(-1, items.shape[1], -1).tril()


def bag(tokens: Tensor, vectors: Tensor) -> Tensor:
    """Sums ``(B, L, D)`` of the vectors of tokens ``(B, L, F)``, padded with 0."""
    flat = F.embedding_bag(tokens.flatten(0, 1), vectors, mode="sum", padding_idx=PAD)
    return flat.view(*tokens.shape[:2], -1)
