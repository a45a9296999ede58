"""Cutting a data set: stratified, seeded, and keeping together what belongs together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from marketorch.errors import DataError

UNLABELLED = -1


def stratified_cut(
    rows: Sequence[int],
    labels: Sequence[str] | None,
    fraction: float,
    *,
    block: int = 1,
    seed: int = 0,
) -> tuple[list[int], list[int]]:
    """Cuts ``rows`` into (kept, cut) with about the same class shares.

    Args:
        labels: of each row; None cuts without regard to classes.
        fraction: share to cut.
        block: so many neighbours of one class stay on one side.

    Raises:
        ValueError: a class has too few rows to stand on both sides.
    """
    from sklearn.model_selection import train_test_split  # seconds, which few data sets cost

    own = dict(zip(rows, labels, strict=True)) if labels else None
    blocks = _blocks(rows, own, block)
    strata = [own[block_rows[0]] for block_rows in blocks] if own else None
    size = max(1, round(fraction * len(blocks)))
    kept, cut = train_test_split(blocks, test_size=size, stratify=strata, random_state=seed)
    return list(itertools.chain.from_iterable(kept)), list(itertools.chain.from_iterable(cut))


def _blocks(rows: Sequence[int], labels: dict[int, str] | None, size: int) -> list[list[int]]:
    """Runs of at most ``size`` neighbouring rows of one class."""
    blocks: list[list[int]] = []
    for row in rows:
        last = blocks[-1] if blocks else []
        if last and len(last) < size and (not labels or labels[row] == labels[last[0]]):
            last.append(row)
        else:
            blocks.append([row])
    return blocks


def evenly_spaced(total: int, number: int) -> Tensor:
    """At most ``number`` of the positions below ``total``, from first to last, int64.

    In whole numbers: `torch.linspace` rounds by processor, and to cut that off moves a position.
    """
    number = min(number, total)
    return torch.arange(number) * (total - 1) // max(number - 1, 1)


def keep_labels(labels: Tensor, number: int, seed: int) -> Tensor:
    """Hides all but ``number`` of the labels ``(N,)``, stratified by class.

    Raises:
        DataError: a class has too few labels for that.
    """
    if number >= len(labels):
        return labels
    from sklearn.model_selection import train_test_split

    try:
        kept, _ = train_test_split(
            range(len(labels)), train_size=number, stratify=labels.numpy(), random_state=seed
        )
    except ValueError as error:
        raise DataError(
            f"data.num_labelled is {number}; cannot choose so many of {len(labels):,} labels, "
            f"stratified: {error}"
        ) from error
    hidden = torch.full_like(labels, UNLABELLED)
    hidden[kept] = labels[kept]
    return hidden
