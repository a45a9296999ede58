"""Losses of recommenders: one item against a catalogue, all of it or a sample.

Every loss takes a model and what a batch teaches (`Positives`) and returns a sum over the
positives. Shapes: Q queries, P positives, K negatives, N catalogue, D width.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.data.ragged import PAD, Ragged
from marketorch.errors import ConfigError, closest
from marketorch.models.recommenders.base import Positives, VectorRecommender

ROWS, CELLS = 64, 2**19  # least queries, and numbers, of a block of scores that exists at one time
ALIGNED = 32  # a matrix whose rows are no multiple of this wide is multiplied at half the speed
LOSSES = ("softmax", "sampled_softmax", "gbce")


def full_softmax(model: VectorRecommender, positives: Positives) -> Tensor:
    """Sum of −log p(target) over the positives, p over the whole catalogue, exact."""
    weight, bias = model.catalogue()
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    fresh, odds = None, None
    if positives.repeats is not None:  # p = fresh · softmax + repeated
        fresh, repeated = positives.repeats.unbind(1)
        odds = repeated - fresh
    loss: Tensor = _Softmax.apply(  # type: ignore[no-untyped-call]
        positives.queries, weight, bias, positives.rows, positives.targets, odds
    )
    return loss if fresh is None else loss - fresh.sum()


class _Softmax(torch.autograd.Function):
    """Cross-entropy of ``queries @ weight.T + bias`` without ever holding all of its scores.

    The gradient is worked out beside the loss, a block of queries at a time, which stays in the
    processor's cache: memory does not grow with the batch. With ``odds (P,)``, logarithms, it is
    the sum of −log(p + exp(odds)).
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        weight: Tensor,
        bias: Tensor,
        rows: Tensor,
        targets: Tensor,
        odds: Tensor | None,
    ) -> Tensor:
        size = len(weight)
        weight = F.pad(weight, (0, 0, 0, -size % ALIGNED))
        bias = F.pad(bias, (0, -size % ALIGNED), value=-torch.inf)
        bias[PAD] = -torch.inf
        loss = queries.new_zeros((), dtype=torch.float32)
        d_queries, d_weight = torch.empty_like(queries), torch.zeros_like(weight)
        d_bias = torch.zeros_like(bias)
        d_odds = None if odds is None else torch.empty_like(odds)
        block = max(ROWS, CELLS // size)
        bounds = torch.searchsorted(rows, torch.arange(0, len(queries) + block, block).to(rows))
        for number, (first, last) in enumerate(itertools.pairwise(bounds.tolist())):
            part = slice(number * block, (number + 1) * block)
            own, target = rows[first:last] - number * block, targets[first:last]
            scores = F.linear(queries[part], weight, bias).float()
            slope = scores.softmax(1)
            chance = slope[own, target].clamp_min(torch.finfo(slope.dtype).tiny).log()
            share = torch.ones_like(chance)  # of what the softmax has in p
            if odds is not None and d_odds is not None:
                total = torch.logaddexp(chance, odds[first:last].float())
                chance, share = total, (chance - total).exp()
                d_odds[first:last] = share - 1
            loss -= chance.sum()
            slope *= slope.new_zeros(len(slope)).index_add_(0, own, share)[:, None]
            slope.index_put_((own, target), -share, accumulate=True)
            d_queries[part] = slope.to(weight.dtype) @ weight
            d_weight += slope.T.to(weight.dtype) @ queries[part].to(weight.dtype)
            d_bias += slope.sum(0)
        ctx.save_for_backward(d_queries, d_weight[:size], d_bias[:size], d_odds)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        d_queries, d_weight, d_bias, d_odds = ctx.saved_tensors
        d_odds = None if d_odds is None else d_odds * grad
        return d_queries * grad, d_weight * grad, d_bias * grad, None, None, d_odds


class CatalogueLoss(nn.Module):
    """The loss of a recommender.

    ``softmax`` is exact. ``sampled_softmax`` sets each positive against ``negatives`` items that
    the whole batch shares, drawn on the device in one call, scores corrected by −log of how often
    an item is expected among them (Bengio & Senécal 2008). ``gbce`` is binary cross-entropy on
    such negatives, the positive's probability to the power β, which undoes the overconfidence
    that sampling brings (Petrov & Macdonald 2023; calibration 0 is plain BCE).

    Args:
        num_items: size of the catalogue.
        kind: one of the three.
        negatives: drawn a batch.
        popularity: items are drawn in proportion to their count to this power; 0: all alike.
        in_batch: for ``sampled_softmax``, take the batch's own targets as negatives as well.
        calibration: t of gBCE, between 0 and 1.

    Raises:
        ConfigError: ``kind`` is none of the three, or, when called, the model cannot have it.
    """

    counts: Tensor
    cumulative: Tensor
    total: Tensor

    def __init__(
        self,
        num_items: int,
        kind: str = "softmax",
        *,
        negatives: int = 1024,
        popularity: float = 0.0,
        in_batch: bool = False,
        calibration: float = 0.75,
    ) -> None:
        super().__init__()
        if kind not in LOSSES:
            raise ConfigError(
                f"task.loss is '{kind}'.{closest(kind, LOSSES)} Expected {', '.join(LOSSES)}."
            )
        self.kind, self.num_items, self.negatives = kind, num_items, negatives
        self.popularity, self.in_batch, self.calibration = popularity, in_batch, calibration
        self.register_buffer("counts", torch.zeros(num_items + 1))
        self.register_buffer("cumulative", torch.zeros(0), persistent=False)
        self.register_buffer("total", torch.zeros(()), persistent=False)
        self.summed = False

    def fit(self, histories: Ragged) -> None:
        """Counts the training events of each item."""
        self.counts = torch.bincount(histories.values, minlength=self.num_items + 1).float()
        self.summed = False

    def _sum(self) -> None:
        """Sums over the whole catalogue, once a run: no step may cost more for a larger one."""
        self.total = self.counts.sum().clamp_min(1)
        if self.popularity:
            weights = (self.counts[1:] + 1).double() ** self.popularity
            self.cumulative = F.pad((weights.cumsum(0) / weights.sum()).float(), (1, 0))
        self.summed = True

    def forward(self, model: VectorRecommender, positives: Positives) -> Tensor:
        """Sum ``()`` over the positives."""
        if self.kind == "softmax":
            if getattr(model, "sparse", False):
                raise ConfigError(
                    "model.sparse=true needs a loss on a sample: task.loss=sampled_softmax or gbce."
                )
            return full_softmax(model, positives)
        if positives.repeats is not None:
            raise ConfigError("model.repeats needs task.loss=softmax.")
        items = self.draw()
        scores = model.scores(positives.queries, items).float()
        own = model.pair_scores(positives.queries[positives.rows], positives.targets).float()
        if self.kind == "gbce":
            return self._gbce(own, scores, positives)
        return self._sampled_softmax(model, own, scores, items, positives)

    def draw(self) -> Tensor:
        """Numbers of the negatives ``(K,)`` of a batch."""
        device = self.counts.device
        if not self.summed:
            self._sum()
        if not self.popularity:
            return torch.randint(1, self.num_items + 1, (self.negatives,), device=device)
        drawn = torch.rand(self.negatives, device=device)
        return torch.searchsorted(self.cumulative, drawn).clamp(1, self.num_items)

    def _log_expected(self, items: Tensor) -> Tensor:
        """Log of how often each item is expected among those drawn."""
        if not self.popularity:
            expected = math.log(self.negatives / self.num_items)
            return torch.full(items.shape, expected, device=items.device)
        share = self.cumulative[items] - self.cumulative[items - 1]
        return (share * self.negatives).clamp_min(1e-9).log()

    def _sampled_softmax(
        self,
        model: VectorRecommender,
        own: Tensor,
        scores: Tensor,
        items: Tensor,
        positives: Positives,
    ) -> Tensor:
        log_q = self._log_expected(items)
        if self.in_batch:
            targets = positives.targets
            share = self.counts[targets] / self.total
            items = torch.cat([items, targets])
            log_q = torch.cat([log_q, (share * len(targets)).clamp_min(1e-9).log()])
            scores = torch.cat([scores, model.scores(positives.queries, targets).float()], 1)
        scores = (scores - log_q)[positives.rows]
        scores = scores.masked_fill(items == positives.targets[:, None], -torch.inf)
        return (torch.logaddexp(own, scores.logsumexp(1)) - own).sum()

    def _gbce(self, own: Tensor, scores: Tensor, positives: Positives) -> Tensor:
        share = self.negatives / self.num_items
        beta = share * (self.calibration * (1 - 1 / share) + 1 / share)
        against = F.softplus(scores).sum(1)[positives.rows]
        return (beta * F.softplus(-own) + against).sum()
