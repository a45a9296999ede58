"""Rows of a table as models see them, encoded already, small enough to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Rows:
    """What the models read of encoded customers."""

    numbers: Tensor
    categories: Tensor
    labels: Tensor


def rows(
    number: int,
    *,
    num_numbers: int = 3,
    level_counts: Sequence[int] = (4, 3),
    num_classes: int = 2,
    seed: int = 0,
    missing: float = 0.0,
) -> Rows:
    """Random rows whose class hangs on the columns, noisily; a share of the numbers is NaN."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(number, num_numbers, generator=generator)
    levels = [torch.randint(0, count, (number,), generator=generator) for count in level_counts]
    categories = torch.stack(levels, 1) if levels else torch.zeros(number, 0, dtype=torch.int64)
    score = numbers[:, :2].sum(1) + (categories[:, :2] % 2).sum(1) - 0.5 * len(level_counts[:2])
    score = score + 0.3 * torch.randn(number, generator=generator)
    labels = (score > torch.linspace(-1, 1, num_classes + 1)[1:-1, None]).sum(0)
    numbers[torch.rand(numbers.shape, generator=generator) < missing] = torch.nan
    return Rows(numbers, categories.int(), labels)
