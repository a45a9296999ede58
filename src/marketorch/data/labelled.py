"""Labelled examples of any kind: their rows, their classes, and how they are split.

A reader of texts or of images says how a file is read (`LabelledData._read`) and by what repeats
are told (`LabelledData.key`); all else is the same for both and stands here. Given files are taken
as they are; one file alone is cut into a stratified, seeded train / validation / test split, after
exact duplicates are dropped, so no example is in two splits.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.reading import some
from marketorch.data.splits import keep_labels, stratified_cut
from marketorch.errors import DataError, closest

SPLITS = ("train", "validation", "test")
SPELLINGS = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "publictest": "validation",  # these two as Kaggle writes them in FER2013
    "privatetest": "test",
}


@dataclass
class Examples:
    """Rows of a file before their classes have numbers.

    Attributes:
        values: the texts, or where the images are.
        labels: as written; None where one is unknown.
        rows: numbers that count from 1, or names of files.
        splits: what the split column says.
        votes: shares of all votes that the columns of classes got; with ``data.rejects`` less
            than one in sum.
    """

    values: list[Any]
    labels: list[str | None] | None
    rows: list[Any]
    splits: list[str] | None = None
    votes: list[list[float]] | None = None

    def take(self, places: Sequence[int]) -> Examples:
        """Some of the rows, by place."""
        columns: list[Any] = [getattr(self, field.name) for field in fields(self)]
        picked: list[Any] = [None if c is None else [c[i] for i in places] for c in columns]
        return Examples(*picked)

    @staticmethod
    def joined(parts: Sequence[Examples]) -> Examples:
        """The rows of several files, one after the other."""

        def join(name: str) -> Any:
            columns = [getattr(part, name) for part in parts]
            return None if columns[0] is None else list(itertools.chain.from_iterable(columns))

        return Examples(*(join(field.name) for field in fields(Examples)))


class LabelledData:
    """What the readers of labelled examples share; see `marketorch.data.texts.source.TextData`."""

    noun = "examples"

    def __init__(
        self,
        *,
        path: str | Sequence[str],
        validation: str | None,
        test: str | None,
        exclude: Sequence[str],
        label: str | None,
        split: str | None,
        validation_fraction: float,
        test_fraction: float,
        seed: int,
        block: int,
        duplicates: str,
        num_labelled: int | None,
        class_names: dict[Any, str] | None,
        on_bad: str,
    ) -> None:
        if on_bad not in ("error", "skip"):
            raise DataError(f"data.on_bad is '{on_bad}'; expected error or skip.")
        if duplicates not in ("drop", "keep"):
            raise DataError(f"data.duplicates is '{duplicates}'; expected drop or keep.")
        self.paths = [path] if isinstance(path, str) else list(path)
        self.files = {"validation": validation, "test": test}
        self.excluded_files = list(exclude)
        self.label, self.split_column = label, split
        self.fractions = {"validation": validation_fraction, "test": test_fraction}
        self.seed, self.num_labelled = seed, num_labelled
        self.block, self.duplicates = block, duplicates
        self.class_names = {str(key): name for key, name in (class_names or {}).items()}
        self.on_bad = on_bad

    # -- what a reader brings -----------------------------------------------------------------

    def _read(self, path: str, label: str | None) -> Examples:
        """Reads a file; with ``label`` None, its values alone."""
        raise NotImplementedError

    def key(self, value: Any) -> Hashable:
        """What two values have in common that are the same example."""
        return value

    # -- classes ------------------------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes in order and how many training examples each has.

        Raises:
            DataError: there is one class only.
        """
        part = self._parts["train"]
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
            "classes": [self.class_names.get(name, name) for name in classes],
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

    # -- splits -------------------------------------------------------------------------------

    def _part(self, name: str) -> Examples:
        if self.files.get(name) and name not in self._parts:
            self._parts[name] = self._read(str(self.files[name]), self.label)
            self._report_repeats(name)
        if name not in self._parts:
            raise DataError(f"The data have no {name} split (found: {some(self._parts)}).")
        return self._parts[name]

    @cached_property
    def _parts(self) -> dict[str, Examples]:
        """The splits that ``path`` alone gives; files of their own are read when asked for."""
        parts = [self._read(path, self.label) for path in self.paths]
        whole = self._without_excluded(Examples.joined(parts))
        if whole.splits is not None:
            return self._by_column(whole)
        return self._cut(whole if self.duplicates == "keep" else self._unique(whole))

    def _without_excluded(self, whole: Examples) -> Examples:
        forbidden: set[Hashable] = set()
        for path in self.excluded_files:
            forbidden.update(map(self.key, self._read(path, None).values))
        allowed = self._without(whole, forbidden) if forbidden else whole
        dropped = len(whole.values) - len(allowed.values)
        if dropped:
            say(f"{dropped:,} {self.noun} stand in data.exclude and were dropped.")
        return allowed

    def _without(self, whole: Examples, forbidden: Collection[Hashable]) -> Examples:
        kept = [i for i, value in enumerate(whole.values) if self.key(value) not in forbidden]
        return whole.take(kept)

    def _unique(self, whole: Examples) -> Examples:
        """Drops what stood before, so that nothing can be in two splits."""
        first: dict[Hashable, int] = {}
        for i, value in enumerate(whole.values):
            first.setdefault(self.key(value), i)
        total = len(whole.values)
        if len(first) < total:
            dropped = total - len(first)
            say(f"{dropped:,} of {total:,} {self.noun} repeat an earlier one and were dropped.")
        return whole.take(sorted(first.values()))

    def _report_repeats(self, name: str) -> None:
        """Says how many examples of a split with a file of its own were trained on."""
        known = set(map(self.key, self._parts["train"].values))
        seen = sum(self.key(value) in known for value in self._parts[name].values)
        if seen:
            say(
                f"{seen:,} {self.noun} of the {name} split are in the training split too; "
                f"data.exclude=[{self.files[name]}] drops them there."
            )

    def _by_column(self, whole: Examples) -> dict[str, Examples]:
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(whole.splits or []):
            groups.setdefault(split_name(name), []).append(i)
        if "train" not in groups:
            raise DataError(
                f"{self.paths[0]}: column '{self.split_column}' has no 'train' rows; "
                f"found {some(groups)}."
            )
        return {name: whole.take(rows) for name, rows in groups.items()}

    def _cut(self, whole: Examples) -> dict[str, Examples]:
        """Stratified cuts for the splits that have no file; the rest is for training."""
        rest, parts = list(range(len(whole.values))), {}
        own_file = [name for name, file in self.files.items() if file]
        for name in ("test", "validation"):
            if name in own_file or not self.fractions[name]:
                continue
            labels = None if whole.labels is None else [str(whole.labels[i]) for i in rest]
            try:
                rest, taken = stratified_cut(
                    rest, labels, self.fractions[name], block=self.block, seed=self.seed
                )
            except ValueError as error:
                counts = dict(Counter(labels or []))
                raise DataError(
                    f"{self.paths[0]}: cannot cut a stratified {name} split from "
                    f"{len(rest)} examples with classes {counts}: {error} Merge or drop the rarest "
                    "class, add examples of it, or change the share."
                ) from error
            parts[name] = whole.take(sorted(taken))
        return parts | {"train": whole.take(sorted(rest))}


def usable_rows(
    bad: dict[int, str], total: int, path: str, on_bad: str, rows: Sequence[Any] | None = None
) -> list[int]:
    """The rows that are not bad; reports the bad ones, or refuses them where ``on_bad`` says so.

    Args:
        bad: reasons by place.
        rows: names of the rows; None: they are numbered.

    Raises:
        DataError: a row is bad and ``on_bad`` is error, or all are.
    """
    if bad:
        named = (f"row {i + 1}" if rows is None else str(rows[i]) for i in bad)
        if list(rows or []) == [path] and on_bad == "error":  # a file that stands for itself
            raise DataError(f"{path} {bad[0]}.")
        reasons = some(f"{name} ({why})" for name, why in zip(named, bad.values(), strict=True))
        message = f"{path}: {len(bad):,} of {total:,} rows are bad: {reasons}."
        if on_bad == "error":
            raise DataError(f"{message} Mend them, or drop them with data.on_bad=skip.")
        say(f"{message} Skipped (data.on_bad=skip).")
    if len(bad) == total:
        raise DataError(f"{path} has no usable row: all {total:,} are bad.")
    return [i for i in range(total) if i not in bad]


def split_name(name: str) -> str:
    """The split that a file's word for it means; any other word as it is."""
    return SPELLINGS.get(name.lower(), name.lower() if name.lower() in SPLITS else name)


def label_name(label: object) -> str:
    """A label as text; 1.0 and True read as the whole numbers they stand for."""
    if isinstance(label, (bool, float)) and float(label).is_integer():
        return str(int(label))
    return str(label)


def numerically(name: str) -> tuple[float, str]:
    """Sorts whole numbers by value and before words."""
    whole = name.removeprefix("-").isdecimal()  # "²" is a digit, but no number
    return (float(name), "") if whole else (float("inf"), name)
