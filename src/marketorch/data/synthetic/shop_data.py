"""The embedded shop as a data source: no files, no network, and the oracle's NDCG known."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd

from marketorch.data.events.log import ITEM, TIME, USER
from marketorch.data.events.source import EventData
from marketorch.data.synthetic.shop import Shop, make_shop, oracle_ndcg


class SyntheticShop(EventData):
    """Events of `make_shop`; the last purchase of each shopper is held out to test on.

    Args:
        num_users, num_items, events_per_user: size of the shop.
        seed: of everything in it.
    """

    def __init__(
        self,
        *,
        num_users: int = 3_000,
        num_items: int = 500,
        events_per_user: float = 30.0,
        seed: int = 0,
    ) -> None:
        super().__init__(
            path="the synthetic shop",
            time="time",
            title="title",
            item_attributes=["category", "brand"],
            user_attributes=["segment", "region", "age_group"],
            seed=seed,
        )
        self.size = {
            "num_users": num_users,
            "num_items": num_items,
            "events_per_user": events_per_user,
        }

    @cached_property
    def shop(self) -> Shop:
        """The whole shop, with the rules that made it."""
        return make_shop(seed=self.seed, **self.size)  # type: ignore[arg-type]

    @cached_property
    def schema(self) -> dict[str, Any]:
        """What `EventData` tells, and what ranking by the true probabilities reaches."""
        steps = {"validation": 2, "test": 1}
        oracle = {name: oracle_ndcg(self.shop, steps_from_end=n) for name, n in steps.items()}
        return super().schema | {"best_reachable": oracle}

    def _read(self) -> pd.DataFrame:
        return self._ordered(self.shop.events[[USER, ITEM, TIME]])

    @cached_property
    def _items_described(self) -> pd.DataFrame:
        """The shop's own table, with the items that are sold at all."""
        items = self.shop.items
        sold = items[items[ITEM].isin(self.shop.events[ITEM])]
        return sold.set_index(sold[ITEM].map(str))

    @cached_property
    def _users_described(self) -> pd.DataFrame:
        users = self.shop.users
        return users.set_index(users[USER].map(str))
