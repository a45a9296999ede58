"""Tables of customers: a row a customer, a target to predict, columns of any kind.

`CustomerData` is lazy: constructing it reads nothing. What a column is, which levels it has and how
its numbers are written is found in the training rows alone and stands in the schema. A data set is
a table and the places of its rows in it: ten million rows are never copied to be split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from marketorch.data.labelled import usable_rows
from marketorch.data.reading import some
from marketorch.data.tables.cells import distinct
from marketorch.data.tables.columns import Column, Reading, infer, parse
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.data.tables.dates import date_part
from marketorch.data.tables.files import joined, read_customers
from marketorch.data.tables.leaks import report_leaks
from marketorch.data.tables.numbers import parse_numbers, quick_numbers
from marketorch.data.tables.parts import (
    PARTS,
    limited,
    parts_by_column,
    parts_by_time,
    random_parts,
)
from marketorch.data.tables.targets import (
    LabelColumn,
    announce,
    classes,
    groups_of,
    regrouped,
    treatments,
    words,
)
from marketorch.errors import DataError


class CustomerData:
    """Customers with a class each, from CSV, TSV, JSON lines, Parquet or a hub id.

    Args:
        path: file(s) or hub id with the training rows, or with all of them. The delimiter of a
            text file (comma, semicolon, tab or bar) is found.
        target: column of the classes.
        positive: of two classes the positive one; None: the one that means yes (``Yes``,
            ``1``, ``true``), or the rarer one.
        validation, test: files of their own for these splits, if there are any.
        split: column that says ``train``, ``validation`` or ``test``.
        validation_fraction, test_fraction: shares to cut from ``path`` where no file and no column
            gives the split; validation is cut from what test leaves.
        seed: seed of that cut.
        folds, fold: the test rows are the ``fold``-th (from 0) of so many stratified parts.
        group: column of which equal rows stay together, e.g. the customer of several rows.
        time: column to cut by: the latest rows test, the ones before them validate.
        columns: kinds of columns by name: ``number``, ``category``, ``boolean``, ``date``, for
            dates whose order cannot be told ``dmy``, ``mdy``, ``ymd`` or ``compact`` (20240531);
            ``id`` leaves one out.
        drop: columns to leave out, by name or pattern (``Last *``).
        missing: further words for missing, e.g. ``Select``.
        ids: column that names the rows in predictions.
        treatment, control: column of what was done with a customer, and its word for nothing.
        treatments: words of that column that are told apart; several in a list of their own are one
            treatment. Rows with other words are left out. None: all words.
        outcome: column of an amount, e.g. what was spent.
        min_count, max_levels: levels of a category in fewer training rows, or beyond so many, are
            one level, ``other``.
        class_names: from the file's classes to the names to print.
        num_train: train on so many rows, stratified; None: on all.
        leaks: ``warn`` of columns that tell the target by themselves, ``error`` or ``ignore``.
        on_bad: ``error``, or ``skip`` for rows without a class or of another length; what cannot
            be read in a column is then missing.
        encoding: of text files.
        hub_config: configuration name of a hub data set.

    Raises:
        DataError: on reading, with the file, the row or the column, what was found and expected.
    """

    def __init__(
        self,
        *,
        path: str | Sequence[str],
        target: str,
        positive: Any = None,
        validation: str | None = None,
        test: str | None = None,
        split: str | None = None,
        validation_fraction: float = 0.1,
        test_fraction: float = 0.2,
        seed: int = 0,
        folds: int | None = None,
        fold: int = 0,
        group: str | None = None,
        time: str | None = None,
        columns: dict[str, str] | None = None,
        drop: Sequence[str] = (),
        missing: Sequence[Any] = (),
        ids: str | None = None,
        treatment: str | None = None,
        control: Any = None,
        treatments: Sequence[Any] = (),
        outcome: str | None = None,
        min_count: int = 5,
        max_levels: int = 1000,
        class_names: dict[Any, str] | None = None,
        num_train: int | None = None,
        leaks: str = "warn",
        on_bad: str = "error",
        encoding: str = "utf-8",
        hub_config: str | None = None,
    ) -> None:
        if on_bad not in ("error", "skip"):
            raise DataError(f"data.on_bad is '{on_bad}'; expected error or skip.")
        if leaks not in ("warn", "error", "ignore"):
            raise DataError(f"data.leaks is '{leaks}'; expected warn, error or ignore.")
        ways = {"split": split, "time": time, "folds": folds}
        ways |= {"test": test if folds else None}
        given = [f"data.{name}" for name, value in ways.items() if value]
        if len(given) > 1:
            raise DataError(f"{' and '.join(given)} exclude each other: give one way to split.")
        self.paths = [path] if isinstance(path, str) else list(path)
        self.files = {"validation": validation, "test": test}
        named = {"target": target, "split": split, "group": group, "time": time, "ids": ids}
        named |= {"treatment": treatment, "outcome": outcome}
        self.roles = {role: column for role, column in named.items() if column}
        self.target = target
        self.positive, self.control = positive, control
        self.regrouping = groups_of(treatments)
        self.fractions = {"validation": validation_fraction, "test": test_fraction}
        self.seed, self.folds, self.fold = seed, folds, fold
        self.reading = Reading(dict(columns or {}), min_count, max_levels)
        self.drop, self.words = list(drop), [str(word) for word in missing]
        self.class_names = {str(key): name for key, name in (class_names or {}).items()}
        self.num_train, self.leaks, self.on_bad = num_train, leaks, on_bad
        self.encoding, self.hub_config = encoding, hub_config
        self._said: set[str] = set()

    # -- the DataSource protocol --------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes, columns and how many training rows of each class there are."""
        train, (columns, dropped) = self.split("train"), self._columns
        names = [self.class_names.get(name, name) for name in self._classes.names]
        schema = {
            "classes": names,
            "raw_classes": self._classes.names,
            "class_counts": self._classes.counts,
            "num_examples": len(train),
            "columns": [own.described() for own in columns],
            "dropped": dropped,
        }
        if len(names) == 2:
            schema["positive"] = names[1]
        if self._treatments:
            schema["treatments"] = self._treatments.names
        announce(columns, dropped, self.target, self._classes)
        report_leaks(train, columns, self.leaks)
        return schema

    def split(self, name: str) -> CustomerDataset:
        """Reads ``train``, ``validation`` or ``test``."""
        part = self._part(name)
        outcome = None
        if "outcome" in self.roles:
            amounts = parse_numbers(part.cells(self.roles["outcome"], "data.outcome"))
            outcome = torch.from_numpy(amounts.astype(np.float32))
        return replace(
            part,
            labels=self._classes.numbers(part, name),
            treatment=self._treatments.numbers(part, name) if self._treatments else None,
            outcome=outcome,
        )

    def inputs(self, source: str) -> CustomerDataset:
        """Reads a table to score: it needs no target, and its columns may stand in any order."""
        table = self._read(source)
        known = [name for name in table.column_names if self._left_out(name)]
        return self._dataset(table, [(source, 0)], known)

    def fingerprint(self) -> str:
        """Hash of the training columns, classes and treatments."""
        train = self._part("train")
        labels = self._classes.numbers(train, "train")
        digest = hashlib.blake2b(labels.numpy().tobytes(), digest_size=16)
        if self._treatments:
            digest.update(self._treatments.numbers(train, "train").numpy().tobytes())
        for own in self._columns[0]:
            digest.update(f"{own}\n".encode())
            digest.update(parse(train.cells(own.name), own).view(np.uint8).data)
        return digest.hexdigest()

    # -- what is in the training rows ---------------------------------------------------------

    @cached_property
    def _classes(self) -> LabelColumn:
        """The file's classes, of two the positive class last."""
        return classes(self._part("train"), self.target, self.positive)

    @cached_property
    def _treatments(self) -> LabelColumn | None:
        """What was done with customers, nothing first."""
        column = self.roles.get("treatment")
        return treatments(self._part("train"), column, self.control) if column else None

    @cached_property
    def _columns(self) -> tuple[list[Column], dict[str, str]]:
        """The columns that models read, and why the others are left out."""
        train = self._part("train")
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
        if role:
            return f"data.{role}"
        return "data.drop" if any(fnmatchcase(name, pattern) for pattern in self.drop) else ""

    # -- splits -------------------------------------------------------------------------------

    def _part(self, name: str) -> CustomerDataset:
        """The rows of a split; files of their own are read when asked for."""
        if self.files.get(name) and name not in self._parts:
            self._parts[name] = self._usable(self._open([str(self.files[name])]))
        if name not in self._parts:
            raise DataError(f"The data have no {name} split (found: {some(self._parts)}).")
        return self._parts[name]

    @cached_property
    def _parts(self) -> dict[str, CustomerDataset]:
        """The splits that ``path`` alone gives."""
        whole = self._usable(self._open(self.paths))
        try:
            parts = self._cut(whole)
            found = {name: np.flatnonzero(parts == part) for name, part in PARTS.items()}
            train, strata = found["train"], self._strata(whole)
            found["train"] = limited(train, strata[train], self.num_train, self.seed)
        except DataError as error:
            raise DataError(f"{self.paths[0]}: {error}") from error
        return {name: whole.select(rows) for name, rows in found.items() if len(rows)}

    def _cut(self, whole: CustomerDataset) -> np.ndarray:
        """The part ``(N,)`` that each row is in."""
        if "split" in self.roles:
            said = distinct(whole.cells(self.roles["split"], "data.split"))
            return parts_by_column(said.texts, said.codes, self.roles["split"])
        shares = {name: 0.0 if self.files[name] else self.fractions[name] for name in self.files}
        if "time" in self.roles:
            return parts_by_time(self._times(whole), shares)
        groups = None
        if "group" in self.roles:
            groups = distinct(whole.cells(self.roles["group"], "data.group")).codes
        return random_parts(
            self._strata(whole),
            shares,
            self.seed,
            groups=groups,
            folds=self.folds,
            fold=self.fold,
        )

    def _strata(self, whole: CustomerDataset) -> np.ndarray:
        """Number ``(N,)`` of each row's class, for the cut."""
        return words(whole, "target", self.target).codes

    def _times(self, whole: CustomerDataset) -> np.ndarray:
        """When each row was ``(N,)``."""
        cells = whole.cells(self.roles["time"], "data.time")
        numbers, order = quick_numbers(cells.values), self.reading.kinds.get(cells.name, "date")
        if numbers is not None and order == "date":
            return numbers
        own = infer(cells, Reading({cells.name: order}))
        if isinstance(own, str):
            raise DataError(f"column '{cells.name}' (data.time) is {own}; expected several times.")
        return date_part(parse(cells, own), "days")

    def _usable(self, whole: CustomerDataset) -> CustomerDataset:
        """The rows that have a class and whatever else places them."""
        bad: dict[int, str] = {}
        for role in ("time", "group", "treatment", "target"):
            if role in self.roles:
                name = self.roles[role]
                empty = np.flatnonzero(words(whole, role, name).codes < 0)
                bad |= dict.fromkeys(empty.tolist(), f"'{name}' (data.{role}) is empty")
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

    def _read(self, path: str) -> pa.Table:
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
