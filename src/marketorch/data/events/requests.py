"""What predict.py is asked: whom to recommend for, in ids as people write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from marketorch.data.dataset import RawDataset
from marketorch.errors import DataError


@dataclass
class Requests(RawDataset):
    """Histories to continue, or items whose like is asked for.

    Written on a command line: ``260 1196`` is a history, ``user:42`` a user of the log,
    ``item:260`` asks for what goes with an item; a file is an event log. See `words` for ids with
    blanks in them.

    Args:
        histories: item ids of each user, oldest first.
        users: their ids; None: nobody in particular.
        attributes: rows of the user table.
        similar: each history is one item, whose like is asked for.
        excluded: ids never to recommend.
    """

    histories: list[list[Any]]
    users: Sequence[Any] | None = None
    attributes: pd.DataFrame | None = None
    similar: bool = False
    excluded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.histories:
            raise DataError("input= names no item. Expected ids such as 260 1196.")

    def __len__(self) -> int:
        return len(self.histories)


def words(text: str) -> list[str]:
    """Ids with commas between them or, if there is no comma, blanks: ``red cup, blue cup``."""
    parts = text.split(",") if "," in text else text.split()
    return [part.strip() for part in parts if part.strip()]
