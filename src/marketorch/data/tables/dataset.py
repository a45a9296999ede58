"""A table of customers, and which of its rows are meant."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from marketorch.data.dataset import RawDataset
from marketorch.data.reading import column
from marketorch.data.tables.cells import BLANKS, Cells, plain


@dataclass
class CustomerDataset(RawDataset):
    """Rows of a table, their classes and what was done with them.

    Args:
        table: all rows of the file, or of several files one after the other.
        rows: places of these rows in the table ``(N,)``; None: all of them.
        labels: ``(N,)`` int64, places in the schema's classes, -1 where unknown.
        treatment: ``(N,)`` int64, places in the schema's treatments, 0 for control.
        targets: ``(N, T)`` float32, where there is another target than one of classes: numbers, or
            places in a target's classes; NaN where unknown.
        files: each file's name and the place of its first row.
        id_column: column that names the rows; None: they are numbered.
        known: columns that need no word, though no model reads them.
        on_bad: ``error`` or ``skip`` for cells that cannot be read.
        words: further words for missing.
        said: what has been said of this table.
    """

    table: pa.Table
    rows: np.ndarray | None = None
    labels: Tensor | None = None
    treatment: Tensor | None = None
    targets: Tensor | None = None
    files: Sequence[tuple[str, int]] = (("the table", 0),)
    id_column: str | None = None
    known: Collection[str] = ()
    on_bad: str = "error"
    words: Sequence[str] = ()
    said: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return self.table.num_rows if self.rows is None else len(self.rows)

    @property
    def places(self) -> np.ndarray:
        """Places of the rows in the table ``(N,)``."""
        return np.arange(self.table.num_rows) if self.rows is None else self.rows

    def column(self, name: str, key: str = "data.columns") -> pa.ChunkedArray:
        """A column of these rows. DataError names the columns found and the closest to ``name``."""
        values = column(self.table, name, key, self.files[0][0])
        return values if self.rows is None else values.take(pa.array(self.rows))

    def cells(self, name: str, key: str = "data.columns", blanks: Sequence[str] = BLANKS) -> Cells:
        """A column of these rows with what messages about it need."""
        values = self.column(name, key)
        return Cells(values, name, self.where, self.on_bad, self.words, blanks, self.said)

    def where(self, index: int) -> str:
        """File and row of an example; the first row below the header is row 1."""
        place = index if self.rows is None else int(self.rows[index])
        number = bisect.bisect_right([first for _, first in self.files], place) - 1
        name, first = self.files[number]
        return f"{name}, row {place - first + 1}"

    @cached_property
    def ids(self) -> Sequence[Any]:
        """The rows' names: of the id column, or their numbers from 1."""
        if self.id_column and self.id_column in self.table.column_names:
            values = self.column(self.id_column)
            try:
                return values.to_pylist()
            except (OverflowError, ValueError):
                return [plain(value) for value in values]
        return (self.places + 1).tolist()

    def select(self, places: Sequence[int] | np.ndarray) -> CustomerDataset:
        """A data set of some of the examples."""
        chosen = np.asarray(places, np.int64)

        def of(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[chosen]

        return replace(
            self,
            rows=self.places[chosen],
            labels=of(self.labels),
            treatment=of(self.treatment),
            targets=of(self.targets),
        )

    def row(self, index: int) -> dict[str, Any]:
        """The cells of an example as they stand in the file."""
        place = index if self.rows is None else int(self.rows[index])
        return {name: plain(self.table.column(name)[place]) for name in self.table.column_names}
