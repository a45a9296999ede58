"""Labels by several annotators: how many voted for what, and what that makes an image.

Shares of votes are better targets than their majority (Barsoum et al. 2016, FER+): a face that one
in three calls sad is not quite neutral.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from marketorch.data.reading import column
from marketorch.errors import DataError

Shares = np.ndarray


class Votes:
    """Columns with numbers of votes.

    Args:
        columns: one a class.
        rejects: columns of the same kind that are no class (unknown, not a face).
        min_votes: a class with fewer votes is counted as having none.
    """

    def __init__(self, columns: Sequence[str], rejects: Sequence[str], min_votes: int) -> None:
        self.classes, self.columns = list(columns), [*columns, *rejects]
        self.min_votes = min_votes

    def read(self, table: pa.Table, path: str) -> Shares:
        """Shares of the votes ``(N, V)``, those of the rejects last; zeros where nobody voted.

        Raises:
            DataError: a column is missing or holds no numbers.
        """
        columns = []
        for name in self.columns:
            values = column(table, name, "data.votes", path)
            if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
                text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
                found = f"holds {'text' if text else values.type}, not numbers of votes"
                raise DataError(f"{path}: column '{name}' (data.votes) {found}.")
            columns.append(values.to_numpy().astype(np.float32))
        counts = np.stack(columns, 1)
        counts[(counts < self.min_votes) | np.isnan(counts)] = 0
        return counts / np.maximum(counts.sum(1, keepdims=True), 1)

    def majority(self, shares: Shares) -> list[str | None]:
        """The column with most votes of each image; None where nobody voted."""
        best = shares.argmax(1)
        return [self.columns[i] if row[i] else None for i, row in zip(best, shares, strict=True)]
