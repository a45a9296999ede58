"""Event logs: who bought, watched or clicked what, and when.

`EventData` is lazy: constructing it reads nothing. Events are put in order of time within each
user (equal times keep the file's order). The protocol `leave_last_out` holds out each user's
last item to test on and the second-last to validate on; what came before is the history.

Numbers: items 1 … N in order of their ids, 0 is padding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from marketorch.data.ragged import Ragged
from marketorch.data.reading import column, read_table, some
from marketorch.engine.tracking import say
from marketorch.errors import DataError

SPLITS = ("train", "validation", "test")
MINIMUM = 3  # events of a user that two can be held out of


@dataclass
class EventDataset:
    """Users with what they did and, to evaluate, what came next.

    Args:
        histories: item numbers of each user, oldest first.
        items: the id of each item number, from 1 on.
        targets: the item numbers held out of each user; None while training.
        ids: the users' ids.
        titles: of the items, if there is a table of them.
        training: whether every step of the histories is to be learnt, or the last is continued.
    """

    histories: Ragged
    items: Sequence[Any]
    targets: Ragged | None = None
    ids: Sequence[Any] | None = None
    titles: dict[Any, str] = field(default_factory=dict)
    training: bool = False

    def __len__(self) -> int:
        return len(self.histories)


class EventData:
    """Events from CSV, TSV, JSON lines, Parquet or a hub id.

    Args:
        path: file or hub id with an event a row.
        user, item: their columns.
        time: column to order by, numbers or dates; None: the file's order.
        rating, min_rating: keep events whose ``rating`` is at least ``min_rating``.
        window: cut training histories into pieces of at most so many steps, so that long ones
            are learnt from beginning to end.
        duplicates: ``keep`` every event, or only the ``first`` or ``last`` of a user and an item.
        min_item_events, min_user_events: drop items and users with fewer events, again and again
            until none has (a k-core).
        without_validation: JSON list of users whose second-last item is not to be validated on.
        titles: table with the item column and a title.
        title: its column.
        validate: hold out a validation part; False trains on it, too: the last run of a recipe.

    Raises:
        DataError: on reading, with the file, the row or the column, what was found and expected.
    """

    def __init__(
        self,
        *,
        path: str,
        user: str = "user",
        item: str = "item",
        time: str | None = None,
        rating: str | None = None,
        min_rating: float = 0.0,
        window: int = 200,
        duplicates: str = "keep",
        min_item_events: int = 1,
        min_user_events: int = 1,
        without_validation: str | None = None,
        titles: str | None = None,
        title: str = "title",
        validate: bool = True,
    ) -> None:
        if duplicates not in ("keep", "first", "last"):
            raise DataError(f"data.duplicates is '{duplicates}'; expected keep, first or last.")
        self.path, self.user, self.item, self.time = path, user, item, time
        self.window, self.validate = window, validate
        self.rating, self.min_rating, self.duplicates = rating, min_rating, duplicates
        self.core = {item: min_item_events, user: min_user_events}
        self.without_validation, self.titles_path, self.title = without_validation, titles, title

    # -- the DataSource protocol --------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """How many users, items and training events there are."""
        train = self._histories["train"]
        return {
            "num_items": len(self.items),
            "num_users": len(train),
            "num_examples": len(train.values),
        }

    def split(self, name: str) -> EventDataset | None:
        """Histories to learn from, or histories with what came next; None: nothing validates."""
        if name not in SPLITS:
            raise DataError(f"The data have no {name} split (found: {', '.join(SPLITS)}).")
        if name == "validation" and not self.validate:
            return None
        histories, users = self._histories[name], self._users[name]
        if name == "train":
            histories, owners = windows(histories, self.window)
            users = [users[owner] for owner in owners.tolist()]
            return EventDataset(histories, self.items, None, users, self.titles, training=True)
        self._report_unknown(name)
        return EventDataset(histories, self.items, self._targets[name], users, self.titles)

    def inputs(self, source: str) -> EventDataset:
        """Reads an event log, or a user's items written as ``12 7 30``, to recommend for."""
        if not Path(source).suffix:
            number_of = {str(item): number for number, item in enumerate(self.items, start=1)}
            wanted = source.split()
            unknown = [item for item in wanted if item not in number_of]
            if unknown:
                raise DataError(f"input: the catalogue has no item {some(unknown)}.")
            history = Ragged.of([[number_of[item] for item in wanted]])
            return EventDataset(history, self.items, titles=self.titles)
        events = self._ordered(source)
        numbers = pd.Categorical(events[self.item], categories=list(self.items)).codes + 1
        known = numbers > 0
        if not known.any():
            raise DataError(f"{source}: the catalogue has none of its items.")
        if not known.all():
            say(f"{int((~known).sum()):,} of {len(known):,} events are of unknown items: skipped.")
        users, histories = _by_user(events[self.user].to_numpy()[known], numbers[known])
        return EventDataset(histories, self.items, None, users.tolist(), self.titles)

    def fingerprint(self) -> str:
        """Hash of the training histories."""
        train = self._histories["train"]
        digest = hashlib.blake2b(digest_size=16)
        digest.update(train.values.numpy().tobytes())
        digest.update(train.offsets.numpy().tobytes())
        return digest.hexdigest()

    # -- events to splits ---------------------------------------------------------------------

    @cached_property
    def _events(self) -> pd.DataFrame:
        """The events that are used, sorted by user and time."""
        events = self._ordered(self.path)
        if self.duplicates != "keep":
            before = len(events)
            keep: Any = self.duplicates
            events = events.drop_duplicates([self.user, self.item], keep=keep)
            if len(events) < before:
                say(f"{before - len(events):,} of {before:,} events repeat a user's item: dropped.")
        events = self._cored(events)
        if not len(events):
            raise DataError(f"{self.path}: no event is left after filtering.")
        return events

    @cached_property
    def items(self) -> list[Any]:
        """The ids of the catalogue, in order; number 1 is the first."""
        return sorted(self._events[self.item].unique().tolist())

    @cached_property
    def titles(self) -> dict[Any, str]:
        """The title of each item id, if there is a table."""
        if not self.titles_path:
            return {}
        table = read_table(self.titles_path)
        names = column(table, self.title, "data.title", self.titles_path).to_pylist()
        ids = column(table, self.item, "data.item", self.titles_path).to_pylist()
        return {item: str(name) for item, name in zip(ids, names, strict=True)}

    @cached_property
    def _all(self) -> tuple[np.ndarray, Ragged]:
        """Users and their whole histories."""
        numbers = np.searchsorted(np.asarray(self.items), self._events[self.item].to_numpy()) + 1
        return _by_user(self._events[self.user].to_numpy(), numbers)

    @cached_property
    def _held_out(self) -> dict[str, Tensor]:
        """Which users ``(U,)`` have an item held out for ``validation`` and ``test``."""
        users, histories = self._all
        enough = histories.lengths >= MINIMUM
        if not enough.all():
            say(
                f"{int((~enough).sum()):,} users have fewer than {MINIMUM} events: only trained on."
            )
        if not enough.any():
            raise DataError(f"{self.path}: no user has {MINIMUM} events; nothing can be held out.")
        validated = enough & self.validate
        if self.without_validation:
            skipped = pd.read_json(self.without_validation, typ="series").tolist()
            validated &= ~torch.from_numpy(np.isin(users, skipped))
        return {"validation": validated, "test": enough}

    @cached_property
    def _histories(self) -> dict[str, Ragged]:
        _, whole = self._all
        test, validation = self._held_out["test"].long(), self._held_out["validation"].long()
        before_test = shortened(whole, test)
        train = shortened(before_test, validation)
        return {
            "train": train,
            "validation": chosen(train, self._held_out["validation"]),
            "test": chosen(before_test, self._held_out["test"]),
        }

    @cached_property
    def _targets(self) -> dict[str, Ragged]:
        _, whole = self._all
        ends = whole.offsets[1:]
        last = {"test": ends - 1, "validation": ends - 1 - self._held_out["test"].long()}
        return {
            name: Ragged(whole.values[place[kept]], torch.arange(int(kept.sum()) + 1))
            for name, place in last.items()
            for kept in [self._held_out[name]]
        }

    def _report_unknown(self, name: str) -> None:
        """Says how many held-out items no training event has; they count, mostly as misses."""
        known = torch.isin(self._targets[name].values, self._histories["train"].values)
        if not known.all():
            say(
                f"{int((~known).sum()):,} of {len(known):,} {name} items occur in no training "
                "event. They stay in the catalogue and in every average."
            )

    @cached_property
    def _users(self) -> dict[str, list[Any]]:
        users, _ = self._all
        kept = {"train": slice(None)} | {n: k.numpy() for n, k in self._held_out.items()}
        return {name: users[which].tolist() for name, which in kept.items()}

    # -- reading ------------------------------------------------------------------------------

    def _ordered(self, path: str) -> pd.DataFrame:
        """The columns that matter, without nulls, sorted by user and time."""
        table = read_table(path)
        wanted = {"data.user": self.user, "data.item": self.item}
        wanted |= {"data.time": self.time} if self.time else {}
        wanted |= {"data.rating": self.rating} if self.rating else {}
        columns = {n: column(table, n, key, path).to_pandas() for key, n in wanted.items()}
        events = pd.DataFrame(columns)
        for name in columns:
            nulls = events[name].isna()
            if nulls.any():
                raise DataError(f"{path}, row {int(nulls.argmax()) + 1}: '{name}' is empty.")
            if events[name].dtype == object and name in (self.user, self.item):
                events[name] = events[name].map(str)
        if self.time:
            events[self.time] = _times(events[self.time], path)
        if self.rating:
            events = events[events[self.rating] >= self.min_rating]
        order = [self.user] + ([self.time] if self.time else [])
        return events.sort_values(order, kind="stable", ignore_index=True)

    def _cored(self, events: pd.DataFrame) -> pd.DataFrame:
        """Drops rare items and users until none is rare."""
        before = len(events)
        while True:
            size = len(events)
            for name, least in self.core.items():
                if least > 1:
                    counts = events[name].map(events[name].value_counts())
                    events = events[counts >= least]
            if len(events) == size:
                break
        if size < before:
            say(f"{before - size:,} of {before:,} events are of rare items or users: dropped.")
        return events


def _times(values: pd.Series, path: str) -> pd.Series:
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


def _by_user(users: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, Ragged]:
    """Distinct users and the runs of their items, from events sorted by user."""
    distinct, first = np.unique(users, return_index=True)
    offsets = np.append(first, len(users))
    values = torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.int32))
    return distinct, Ragged(values, torch.from_numpy(offsets.astype(np.int64)))


def shortened(sequences: Ragged, by: Tensor) -> Ragged:
    """Drops the last ``by`` ``(U,)`` entries of each sequence."""
    place = torch.arange(len(sequences.values))
    owner = torch.repeat_interleave(torch.arange(len(sequences)), sequences.lengths)
    kept = place < (sequences.offsets[1:] - by)[owner]
    return Ragged.packed(sequences.values[kept], sequences.lengths - by)


def windows(sequences: Ragged, steps: int) -> tuple[Ragged, Tensor]:
    """Cuts each sequence into pieces of at most ``steps`` steps, and says whose each is ``(W,)``.

    A step leads from an entry to the next, so a piece has one entry more, the first of the next
    piece: no step is lost and none is seen twice. Pieces are cut from the end, which is full.
    """
    numbers = ((sequences.lengths - 1).clamp_min(1) + steps - 1) // steps
    owners = torch.repeat_interleave(torch.arange(len(sequences)), numbers)
    rank = torch.arange(len(owners)) - (numbers.cumsum(0) - numbers)[owners]
    ends = sequences.offsets[1:][owners] - (numbers[owners] - 1 - rank) * steps
    starts = torch.maximum(sequences.offsets[:-1][owners], ends - steps - 1)
    lengths = ends - starts
    shift = torch.repeat_interleave(starts - (lengths.cumsum(0) - lengths), lengths)
    place = torch.arange(len(shift)) + shift
    return Ragged.packed(sequences.values[place], lengths), owners


def chosen(sequences: Ragged, rows: Tensor) -> Ragged:
    """The sequences where ``rows`` ``(U,)`` is True."""
    kept = torch.repeat_interleave(rows, sequences.lengths)
    return Ragged.packed(sequences.values[kept], sequences.lengths[rows])
