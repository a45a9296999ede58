"""Histories and targets of users, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from marketorch.data.dataset import RawDataset
from marketorch.data.events.catalogue import Catalogue
from marketorch.data.ragged import Ragged
from marketorch.errors import DataError


@dataclass
class EventDataset(RawDataset):
    """Users with what they did and, to evaluate, what came next.

    Args:
        histories: item numbers of each user, oldest first.
        catalogue: the names behind the numbers.
        users: number of each user, 0 for those not trained on; None: nobody is known.
        targets: the item numbers held out of each user; None where there are none.
        negatives: items that a protocol wants the targets ranked among, instead of all.
        ids: the users' ids.
        item_tokens, user_tokens: attributes of items ``(N + 1, F)`` and of these users ``(U, F)``.
        training: whether every step of the histories is to be learnt, or the last is continued.
        similar: histories are single items whose like is asked for.
        excluded: item numbers never to recommend.
    """

    histories: Ragged
    catalogue: Catalogue
    users: Tensor | None = None
    targets: Ragged | None = None
    negatives: Ragged | None = None
    ids: Sequence[Any] | None = None
    item_tokens: Tensor | None = None
    user_tokens: Tensor | None = None
    training: bool = False
    similar: bool = False
    excluded: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.histories)


def like(example: Any, item: Any, where: str) -> Any:
    """An id of another table as the log has its own. DataError if it cannot be."""
    try:
        return type(example)(item)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{where}: '{item}' is no id like the log's {example}.") from error
