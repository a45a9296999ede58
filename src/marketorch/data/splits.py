"""Where the splits of rows come from: one set of keys for texts, images, photos and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import numpy as np

from marketorch.data.cuts import (
    PARTS,
    Shares,
    Words,
    blocks_of,
    limited,
    parts_by_column,
    parts_by_time,
    random_parts,
)
from marketorch.data.reading import some
from marketorch.errors import DataError, check_choice

SPLITS = tuple(PARTS)


class Rows(Protocol):
    """What a source reads from a file."""

    def __len__(self) -> int: ...

    def select(self, places: np.ndarray) -> Self:
        """Some of the rows, by place."""


R = TypeVar("R", bound=Rows)


@dataclass(kw_only=True, eq=False, repr=False)
class Splits(Generic[R]):
    """Base of the data sources that read rows.

    A file given for a split is taken as it is. The other splits are cut from ``path``: by a column
    that says the split, by time, or at random, with about the same shares of each class.

    Args:
        path: file(s), folder or hub id with the training rows, or with all of them.
        validation, test: files of their own for these splits, if there are any.
        split: column that says ``train``, ``validation`` or ``test``; where it has no validation
            rows, they are cut from those that train.
        validation_fraction, test_fraction: shares to cut from ``path``; validation is cut from what
            test leaves.
        seed: of the cut at random.
        folds, fold: the test rows are the ``fold``-th (from 0) of so many stratified parts.
        group: column of which equal rows stay together, e.g. the author of several texts.
        time: column to cut by: the latest rows test, the ones before them validate.
        block: so many neighbouring rows of one class stay together, for files whose neighbours
            belong together (reviews of one film, frames of one video).
        num_train: train on so many rows, with about the same shares of each class; None: on all.
        on_bad: ``error``, or ``skip`` to leave out rows that cannot be used.
        encoding: of text files.
        hub_config: configuration name of a hub data set.
    """

    path: str | Sequence[str]
    validation: str | None = None
    test: str | None = None
    if not TYPE_CHECKING:  # mypy knows no argument that has the name of a method
        split: InitVar[str | None] = None
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0
    folds: int | None = None
    fold: int = 0
    group: str | None = None
    time: str | None = None
    block: int = 1
    num_train: int | None = None
    on_bad: str = "error"
    encoding: str = "utf-8"
    hub_config: str | None = None

    lenient = False
    """Whether to cut at random where a class has too few rows to be in every split."""

    def __post_init__(self, split: str | None = None) -> None:  # noqa: RUF033
        named = {"split": split, "group": self.group, "time": self.time}
        self.cut_columns = {role: column for role, column in named.items() if column}
        self._prepare()

    def _prepare(self) -> None:
        """Checks the arguments, and derives from them what is needed of them again and again."""
        check_choice("data.on_bad", self.on_bad, ("error", "skip"))
        cut: dict[str, object] = {"split": self.cut_columns.get("split"), "time": self.time}
        _one_of(cut | {"folds": self.folds, "test": self.test if self.folds else None})
        _one_of({"time": self.time, "group": self.group, "block": self.block > 1})
        if self.block < 1:
            raise DataError(f"data.block is {self.block}; expected 1 or more.")
        self.paths = [self.path] if isinstance(self.path, str) else list(self.path)
        self.files = {"validation": self.validation, "test": self.test}

    # -- what a source brings -----------------------------------------------------------------

    def _whole(self) -> R:
        """The usable rows of ``path``."""
        raise NotImplementedError

    def _read_split(self, path: str) -> R:
        """The usable rows of a file that is a split."""
        raise NotImplementedError

    def _strata(self, rows: R) -> Words:
        """The classes; one only, where there are none."""
        raise NotImplementedError

    def _words(self, rows: R, role: str) -> Words | None:
        """What the column for ``split`` or ``group`` says, if there is one."""
        raise NotImplementedError

    def _times(self, rows: R) -> np.ndarray:
        """When each row was ``(N,)``."""
        raise NotImplementedError

    # -- splits -------------------------------------------------------------------------------

    def part(self, name: str) -> R:
        """The rows of a split; files of their own are read when they are asked for.

        Raises:
            DataError: there is no such split.
        """
        if self.files.get(name) and name not in self._parts:
            self._parts[name] = self._read_split(str(self.files[name]))
        if name not in self._parts:
            raise DataError(f"The data have no {name} split (found: {some(self._parts)}).")
        return self._parts[name]

    @cached_property
    def _parts(self) -> dict[str, R]:
        """The splits that ``path`` alone gives."""
        whole = self._whole()
        try:
            parts = self._cut(whole)
            found = {name: np.flatnonzero(parts == part) for name, part in PARTS.items()}
            if self.num_train is not None:
                strata = self._strata(whole)[1][found["train"]]
                found["train"] = limited(found["train"], strata, self.num_train, self.seed)
        except DataError as error:
            raise DataError(f"{self.paths[0]}: {error}") from error
        return {name: whole.select(rows) for name, rows in found.items() if len(rows)}

    @property
    def _shares(self) -> Shares:
        """Shares to cut for the splits that have no file."""
        shares = {"validation": self.validation_fraction, "test": self.test_fraction}
        return {name: 0.0 if self.files[name] else share for name, share in shares.items()}

    def _cut(self, whole: R) -> np.ndarray:
        """The part ``(N,)`` that each row is in."""
        if said := self._words(whole, "split"):
            parts = parts_by_column(said, self.cut_columns.get("split", "split"))
            train = np.flatnonzero(parts == PARTS["train"])
            if not (parts == PARTS["validation"]).any():
                shares = {"validation": self._shares["validation"]}
                parts[train] = self._cut_at_random(whole.select(train), shares, None)
            return parts
        if self.time:
            return parts_by_time(self._times(whole), self._shares)
        return self._cut_at_random(whole, self._shares, self.folds)

    def _cut_at_random(self, rows: R, shares: Shares, folds: int | None) -> np.ndarray:
        """Parts ``(N,)`` at random."""
        (names, strata), groups = self._strata(rows), None
        if self.block > 1:
            groups = blocks_of(strata, self.block)
        elif owners := self._words(rows, "group"):
            groups = owners[1]
        cut: dict[str, Any] = {"names": names, "groups": groups, "lenient": self.lenient}
        return random_parts(strata, shares, self.seed, folds=folds, fold=self.fold, **cut)


def _one_of(ways: Mapping[str, object]) -> None:
    """Raises DataError if several ways to split are given."""
    given = [f"data.{name}" for name, value in ways.items() if value]
    if len(given) > 1:
        raise DataError(f"{' and '.join(given)} exclude each other: give one way to split.")
