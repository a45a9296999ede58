"""Why a customer scores as they do: what the log-odds lose without what one column says.

Without means: as most customers have it, the median of a number and the most frequent level of a
category (ablation, column by column). What was one column in the table is ablated as one, whatever
tensors it became. Columns that say the same thing share what they explain, so a reason that is
missing is no proof of anything; and a reason is the model's, not the world's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

AT_ONCE = 8192  # customers a question
FAINT = 1e-3  # log-odds

LogOdds = Callable[[Tensor, Tensor, Tensor], Tensor]


def ablate_columns(
    log_odds: LogOdds,
    numbers: Tensor,
    categories: Tensor,
    labels: Tensor,
    typical: tuple[Tensor, Tensor],
    sources: Sequence[str],
) -> tuple[Tensor, list[str]]:
    """What each column of the table adds to the log-odds of each customer.

    Args:
        log_odds: from numbers ``(B, F)``, categories ``(B, C)`` and labels ``(B,)`` to ``(B,)``.
        numbers, categories: of the customers ``(N, F)`` and ``(N, C)``.
        labels: the class that is explained ``(N,)``.
        typical: what most customers have, ``(F,)`` and ``(C,)``.
        sources: the column that each number, and then each category, comes from ``(F + C,)``.

    Returns:
        Weights ``(N, P)`` and the P columns.
    """

    def answer(numbers: Tensor, categories: Tensor) -> Tensor:
        parts = zip(*(t.split(AT_ONCE) for t in (numbers, categories, labels)), strict=True)
        return torch.cat([log_odds(*part) for part in parts])

    columns = list(dict.fromkeys(sources))
    of_numbers, of_categories = sources[: numbers.shape[1]], sources[numbers.shape[1] :]
    whole, found = answer(numbers, categories), []
    for name in columns:
        usual = answer(
            replaced(numbers, typical[0], [source == name for source in of_numbers]),
            replaced(categories, typical[1], [source == name for source in of_categories]),
        )
        found.append(whole - usual)
    return torch.stack(found, 1), columns


def replaced(values: Tensor, usual: Tensor, where: Sequence[bool]) -> Tensor:
    """Values ``(N, F)`` with the usual ones ``(F,)`` in the columns that ``where (F,)`` names."""
    return torch.where(torch.tensor(where, dtype=torch.bool), usual.to(values.dtype), values)


def rank_columns(
    weights: Tensor, columns: Sequence[str], value: Callable[[int, str], Any], number: int
) -> list[list[dict[str, Any]]]:
    """The columns of the largest weights ``(N, P)`` of each customer, the strongest first.

    Args:
        value: what stands in a customer's column.
        number: of reasons, at most; faint ones are left out.
    """
    best = weights.abs().topk(min(number, weights.shape[1]), 1)
    return [
        [
            {
                "column": columns[place],
                "value": value(customer, columns[place]),
                "weight": round(float(weights[customer, place]), 4),
            }
            for strength, place in zip(strengths, places, strict=True)
            if strength > FAINT
        ]
        for customer, (strengths, places) in enumerate(
            zip(best.values.tolist(), best.indices.tolist(), strict=True)
        )
    ]
