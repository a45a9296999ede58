"""Made-up customers of a telephone company, some of whom leave; and the chance of each to do so.

The rules are of the kinds that real tables have: skewed numbers, levels that few customers have, a
number that is missing more often the higher it is, dates, and effects that only hold together
(a costly plan drives away who hardly uses it; help that is asked for often matters to the new).
The chance is a function of what stands in the table, missing cells included, so nobody can rank or
estimate better than by it. An offer, where there is one, is drawn by lot: it keeps some, and wakes
others who had forgotten that they pay.

Customer i is a function of (seed, i): blocks of `BLOCK` customers have a generator each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.optimize import brentq
from scipy.special import expit

from marketorch.engine.loading import derive_seed

BLOCK = 4096
TODAY = np.datetime64("2024-06-30")
PLANS = ("basic", "plus", "family", "premium")
PRICES = np.array([14.0, 24.0, 39.0, 59.0])
CHANNELS = ("web", "shop", "partner", "telephone")
PAYMENTS = ("debit", "card", "transfer", "invoice")
NUM_REGIONS, NUM_MODELS = 24, 300  # a few of which hold most customers
YES = ("no", "yes")
WORDS = {
    "region": tuple(f"region {i + 1:02d}" for i in range(NUM_REGIONS)),
    "plan": PLANS,
    "channel": CHANNELS,
    "payment": PAYMENTS,
    "phone": tuple(f"{'ABCDEFGHJK'[i % 10]}{i + 100}" for i in range(NUM_MODELS)),
    "paperless": YES,
}
REFERENCE_BLOCKS = 25  # that tell what share leaves
Columns = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Customers:
    """A table and what is true of its rows.

    Attributes:
        table: the columns, with ``customer`` (an id) and ``churned``; where there was an offer,
            with ``offer`` and ``stayed`` instead.
        labels: whether each customer has churned, or stayed ``(N,)``.
        probability: the chance of that ``(N,)``, given what the table says, the offer included.
        uplift: what the offer adds to the chance to stay ``(N,)``; None where there was none.
    """

    table: pa.Table
    labels: np.ndarray
    probability: np.ndarray
    uplift: np.ndarray | None


def make_customers(
    places: range,
    *,
    seed: int,
    prevalence: float = 0.2,
    strength: float = 1.0,
    offer: bool = False,
) -> Customers:
    """Customers at some places of an endless sequence.

    Args:
        prevalence: share that leaves, among customers without an offer.
        strength: how much the table tells of who leaves, a factor of the log-odds.
        offer: whether a half, drawn by lot, has had an offer.
    """
    blocks = range(places.start // BLOCK, -(-places.stop // BLOCK))
    drawn = [_block(block, seed) for block in blocks]
    first = blocks.start * BLOCK
    within = slice(places.start - first, places.stop - first)
    columns = {name: np.concatenate([own[name] for own in drawn])[within] for name in drawn[0]}
    uniform, lot = columns.pop("uniform"), columns.pop("lot") < 0.5
    plain = strength * _score(columns) + intercept(prevalence, strength)
    without, treated = expit(plain), expit(plain + _answer(columns))
    leaves = np.where(lot, treated, without) if offer else without
    left = uniform < leaves
    digits = pa.array(np.arange(places.start, places.stop)).cast(pa.string())
    named = {"customer": pc.binary_join_element_wise("C", pc.utf8_lpad(digits, 8, "0"), "")}
    named |= {name: _as_users_have_it(name, values) for name, values in columns.items()}
    if not offer:
        named["churned"] = _words(left, YES)
        return Customers(pa.table(named), left, leaves, None)
    named |= {"offer": _words(lot, YES), "stayed": _words(~left, YES)}
    return Customers(pa.table(named), ~left, 1 - leaves, without - treated)


@cache
def intercept(prevalence: float, strength: float) -> float:
    """What the score lacks for so many to leave, among a hundred thousand customers."""
    drawn = [_score(_block(block, -1)) for block in range(REFERENCE_BLOCKS)]
    scores = strength * np.concatenate(drawn)
    return float(brentq(lambda bias: expit(scores + bias).mean() - prevalence, -60, 60))


def _block(block: int, seed: int) -> Columns:
    """One block of customers; categories are numbers still."""
    draw = np.random.default_rng(derive_seed(seed, block))
    tenure = np.ceil(draw.gamma(1.1, 26.0, BLOCK))
    plan = draw.choice(len(PLANS), BLOCK, p=(0.42, 0.3, 0.2, 0.08))
    income = np.round(draw.lognormal(7.7 + 0.12 * plan, 0.45), -1)
    hidden = draw.random(BLOCK) < expit(2.2 * (np.log(income) - 8.4))
    usage = draw.gamma(1.6, 5.0 + 4.0 * plan)
    usage[draw.random(BLOCK) < 0.06] = 0.0
    since = np.floor(draw.exponential(7.0 + 60.0 * (usage < 2)))
    opened = np.round(draw.beta(1.5, 3.0, BLOCK), 3)
    opened[draw.random(BLOCK) < 0.18] = np.nan  # who wants no mail
    return {
        "age": np.clip(np.round(draw.normal(46, 16, BLOCK)), 18, 95),
        "region": _zipf(draw, NUM_REGIONS, 1.1),
        "income": np.where(hidden, np.nan, income),
        "plan": plan,
        "monthly_bill": np.round(
            PRICES[plan] * draw.uniform(0.85, 1.1) + draw.exponential(4.0, BLOCK), 2
        ),
        "signed_up": TODAY - (30.4 * tenure).astype("m8[D]") - draw.integers(0, 28, BLOCK),
        "contract_ends": TODAY + draw.integers(-30, 700, BLOCK).astype("m8[D]"),
        "channel": draw.choice(len(CHANNELS), BLOCK, p=(0.45, 0.3, 0.15, 0.1)),
        "payment": draw.choice(len(PAYMENTS), BLOCK, p=(0.5, 0.25, 0.15, 0.1)),
        "phone": _zipf(draw, NUM_MODELS, 1.0),
        "gigabytes": np.round(usage, 2),
        "days_since_use": since,
        "calls_for_help": draw.negative_binomial(0.6, 0.4, BLOCK).astype(np.float64),
        "mails_opened": opened,
        "paperless": draw.random(BLOCK) < 0.6,
        "uniform": draw.random(BLOCK),
        "lot": draw.random(BLOCK),
    }


def _zipf(draw: np.random.Generator, number: int, power: float) -> np.ndarray:
    """Levels ``(BLOCK,)``, the k-th as frequent as 1 / k^power."""
    shares = 1 / np.arange(1, number + 1) ** power
    return draw.choice(number, BLOCK, p=shares / shares.sum())


def _effects(number: int) -> np.ndarray:
    """What levels do to the score ``(number,)``, the same for every seed."""
    return np.random.default_rng(number).normal(0.0, 0.5, number)


def _score(columns: Columns) -> np.ndarray:
    """What speaks for leaving ``(N,)``, in log-odds."""
    months = (TODAY - columns["signed_up"]).astype(np.float64) / 30.4
    left = (columns["contract_ends"] - TODAY).astype(np.float64)
    new, idle = np.exp(-months / 10), np.log1p(columns["days_since_use"])
    calls, plan = columns["calls_for_help"], columns["plan"]
    income = np.where(np.isnan(columns["income"]), 5000.0, columns["income"])
    burden = np.log(columns["monthly_bill"] / income) + 4.4
    online = (columns["channel"] == 0) | (columns["channel"] == 2)
    known = ~np.isnan(columns["mails_opened"])
    score = 1.2 * new + 0.5 * np.minimum(calls, 4) * (new > 0.4) + 0.9 * burden
    score += 0.5 * (plan >= 2) * (idle - 1.8) + 1.1 * np.exp(-((left / 25) ** 2))
    score += 0.9 * (online != columns["paperless"])  # what one gets is not what one is used to
    score += 0.0006 * (columns["age"] - 48) ** 2 - 0.2 * np.sqrt(columns["gigabytes"])
    score += np.where(known, 1.0 - 2.5 * np.nan_to_num(columns["mails_opened"]), 0.8)
    score += np.array([-0.5, -0.1, 0.4, 0.9])[columns["payment"]]
    return score + _effects(NUM_REGIONS)[columns["region"]] + _effects(NUM_MODELS)[columns["phone"]]


def _answer(columns: Columns) -> np.ndarray:
    """What an offer adds to the score ``(N,)``: most stay, who had forgotten leaves."""
    asleep = (columns["days_since_use"] > 40) & (columns["payment"] == 0)
    young = expit((40 - columns["age"]) / 8)
    return np.where(asleep, 1.0, -0.3 - 1.2 * young * (columns["plan"] >= 1))


def _as_users_have_it(name: str, values: np.ndarray) -> pa.Array:
    """A column with words for levels, dates, and nulls for missing numbers."""
    if name in WORDS:
        return _words(values, WORDS[name])
    if values.dtype.kind == "M":
        return pa.array(values.astype("M8[D]"))
    return pa.array(values, from_pandas=True)


def _words(places: np.ndarray, words: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), pa.array(words))
