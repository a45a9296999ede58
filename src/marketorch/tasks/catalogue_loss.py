"""Losses of recommenders: one item against a catalogue, all of it or a sample.

Every loss takes what a batch teaches (`Positives`) and returns a sum over the positives. Shapes:
Q queries, P positives, K negatives, N catalogue, D width.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.data.ragged import PAD, Ragged
from marketorch.models.recommender import Positives, VectorRecommender

CHUNK = 512


class FullSoftmax(nn.Module):
    """Cross-entropy over the whole catalogue, exact."""

    def __init__(self, num_items: int) -> None:
        super().__init__()

    def fit(self, histories: Ragged) -> None:
        """Nothing to count."""

    def forward(self, model: VectorRecommender, positives: Positives) -> Tensor:
        """Sum of −log p(target) over the positives."""
        weight, bias = model.catalogue()
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        loss: Tensor = _Softmax.apply(
            positives.queries, weight, bias, positives.rows, positives.targets
        )
        return loss


class _Softmax(torch.autograd.Function):
    """Cross-entropy of ``queries @ weight.T + bias`` without ever holding all of its scores.

    The gradient is worked out beside the loss, a chunk of queries at a time: a third of the memory
    traffic of `torch.nn.functional.cross_entropy` and memory that does not grow with the batch.
    """

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, weight: Tensor, bias: Tensor, rows: Tensor, targets: Tensor
    ) -> Tensor:
        loss = queries.new_zeros((), dtype=torch.float32)
        d_queries, d_weight = torch.empty_like(queries), torch.zeros_like(weight)
        d_bias = torch.zeros_like(bias)
        counts = torch.bincount(rows, minlength=len(queries)).float()
        bounds = torch.searchsorted(rows, torch.arange(0, len(queries) + CHUNK, CHUNK).to(rows))
        for number, (first, last) in enumerate(itertools.pairwise(bounds.tolist())):
            part = slice(number * CHUNK, (number + 1) * CHUNK)
            own, target = rows[first:last] - number * CHUNK, targets[first:last]
            scores = F.linear(queries[part], weight, bias).float()
            scores[:, PAD] = -torch.inf
            total = scores.logsumexp(1)
            loss += (total[own] - scores[own, target]).sum()
            slope = scores.sub_(total[:, None]).exp_().mul_(counts[part, None])
            slope.index_put_((own, target), slope.new_tensor(-1.0), accumulate=True)
            d_queries[part] = slope.to(weight.dtype) @ weight
            d_weight += (slope.T.to(queries.dtype) @ queries[part]).to(weight.dtype)
            d_bias += slope.sum(0)
        ctx.save_for_backward(d_queries, d_weight, d_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        d_queries, d_weight, d_bias = ctx.saved_tensors
        return d_queries * grad, d_weight * grad, d_bias * grad, None, None
