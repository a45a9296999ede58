"""What recommenders know by name: items, users and their attributes, and the numbers they go by.

Number 0 is padding, or whatever is not known; items and users are numbered from 1 on in the order
of their ids. A `Catalogue` travels in the checkpoint, so that a run recommends without its log.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from marketorch.data.ragged import Ragged
from marketorch.errors import DataError, closest

MANY = 20  # distinct numbers of a column; more of them are cut into as many bins


class Sizes(NamedTuple):
    """What a model must know to be built: how many there are of everything.

    ``item_tokens`` and ``user_tokens`` count the distinct attributes, 0 if there are none;
    ``item_width`` and ``user_width`` are the most attributes that one item or user has.
    """

    num_items: int
    num_users: int = 0
    item_tokens: int = 0
    item_width: int = 0
    user_tokens: int = 0
    user_width: int = 0


@dataclass
class Attributes:
    """Columns of a table as bags of tokens: ``genres=Drama`` has a number, and so has ``age=25``.

    A cell may hold several values with ``|`` between them. Numbers of many distinct values are
    cut into bins of equal counts.

    Args:
        columns: which columns.
        edges: of the bins of each numeric column.
        vocabulary: number of each token, from 1 on.
        width: most tokens of a row.
    """

    columns: list[str]
    edges: dict[str, list[float]] = field(default_factory=dict)
    vocabulary: dict[str, int] = field(default_factory=dict)
    width: int = 0

    @classmethod
    def learnt(cls, table: pd.DataFrame, columns: Sequence[str]) -> Attributes:
        """Takes the vocabulary and the bins from a table."""
        attributes = cls(list(columns))
        for name in columns:
            values = table[name]
            if pd.api.types.is_numeric_dtype(values) and values.nunique() > MANY:
                edges = np.nanquantile(values, np.linspace(0, 1, MANY + 1)[1:-1])
                attributes.edges[name] = np.unique(edges).tolist()
        rows = attributes._words(table)
        for word in sorted({word for row in rows for word in row}):
            attributes.vocabulary[word] = len(attributes.vocabulary) + 1
        attributes.width = max((len(row) for row in rows), default=0)
        return attributes

    def tokens(self, table: pd.DataFrame) -> Tensor:
        """Token numbers ``(rows, width)``, padded with 0; what is not known is left out."""
        known = [
            [self.vocabulary[word] for word in row if word in self.vocabulary][: self.width]
            for row in self._words(table)
        ]
        padded = Ragged.of(known).pad(torch.arange(len(known)))
        return torch.nn.functional.pad(padded, (0, self.width - padded.shape[1]))

    def _words(self, table: pd.DataFrame) -> list[list[str]]:
        words: list[list[str]] = [[] for _ in range(len(table))]
        for name in self.columns:
            for row, value in zip(words, table[name].tolist(), strict=True):
                if isinstance(value, np.ndarray):  # a list in Parquet
                    value = "|".join(map(str, value))
                if value is None or value != value:
                    continue
                if name in self.edges:
                    value = int(np.searchsorted(self.edges[name], value))
                row.extend(f"{name}={part}" for part in str(value).split("|") if part)
        return words


@dataclass
class Catalogue:
    """Names of everything that is numbered.

    Args:
        items: id of each item; item ``n`` is ``items[n - 1]``.
        users: id of each user that was trained on.
        titles: of the items, if they have any.
        item_attributes, user_attributes: how attributes become tokens.
    """

    items: list[Any]
    users: list[Any] = field(default_factory=list)
    titles: list[str] | None = None
    item_attributes: Attributes | None = None
    user_attributes: Attributes | None = None

    @property
    def sizes(self) -> Sizes:
        """How many there are of everything."""
        both = (self.item_attributes, self.user_attributes)
        features = [size for a in both for size in ((len(a.vocabulary), a.width) if a else (0, 0))]
        return Sizes(len(self.items), len(self.users), *features)

    @cached_property
    def _item_numbers(self) -> dict[str, int]:
        return {str(item): number for number, item in enumerate(self.items, start=1)}

    @cached_property
    def _user_numbers(self) -> dict[str, int]:
        return {str(user): number for number, user in enumerate(self.users, start=1)}

    def item_numbers(self, ids: Sequence[Any]) -> list[int]:
        """Number of each id, 0 for those the catalogue has not; 7 and ``"7"`` are the same."""
        return [self._item_numbers.get(str(item), 0) for item in ids]

    def user_number(self, user: Any) -> int:
        """Number of a user, 0 for one that was not trained on."""
        return self._user_numbers.get(str(user), 0)

    def check_items(self, ids: Sequence[Any], source: str) -> None:
        """Raises DataError that names the ids which the catalogue has not, and the nearest."""
        unknown = [item for item in ids if str(item) not in self._item_numbers]
        if unknown:
            listed = ", ".join(map(str, unknown[:5])) + (" …" if len(unknown) > 5 else "")
            near = closest(str(unknown[0]), self._item_numbers)
            raise DataError(f"{source}: the catalogue has no item {listed}.{near}")

    def to_bytes(self) -> Tensor:
        """Everything as bytes ``(n,)`` uint8, for a checkpoint."""
        text = json.dumps(asdict(self), ensure_ascii=False)
        return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)

    @classmethod
    def from_bytes(cls, data: Tensor) -> Catalogue:
        """Reads what `to_bytes` wrote."""
        values = json.loads(bytes(data.cpu().numpy()).decode())
        for name in ("item_attributes", "user_attributes"):
            values[name] = Attributes(**values[name]) if values[name] else None
        return cls(**values)
