"""Examples of any kind with a label or none: their rows, their classes, and what repeats.

A reader of texts or of images says how a file is read (`ExampleData._read`) and by what repeats
are known (`ExampleData.key`); all else is the same for both and stands here. Given files are taken
as they are; one file alone is cut, after exact duplicates are dropped, so no example is in two
splits.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.cuts import Words, keep_labels
from marketorch.data.reading import label_name, listed, numerically, some
from marketorch.data.splits import Splits
from marketorch.data.tables.cells import Cells
from marketorch.data.tables.columns import times_of
from marketorch.errors import DataError, check_choice, closest


@dataclass
class Examples:
    """Rows of a file before their classes have numbers.

    Attributes:
        values: the texts, or where the images are.
        labels: as written; None where one is unknown.
        rows: numbers that count from 1, or names of files.
        votes: shares of all votes that the columns of classes got; with ``data.rejects`` less
            than one in sum.
        roles: the columns that the cut reads, by role: ``split``, ``group`` or ``time``.
    """

    values: list[Any]
    labels: list[Any] | None
    rows: list[Any]
    votes: list[Any] | None = None
    roles: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def select(self, places: Sequence[int] | np.ndarray) -> Examples:
        """Some of the rows, by place."""

        def of(column: list[Any]) -> list[Any]:
            return [column[place] for place in places]

        return Examples(
            of(self.values),
            None if self.labels is None else of(self.labels),
            of(self.rows),
            None if self.votes is None else of(self.votes),
            {role: of(column) for role, column in self.roles.items()},
        )

    @staticmethod
    def joined(parts: Sequence[Examples]) -> Examples:
        """The rows of several files, one after the other."""
        first = parts[0]
        if any(part.roles.keys() != first.roles.keys() for part in parts):
            raise DataError("Some of the files of data.path say their splits, and others do not.")

        def join(columns: Sequence[list[Any]]) -> list[Any]:
            return list(itertools.chain.from_iterable(columns))

        return Examples(
            join([part.values for part in parts]),
            None if first.labels is None else join([part.labels or [] for part in parts]),
            join([part.rows for part in parts]),
            None if first.votes is None else join([part.votes or [] for part in parts]),
            {role: join([part.roles[role] for part in parts]) for role in first.roles},
        )


@dataclass(kw_only=True, eq=False, repr=False)
class ExampleData(Splits[Examples]):
    """Base of the readers of texts, images and photos with boxes, whose examples can repeat.

    Args:
        exclude: files whose examples (never their labels) must not be trained on.
        duplicates: ``drop`` or ``keep`` repeated examples before the cut; kept ones can be in two
            splits and flatter the result.
        class_names: from the file's labels to the names to print, e.g. ``{0: negative}``.
    """

    exclude: Sequence[str] = ()
    duplicates: str = "drop"
    class_names: Mapping[Any, str] | None = None

    noun = "examples"

    def _prepare(self) -> None:
        super()._prepare()
        check_choice("data.duplicates", self.duplicates, ("drop", "keep"))
        self.names = {str(key): name for key, name in (self.class_names or {}).items()}

    # -- what a reader brings -----------------------------------------------------------------

    def _read(self, path: str, *, labelled: bool = True) -> Examples:
        """Reads a file, or its values alone."""
        raise NotImplementedError

    def key(self, value: Any) -> Hashable:
        """What two values have in common that are the same example."""
        return value

    # -- rows ---------------------------------------------------------------------------------

    def _whole(self) -> Examples:
        parts = [self._read(path) for path in self.paths]
        for role, column in self.cut_columns.items():
            for path, part in zip(self.paths, parts, strict=True):
                if role not in part.roles:
                    raise DataError(f"{path} has no columns, so no '{column}' (data.{role}).")
        whole = self._without_excluded(Examples.joined(parts))
        if self.duplicates == "keep" or "split" in whole.roles:
            return whole
        return self._unique(whole)

    def _read_split(self, path: str) -> Examples:
        part = self._read(path)
        known = set(map(self.key, self.part("train").values))
        if seen := sum(self.key(value) in known for value in part.values):
            name = next(name for name, file in self.files.items() if file == path)
            say(
                f"{seen:,} {self.noun} of the {name} split are in the training split too; "
                f"data.exclude=[{path}] drops them there."
            )
        return part

    def _without_excluded(self, whole: Examples) -> Examples:
        forbidden: set[Hashable] = set()
        for path in self.exclude:
            forbidden.update(map(self.key, self._read(path, labelled=False).values))
        kept = [i for i, value in enumerate(whole.values) if self.key(value) not in forbidden]
        if dropped := len(whole) - len(kept):
            say(f"{dropped:,} {self.noun} stand in data.exclude and were dropped.")
        return whole.select(kept) if dropped else whole

    def _unique(self, whole: Examples) -> Examples:
        """Drops what stood before, so that nothing can be in two splits."""
        first: dict[Hashable, int] = {}
        for i, value in enumerate(whole.values):
            first.setdefault(self.key(value), i)
        if dropped := len(whole) - len(first):
            say(
                f"{dropped:,} of {len(whole):,} {self.noun} repeat an earlier one and were dropped."
            )
        return whole.select(sorted(first.values()))

    # -- what the cut reads -------------------------------------------------------------------

    def _roles(self, table: pa.Table, path: str) -> dict[str, list[Any]]:
        """The columns of a table that the cut reads; a file that is a split needs none."""
        columns = self.cut_columns if path in self.paths else {}
        return {role: listed(table, name, f"data.{role}", path) for role, name in columns.items()}

    def _blank(self, roles: Mapping[str, list[Any]]) -> dict[int, str]:
        """Why rows cannot be placed, by place."""
        return {
            place: f"'{self.cut_columns.get(role, role)}' (data.{role}) is empty"
            for role, column in roles.items()
            for place, value in enumerate(column)
            if value is None or not str(value).strip()
        }

    def _strata(self, rows: Examples) -> Words:
        return _words_of(rows.labels or [""] * len(rows))

    def _words(self, rows: Examples, role: str) -> Words | None:
        return _words_of(rows.roles[role]) if role in rows.roles else None

    def _times(self, rows: Examples) -> np.ndarray:
        values = pa.chunked_array([pa.array(rows.roles["time"])])
        name = self.cut_columns["time"]
        return times_of(Cells(values, name, lambda i: f"row {rows.rows[i]}"))


def _words_of(values: Sequence[Any]) -> Words:
    names, codes = np.unique([label_name(value).strip() for value in values], return_inverse=True)
    return names.tolist(), codes


@dataclass(kw_only=True, eq=False, repr=False)
class LabelledData(ExampleData):
    """Base of the readers whose examples have one label each.

    Args:
        label: column of the labels; ``null`` reads examples alone.
        num_labelled: keep so many labels of the training split (stratified); the rest of it is
            unlabelled.
    """

    label: str | None = "label"
    num_labelled: int | None = None

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes in order and how many training examples each has.

        Raises:
            DataError: there is one class only.
        """
        part = self.part("train")
        if part.labels is None:
            return {"classes": [], "num_examples": len(part.values)}
        counts = Counter(label for label in part.labels if label is not None)
        classes = self._order(counts)
        if len(classes) < 2:
            raise DataError(
                f"{self.paths[0]}: {self._labels_from} has one class only ({some(classes)}); "
                "a classifier needs two."
            )
        return {
            "classes": [self.names.get(name, name) for name in classes],
            "raw_classes": classes,
            "class_counts": [counts[name] for name in classes],
            "num_examples": len(part.labels),
        }

    @property
    def _labels_from(self) -> str:
        return f"column '{self.label}'"

    def _order(self, counts: Counter[str]) -> list[str]:
        """Class names in order."""
        return sorted(counts, key=numerically)

    def _numbers(self, part: Examples, split: str) -> Tensor | None:
        """Class numbers ``(N,)`` of a part's labels, by the training split's classes."""
        if part.labels is None:
            return None
        raw = self.schema["raw_classes"]
        number: dict[str | None, int] = {name: i for i, name in enumerate(raw)} | {None: -1}
        unseen = Counter(label for label in part.labels if label not in number)
        if unseen:
            label = next(iter(unseen))
            row = part.rows[part.labels.index(label)]
            raise DataError(
                f"The {split} split has labels that training never saw: {dict(unseen)} (first at "
                f"row {row}).{closest(str(label), raw)} Training has: {', '.join(raw)}."
            )
        numbers = torch.tensor([number[label] for label in part.labels])
        if split == "train" and self.num_labelled:
            numbers = keep_labels(numbers, self.num_labelled, self.seed)
        return numbers
