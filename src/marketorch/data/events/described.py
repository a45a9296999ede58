"""Names and attributes of the items and the users of an event log."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from marketorch.data.events.catalogue import Attributes, Catalogue
from marketorch.data.events.dataset import like
from marketorch.data.events.log import ITEM, USER, read_attributes
from marketorch.data.events.requests import Requests, words
from marketorch.data.reading import some
from marketorch.errors import DataError, closest


class DescribedEvents:
    """Base of `EventData`: what its item and user tables say of those in its events."""

    path: str
    columns: dict[str, Any]
    negatives: str | None
    item_table: str | None
    title: str | None
    item_attributes: Sequence[str]
    user_table: str | None
    user_attributes: Sequence[str]

    # -- what `EventData` brings ------------------------------------------------------------------

    @property
    def _events(self) -> pd.DataFrame:
        raise NotImplementedError

    @property
    def _owners(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def _users(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def _user_numbers(self) -> Tensor:
        raise NotImplementedError

    @property
    def _negative_lists(self) -> dict[str, list[Any]]:
        raise NotImplementedError

    # -- names and attributes ----------------------------------------------------------------------

    @cached_property
    def catalogue(self) -> Catalogue:
        """Names of items and users, and how attributes become tokens."""
        items = pd.unique(self._events[ITEM]).tolist()
        if self.negatives:
            items += {i for row in self._negative_lists.values() for i in row} - set(items)
        table, titles = self._items_described, None
        known = set(map(str, items))
        if table is not None:
            items += [
                like(items[0], item, "data.item_table") for item in table.index if item not in known
            ]
        items.sort()
        if table is not None and self.title:
            names = table[self.title].map(str).to_dict()
            titles = [names.get(str(item), "") for item in items]
        users = self._users[self._user_numbers.numpy() > 0].tolist()
        catalogue = Catalogue(items, users, titles)
        for kind_, columns in (("item", self.item_attributes), ("user", self.user_attributes)):
            described = table if kind_ == "item" else self._users_described
            if columns and described is not None:
                setattr(catalogue, f"{kind_}_attributes", Attributes.learnt(described, columns))
        return catalogue

    @cached_property
    def _items_described(self) -> pd.DataFrame | None:
        if not self.item_table:
            return None
        names = dict.fromkeys([*([self.title] if self.title else []), *self.item_attributes])
        return read_attributes(self.item_table, "data.item", self.columns[ITEM], list(names))

    @cached_property
    def _users_described(self) -> pd.DataFrame | None:
        if not self.user_table:
            return None
        return read_attributes(
            self.user_table, "data.user", self.columns[USER], self.user_attributes
        )

    @cached_property
    def item_tokens(self) -> Tensor | None:
        """Attributes ``(N + 1, F)`` of every item."""
        learnt, table = self.catalogue.item_attributes, self._items_described
        if learnt is None or table is None:
            return None
        rows = learnt.tokens(table.reindex(list(map(str, self.catalogue.items))))
        return torch.cat([rows.new_zeros(1, rows.shape[1]), rows])

    @cached_property
    def user_tokens(self) -> Tensor | None:
        """Attributes ``(U, F)`` of every user."""
        learnt = self.catalogue.user_attributes
        table = self._described(self._users.tolist())
        return None if learnt is None or table is None else learnt.tokens(table)

    def _described(self, users: Sequence[Any]) -> pd.DataFrame | None:
        """Rows of the user table, empty ones for users it has not."""
        table = self._users_described
        return None if table is None else table.reindex(list(map(str, users)))

    def _requests_of(self, asked: str) -> Requests:
        """Histories of users of the log, or of users whom only the user table knows."""
        names = {str(user): code for code, user in enumerate(self._users.tolist())}
        users = [asked] if asked in names else words(asked)
        table = self._users_described
        described = set() if table is None else set(table.index)
        unknown = [user for user in users if user not in names and user not in described]
        if unknown:
            raise DataError(
                f"input=user:…: {self.path} has no user {some(unknown)}."
                f"{closest(unknown[0], names)} Give a history of items instead."
            )
        ids = np.asarray(self._events[ITEM])
        histories = [
            ids[self._owners == names[user]].tolist() if user in names else [] for user in users
        ]
        return Requests(histories, users, attributes=self._described(users))
