"""What every data set of a data source has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from marketorch.engine.task import Row


class RawDataset:
    """Base of the data sets that a data source gives, before a task encodes them.

    Attributes:
        skipped: rows for inputs that there is nothing to predict on, e.g. photos without a face.
        drawable: whether `draw` can show what is found in these examples.
    """

    skipped: Sequence[Row] = ()
    drawable = False

    def __len__(self) -> int:
        raise NotImplementedError

    def select(self, places: Sequence[int]) -> Self:
        """A data set of some of the examples."""
        raise NotImplementedError

    def draw(self, rows: Sequence[Row], folder: Path) -> list[Path]:
        """Draws what ``rows`` say into pictures of the examples; returns their paths."""
        raise NotImplementedError
