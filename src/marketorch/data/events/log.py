"""Reads event logs: who did something with what, and when; and the tables beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from marketorch.console import say
from marketorch.data.reading import column, open_table, read_table
from marketorch.errors import DataError

USER, ITEM, TIME, RATING = "user", "item", "time", "rating"


def read_events(source: Any, columns: Mapping[str, str], *, min_rating: float) -> pd.DataFrame:
    """Events as ``user``, ``item`` and, where there are such columns, ``time`` and more.

    Args:
        source: a file, a hub id, or a table in memory, see `marketorch.data.reading.in_memory`.
        columns: the file's name of each, e.g. ``{"user": "user_id", "item": "movie_id"}``.
        min_rating: events with a lower ``rating`` are dropped.

    Raises:
        DataError: with the file, the column or the row, what was found and what was expected.
    """
    table, path = open_table(source)
    events = pd.DataFrame(
        {key: column(table, name, f"data.{key}", path).to_pandas() for key, name in columns.items()}
    )
    for key, name in columns.items():
        nulls = events[key].isna()
        if nulls.any():
            raise DataError(f"{path}, row {int(nulls.argmax()) + 1}: '{name}' is empty.")
        if key in (USER, ITEM) and not pd.api.types.is_numeric_dtype(events[key]):
            events[key] = events[key].astype(object).map(str)
        elif key in (USER, ITEM) and pd.api.types.is_float_dtype(events[key]):
            events[key] = events[key].astype(float)  # pandas has no index of halves
    if TIME in columns:
        events[TIME] = times(events[TIME], path)
    if RATING in columns:
        events = events[numbers(events[RATING], path) >= min_rating].drop(columns=RATING)
    return events


def alike(frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The same logs; ids that are numbers in one and text in another are text in all."""
    mixed = [
        key
        for key in (USER, ITEM)
        if len({pd.api.types.is_numeric_dtype(frame[key]) for frame in frames}) > 1
    ]
    return [frame.assign(**{key: frame[key].map(str) for key in mixed}) for frame in frames]


def times(values: pd.Series, path: str) -> pd.Series:
    """Numbers as they are; anything else as dates. DataError names the row that is neither."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return values
    parsed = pd.to_datetime(values, errors="coerce", utc=True, format="mixed")
    bad = parsed.isna()
    if bad.any():
        place = int(bad.argmax())
        raise DataError(
            f"{path}, row {place + 1}: '{values.iloc[place]}' is no time; expected a number or a "
            "date such as 2024-05-31 18:00."
        )
    return parsed


def numbers(values: pd.Series, path: str) -> pd.Series:
    """Ratings as numbers. DataError names the row that is none."""
    parsed = pd.to_numeric(values, errors="coerce")
    bad = parsed.isna()
    if bad.any():
        place = int(bad.argmax())
        raise DataError(f"{path}, row {place + 1}: '{values.iloc[place]}' is no rating (a number).")
    return parsed


def without_duplicates(events: pd.DataFrame, keep: Any) -> pd.DataFrame:
    """Only the ``first`` or ``last`` event of a user and an item; says how many go."""
    kept = events.drop_duplicates([USER, ITEM], keep=keep)
    if len(kept) < len(events):
        dropped = len(events) - len(kept)
        say(f"{dropped:,} of {len(events):,} events repeat a user's item: dropped.")
    return kept


def core(events: pd.DataFrame, least: Mapping[str, int]) -> pd.DataFrame:
    """Drops rare items and users until none is rare (a k-core); says how many events go."""
    before = len(events)
    while True:
        size = len(events)
        for name, count in least.items():
            if count > 1:
                events = events[events.groupby(name)[name].transform("size") >= count]
        if len(events) == size:
            break
    if size < before:
        say(f"{before - size:,} of {before:,} events are of rare items or users: dropped.")
    return events


def read_attributes(path: str, key: str, id_name: str, names: Sequence[str]) -> pd.DataFrame:
    """A table of items or users by their id, written as text; ``names`` are its columns.

    Args:
        key: what the column of ids is called in messages, e.g. ``data.item``.
        id_name: its name in the file.
    """
    table = read_table(path)
    ids = column(table, id_name, key, path).to_pandas().map(str)
    repeated = ids.duplicated()
    if repeated.any():
        place = int(repeated.argmax())
        raise DataError(f"{path}, row {place + 1}: '{ids.iloc[place]}' stands there twice.")
    frame = pd.DataFrame(
        {name: column(table, name, f"{key} table", path).to_pandas() for name in names}
    )
    return frame.set_index(pd.Index(ids, name=id_name))
