"""Numbers as networks read them best: a vector for each, bent at quantiles of the training rows.

A number that enters a network as it is can only be weighed. Piecewise-linear encoding (Gorishniy
et al. 2022, "On embeddings for numerical features in tabular deep learning") tells how far it lies
in each of T bins between quantiles, so that a linear map of that bends wherever the data are, as a
tree may cut there. The embedding adds such a map to a straight one and begins straight.

A value that many rows share uses up one bin here, not as many as it fills: nine tenths of the
capital gains in Adult are zero, and bins of equal counts leave four of 48 for all others.

A number that is missing comes as 0, the median of scaled numbers, with a column of its own that
says so; a column of zeros and ones has one bin, a constant one has none.
Shapes: N rows of training, B rows, F columns, T bins, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from marketorch.data.cuts import evenly_spaced
from marketorch.errors import ConfigError

SAMPLE = 200_000  # rows that quantiles are taken from
CAPPINGS = 20  # times that frequent values are held down to a bin of what is then left
NARROWEST = 1e-4  # narrower bins than this would make steps of rounding errors


class PiecewiseLinear(nn.Module):
    """How far each number lies in each bin of its column: ``(B, F)`` to ``(B, F, T)``.

    A bin below the number counts 1, one above it 0. The first and the last bin of a column have no
    outer bound: below 0 and above 1 the encoding goes on in a straight line. Where a column has
    fewer bins than T, the others are 0.

    Args:
        num_numbers: F.
        bins: T; quantiles that coincide leave a column with fewer.
    """

    edges: Tensor

    def __init__(self, num_numbers: int, bins: int) -> None:
        super().__init__()
        if bins < 1:
            raise ConfigError(f"There cannot be {bins} bins of numbers; expected at least 1.")
        # Rising, (F, T + 1); after the last edge of a column it repeats.
        self.register_buffer("edges", torch.zeros(num_numbers, bins + 1))

    def fit(self, numbers: Tensor) -> None:
        """Places the edges of each column by its values in the rows of ``(N, F)``."""
        rows = evenly_spaced(len(numbers), SAMPLE)
        for column, edges in zip(numbers.T, self.edges, strict=True):
            own = quantile_edges(column[rows], len(edges) - 1)
            edges.copy_(torch.cat([own, own[-1:].expand(len(edges) - len(own))]))

    def forward(self, numbers: Tensor) -> Tensor:
        """Encodes."""
        left, width = self.edges[:, :-1], self.edges.diff(dim=1)
        real = width > 0
        scale = real / width.where(real, 1)
        first = real & (left == self.edges[:, :1])
        last = real & (self.edges[:, 1:] == self.edges[:, -1:])
        low, high = first.new_zeros(first.shape).float(), real.float()
        low, high = low.masked_fill(first, -torch.inf), high.masked_fill(last, torch.inf)
        return torch.addcmul(-left * scale, numbers[..., None], scale).clamp(low, high)


def quantile_edges(values: Tensor, bins: int) -> Tensor:
    """Edges ``(at most bins + 1,)`` between which there are about as many ``values (N,)``.

    A value that many rows share counts no more than a bin of the others: nine tenths of zeros take
    one edge, not nine tenths of them. Few different values are an edge each.
    """
    edges, counts = torch.unique(values, return_counts=True)
    if len(edges) > bins + 1:
        weights = counts.double()
        for _ in range(CAPPINGS):
            weights = weights.clamp_max(float(weights.sum()) / bins)
        places = (weights.cumsum(0) - weights / 2) / weights.sum()
        # Exact, as ties are frequent: the last bit of `linspace` depends on the processor.
        shares = torch.arange(1, bins, dtype=torch.float64) / bins
        inner = torch.searchsorted(places, shares)
        edges = torch.cat([edges[:1], edges[inner], edges[-1:]])
    return edges[edges.diff(prepend=edges[:1] - 1) > NARROWEST]


class NumberEmbeddings(nn.Module):
    """A vector for each number, ``(B, F)`` to ``(B, F, D)``: straight, and bent where bins end.

    Args:
        num_numbers: F.
        dim: D.
        bins: T, see `PiecewiseLinear`; 0: nothing is bent.
    """

    def __init__(self, num_numbers: int, dim: int, bins: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_numbers, dim))
        self.bias = nn.Parameter(torch.empty(num_numbers, dim))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -(dim**-0.5), dim**-0.5)
        self.pieces: PiecewiseLinear | None = None
        if bins:
            self.pieces = PiecewiseLinear(num_numbers, bins)
            self.bends = nn.Parameter(torch.zeros(num_numbers, bins, dim))

    def fit(self, numbers: Tensor) -> None:
        """Places the bins by the training rows ``(N, F)``."""
        if self.pieces is not None:
            self.pieces.fit(numbers)

    def forward(self, numbers: Tensor) -> Tensor:
        """Embeds."""
        straight = torch.addcmul(self.bias, numbers[..., None], self.weight)
        if self.pieces is None:
            return straight
        return straight + torch.einsum("bft,ftd->bfd", self.pieces(numbers), self.bends)
