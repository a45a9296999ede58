"""Cuts rows into train, validation and test: at random, by group, by time, or as a column says.

Every function takes and returns one number a row, so ten million rows are cut in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.reading import some
from marketorch.errors import DataError

TRAIN, VALIDATION, TEST = 0, 1, 2
PARTS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
SPELLINGS = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "publictest": "validation",  # these two as Kaggle writes them in FER2013
    "privatetest": "test",
}
UNLABELLED = -1
Shares = dict[str, float]
Words = tuple[Sequence[str], np.ndarray]
"""Different words ``(D,)``, and the place of each row's word among them ``(N,)``."""


def split_name(name: str) -> str:
    """The split that a file's word for it means; any other word as it is."""
    return SPELLINGS.get(name.lower(), name.lower() if name.lower() in PARTS else name)


def random_parts(
    strata: np.ndarray,
    shares: Shares,
    seed: int,
    *,
    names: Sequence[str] = (),
    groups: np.ndarray | None = None,
    folds: int | None = None,
    fold: int = 0,
    lenient: bool = False,
) -> np.ndarray:
    """Parts ``(N,)`` with about the same shares of classes.

    Args:
        strata: class of each row ``(N,)``; rows of one class only are drawn without regard to it.
        shares: to cut for ``test``, and for ``validation`` of what is left.
        names: of the classes, for messages.
        groups: code of each row's group ``(N,)``: rows of one group stay together, and count as
            the last of their classes.
        folds, fold: the test rows are the ``fold``-th of so many parts, instead of a share.
        lenient: where a class has too few rows to be everywhere, cut without regard to classes.

    Raises:
        DataError: a class has too few rows to be everywhere.
    """
    if groups is not None:
        units, owner = np.unique(groups, return_inverse=True)
        own = np.zeros(len(units), strata.dtype)
        np.maximum.at(own, owner, strata)
        how: dict[str, Any] = {"folds": folds, "fold": fold, "lenient": lenient}
        return random_parts(own, shares, seed, names=names, **how)[owner]
    parts = np.full(len(strata), TRAIN, np.int8)
    if folds:
        parts[_fold(strata, folds, fold, seed)] = TEST
    for name in ("test", "validation"):
        if shares.get(name) and not (folds and name == "test"):
            rest = np.flatnonzero(parts == TRAIN)
            try:
                parts[_share_of(rest, strata[rest], shares[name], seed, lenient)] = PARTS[name]
            except ValueError as error:
                counts = _counted(strata[rest], names)
                raise DataError(
                    f"cannot cut a stratified {name} split from {len(rest):,} rows ({counts}): "
                    f"{error} Merge or drop the rarest class, add rows of it, or change "
                    f"data.{name}_fraction."
                ) from error
    return parts


def _counted(strata: np.ndarray, names: Sequence[str]) -> str:
    """The classes and their rows, the rarest first."""
    codes, counts = np.unique(strata, return_counts=True)
    order = np.argsort(counts, kind="stable")
    return some(f"{names[codes[i]] if names else codes[i]}: {counts[i]:,}" for i in order)


def _share_of(
    rows: np.ndarray, strata: np.ndarray, share: float, seed: int, lenient: bool
) -> np.ndarray:
    """Draws a share of the rows ``(N,)``, of each class ``(N,)`` about the same.

    Raises:
        ValueError: a class has too few rows to be on both sides.
    """
    size = max(1, round(share * len(rows)))
    if not lenient:
        return draw_rows(rows, strata, size, seed)
    try:
        return draw_rows(rows, _without_single(strata), size, seed)
    except ValueError:
        chosen = draw_rows(rows, np.zeros_like(strata), size, seed)
        say(f"{len(rows):,} rows are too few to be cut by class: {size:,} are drawn at random.")
        return chosen


def _without_single(strata: np.ndarray) -> np.ndarray:
    """Strata ``(N,)`` in which rows that would stand alone count as the most frequent."""
    _, places, counts = np.unique(strata, return_inverse=True, return_counts=True)
    return np.where(counts[places] > 1, places, counts.argmax())


def draw_rows(rows: np.ndarray, strata: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Draws so many of the rows ``(N,)``, with the shares of their strata ``(N,)``, in order.

    Raises:
        ValueError: a class has too few rows to be on both sides.
    """
    from sklearn.model_selection import train_test_split  # seconds, which few data sets cost

    several = strata if len(strata) and (strata != strata[0]).any() else None
    _, cut = train_test_split(rows, test_size=number, stratify=several, random_state=seed)
    return np.sort(cut)


def limited(rows: np.ndarray, strata: np.ndarray, number: int | None, seed: int) -> np.ndarray:
    """So many of the rows ``(N,)``, stratified; all of them where there are no more.

    Raises:
        DataError: they are too few for every class.
    """
    if number is None or number >= len(rows):
        return rows
    try:
        return draw_rows(rows, strata, number, seed)
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


def parts_by_column(words: Words, column: str) -> np.ndarray:
    """Parts ``(N,)`` that a column's words say; -1 for what is none of the three."""
    names, codes = words
    known = [PARTS.get(split_name(name), -1) for name in names]
    if TRAIN not in known:
        raise DataError(f"column '{column}' has no 'train' rows; found {some(names)}.")
    parts = np.array([*known, -1], np.int8)[codes]
    if left_out := int((parts < 0).sum()):
        others = [name for name, part in zip(names, known, strict=True) if part < 0]
        say(f"{left_out:,} rows are left out: column '{column}' is {some(others) or 'empty'}.")
    return parts


def blocks_of(strata: np.ndarray, size: int) -> np.ndarray:
    """Codes ``(N,)`` of runs of at most ``size`` neighbouring rows of one class ``(N,)``."""
    place = np.arange(len(strata))
    new = np.append(True, strata[1:] != strata[:-1])
    in_run = place - np.maximum.accumulate(np.where(new, place, 0))
    return np.cumsum(in_run % size == 0) - 1


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
