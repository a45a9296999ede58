"""Tables of customers: a row a customer, a target to predict, columns of any kind.

`CustomerData` is lazy: constructing it reads nothing. What a column is, which levels it has and how
its numbers are written is found in the training rows alone and stands in the schema. A data set is
a table and the places of its rows in it: ten million rows are never copied to be split.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from marketorch.data.cuts import Words
from marketorch.data.reading import usable_rows
from marketorch.data.splits import Splits
from marketorch.data.tables.cells import distinct
from marketorch.data.tables.columns import Column, Reading, infer, parse, times_of
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.data.tables.files import joined, read_customers
from marketorch.data.tables.leaks import report_leaks
from marketorch.data.tables.targets import (
    LabelColumn,
    NumberColumn,
    announce,
    classes,
    groups_of,
    numbers_of,
    regrouped,
    treatments,
    words,
)
from marketorch.errors import DataError, check_choice


@dataclass(kw_only=True, eq=False, repr=False)
class CustomerData(Splits[CustomerDataset]):
    """Customers with what is to be predicted, from CSV, TSV, JSON lines, Parquet or a hub id.

    The delimiter of a text file (comma, semicolon, tab or bar) is found.

        >>> train = CustomerData(path="customers.csv", target="Churn").split("train")
        >>> len(train), train.labels.shape  # N, (N,)

    Args:
        target: column to predict: of classes, or, where ``columns`` calls it a ``number``, of
            numbers. A list predicts several columns, of which a row may lack some; None predicts
            nothing.
        positive: of two classes the positive one; None: the one that means yes (``Yes``,
            ``1``, ``true``), or the rarer one.
        columns: kinds of columns by name: ``number``, ``category``, ``boolean``, ``date``, for
            dates whose order cannot be found ``dmy``, ``mdy``, ``ymd`` or ``compact`` (20240531);
            ``id`` leaves one out.
        drop: columns to leave out, by name or pattern (``Last *``).
        missing: further words for missing, e.g. ``Select``.
        ids: column that names the rows in predictions.
        treatment, control: column of what was done with a customer, and its word for nothing.
        treatments: words of that column that are told apart; several in a list of their own are one
            treatment. Rows with other words are left out. None: all words.
        min_count, max_levels: levels of a category in fewer training rows, or beyond so many, are
            one level, ``other``.
        class_names: from the file's classes to the names to print.
        leaks: ``warn`` of columns that predict the classes of a single target by themselves,
            ``error`` or ``ignore``. Other targets are not searched for leaks.

    The other arguments are those of `marketorch.data.splits.Splits`. With ``on_bad=skip`` what
    cannot be read in a column is missing.

    Raises:
        DataError: on reading, with the file, the row or the column, what was found and expected.
    """

    target: str | Sequence[str] | None
    positive: Any = None
    columns: Mapping[str, str] = field(default_factory=dict)
    drop: Sequence[str] = ()
    missing: Sequence[Any] = ()
    ids: str | None = None
    treatment: str | None = None
    control: Any = None
    treatments: Sequence[Any] = ()
    min_count: int = 5
    max_levels: int = 1000
    class_names: Mapping[Any, str] | None = None
    leaks: str = "warn"

    def _prepare(self) -> None:
        super()._prepare()
        check_choice("data.leaks", self.leaks, ("warn", "error", "ignore"))
        target = self.target or []
        self.targets = [target] if isinstance(target, str) else list(target)
        if twice := [name for name, number in Counter(self.targets).items() if number > 1]:
            raise DataError(f"data.target names '{twice[0]}' twice.")
        self.lenient = len(self.targets) > 1  # of several no class need be in every split
        named = self.cut_columns | {"ids": self.ids, "treatment": self.treatment}
        self.roles = {role: column for role, column in named.items() if column}
        self.regrouping = groups_of(self.treatments)
        self.reading = Reading(dict(self.columns or {}), self.min_count, self.max_levels)
        kinds = [self.reading.kinds.get(name) for name in self.targets]
        if self.positive is not None and (len(kinds) != 1 or "number" in kinds):
            raise DataError("data.positive is for a data.target that is one column of classes.")
        self.words = [str(word) for word in self.missing]
        self.names = {str(key): name for key, name in (self.class_names or {}).items()}
        self._said: set[str] = set()

    # -- the DataSource protocol --------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes, columns and how many training rows of each class there are.

        Where there is another target than one of classes, ``targets`` describes each.
        """
        train, (columns, dropped) = self.split("train"), self._columns
        schema: dict[str, Any] = {"classes": [], "num_examples": len(train)}
        if self._classes:
            own = self._classes.described(self.names)
            schema |= {key: own[key] for key in ("classes", "class_counts")}
            schema["raw_classes"] = self._classes.names
            if len(self._classes.names) == 2:
                schema["positive"] = own["classes"][1]
        elif self._targets:
            schema["targets"] = [target.described(self.names) for target in self._targets]
        schema |= {"columns": [own.described() for own in columns], "dropped": dropped}
        if self._treatments:
            schema["treatments"] = self._treatments.names
        announce(columns, dropped, self._targets)
        if self._classes:
            report_leaks(train, columns, self.leaks)
        return schema

    def split(self, name: str) -> CustomerDataset:
        """Reads ``train``, ``validation`` or ``test``."""
        part = self.part(name)
        labels = targets = None
        if self._classes:
            labels = self._classes.numbers(part, name)
        elif self._targets:
            targets = torch.stack([own.amounts(part, name) for own in self._targets], 1)
        treatment = self._treatments.numbers(part, name) if self._treatments else None
        return replace(part, labels=labels, targets=targets, treatment=treatment)

    def inputs(self, source: Any) -> CustomerDataset:
        """Reads a table to score: it needs no target, and its columns may stand in any order.

        Args:
            source: a file, a hub id, or a table in memory, see `marketorch.data.reading.in_memory`.
        """
        table = self._read(source)
        shown = str(source) if isinstance(source, (str, Path)) else "the input"
        known = [name for name in table.column_names if self._left_out(name)]
        return self._dataset(table, [(shown, 0)], known)

    def fingerprint(self) -> str:
        """Hash of the training columns, targets and treatments."""
        train = self.split("train")
        digest = hashlib.blake2b(digest_size=16)
        for values in (train.labels, train.targets, train.treatment):
            if values is not None:
                digest.update(values.numpy().tobytes())
        for own in self._columns[0]:
            digest.update(f"{own}\n".encode())
            digest.update(parse(train.cells(own.name), own).view(np.uint8).data)
        return digest.hexdigest()

    # -- what is in the training rows ---------------------------------------------------------

    @cached_property
    def _targets(self) -> list[LabelColumn | NumberColumn]:
        """What is to be predicted, a column each."""
        train, kinds = self.part("train"), self.reading.kinds
        return [
            numbers_of(train, name)
            if kinds.get(name) == "number"
            else classes(train, name, self.positive)
            for name in self.targets
        ]

    @cached_property
    def _classes(self) -> LabelColumn | None:
        """The classes, of two the positive one last, where they are all there is to predict."""
        only = self._targets[0] if len(self._targets) == 1 else None
        return only if isinstance(only, LabelColumn) else None

    @cached_property
    def _treatments(self) -> LabelColumn | None:
        """What was done with customers, nothing first."""
        column = self.roles.get("treatment")
        return treatments(self.part("train"), column, self.control) if column else None

    @cached_property
    def _columns(self) -> tuple[list[Column], dict[str, str]]:
        """The columns that models read, and why the others are left out."""
        train = self.part("train")
        columns, dropped = [], {}
        for name in {*self.reading.kinds} - {*train.table.column_names}:
            train.column(name)  # which says what there is
        for name in train.table.column_names:
            own: Column | str = self._left_out(name) or infer(train.cells(name), self.reading)
            if isinstance(own, Column):
                columns.append(own)
            else:
                dropped[name] = own
        if not columns:
            raise DataError(f"{self.paths[0]}: no column is left to predict from: {dropped}.")
        return columns, dropped

    def _left_out(self, name: str) -> str:
        """Why a column is left out whatever it holds; empty if it is not."""
        role = next((role for role, column in self.roles.items() if column == name), "")
        role = "target" if name in self.targets else role
        if role:
            return f"data.{role}"
        return "data.drop" if any(fnmatchcase(name, pattern) for pattern in self.drop) else ""

    # -- splits -------------------------------------------------------------------------------

    def _whole(self) -> CustomerDataset:
        return self._usable(self._open(self.paths))

    def _read_split(self, path: str) -> CustomerDataset:
        return self._usable(self._open([path]))

    def _strata(self, rows: CustomerDataset) -> Words:
        """The first target that is of classes."""
        kinds = self.reading.kinds
        name = next((name for name in self.targets if kinds.get(name) != "number"), None)
        if name is None:
            return [""], np.zeros(len(rows), np.int64)
        found = words(rows, "target", name)
        return [*found.texts.to_pylist(), "no class"], found.codes

    def _words(self, rows: CustomerDataset, role: str) -> Words | None:
        if role not in self.roles:
            return None
        found = distinct(rows.cells(self.roles[role], f"data.{role}"))
        return found.texts.to_pylist(), found.codes

    def _times(self, rows: CustomerDataset) -> np.ndarray:
        name = self.roles["time"]
        return times_of(rows.cells(name, "data.time"), self.reading.kinds.get(name, "date"))

    def _usable(self, whole: CustomerDataset) -> CustomerDataset:
        """The rows that have something to predict and whatever else places them."""
        bad: dict[int, str] = {}
        for role in ("time", "group", "treatment"):
            if role in self.roles:
                name = self.roles[role]
                empty = np.flatnonzero(words(whole, role, name).codes < 0)
                bad |= dict.fromkeys(empty.tolist(), f"'{name}' (data.{role}) is empty")
        if self.targets:
            without = [words(whole, "target", name).codes < 0 for name in self.targets]
            names = "', '".join(self.targets)
            empty = np.flatnonzero(np.logical_and.reduce(without))
            bad |= dict.fromkeys(empty.tolist(), f"'{names}' (data.target) is empty")
        if not bad:
            return whole
        bad = dict(sorted(bad.items()))
        return whole.select(usable_rows(bad, len(whole), whole.files[0][0], self.on_bad))

    # -- reading ------------------------------------------------------------------------------

    def _open(self, paths: Sequence[str]) -> CustomerDataset:
        """Files, one after the other."""
        tables = [self._read(path) for path in paths]
        whole = joined(paths, tables)
        firsts = np.cumsum([0, *map(len, tables)])[:-1].tolist()
        rows = self._dataset(whole, list(zip(paths, firsts, strict=True)), whole.column_names)
        if not self.regrouping:
            return rows
        return regrouped(rows, self.roles.get("treatment", ""), self.regrouping, self.control)

    def _read(self, path: Any) -> pa.Table:
        return read_customers(
            path, encoding=self.encoding, on_bad=self.on_bad, hub_config=self.hub_config
        )

    def _dataset(
        self, table: pa.Table, files: Sequence[tuple[str, int]], known: Sequence[str]
    ) -> CustomerDataset:
        return CustomerDataset(
            table,
            files=files,
            id_column=self.roles.get("ids"),
            known=known,
            on_bad=self.on_bad,
            words=self.words,
            said=self._said,
        )
