"""Event logs as histories and what came next.

`EventData` is lazy: constructing it reads nothing. Events are put in order of time within each
user (equal times keep the file's order), and a protocol says which of them are held out (see
`marketorch.data.events.protocols`). A user's history is what came before, or what was not held out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.cuts import TEST, TRAIN, VALIDATION
from marketorch.data.events import protocols
from marketorch.data.events.dataset import EventDataset, like
from marketorch.data.events.described import DescribedEvents
from marketorch.data.events.log import (
    ITEM,
    RATING,
    TIME,
    USER,
    alike,
    core,
    read_events,
    without_duplicates,
)
from marketorch.data.events.requests import Requests, words
from marketorch.data.ragged import Ragged, pairs
from marketorch.data.reading import FORMATS, listed, numbers_or_words, read_table
from marketorch.engine.loading import derive_seed
from marketorch.errors import DataError, check_choice

SPLITS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
PROTOCOLS = ("leave_last_out", "temporal", "random", "given", "new_users")


@dataclass(kw_only=True, eq=False, repr=False)
class EventData(DescribedEvents):
    """Events from CSV, TSV, JSON lines, Parquet or a hub id.

    Args:
        path: file or hub id with an event a row.
        user, item: their columns.
        time: column to order by, numbers or dates; None: the file's order.
        rating, min_rating: keep events whose ``rating`` is at least ``min_rating``.
        duplicates: ``keep`` every event, or only the ``first`` or ``last`` of a user and an item.
        min_item_events, min_user_events: drop items and users with fewer events, again and again
            until none has (a k-core).
        protocol: ``leave_last_out``, ``temporal``, ``random``, ``given`` or ``new_users``.
        test_fraction, validation_fraction: of all events (``temporal``), of each user's events
            (``random``; validation also of ``given``) or of the users (``new_users``).
        test_from: first time of the test split, for ``temporal``.
        test: file of test events, for ``given``.
        negatives: its column of lists of items to rank each test item among; the validation
            items are then ranked among as many that their user has not taken, drawn once.
        history_events: events that a new user has shown, for ``new_users``.
        validation_from: what ``given`` holds out of its training file to validate on: a
            ``random`` share of each user's events, or their ``last`` one.
        validate: hold out a validation part; False trains on it, too: the last run of a recipe.
        without_validation: JSON list of users whose second-last item is not to be validated on.
        item_table, title, item_attributes: table with the item column, its column of titles and
            columns that describe an item; its items are in the catalogue, events or none.
        user_table, user_attributes: the same of users.
        seed: of every random choice.

    Raises:
        DataError: on reading, with the file, the row or the column, what was found and expected.
    """

    path: str
    user: str = "user"
    item: str = "item"
    time: str | None = None
    rating: str | None = None
    min_rating: float = 0.0
    duplicates: str = "keep"
    min_item_events: int = 1
    min_user_events: int = 1
    protocol: str = "leave_last_out"
    test_fraction: float = 0.1
    validation_fraction: float = 0.1
    test_from: str | None = None
    test: str | None = None
    negatives: str | None = None
    history_events: int = 0
    validation_from: str = "random"
    validate: bool = True
    without_validation: str | None = None
    item_table: str | None = None
    title: str | None = None
    item_attributes: Sequence[str] = ()
    user_table: str | None = None
    user_attributes: Sequence[str] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("data.duplicates", self.duplicates, ("keep", "first", "last"))
        check_choice("data.protocol", self.protocol, PROTOCOLS)
        check_choice("data.validation_from", self.validation_from, ("random", "last"))
        if self.validation_from == "last" and self.protocol != "given":
            raise DataError(
                f"data.validation_from=last is for data.protocol=given, not {self.protocol}."
            )
        if (self.protocol == "given") != bool(self.test):
            raise DataError("data.protocol=given and data.test need each other.")
        names = {USER: self.user, ITEM: self.item, TIME: self.time, RATING: self.rating}
        self.columns = {key: name for key, name in names.items() if name}

    # -- the DataSource protocol --------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """How many users, items, attributes and training events there are."""
        events = int((self._parts == TRAIN).sum())
        extra = {"num_examples": events, "given_negatives": bool(self.negatives)}
        return self.catalogue.sizes._asdict() | extra

    def split(self, name: str) -> EventDataset | None:
        """Histories to learn from, or histories with what came next; None: nothing validates."""
        if name not in SPLITS:
            raise DataError(f"The data have no {name} split (found: {', '.join(SPLITS)}).")
        if name == "validation" and not self.validate:
            return None
        part = SPLITS[name]
        train = name == "train"
        asked = np.bincount(self._owners[self._parts == part], minlength=len(self._users)) > 0
        users = torch.from_numpy(asked.nonzero()[0])
        dataset = EventDataset(
            histories=self._gathered(self._parts <= (TRAIN if train else part - 1), asked),
            catalogue=self.catalogue,
            users=self._user_numbers[users],
            ids=self._users[asked].tolist(),
            item_tokens=self.item_tokens,
            user_tokens=None if self.user_tokens is None else self.user_tokens[users],
            training=train,
        )
        if train:
            return replace(dataset, histories=self._gathered(self._parts == TRAIN, asked))
        dataset.targets = self._gathered(self._parts == part, asked)
        if self.negatives:
            draw = self._negatives_of_file if name == "test" else self._random_negatives
            dataset.negatives = draw(asked)
        self._report(name, dataset)
        return dataset

    def inputs(self, source: Any, *, exclude: str | None = None) -> Requests:
        """Reads whom to recommend for: see `Requests`.

        Args:
            source: what a command line may say; histories, lists of items such as
                ``[[260, 1196], [5]]``; or events, a file or a table in memory.
            exclude: items that are never recommended, see `words`.
        """
        requests = self._requests(source)
        return replace(requests, excluded=words(exclude)) if exclude else requests

    def _requests(self, source: Any) -> Requests:
        if isinstance(source, (list, tuple)) and not (source and isinstance(source[0], Mapping)):
            return Requests(_histories(source))
        if isinstance(source, str) and not _names_a_file(source):
            return self._typed(source)
        events = self._ordered(read_events(source, self.columns, min_rating=self.min_rating))
        histories = events.groupby(USER, sort=False)[ITEM].agg(list)
        users = histories.index.tolist()
        return Requests(histories.tolist(), users, attributes=self._described(users))

    def _typed(self, source: str) -> Requests:
        """What a command line says."""
        kind, colon, rest = source.partition(":")
        if colon and kind == "item":
            return Requests([[word] for word in words(rest)], similar=True)
        if colon and kind == "user":
            return self._requests_of(rest)
        return Requests([words(source)])

    def fingerprint(self) -> str:
        """Hash of the training histories."""
        kept = self._parts == TRAIN
        digest = hashlib.blake2b(digest_size=16)
        digest.update(self._items[kept].astype(np.int32).tobytes())
        digest.update(self._owners[kept].astype(np.int32).tobytes())
        return digest.hexdigest()

    # -- events to numbers --------------------------------------------------------------------

    @cached_property
    def _events(self) -> pd.DataFrame:
        """The events that are used, sorted by user and time; ``given`` says which test."""
        events = self._read()
        if self.duplicates != "keep":
            events = without_duplicates(events, self.duplicates)
        events = core(events, {ITEM: self.min_item_events, USER: self.min_user_events})
        if not len(events):
            raise DataError(f"{self.path}: no event is left after filtering.")
        if self.test:
            test = read_events(self.test, self.columns, min_rating=self.min_rating)
            both = [frame.assign(given=given) for given, frame in enumerate((events, test))]
            events = pd.concat(alike(both), ignore_index=True)
            return events.sort_values([USER, "given"], kind="stable", ignore_index=True)
        return events

    def _read(self) -> pd.DataFrame:
        """All events, sorted by user and time."""
        return self._ordered(read_events(self.path, self.columns, min_rating=self.min_rating))

    @staticmethod
    def _ordered(events: pd.DataFrame) -> pd.DataFrame:
        order = [USER] + ([TIME] if TIME in events else [])
        return events.sort_values(order, kind="stable", ignore_index=True)

    @cached_property
    def _owners(self) -> np.ndarray:
        """Code ``(E,)`` of each event's user; users are in order."""
        users = self._events[USER].to_numpy()
        return np.cumsum(np.concatenate([[False], users[1:] != users[:-1]]))

    @cached_property
    def _users(self) -> np.ndarray:
        """Ids of all users ``(U,)``."""
        users = self._events[USER].to_numpy()
        return users[np.concatenate([[0], np.diff(self._owners).nonzero()[0] + 1]).astype(int)]

    @cached_property
    def _items(self) -> np.ndarray:
        """Number ``(E,)`` of each event's item."""
        return pd.Index(self.catalogue.items).get_indexer(self._events[ITEM]) + 1

    @cached_property
    def _parts(self) -> np.ndarray:
        """What each event ``(E,)`` is for."""
        owners = self._owners
        share = self.validation_fraction if self.validate else 0.0
        generator = np.random.default_rng(derive_seed(self.seed))
        if self.protocol == "leave_last_out":
            return protocols.leave_last_out(owners, self._validated, self.path)
        if self.protocol == "temporal":
            return protocols.temporal(self._events, self.test_fraction, share, self.test_from)
        if self.protocol == "new_users":
            return protocols.new_users(
                owners, self.test_fraction, share, self.history_events, generator
            )
        if self.protocol == "given":
            parts = np.where(self._events["given"] == 1, TEST, TRAIN).astype(np.int8)
        else:
            parts = np.zeros(len(owners), np.int8)
            everything = np.ones(len(owners), bool)
            parts[protocols.random_share(owners, everything, self.test_fraction, generator)] = TEST
        free = parts == TRAIN
        if self.validate and self.validation_from == "last":
            parts[protocols.last_of(owners, free)] = VALIDATION
        elif share:
            parts[protocols.random_share(owners, free, share, generator)] = VALIDATION
        return parts

    @property
    def _validated(self) -> np.ndarray:
        """Which users ``(U,)`` are validated on under leave_last_out."""
        if not self.validate or not self.without_validation:
            return np.full(len(self._users), self.validate)
        skipped = set(map(str, numbers_or_words(self.without_validation)))
        return np.array([str(user) not in skipped for user in self._users.tolist()])

    @cached_property
    def _user_numbers(self) -> Tensor:
        """Number ``(U,)`` of every user among those trained on, else 0."""
        trained = np.bincount(self._owners[self._parts == TRAIN], minlength=len(self._users)) > 0
        return torch.from_numpy(np.where(trained, trained.cumsum(), 0))

    def _gathered(self, events: np.ndarray, users: np.ndarray) -> Ragged:
        """Items of the chosen ``events (E,)`` of the chosen ``users (U,)``."""
        kept = events & users[self._owners]
        lengths = np.bincount(self._owners[kept], minlength=len(users))[users]
        values = torch.from_numpy(self._items[kept].astype(np.int32))
        return Ragged.packed(values, torch.from_numpy(lengths))

    def _report(self, name: str, dataset: EventDataset) -> None:
        """Says what of a split can hardly be hit; all of it stays in every average."""
        assert dataset.targets is not None
        assert dataset.users is not None
        targets = dataset.targets.values
        train = torch.from_numpy(self._items[self._parts == TRAIN].astype(np.int32))
        unknown = int((~torch.isin(targets, train)).sum())
        if unknown:
            say(
                f"{unknown:,} of {len(targets):,} {name} items occur in no training event. They "
                "stay in the catalogue and in every average."
            )
        strangers = int((dataset.users == 0).sum())
        if strangers:
            say(f"{strangers:,} of {len(dataset):,} {name} users are new: no training event.")
        again = int(torch.isin(pairs(dataset.targets), pairs(dataset.histories)).sum())
        if again:
            say(
                f"{again:,} of {len(targets):,} {name} items had been taken before; only "
                "task.mask_seen=false can recommend them."
            )

    def _negatives_of_file(self, asked: np.ndarray) -> Ragged:
        """The negatives of each test user's file rows."""
        lists = self._negative_lists
        rows = [lists[str(user)] for user in self._users[asked].tolist()]
        return Ragged.of([self.catalogue.item_numbers(row) for row in rows])

    def _random_negatives(self, asked: np.ndarray) -> Ragged:
        """As many for each user to be validated, of the items that the user has not taken."""
        number = max(map(len, self._negative_lists.values()))
        taken = self._gathered(self._parts != TEST, asked)
        generator = np.random.default_rng(derive_seed(self.seed, number))
        return protocols.not_taken(taken, number, len(self.catalogue.items), generator)

    @cached_property
    def _negative_lists(self) -> dict[str, list[Any]]:
        """The ids of the negatives of each user."""
        assert self.test
        assert self.negatives
        table = read_table(self.test)
        lists = listed(table, self.negatives, "data.negatives", self.test)
        users = listed(table, self.columns[USER], "data.user", self.test)
        (example,) = self._events[ITEM].head(1).tolist()
        joined: dict[str, list[Any]] = {}
        for row, (user, items) in enumerate(zip(users, lists, strict=True), start=1):
            where = f"{self.test}, row {row}: '{self.negatives}'"
            if not isinstance(items, list) or None in items:
                raise DataError(f"{where} is {items!r:.40}; expected a list of items.")
            own = [like(example, item, where) for item in items]
            joined.setdefault(str(user), []).extend(own)
        return joined


def _names_a_file(text: str) -> bool:
    return Path(text).suffix.lower() in FORMATS or os.path.isfile(text)


def _histories(source: Sequence[Any]) -> list[list[Any]]:
    """Histories that were given as lists. DataError if they are none."""
    for history in source:
        if not isinstance(history, (list, tuple)):
            raise DataError(f"the input has {history!r:.60}; expected lists: [[260, 1196], [5]].")
    return [list(history) for history in source]
