"""Logistic regression that bends numbers and knows pairs of columns: a lot from few positives.

Generalised additive models with pairwise interactions (GA2M, Lou et al. 2013) add up a curve for
each column and a surface for each two. Here a curve is a straight line with small bends at
quantiles, and a surface is the product of two columns; levels have a weight each. How far each kind
of weight may go is a normal prior, so rare levels stay near zero and nothing has to be selected.
The fit is convex: no seed, no epochs, one answer. Where a hundred customers in a hundred thousand
are sought, deep networks and trees have nothing to hold on to; a hundred products with a prior do.

The design is held in memory: meant for up to a million rows and some dozens of columns.
Shapes: N rows of training, B rows, F numbers, C categories, L levels of all, T bins, K classes,
U what takes part in pairs: numbers, and a one for each level of the columns that have few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csc_matrix, csr_matrix, hstack
from torch import Tensor, nn

from marketorch.models.tables.features import starts
from marketorch.models.tables.logistic import coefficients, one_hot
from marketorch.models.tables.number_embeddings import PiecewiseLinear


class PairwiseLogistic(nn.Module):
    """Logits ``(B, K)`` of scaled numbers ``(B, F)`` and levels ``(B, C)``.

    Fitted, not trained: it has no parameters.

    Args:
        num_numbers, level_counts, num_classes: F, the levels of each category, K.
        bins: T, pieces of a number's curve.
        line, bend, level, pair: standard deviation, in log-odds, of the prior of a slope, of a
            bend, of the weight of a level and of the weight of a pair; 0: none of them.
        paired_levels: categories of at most so many levels take part in pairs.
        max_iter: iterations of the solver.
    """

    offsets: Tensor
    hot: Tensor
    slopes: Tensor
    bends: Tensor
    levels: Tensor
    pairs: Tensor
    bias: Tensor

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        num_classes: int,
        bins: int = 20,
        line: float = 1.0,
        bend: float = 0.5,
        level: float = 1.0,
        pair: float = 0.2,
        paired_levels: int = 8,
        max_iter: int = 1000,
    ) -> None:
        super().__init__()
        self.scales, self.max_iter = (line, bend, level, pair), max_iter
        self.num_levels = sum(level_counts)
        own = torch.arange(len(level_counts)).repeat_interleave(torch.tensor(level_counts).long())
        few = torch.tensor([count <= paired_levels for count in level_counts], dtype=torch.bool)
        hot = few[own].nonzero()[:, 0]
        column = torch.cat([torch.arange(num_numbers), num_numbers + own[hot]])
        self.first, self.second = torch.triu_indices(len(column), len(column), 1)
        random_scales = column[self.first] != column[self.second]  # levels of one column never meet
        self.first, self.second = self.first[random_scales], self.second[random_scales]
        self.pieces = PiecewiseLinear(num_numbers, bins)
        self.register_buffer("offsets", starts(level_counts), persistent=False)
        self.register_buffer("hot", hot, persistent=False)
        self.register_buffer("slopes", torch.zeros(num_classes, num_numbers))
        self.register_buffer("bends", torch.zeros(num_classes, num_numbers * bins))
        self.register_buffer("levels", torch.zeros(num_classes, self.num_levels))
        self.register_buffer("pairs", torch.zeros(num_classes, len(column), len(column)))
        self.register_buffer("bias", torch.zeros(num_classes))

    # -- fitting ------------------------------------------------------------------------------

    def fit(self, train: Any) -> None:
        """Finds the most probable weights given the labelled rows of ``train``."""
        from sklearn.linear_model import LogisticRegression  # seconds, which only a fit costs

        known = train.labels >= 0
        numbers, categories = train.numbers[known], train.categories[known]
        self.pieces.fit(numbers)
        design, scales = self._design(numbers, categories)
        model = LogisticRegression(C=1.0, max_iter=self.max_iter)
        model.fit(design.astype(np.float64), train.labels[known].numpy())
        weight, self.bias = coefficients(model, len(self.bias))
        sizes = [self.slopes.shape[1], self.bends.shape[1], self.num_levels, len(self.first)]
        parts = (weight * torch.from_numpy(scales)).split(sizes, dim=1)
        self.slopes, self.bends, self.levels = (part.contiguous() for part in parts[:3])
        self.pairs = torch.zeros_like(self.pairs)
        self.pairs[:, self.first, self.second] = parts[3]

    def _design(self, numbers: Tensor, categories: Tensor) -> tuple[csr_matrix, np.ndarray]:
        """What the logits are linear in ``(N, columns)``, each column scaled, and the scales."""
        levels = one_hot(categories + self.offsets, self.num_levels)
        hot = levels[:, self.hot.numpy()]
        meeting = hstack([csr_matrix(numbers.numpy()), hot], "csc")
        curves = csr_matrix(self.pieces(numbers).flatten(1).numpy())
        parts = [csr_matrix(numbers.numpy()), curves, levels, self._products(meeting)]
        widths = [part.shape[1] for part in parts]
        scaled = [scale * part for scale, part in zip(self.scales, parts, strict=True)]
        return hstack(scaled, "csr"), np.repeat(np.array(self.scales, np.float32), widths)

    def _products(self, meeting: csc_matrix) -> csc_matrix:
        """The columns of ``(N, U)`` two by two."""
        if not len(self.first):
            return csc_matrix((meeting.shape[0], 0), dtype=np.float32)
        chosen, counts = self.first.unique_consecutive(return_counts=True)
        others = self.second.split(counts.tolist())
        products = [
            meeting[:, places.numpy()].multiply(meeting[:, [int(one)]]).tocsc()
            for one, places in zip(chosen, others, strict=True)
        ]
        return hstack(products, "csc")

    # -- use ----------------------------------------------------------------------------------

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        places = categories + self.offsets
        ones = numbers.new_zeros(len(numbers), self.num_levels).scatter_(1, places, 1.0)
        meeting = torch.cat([numbers, ones[:, self.hot]], dim=1)
        logits = F.linear(numbers, self.slopes, self.bias) + F.linear(ones, self.levels)
        logits = logits + F.linear(self.pieces(numbers).flatten(1), self.bends)
        return logits + torch.einsum("bu,kuv,bv->bk", meeting, self.pairs, meeting)
