"""Which events are learnt from and which are held out: one part for every event.

All take events sorted by user and, within a user, by time, and return parts ``(E,)``. An event
that is only context belongs to a user held out whole: it is read, but never learnt from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from marketorch.console import say
from marketorch.data.cuts import TEST, TRAIN, VALIDATION
from marketorch.data.events.log import TIME
from marketorch.data.ragged import PAD, Ragged
from marketorch.errors import DataError

CONTEXT = -1
MINIMUM = 3  # events of a user that two can be held out of
DRAWS = 50  # times that an item which turns out to be taken is drawn anew
Parts = np.ndarray


def from_the_end(users: np.ndarray) -> np.ndarray:
    """How many events of the same user come after each ``(E,)``, from user codes ``(E,)``."""
    ends = np.cumsum(np.bincount(users))
    return ends[users] - 1 - np.arange(len(users))


def leave_last_out(users: np.ndarray, validated: np.ndarray | None, path: str) -> Parts:
    """The last event of each user tests, the one before it validates.

    Args:
        users: code of each event's user ``(E,)``.
        validated: which users ``(U,)`` are validated on; the others train on one event more.
        path: for messages.

    Raises:
        DataError: no user has events enough.
    """
    lengths = np.bincount(users)
    enough = lengths >= MINIMUM
    if not enough.all():
        say(f"{int((~enough).sum()):,} users have fewer than {MINIMUM} events: only trained on.")
    if not enough.any():
        raise DataError(f"{path}: no user has {MINIMUM} events; nothing can be held out.")
    validated = enough if validated is None else enough & validated
    rank = from_the_end(users)
    parts = np.zeros(len(users), np.int8)
    parts[(rank == 0) & enough[users]] = TEST
    parts[(rank == 1) & validated[users]] = VALIDATION
    return parts


def temporal(
    events: pd.DataFrame, test_fraction: float, validation_fraction: float, test_from: str | None
) -> Parts:
    """What happened from a date on tests; the time before it validates.

    Without ``test_from`` the date is the one that leaves ``test_fraction`` of the events.

    Raises:
        DataError: there are no times, or no event on one side of the date.
    """
    if TIME not in events:
        raise DataError("data.protocol=temporal needs data.time, the column to cut at.")
    times = events[TIME]
    if test_from is None:
        cut = times.sort_values(ignore_index=True).iloc[int(len(times) * (1 - test_fraction))]
    else:
        cut = _moment(test_from, times)
    parts = np.where(times >= cut, TEST, TRAIN).astype(np.int8)
    before = times[parts == TRAIN].sort_values(ignore_index=True)
    if not len(before) or len(before) == len(times):
        raise DataError(f"data.test_from={cut} leaves no event on one side of it.")
    if validation_fraction:
        earlier = before.iloc[int(len(before) * (1 - validation_fraction))]
        parts[(times >= earlier) & (parts == TRAIN)] = VALIDATION
    say(f"{(parts == TEST).sum():,} events from {cut} on are test events.")
    return parts


def _moment(text: str, times: pd.Series) -> Any:
    """A time as the log's own are written. DataError if it is none."""
    try:
        if pd.api.types.is_numeric_dtype(times):
            return float(text)
        return pd.to_datetime(text, utc=times.dt.tz is not None)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"data.test_from={text} is no time like the log's {times.iloc[0]}."
        ) from error


def random_share(
    users: np.ndarray, free: np.ndarray, share: float, generator: np.random.Generator
) -> np.ndarray:
    """Draws ``share`` of each user's ``free (E,)`` events, one at least being left: ``(E,)`` bool.

    Users of a single free event keep it.
    """
    rank = generator.permutation(len(users)).astype(np.float64)
    rank[~free] = np.inf
    order = np.lexsort((rank, users))
    starts = np.concatenate([[0], np.cumsum(np.bincount(users))])[:-1]
    place = np.empty(len(users), np.int64)
    place[order] = np.arange(len(users)) - starts[users[order]]
    counts = np.bincount(users, weights=free).astype(np.int64)
    taken = np.minimum(np.ceil(share * counts).astype(np.int64), np.maximum(counts - 1, 0))
    drawn: np.ndarray = place < taken[users]
    return drawn & free


def last_of(users: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The last ``free (E,)`` event of each user who has another: ``(E,)`` bool."""
    place = np.where(free, np.arange(len(users)), -1)
    last = np.full(int(users.max()) + 1, -1)
    np.maximum.at(last, users, place)
    several = np.bincount(users, weights=free) > 1
    return several[users] & (place == last[users]) & free


def not_taken(taken: Ragged, number: int, num_items: int, generator: np.random.Generator) -> Ragged:
    """For each user ``number`` items, or fewer, that are not among those ``taken``, at random."""
    owners = np.repeat(np.arange(len(taken)), taken.lengths.numpy())
    known = owners * (num_items + 1) + taken.values.numpy()
    rows = np.arange(len(taken))[:, None] * (num_items + 1)
    drawn = np.zeros((len(taken), number), np.int64)
    for _ in range(DRAWS):
        bad = (drawn == PAD) | np.isin(rows + drawn, known)
        if not bad.any():
            break
        drawn[bad] = generator.integers(1, num_items + 1, bad.sum())
    drawn[np.isin(rows + drawn, known)] = PAD  # of somebody who has nearly everything
    return Ragged.of([row[row != PAD].tolist() for row in drawn])


def new_users(
    users: np.ndarray,
    test_fraction: float,
    validation_fraction: float,
    given: int,
    generator: np.random.Generator,
) -> Parts:
    """Holds users out whole; their first ``given`` events are context, the others are asked for."""
    number = int(users.max()) + 1
    order = generator.permutation(number)
    role = np.zeros(number, np.int8)
    test = max(1, round(test_fraction * number))
    validation = max(1, round(validation_fraction * number)) if validation_fraction else 0
    role[order[:test]], role[order[test : test + validation]] = TEST, VALIDATION
    parts = role[users]
    lengths = np.bincount(users)
    early = lengths[users] - 1 - from_the_end(users) < given
    parts[(parts != TRAIN) & early] = CONTEXT
    return parts
