"""Columns that tell the target by themselves: often written down after it, and never known before.

Each column is asked alone, on rows of train: shares of the classes in its levels, or in bins of its
numbers, are counted on one half and rank the other half. A column that ranks it nearly perfectly is
suspicious, and so is a level in which nearly all rows are of one class. Neither proves a leak; both
are worth a look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from marketorch.console import say
from marketorch.data.reading import some
from marketorch.data.tables.columns import Column, parse
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.data.tables.dates import date_part
from marketorch.errors import DataError

SUSPICIOUS = 0.9  # AUROC of one column alone
PURE, SUPPORT, LEAST = 0.99, 0.005, 100  # of a level: share of one class; share of rows; rows
COMMON = 0.5  # levels of a class that is as frequent as this anyway are often pure
NUM_ROWS, NUM_BINS = 100_000, 50


@dataclass(frozen=True)
class Leak:
    """A column that tells the target suspiciously well, and how that shows."""

    column: str
    why: str


def report_leaks(train: CustomerDataset, columns: Sequence[Column], how: str) -> list[Leak]:
    """Looks for leaks and says what it finds.

    Args:
        how: ``warn``, ``error`` or ``ignore``.

    Raises:
        DataError: there is one, and ``how`` is ``error``.
    """
    if how == "ignore":
        return []
    leaks = find_leaks(train, columns)
    if leaks:
        names = ", ".join(leak.column for leak in leaks)
        found = some((f"{leak.column} ({leak.why})" for leak in leaks), 10)
        message = (
            f"These columns tell the target by themselves: {found}. If they are known only after "
            f"it, leave them out: data.drop=[{names}]."
        )
        if how == "error":
            raise DataError(f"{train.files[0][0]}: {message} data.leaks=ignore keeps them.")
        say(f"{message} If they are known before, data.leaks=ignore keeps quiet.")
    return leaks


def find_leaks(train: CustomerDataset, columns: Sequence[Column], seed: int = 0) -> list[Leak]:
    """Columns that tell the classes of ``train``, which has labels."""
    assert train.labels is not None
    draw = np.random.default_rng(seed)
    rows = draw.permutation(len(train))[:NUM_ROWS]
    sample = train.select(np.sort(rows))
    assert sample.labels is not None
    labels, half = sample.labels.numpy(), draw.random(len(rows)) < 0.5
    leaks = []
    for column in columns:
        values = parse(sample.cells(column.name), column)
        why = _ranks(_bins(values, column), labels, half) or _is_pure(values, labels, column)
        if why:
            leaks.append(Leak(column.name, why))
    return leaks


def _bins(values: np.ndarray, column: Column) -> np.ndarray:
    """Levels, or bins of numbers, with 0 where a value is missing ``(N,)``.

    A number that many rows share is a bin of its own.
    """
    if column.kind not in ("number", "date"):
        return values
    numbers = date_part(values, "days") if column.kind == "date" else values
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return np.zeros(len(numbers), np.int64)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, NUM_BINS + 1), method="nearest"))
    codes = np.searchsorted(edges, numbers, "left") + np.searchsorted(edges, numbers, "right")
    return np.where(np.isnan(numbers), 0, codes)


def _ranks(codes: np.ndarray, labels: np.ndarray, half: np.ndarray) -> str:
    """How well shares counted on one half rank the other; empty if not suspiciously well."""
    from sklearn.metrics import roc_auc_score  # seconds, which data that are not asked do not cost

    found, size = np.unique(labels), int(codes.max()) + 1
    best = 0.0
    for label in found[1:] if len(found) == 2 else found:
        hits = labels == label
        if not 0 < hits[~half].sum() < (~half).sum():
            continue
        counts = np.bincount(codes[half], minlength=size)
        positive = np.bincount(codes[half], weights=hits[half], minlength=size)
        share = (positive + hits.mean()) / (counts + 1)
        best = max(best, float(roc_auc_score(hits[~half], share[codes[~half]])))
    return f"AUROC {best:.3f}" if best >= SUSPICIOUS else ""


def _is_pure(values: np.ndarray, labels: np.ndarray, column: Column) -> str:
    """A large level, or sign of numbers, that is of one rare class; empty if there is none."""
    codes, names = values, ["a missing value", *(f"'{level}'" for level in column.levels)]
    if column.kind == "date":
        codes, names = (~np.isnat(values)).astype(np.int64), ["no date", "any date"]
    elif column.kind == "number":
        codes = np.nan_to_num(np.sign(values) + 2).astype(np.int64)
        names = ["a missing value", "a negative number", "0", "a positive number"]
    size = labels.max() + 1
    table = np.bincount(codes * size + labels, minlength=len(names) * size).reshape(-1, size)
    rows, overall = table.sum(1), table.sum(0) / table.sum()
    shares = table / np.maximum(rows, 1)[:, None]
    large = rows >= max(LEAST, SUPPORT * len(codes))
    pure = np.argwhere(large[:, None] & (shares >= PURE) & (overall <= COMMON))
    if not len(pure):
        return ""
    code, label = pure[0]
    share = shares[code, label]
    return f"{names[code]} means one class in {share:.1%} of {int(rows[code]):,} rows"
