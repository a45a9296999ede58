"""TabM: an ensemble of networks on a table that share nearly all of their weights.

Gorishniy et al. 2024, "TabM: Advancing tabular deep learning with parameter-efficient ensembling".
M members see each row at once. A layer's matrix is common to all; each member scales what goes into
it and what comes out by vectors of its own (BatchEnsemble, Wen et al. 2020) and has a head and a
loss of its own. ``mini`` keeps only the scale at the input, in which members differ most. As the
matrix is common, all members of a batch go through it in one product. Members come first inside,
so that nothing has to be copied for the heads, and their scales are of the activations' precision.

On a CPU, products take half of the time of ``mini``, activations in and out of memory the rest.
Shapes: B rows, M members, D width, F numbers, C categories, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from marketorch.errors import ConfigError, check_choice
from marketorch.models.blocks.transformer import PositionDropout
from marketorch.models.tables.features import TableFeatures
from marketorch.models.tables.mlp import perceptron

VARIANTS = ("tabm", "mini")


class SharedLinear(nn.Module):
    """One matrix for all members, between scales and beside biases of their own.

    Args:
        inside, outside: widths before and after.
        members: M.
    """

    def __init__(self, inside: int, outside: int, members: int) -> None:
        super().__init__()
        self.shared = nn.Linear(inside, outside, bias=False)
        self.before_adapter = nn.Parameter(torch.ones(members, inside))
        self.after_adapter = nn.Parameter(torch.ones(members, outside))
        bias = nn.init.uniform_(torch.empty(outside), -(inside**-0.5), inside**-0.5)
        self.bias_adapter = nn.Parameter(bias.repeat(members, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(1 or M, B, inside)`` to ``(M, B, outside)``."""
        y = self.shared(scaled(x, self.before_adapter))
        bias, after = (own[:, None].to(y.dtype) for own in (self.bias_adapter, self.after_adapter))
        return torch.addcmul(bias, y, after)


class MemberHeads(nn.Module):
    """A linear head a member: ``(M, B, D)`` to logits ``(B, M, K)``."""

    def __init__(self, members: int, dim: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, dim, num_classes))
        self.bias = nn.Parameter(torch.empty(members, num_classes))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -(dim**-0.5), dim**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return torch.bmm(x, self.weight).transpose(0, 1) + self.bias


class TabM(nn.Module):
    """Classifies rows of numbers ``(B, F)`` and levels ``(B, C)``; logits ``(B, M, K)``.

    Names of what a member has to itself, heads apart, end in ``adapter``; decay pulls scales from
    one to zero, so leave them out: ``optim.no_decay=[adapter]``.

    Args:
        num_numbers, level_counts, num_classes: F, the levels of each category, K.
        members: M.
        variant: ``tabm`` (scales around each layer) or ``mini`` (one scale, at the input).
        width, depth: of the hidden layers.
        dropout: after each of them.
        signs: members begin with a random sign for each column instead of a normal number.
        number_dim, bins, one_hot, max_dim: how columns are embedded, see `TableFeatures`.
    """

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        num_classes: int,
        members: int = 32,
        variant: str = "mini",
        width: int = 128,
        depth: int = 2,
        dropout: float = 0.1,
        signs: bool = False,
        number_dim: int = 16,
        bins: int = 128,
        one_hot: int = 64,
        max_dim: int = 32,
    ) -> None:
        super().__init__()
        check_choice("model.variant", variant, VARIANTS, ConfigError)
        self.features = TableFeatures(
            num_numbers=num_numbers,
            level_counts=level_counts,
            number_dim=number_dim,
            bins=bins,
            one_hot=one_hot,
            max_dim=max_dim,
        )
        self.num_members = members
        inside = self.features.out_features
        start = random_scales(members, self.features.widths, signs)
        self.input_adapter: nn.Parameter | None = None
        if variant == "mini":
            self.input_adapter = nn.Parameter(start)
            self.network = perceptron(inside, width, depth, dropout)
        else:
            self.network = shared_perceptron(inside, width, depth, dropout, members)
            self.network[0].before_adapter = nn.Parameter(start)
        self.head = MemberHeads(members, width, num_classes)

    def fit(self, train: Any) -> None:
        """Places the bins of numbers by the training rows."""
        self.features.fit(train)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits ``(B, M, K)``."""
        x = self.features(numbers, categories)[None]
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        if self.input_adapter is not None:
            x = scaled(x, self.input_adapter)
        logits: Tensor = self.head(self.network(x))
        return logits


def scaled(x: Tensor, adapter: Tensor) -> Tensor:
    """``(1 or M, B, D)`` times the members' scales ``(M, D)``, in the precision of ``x``."""
    return x * adapter[:, None].to(x.dtype)


def shared_perceptron(
    inside: int, width: int, depth: int, dropout: float, members: int
) -> nn.Sequential:
    """``depth`` layers of ReLU units, each with dropout, as `perceptron`, of all members."""
    layers: list[nn.Module] = []
    for number in range(depth):
        layers.append(SharedLinear(width if number else inside, width, members))
        layers += [nn.ReLU(inplace=True), PositionDropout(dropout)]
    return nn.Sequential(*layers)


def random_scales(members: int, widths: Sequence[int], signs: bool) -> Tensor:
    """Random scales ``(M, sum of widths)``, the same for all that tells of one column."""
    drawn = torch.randn(members, len(widths))
    if signs:
        drawn = torch.where(drawn < 0, -1.0, 1.0)
    return drawn.repeat_interleave(torch.tensor(widths, dtype=torch.int64), dim=1)
