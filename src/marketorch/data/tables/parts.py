"""Which rows of a customer table train, validate and test: drawn at random, by group, or by time.

Every function takes and returns one number a row, so tables of ten million rows are cut in seconds.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from marketorch.data.events.protocols import TEST, TRAIN, VALIDATION
from marketorch.data.labelled import split_name
from marketorch.data.reading import some
from marketorch.errors import DataError

PARTS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
Shares = dict[str, float]


def random_parts(
    strata: np.ndarray,
    shares: Shares,
    seed: int,
    *,
    groups: np.ndarray | None = None,
    folds: int | None = None,
    fold: int = 0,
) -> np.ndarray:
    """Parts ``(N,)`` with about the same shares of classes.

    Args:
        strata: class of each row ``(N,)``.
        shares: to cut for ``test``, and for ``validation`` of what is left.
        groups: code of each row's group ``(N,)``: rows of one group stay together.
        folds, fold: the test rows are the ``fold``-th of so many parts, instead of a share.

    Raises:
        DataError: a class has too few rows to be everywhere.
    """
    if groups is not None:
        units, owner = np.unique(groups, return_inverse=True)
        own = np.zeros(len(units), strata.dtype)
        np.maximum.at(own, owner, strata)
        return random_parts(own, shares, seed, folds=folds, fold=fold)[owner]
    parts = np.full(len(strata), TRAIN, np.int8)
    if folds:
        parts[_fold(strata, folds, fold, seed)] = TEST
    elif shares.get("test"):
        parts[_cut(np.arange(len(strata)), strata, shares["test"], seed, "test")] = TEST
    if shares.get("validation"):
        rest = np.flatnonzero(parts == TRAIN)
        parts[_cut(rest, strata, shares["validation"], seed, "validation")] = VALIDATION
    return parts


def _cut(rows: np.ndarray, strata: np.ndarray, share: float, seed: int, name: str) -> np.ndarray:
    """Draws a share of rows from each class."""
    size = max(1, round(share * len(rows)))
    try:
        return drawn(rows, strata[rows], size, seed)
    except ValueError as error:
        counts = np.unique(strata[rows], return_counts=True)[1].tolist()
        raise DataError(
            f"cannot cut a stratified {name} split from {len(rows):,} rows, {some(counts)} of a "
            f"class: {error} Merge or drop the rarest class, add rows of it, or change "
            f"data.{name}_fraction."
        ) from error


def drawn(rows: np.ndarray, strata: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Draws so many of the rows ``(N,)``, with the shares of their strata ``(N,)``, in order.

    Raises:
        ValueError: a class has too few rows to be on both sides.
    """
    from sklearn.model_selection import train_test_split  # seconds, which few data sets cost

    _, cut = train_test_split(rows, test_size=number, stratify=strata, random_state=seed)
    return np.sort(cut)


def limited(rows: np.ndarray, strata: np.ndarray, number: int | None, seed: int) -> np.ndarray:
    """So many of the rows ``(N,)``, stratified; all of them where there are no more.

    Raises:
        DataError: they are too few for every class.
    """
    if number is None or number >= len(rows):
        return rows
    try:
        return drawn(rows, strata, number, seed)
    except ValueError as error:
        raise DataError(
            f"data.num_train is {number}; cannot choose so many of {len(rows):,} training rows, "
            f"stratified: {error}"
        ) from error


def _fold(strata: np.ndarray, folds: int, fold: int, seed: int) -> np.ndarray:
    """Rows of one of the folds."""
    if not 0 <= fold < folds:
        raise DataError(f"data.fold is {fold}; expected 0 to {folds - 1} (data.folds={folds}).")
    least = int(np.bincount(strata - strata.min()).max()) if len(strata) else 0
    if folds < 2 or folds > least:
        raise DataError(f"data.folds is {folds}; expected 2 or more, and no more than {least:,}.")
    from sklearn.model_selection import StratifiedKFold

    cutter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    tests = (test for _, test in cutter.split(np.zeros(len(strata)), strata))
    chosen: np.ndarray = next(test for i, test in enumerate(tests) if i == fold)
    return chosen


def parts_by_time(times: np.ndarray, shares: Shares) -> np.ndarray:
    """Parts ``(N,)``: the latest rows test, the ones before validate; equal times stay together.

    Raises:
        DataError: too few different times to cut.
    """
    parts = np.full(len(times), TRAIN, np.int8)
    for name in ("test", "validation"):
        rest = np.flatnonzero(parts == TRAIN)
        if not shares.get(name):
            continue
        own = np.sort(times[rest])
        cut = own[min(int(len(own) * (1 - shares[name])), len(own) - 1)]
        late = rest[times[rest] >= cut]
        if len(late) == len(rest):
            raise DataError(
                f"data.time: no row is before {cut}, so nothing would be left to train on; "
                f"change data.{name}_fraction."
            )
        parts[late] = PARTS[name]
    return parts


def parts_by_column(names: pa.Array, codes: np.ndarray, column: str) -> np.ndarray:
    """Parts ``(N,)`` that a column says; -1 for what is none of the three.

    Args:
        names: its different words ``(D,)``.
        codes: place of each row's word ``(N,)``.
    """
    known = [PARTS.get(split_name(name), -1) for name in names.to_pylist()]
    if TRAIN not in known:
        raise DataError(f"column '{column}' has no 'train' rows; found {some(names.to_pylist())}.")
    return np.array([*known, -1], np.int8)[codes]
