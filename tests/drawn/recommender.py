"""Users who take items in turn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from drawn import write


def events(users: int, items: int, each: int) -> pd.DataFrame:
    """Each user takes items in turn, from a place of their own, most of them two apart."""
    draw = np.random.default_rng(0)
    steps = draw.choice([1, 2, 2, 2], (users, each)).cumsum(1)
    taken = (draw.integers(0, items, users)[:, None] + steps) % items
    rows = {"user": np.repeat(np.arange(users), each), "item": taken.flatten()}
    return pd.DataFrame(rows).drop_duplicates(ignore_index=True)


def draw(root: Path, users: int = 160, items: int = 60) -> None:
    log = events(users, items, 12)
    place = log.groupby("user").cumcount()
    write(root / "ml-1m" / "interactions.parquet", log.assign(t=place))
    nobody = json.dumps([3, 5])
    (root / "ml-1m" / "users_without_validation_item.json").write_text(nobody)
    genres = np.where(np.arange(items) % 3, "Drama", "Comedy|War")
    films = {"item": range(items), "title": [f"Film {i}" for i in range(items)], "genres": genres}
    write(root / "ml-1m" / "items.csv", pd.DataFrame(films))
    who = np.arange(users)
    people = {"user": who, "gender": np.where(who % 2, "M", "F"), "age": 18 + 7 * (who % 5)}
    write(root / "ml-1m" / "users.csv", pd.DataFrame(people).assign(occupation=who % 4))
    last = place == log.groupby("user")["item"].transform("size") - 1
    test, train = log[last], log[~last]
    others = [[(row.item + 20 + i) % items for i in range(9)] for row in test.itertuples()]
    write(root / "ml-1m-ncf" / "train.parquet", train)
    write(root / "ml-1m-ncf" / "test.parquet", test.assign(negatives=others))
    write(root / "gowalla" / "train.parquet", train)
    write(root / "gowalla" / "test.parquet", test)
