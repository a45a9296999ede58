"""Gain curves against the definition, customer by customer; ties, extremes and the bootstrap."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from marketorch.metrics import uplift_curves as gain_curves
from marketorch.metrics.uplift_curves import CUTS, areas, count, gain, resampled, uplift_estimates

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def drawn(number: int, *, arms: int = 1, levels: int | None = None, seed: int = 0) -> Drawn:
    """Scores, treatments, outcomes that hang on both, and chosen treatments; ties with levels."""
    draw = np.random.default_rng(seed)
    scores = draw.random(number)
    if levels:
        scores = np.floor(scores * levels) / levels
    treatment = draw.integers(0, arms + 1, number)
    outcome = draw.random(number) < 0.2 + 0.5 * scores * (treatment > 0)
    return scores, treatment, outcome, draw.integers(1, arms + 1, number)


def slow_gain(data: Drawn, arms: int, least: float) -> tuple[float, float]:
    """Share of the customers who score ``least`` or more, and what contacting them gains."""
    scores, treatment, outcome, chosen = data
    shares = [float(np.mean(treatment == arm)) for arm in range(arms + 1)]
    top = [i for i in range(len(scores)) if scores[i] >= least]
    treated = [i for i in top if treatment[i] == chosen[i]]
    control = [i for i in top if treatment[i] == 0]
    share = len(top) / len(scores)
    if not treated or not control:
        return share, 0.0
    weights = [1 / shares[treatment[i]] for i in treated]
    acted = sum(w * outcome[i] for w, i in zip(weights, treated, strict=True))
    return share, share * (acted / sum(weights) - np.mean([outcome[i] for i in control]))


def slow_areas(data: Drawn, arms: int) -> dict[str, float]:
    """Trapezoids between the customers' scores, and the best curve drawn point by point."""
    points = [(0.0, 0.0)]
    points += [slow_gain(data, arms, least) for least in sorted(set(data[0]), reverse=True)]
    auuc = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
    _, treatment, outcome, _ = data
    control = float(np.mean(outcome[treatment == 0]))
    effect = points[-1][1]
    rate = effect + control
    first, last = min(rate, 1 - control), min(control, 1 - rate)
    best = np.interp(np.linspace(0, 1, 200_001), [0, first, 1 - last, 1], [0, first, first, effect])
    room = float(((best[1:] + best[:-1]) / 2).mean()) - effect / 2
    return {"qini": (auuc - effect / 2) / room, "auuc": auuc, "effect": effect}


@pytest.mark.parametrize("arms", [1, 3])
@pytest.mark.parametrize("levels", [None, 7, 1], ids=["no ties", "ties", "one score"])
def test_areas_are_those_of_the_definition(arms: int, levels: int | None) -> None:
    data = drawn(300, arms=arms, levels=levels)
    found = areas(count(*data, arms))
    for name, value in slow_areas(data, arms).items():
        assert float(found[name]) == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_few_cuts_change_little_and_equal_scores_are_never_parted() -> None:
    data = drawn(6000, levels=3000)
    counts = count(*data, 1)
    assert len(counts) <= CUTS
    assert counts.sum() == 6000
    exact, found = slow_areas((*(part[::4] for part in data),), 1), areas(count(*data, 1))
    assert abs(float(found["auuc"]) - exact["auuc"]) < 0.03  # of every fourth customer
    ends = counts.sum((1, 2)).cumsum()
    ranked = np.sort(data[0])[::-1]
    assert (ranked[ends[:-1] - 1] > ranked[ends[:-1]]).all()


def test_the_order_of_the_rows_does_not_matter() -> None:
    data = drawn(5000, levels=40)
    order = np.random.default_rng(1).permutation(5000)
    assert (count(*data, 1) == count(*(part[order] for part in data), 1)).all()


def everybody_known() -> Drawn:
    """Of 100 in each arm, 30 act only if treated (score 1), 60 never (0), 10 only if not (-1)."""
    scores = np.tile(np.repeat([1, 0, -1], [30, 60, 10]), 2)
    treatment = np.repeat([0, 1], 100)
    outcome = np.where(treatment == 1, scores == 1, scores == -1)
    return scores, treatment, outcome, np.ones(200, np.int64)


def test_who_knows_what_everybody_would_do_has_a_qini_of_one() -> None:
    counts = count(*everybody_known(), 1)
    assert areas(counts)["qini"] == pytest.approx(1)
    share, gained = gain(counts)
    assert share.tolist() == pytest.approx([0, 0.3, 0.9, 1])
    assert gained.tolist() == pytest.approx([0, 0.3, 0.3, 0.2])


@pytest.mark.parametrize("seed", range(3))
def test_no_order_beats_the_one_that_knows(seed: int) -> None:
    _, treatment, outcome, chosen = known = everybody_known()
    best = areas(count(*known, 1))["qini"]
    scores = np.random.default_rng(seed).random(200)
    assert areas(count(scores, treatment, outcome, chosen, 1))["qini"] < best
    assert areas(count(-known[0], treatment, outcome, chosen, 1))["qini"] == pytest.approx(-best)


def test_an_order_of_nobody_has_a_qini_of_zero_and_half_the_effect() -> None:
    _, treatment, outcome, chosen = drawn(500)
    found = uplift_estimates(count(np.zeros(500), treatment, outcome, chosen, 1), 200)
    assert found["qini"] == pytest.approx(0, abs=1e-12)
    assert found["auuc"] == pytest.approx(found["effect"] / 2)
    assert found["qini_low"] == pytest.approx(0, abs=1e-12)
    assert found["qini_high"] == pytest.approx(0, abs=1e-12)
    assert found["effect_low"] < found["effect"] < found["effect_high"]


def test_a_list_without_controls_or_of_customers_who_all_act_alike_says_nothing() -> None:
    scores, treatment, outcome, chosen = drawn(50)
    assert areas(count(scores, np.ones(50, np.int64), outcome, chosen, 1))["auuc"] == 0
    alike = uplift_estimates(count(scores, treatment, np.zeros(50), chosen, 1), 20)
    assert np.isnan(alike["qini"])
    assert np.isnan(alike["qini_low"])
    assert alike["effect"] == 0


def test_resamples_keep_the_number_of_each_treatment() -> None:
    counts = count(*drawn(400, arms=2, levels=20), 2)
    found = resampled(counts, 30, seed=1)
    assert (found.sum((1, 3)) == counts.sum((0, 2))).all()
    assert (found[:, counts == 0] == 0).all()
    assert (resampled(counts, 30, seed=1) == found).all()
    assert not (resampled(counts, 30, seed=2) == found).all()


def test_the_interval_is_as_wide_as_that_of_drawing_rows() -> None:
    """Multinomial counts of groups are what drawing customers one by one gives."""
    data = drawn(600, levels=50)
    counts = count(*data, 1)
    own = areas(resampled(counts, 2000))
    draw = np.random.default_rng(0)
    arms = [np.flatnonzero(data[1] == arm) for arm in (0, 1)]
    slow = []
    for _ in range(600):
        rows = np.concatenate([draw.choice(arm, len(arm)) for arm in arms])
        slow.append(areas(count(*(part[rows] for part in data), 1))["qini"])
    assert own["qini"].std() == pytest.approx(np.std(slow), rel=0.1)
    assert own["qini"].mean() == pytest.approx(np.mean(slow), abs=0.01)


def test_effects_of_groups_are_differences_of_shares() -> None:
    scores, treatment, outcome, _ = data = drawn(400, levels=4)
    found = gain_curves.effects(count(*data, 1))
    for value, level in zip(found, sorted(set(scores), reverse=True), strict=True):
        rates = [outcome[(scores == level) & (treatment == arm)].mean() for arm in (0, 1)]
        assert value == pytest.approx(rates[1] - rates[0])


def test_the_band_holds_the_curve() -> None:
    counts = count(*drawn(2000), 1)
    shares = np.linspace(0, 1, 11)
    low, high = gain_curves.band(counts, shares, 200)
    middle = np.interp(shares, *gain(counts))
    assert ((low <= middle) & (middle <= high)).all()
    assert (low[1:] < high[1:]).all()
