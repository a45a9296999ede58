"""What contacting the top of a ranked list gains, as a randomised experiment shows it.

Each customer was given one of A treatments or nothing, by lot; a score puts customers in an order,
and for each of them one treatment is chosen. Of the first share φ of the list let m₁(φ) be the mean
outcome of those who were given what is chosen for them, each weighted by one over the share of the
customers that were given it, and m₀(φ) the mean outcome of those who were given nothing. Then

    g(φ) = φ (m₁(φ) − m₀(φ))        the gain, in outcomes a customer of the whole list;
    AUUC = ∫₀¹ g(φ) dφ              its mean over all places to cut the list (Gutierrez & Gérardy
                                    2017, there times the number of customers);
    Qini = (AUUC − g(1)/2) / (P − g(1)/2)

(Radcliffe 2007). g(1)/2 is what a list in no order has. P is the area under the best curve that the
rates p₁ = m₁(1) and p₀ = m₀(1) allow: those who act only if treated, at most u = min(p₁, 1 − p₀),
come first, and those who act only if not, at most d = min(p₀, 1 − p₁), last, so that
P = u − u²/2 − d²/2. Qini is 0 for no order and 1 for an order that knows what everybody would do;
it does not change with the shares of the treatments.

Customers with equal scores stand in no order: between the first and the last of them g is a
straight line, as if all were spread evenly. A list is cut at `CUTS` places at most, never between
equals. Intervals are bootstrapped: customers are drawn anew within each treatment, which for lists
that are cut into G groups is a multinomial draw of counts, however many customers there are.
Shapes: N customers, A treatments and nothing, G groups of equal or neighbouring scores.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

CUTS = 1000
PASSED, IDLE, ACTED = range(3)
"""Customers who were given something else than is chosen for them, and the others' outcomes."""
AT_ONCE = 100  # resamples
COVERED = (0.025, 0.975)


def count(
    scores: np.ndarray, treatment: np.ndarray, outcome: np.ndarray, chosen: np.ndarray, arms: int
) -> np.ndarray:
    """How many customers each group of the list has ``(G, A + 1, 3)``, the highest score first.

    Args:
        scores: what customers are ranked by ``(N,)``.
        treatment: what each was given ``(N,)``, 0 is nothing.
        outcome: whether each acted ``(N,)``.
        chosen: the treatment that would be given ``(N,)``, from 1.
        arms: A.
    """
    kind = np.where(outcome.astype(bool), ACTED, IDLE)
    kind = np.where((treatment == 0) | (treatment == chosen), kind, PASSED)
    _, group, sizes = np.unique(-scores.astype(np.float64), return_inverse=True, return_counts=True)
    block = (sizes.cumsum() - sizes) * min(CUTS, len(scores)) // len(scores)
    _, merged = np.unique(block, return_inverse=True)
    groups = int(merged[-1]) + 1
    cells = (merged[group] * (arms + 1) + treatment) * 3 + kind
    return np.bincount(cells, minlength=groups * (arms + 1) * 3).reshape(groups, arms + 1, 3)


def gain(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the list φ ``(…, G + 1)``, from 0 to 1, and the gain g ``(…, G + 1)`` there.

    Where nobody was treated as chosen, or nobody was given nothing, nothing is known: g is 0.

    Args:
        counts: ``(…, G, A + 1, 3)``, see `count`.
    """
    share, rates = _rates(counts)
    return share, share * (rates[..., 1] - rates[..., 0])


def areas(counts: np.ndarray) -> dict[str, np.ndarray]:
    """``qini``, ``auuc`` and ``effect``, which is g(1), each ``(…)`` of counts ``(…, G, A+1, 3)``.

    ``qini`` is NaN where everybody acts alike.
    """
    share, rates = _rates(counts)
    gained = share * (rates[..., 1] - rates[..., 0])
    auuc = ((gained[..., 1:] + gained[..., :-1]) / 2 * np.diff(share, axis=-1)).sum(-1)
    base, rate = rates[..., -1, 0], rates[..., -1, 1]
    only_treated, only_not = np.minimum(rate, 1 - base), np.minimum(base, 1 - rate)
    room = only_treated * (1 - only_treated) + only_not * (1 - only_not)  # 2 P - g(1)
    effect = gained[..., -1]
    qini = np.where(room > 0, (2 * auuc - effect) / np.where(room > 0, room, 1), np.nan)
    return {"qini": qini, "auuc": auuc, "effect": effect}


def resampled(counts: np.ndarray, number: int, seed: int = 0) -> np.ndarray:
    """Counts ``(number, G, A + 1, 3)`` of customers drawn anew, as many of each treatment."""
    draw = np.random.default_rng(seed)
    drawn = np.zeros((number, *counts.shape), np.int64)
    for arm in range(counts.shape[1]):
        own = counts[:, arm]
        some = np.nonzero(own)
        total = own.sum()
        if total:
            numbers = draw.multinomial(total, own[some] / total, size=number)
            drawn[:, some[0], arm, some[1]] = numbers
    return drawn


def intervals(counts: np.ndarray, number: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Of each of `areas`, what the middle 95 % of ``number`` resamples lie between."""
    parts = [
        areas(resampled(counts, min(AT_ONCE, number - first), seed + first))
        for first in range(0, number, AT_ONCE)
    ]
    return {name: middle(np.concatenate([part[name] for part in parts])) for name in parts[0]}


def effects(counts: np.ndarray) -> np.ndarray:
    """m₁ − m₀ of each group alone ``(…, G)``; NaN where one of them is of nobody."""
    pairs = _pairs(counts)
    both = pairs.sum(-1)
    rates = np.where(both > 0, pairs[..., 1] / np.where(both > 0, both, 1), np.nan)
    return rates[..., 1] - rates[..., 0]


def band(counts: np.ndarray, shares: np.ndarray, number: int, seed: int = 0) -> np.ndarray:
    """What the middle 95 % of ``number`` resampled curves lie between ``(2, S)``.

    Args:
        shares: of the list, where the gain is asked for ``(S,)``.
    """
    curves = [
        np.interp(shares, *curve)
        for first in range(0, number, AT_ONCE)
        for curve in zip(
            *gain(resampled(counts, min(AT_ONCE, number - first), seed + first)), strict=True
        )
    ]
    return np.quantile(curves, COVERED, axis=0)


def middle(values: np.ndarray) -> tuple[float, float]:
    """What the middle 95 % of ``values (R,)`` lie between; NaN if there are none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, COVERED)
    return float(low), float(high)


def uplift_estimates(counts: np.ndarray, resamples: int) -> dict[str, float]:
    """`areas` as plain numbers and, as ``qini_low``, ``qini_high`` and so on, `intervals`."""
    found: Mapping[str, tuple[float, float]] = intervals(counts, resamples) if resamples else {}
    values = {}
    for name, value in areas(counts).items():
        values[name] = float(value)
        if name in found:
            values[f"{name}_low"], values[f"{name}_high"] = found[name]
    return values


def _rates(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the list ``(…, G + 1)``, and m₀ and m₁ of them ``(…, G + 1, 2)``.

    Both are 0 where one of them is of nobody.
    """
    pairs, each = _pairs(counts), counts.sum((-2, -1))
    acted, both = _running(pairs[..., 1]), _running(pairs.sum(-1))
    known = (both > 0).all(-1, keepdims=True)
    rates = np.divide(acted, both, out=np.zeros_like(acted), where=known)
    share = _running(each[..., None])[..., 0]
    return share / share[..., -1:], rates


def _pairs(counts: np.ndarray) -> np.ndarray:
    """Who of each group was given nothing, and what is chosen for them, idle and acted.

    ``(…, G, 2, 2)``; each treatment weighs one over how many were given it.
    """
    given = counts.sum((-3, -1))
    weights = np.where(given > 0, 1 / np.maximum(given, 1), 0.0)
    treated = np.einsum("...gak,...a->...gk", counts[..., 1:, IDLE:], weights[..., 1:])
    return np.stack([counts[..., 0, IDLE:] * weights[..., :1, None], treated], -2)


def _running(values: np.ndarray) -> np.ndarray:
    """Sums ``(…, G + 1, C)`` of the first 0, 1, … of values ``(…, G, C)``."""
    nothing = np.zeros_like(values[..., :1, :])
    return np.concatenate([nothing, values], -2).cumsum(-2)
