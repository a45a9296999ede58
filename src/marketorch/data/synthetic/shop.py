"""A shop with known customers: events for a recommender, and the best that it could do with them.

Every customer has a taste, a distribution over departments around the mean of the segment that
region and age group hint at. Within a department popularity is Zipf's. The next purchase is

- within a session, with ``p_follow``, one of three to five fixed successors of the last one, of
  other kinds of its department: a phone is followed by a case;
- otherwise, with ``p_repeat``, a random earlier one once more, if its goods are used up;
- otherwise a draw from taste times popularity.

Sessions have geometric lengths, minutes between purchases, and days between them. Cold items are
drawn about `COLD_EVENTS` times, cold users have 3 or 4 events. The distribution of the next item is
known in closed form, and with it the ranking that no recommender can beat.

Shapes: U users, N items, C departments, S successors, E events, B users of a batch, L steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketorch.data.synthetic.reviews import BRANDS

Array = np.ndarray
Random = np.random.Generator

ZIPF = 0.8  # the exponent of popularity within a department
COLD_EVENTS = 3.0  # taste draws of a cold item in all of the events
FOLLOW_WEIGHTS = np.array([0.45, 0.25, 0.15, 0.1, 0.05])  # of the successors, the next kind first
FAVOURITE_SHARE, CONCENTRATION = 0.75, 4.0  # of a segment's favourites; of tastes around its mean
AGE_SHARE, REGION_SHARE = 0.6, 0.4  # of a segment's users in its own age group and region
START, ENTRY = 1_672_531_200, 180 * 86_400  # seconds: 2023-01-01, within which users first come
PAUSE, MEAN_PAUSE, STEP, MEAN_STEP = 7_200, 4 * 86_400, 5, 180  # seconds: least gap, mean on top
PAID = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.8, 0.7])  # shares of the price
CELLS = 8_000_000  # of a batch of scores (B, N)

# Name, price of the first kind, kinds in front of those that follow them, whether used up.
DEPARTMENTS = (
    ("phones", 480, "phone, phone case, screen cover, charger, power bank, headphones", False),
    ("computers", 900, "laptop, laptop sleeve, mouse, keyboard, webcam, monitor arm", False),
    ("photo", 650, "camera, memory card, camera bag, lens filter, tripod, flash", False),
    ("kitchen", 220, "stove, saucepan, frying pan, spatula, cutting board, apron", False),
    ("sports", 250, "treadmill, running shoe, sock set, sports shirt, bottle, yoga mat", False),
    ("books", 90, "e-reader, crime novel, reading lamp, bookmark, travel guide, atlas", False),
    ("garden", 8, "potting soil, seed box, plant pot, plant food, bulb, bark", True),
    ("bathroom", 4, "shampoo, conditioner, soap, toothpaste, shower gel, cream", True),
    ("drinks", 6, "coffee, filter pack, oat drink, green tea, honey, biscuit tin", True),
    ("pantry", 4, "pasta, tomato sauce, parmesan, olive oil, pesto, crackers", True),
    ("baby care", 9, "nappies, wipes, baby cream, porridge, baby soap, bib", True),
    ("pets", 11, "cat food, cat litter, cat treat, dog food, dog treat, bone", True),
)
SEGMENTS = (  # with favourite departments, and where and how old most of them are
    ("students", ("computers", "drinks", "phones"), "north", "18-24"),
    ("young families", ("baby care", "pantry", "bathroom"), "south", "25-34"),
    ("athletes", ("sports", "bathroom", "phones"), "west", "25-34"),
    ("travellers", ("photo", "books", "computers"), "coast", "35-49"),
    ("home cooks", ("kitchen", "pantry", "drinks"), "south", "50-64"),
    ("gardeners", ("garden", "pets", "books"), "east", "65+"),
)
REGIONS = ("north", "south", "east", "west", "coast", "capital")
AGE_GROUPS = ("18-24", "25-34", "35-49", "50-64", "65+")
QUALITIES = ("Classic", "Slim", "Bright", "Solid", "Soft", "Royal", "Little", "Prime", "Nordic")
KINDS = 6  # of a department
CATEGORIES, USUAL, GOODS, USED_UP = (np.array(values) for values in zip(*DEPARTMENTS, strict=True))


@dataclass(frozen=True, eq=False)
class Rules:
    """All that decides what is bought next, which no recommender is told.

    Args:
        taste: ``(U, C)``, rows sum to 1.
        department, popularity: of each item ``(N,)``, ascending; and its share therein.
        successors, follow_weights: of each item ``(N, S)``; weights sum to 1, some are 0.
        p_follow, p_repeat, p_end: see the module; a session ends after an event with ``p_end``.
    """

    taste: Array
    department: Array
    popularity: Array
    successors: Array
    follow_weights: Array
    p_follow: float
    p_repeat: float
    p_end: float

    def draw(self, rng: Random, users: Array, last: Array, earlier: Array, opens: Array) -> Array:
        """Draws the next items ``(B,)``, given whether they open a session.

        ``last`` ``(B,)`` are the items before, ``earlier`` random ones of all before, -1 for none.
        """
        size = len(users)
        department = (rng.random(size)[:, None] > self.taste[users].cumsum(1)[:, :-1]).sum(1)
        ends = np.cumsum(np.bincount(self.department)) - 1
        place = department + rng.random(size)  # among all departments, each of width 1
        items = np.searchsorted(np.cumsum(self.popularity), place, side="right")
        items = np.minimum(items, ends[department])
        again = (earlier >= 0) & USED_UP[self.department[earlier]]
        items = np.where(again & (rng.random(size) < self.p_repeat), earlier, items)
        follows = (rng.random(size) < self.p_follow) & (last >= 0) & ~opens
        slot = (rng.random(size)[:, None] >= self.follow_weights[last].cumsum(1)[:, :-1]).sum(1)
        return np.where(follows, self.successors[last, slot], items)

    def probabilities(self, users: Array, histories: Array) -> Array:
        """Returns the distribution of the next item ``(B, N)``, whether or not a session ends.

        ``histories`` ``(B, L)`` are all items so far, oldest first, with -1 in unused places.
        """
        histories = np.insert(histories, 0, -1, axis=1)
        used = histories >= 0
        rows, total = np.arange(len(users)), used.sum(1)
        follow = (1.0 - self.p_end) * self.p_follow * (total > 0)
        repeat = (1.0 - follow) * self.p_repeat / np.maximum(total, 1)  # of each earlier event
        again = used & USED_UP[self.department[histories]]
        fresh = self.taste[users] * (1.0 - follow - repeat * again.sum(1))[:, None]
        result = fresh[:, self.department] * self.popularity
        owners, places = again.nonzero()
        np.add.at(result, (owners, histories[owners, places]), repeat[owners])
        last = histories[rows, histories.shape[1] - 1 - used[:, ::-1].argmax(1)]
        result[rows[:, None], self.successors[last]] += follow[:, None] * self.follow_weights[last]
        return result


@dataclass(frozen=True, eq=False)
class Shop:
    """What a shop knows, and the rules behind it.

    Args:
        events: user, item, time (seconds since 1970), session (unique), price paid; in order.
        items: item, title, category, brand, price, and whether it is cold.
        users: user, segment, region, age_group, and whether the user is cold.
        rules: of the next purchase.
    """

    events: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame
    rules: Rules

    def probabilities(self, users: Array, histories: Array) -> Array:
        """The true distribution of the next item ``(B, N)``; see `Rules.probabilities`."""
        return self.rules.probabilities(users, histories)

    def held_out(
        self, steps_from_end: int = 1, max_users: int | None = None
    ) -> Iterator[tuple[Array, Array, Array]]:
        """Yields users ``(B,)``, histories ``(B, L)``, filled with -1, and next items ``(B,)``.

        The next item is each user's last, or with ``steps_from_end`` 2 or 3 one before it. There
        are the first ``max_users`` with at least 3 events; users are in no order.
        """
        if steps_from_end not in (1, 2, 3):
            raise ValueError(f"{steps_from_end=} must be 1, 2 or 3")
        items = self.events["item"].to_numpy()
        lengths = np.bincount(self.events["user"], minlength=len(self.users))
        users = np.flatnonzero(lengths >= 3)[:max_users]
        ends = np.cumsum(lengths) - steps_from_end
        size = max(1, CELLS // len(self.items))
        for block in np.split(users, range(size, len(users), size)):
            length = lengths[block] - steps_from_end
            steps = np.arange(length.max(initial=0))
            place = (ends[block] - length)[:, None] + steps
            histories = np.where(steps < length[:, None], items.take(place, mode="clip"), -1)
            yield block, histories, items[ends[block]]


def oracle_ndcg(
    shop: Shop,
    *,
    k: int = 10,
    steps_from_end: int = 1,
    mask_seen: bool = False,
    max_users: int | None = None,
    scores: Callable[[Array, Array], Array] | None = None,
) -> dict[str, float]:
    """Returns the ``ndcg@k`` and ``recall@k`` of ranking by the true probabilities.

    The oracle knows the rules, the user's true taste and the whole history, but like a recommender
    not whether the next event opens a session: it weighs both cases. No ranking has a better NDCG
    in expectation. Candidates are the items of any event; equal scores share their mean rank.

    Args:
        shop, k: whose events are predicted; length of the list.
        steps_from_end, max_users: which event of which users; see `Shop.held_out`.
        mask_seen: whether what a user already has is ranked last.
        scores: rank by these ``(B, N)`` of users ``(B,)`` and histories ``(B, L)``; NaN is worst.
    """
    absent = np.bincount(shop.events["item"], minlength=len(shop.items)) == 0
    ranks = []
    for users, histories, targets in shop.held_out(steps_from_end, max_users):
        values = np.array((scores or shop.probabilities)(users, histories), float)
        values[absent | np.isnan(values)] = -np.inf
        if mask_seen:
            rows, places = (histories >= 0).nonzero()
            values[rows, histories[rows, places]] = -np.inf
        own = np.take_along_axis(values, targets[:, None], axis=1)
        ranks.append((values > own).sum(1) + ((values == own).sum(1) + 1) / 2)
    rank = np.concatenate(ranks)
    gain = np.where(rank <= k, 1.0 / np.log2(1.0 + rank), 0.0)
    return {f"ndcg@{k}": float(gain.mean()), f"recall@{k}": float((rank <= k).mean())}


def make_shop(
    *,
    num_users: int = 3_000,
    num_items: int = 500,
    events_per_user: float = 30.0,
    seed: int = 0,
    p_follow: float = 0.25,
    p_repeat: float = 0.7,
    session_length: float = 4.0,
    cold_users: float = 0.1,
    cold_items: float = 0.1,
) -> Shop:
    """Makes a shop, the same for the same arguments.

    Args:
        num_users, num_items, seed: there are 72 kinds of items, with one at least.
        events_per_user, session_length: mean numbers of events; the first is 6 at least.
        p_follow, p_repeat: probabilities of a successor, and of a repeat where there is none.
        cold_users, cold_items: shares of users and items with few events.

    Raises:
        ValueError: an argument is out of its range.
    """
    shares = (p_follow, p_repeat, cold_users, cold_items)
    if num_items < KINDS * len(DEPARTMENTS) or min(num_users, session_length) < 1:
        raise ValueError(f"too few: {num_users=}, {num_items=}, {session_length=}")
    if events_per_user < 6 or not (0 <= min(shares) <= max(shares) < 1):
        raise ValueError(f"{events_per_user=} must be 6 or more, {shares=} in [0, 1)")
    rng = np.random.Generator(np.random.PCG64(seed))
    p_end = 1.0 / session_length
    lengths = _lengths(rng, num_users, events_per_user, cold_users)
    users, taste = _users(rng, num_users)
    kind, cold = _kinds(rng, num_items, cold_items)
    draws = (taste * lengths[:, None]).sum(0) * (1.0 - (1.0 - p_end) * p_follow)
    catalogue = _popularity(rng, kind // KINDS, cold, draws), *_successors(rng, kind, cold)
    rules = Rules(taste, kind // KINDS, *catalogue, p_follow, p_repeat, p_end)
    items = _items(rng, kind).assign(cold=cold)
    events = _events(rng, rules, lengths, items["price"].to_numpy())
    return Shop(events, items, users.assign(cold=lengths < 5), rules)


def _lengths(rng: Random, size: int, mean: float, cold: float) -> Array:
    """Numbers of events ``(U,)``: 3 or 4 of cold users, 5 and more of others, with a long tail."""
    spread = (mean - 3.5 * cold) / (1.0 - cold) - 5.0
    usual = 5 + rng.poisson(rng.gamma(2.0, spread / 2.0, size))
    return np.where(rng.permutation(size) < round(cold * size), rng.integers(3, 5, size), usual)


def _users(rng: Random, size: int) -> tuple[pd.DataFrame, Array]:
    """The table of users, and their tastes ``(U, C)``."""
    names, favourites, regions, ages = zip(*SEGMENTS, strict=True)
    likes = np.array([np.isin(CATEGORIES, own) for own in favourites])
    mean = FAVOURITE_SHARE * likes / likes.sum(1, keepdims=True)
    mean += (1.0 - FAVOURITE_SHARE) / len(DEPARTMENTS)
    segment = rng.integers(len(SEGMENTS), size=size)
    taste = rng.standard_gamma(CONCENTRATION * mean[segment])
    at_home, of_age = rng.random(size) < REGION_SHARE, rng.random(size) < AGE_SHARE
    table = {
        "user": np.arange(size, dtype=np.int32),
        "segment": np.take(names, segment),
        "region": np.where(at_home, np.take(regions, segment), rng.choice(REGIONS, size)),
        "age_group": np.where(of_age, np.take(ages, segment), rng.choice(AGE_GROUPS, size)),
    }
    return pd.DataFrame(table), taste / taste.sum(1, keepdims=True)


def _kinds(rng: Random, size: int, share: float) -> tuple[Array, Array]:
    """Kinds of items ``(N,)``, ascending, and whether they are cold: never the first of a kind."""
    kind = np.arange(size) * (KINDS * len(DEPARTMENTS)) // size
    cold = rng.permutation(size) < round(share * size)
    cold = cold[np.lexsort((cold, kind))]
    cold[np.unique(kind, return_index=True)[1]] = False
    return kind, cold


def _popularity(rng: Random, department: Array, cold: Array, draws: Array) -> Array:
    """Shares of the items of each department ``(N,)``, given its expected ``draws`` ``(C,)``."""
    popularity = np.empty(len(department))
    for number, expected in enumerate(draws):
        warm = np.flatnonzero((department == number) & ~cold)
        share = (1.0 + rng.permutation(len(warm))) ** -ZIPF
        share /= share.sum()
        popularity[department == number] = min(COLD_EVENTS / expected, share.min())
        popularity[warm] = share
    return popularity / np.bincount(department, popularity)[department]


def _successors(rng: Random, kind: Array, cold: Array) -> tuple[Array, Array]:
    """Successors of each item, warm ones of the kinds that come next, and weights ``(N, S)``."""
    first = np.unique(kind, return_index=True)[1]
    number = np.bincount(kind, ~cold).astype(np.int64)
    slots = np.arange(1, len(FOLLOW_WEIGHTS) + 1)
    department, place = np.divmod(kind[:, None], KINDS)
    next_kind = department * KINDS + (place + slots) % KINDS
    successors = first[next_kind] + rng.integers(number[next_kind])
    weights = FOLLOW_WEIGHTS * (slots <= rng.integers(3, len(slots) + 1, (len(kind), 1)))
    return successors.astype(np.int32), weights / weights.sum(1, keepdims=True)


def _items(rng: Random, kind: Array) -> pd.DataFrame:
    """The table of items."""
    size, department = len(kind), kind // KINDS
    kinds = np.array(", ".join(GOODS).title().split(", "), object)
    # What belongs to a durable thing costs a tenth of it.
    usual = USUAL[department] * np.where(USED_UP[department] | (kind % KINDS == 0), 1.0, 0.1)
    brand, quality = rng.choice(BRANDS, size), rng.choice(QUALITIES, size)
    number = np.arange(size) - np.unique(kind, return_index=True)[1][kind] + 1
    words = zip(brand, quality, kinds[kind], number.tolist(), strict=True)
    table = {
        "item": np.arange(size, dtype=np.int32),
        "title": [" ".join(map(str, parts)) for parts in words],
        "category": CATEGORIES.astype(object)[department],
        "brand": brand,
        "price": (usual * np.exp(0.4 * rng.standard_normal(size))).round(2),
    }
    return pd.DataFrame(table)


def _events(rng: Random, rules: Rules, lengths: Array, price: Array) -> pd.DataFrame:
    """The table of events, users of ``lengths`` ``(U,)`` one after the other."""
    starts = np.cumsum(lengths) - lengths
    opens = rng.random(lengths.sum()) < rules.p_end
    opens[starts] = True
    items = np.empty(len(opens), np.int32)
    order = np.argsort(-lengths, kind="stable")
    for step in range(lengths.max()):
        users = order[: np.searchsorted(-lengths[order], -step)]
        place = starts[users] + step
        last = items[place - 1] if step else np.full(len(users), -1)
        earlier = items[starts[users] + rng.integers(step, size=len(users))] if step else last
        items[place] = rules.draw(rng, users, last, earlier, opens[place])
    gaps = rng.standard_exponential(len(opens)) * np.where(opens, MEAN_PAUSE, MEAN_STEP)
    seconds = (gaps + np.where(opens, PAUSE, STEP)).astype(np.int64)
    seconds[starts] = START + rng.integers(ENTRY, size=len(starts))
    before = np.cumsum(seconds)[starts] - seconds[starts]  # of the users in front
    table = {
        "user": np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        "item": items,
        "time": np.cumsum(seconds) - np.repeat(before, lengths),
        "session": np.cumsum(opens, dtype=np.int32) - 1,
        "price": (price[items] * PAID[rng.integers(len(PAID), size=len(items))]).round(2),
    }
    return pd.DataFrame(table)
