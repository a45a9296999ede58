"""Metrics of a whole list: against written-out definitions, with ties, in any batches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from marketorch.metrics.base import scored
from marketorch.metrics.probabilities import AdaptiveCalibrationError
from marketorch.metrics.propensity import AveragePrecision, Lift, Profit
from marketorch.metrics.ranked_list import best_threshold, cumulative_gains, profit_curve


def drawn(number: int = 300, levels: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities ``(N, 2)`` with many ties, and labels that they foretell."""
    generator = np.random.default_rng(seed)
    share = torch.from_numpy(generator.integers(0, levels, number) / levels).float()
    labels = torch.from_numpy((generator.random(number) < share.numpy()).astype(np.int64))
    return torch.stack([1 - share, share], 1), labels


def gain_of_all_orders(scores: list[float], hits: list[int], top: int) -> float:
    """The mean share of hits in the top, over all orders that the scores allow."""
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    found = [sum(hits[i] for i in order[:top]) for order in orders]
    return sum(found) / len(found) / sum(hits)


@pytest.mark.parametrize("top", range(7))
def test_gains_are_the_mean_over_all_orders_that_equal_scores_allow(top: int) -> None:
    scores, hits = [0.5, 0.9, 0.5, 0.1, 0.5, 0.1], [1, 0, 0, 1, 1, 0]
    share = torch.tensor([top / len(scores)], dtype=torch.float64)
    found = cumulative_gains(torch.tensor(scores), torch.tensor(hits), share)
    assert float(found) == pytest.approx(gain_of_all_orders(scores, hits, top))


def test_lift_compares_the_top_of_the_list_with_the_whole() -> None:
    scores = torch.arange(20) / 20
    labels = (torch.arange(20) >= 16).long()  # the best four
    lift = Lift(0.1)
    lift.update(torch.stack([1 - scores, scores], 1), labels)
    assert float(lift.compute()) == pytest.approx(5.0)
    same = Lift(0.1)
    same.update(torch.full((20, 2), 0.5), labels)
    assert float(same.compute()) == pytest.approx(1.0)


def test_the_adaptive_calibration_error_is_that_of_bins_of_equal_size() -> None:
    probabilities, labels = drawn(levels=10_000)
    order = probabilities[:, 1].argsort()
    expected = sum(
        abs(float((probabilities[part, 1] - labels[part]).double().mean())) * len(part)
        for part in np.array_split(order.numpy(), 15)
    )
    error = AdaptiveCalibrationError()
    for part in torch.arange(len(labels)).split(70):
        error.update(probabilities[part], labels[part])
    assert float(error.compute()) == pytest.approx(expected / len(labels), abs=1e-6)


def test_the_order_of_equal_scores_changes_no_calibration_error() -> None:
    probabilities, labels = drawn(levels=4)
    errors = []
    for seed in range(4):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        error = AdaptiveCalibrationError()
        error.update(probabilities[order], labels[order])
        errors.append(float(error.compute()))
    assert errors == pytest.approx([errors[0]] * 4, abs=1e-7)


def test_an_error_of_rare_events_is_seen() -> None:
    """In bins of equal width nearly all would share one, whose mean is right."""
    rare = torch.full((1000, 2), 0.01)
    rare[:, 0] = 0.99
    rare[:500, 1], rare[500:, 1] = 0.0, 0.02
    labels = torch.zeros(1000, dtype=torch.int64)
    labels[:10] = 1  # all where none was predicted
    error = AdaptiveCalibrationError(10)
    error.update(rare, labels)
    assert float(error.compute()) == pytest.approx(0.02)


def test_of_more_classes_the_likeliest_is_asked() -> None:
    shares = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
    scores, hits = scored(shares, torch.tensor([1, 0]))
    assert scores.tolist() == pytest.approx([0.5, 0.7])
    assert hits.tolist() == [1.0, 0.0]


def test_average_precision_is_that_of_the_class_that_is_sought() -> None:
    probabilities, labels = drawn()
    metric = AveragePrecision(2)
    metric.update(probabilities, labels)
    expected = average_precision_score(labels.numpy(), probabilities[:, 1].numpy())
    assert float(metric.compute()) == pytest.approx(expected, abs=1e-6)


def test_the_threshold_earns_the_most() -> None:
    probabilities, labels = drawn()
    scores, hits = probabilities[:, 1], labels == 1
    value, cost = 10.0, 4.0
    earned = {
        float(cut): float((hits[scores >= cut] * value - cost).sum()) for cut in scores.unique()
    }
    found = best_threshold(scores, hits, value, cost)
    assert earned[min(cut for cut in earned if cut >= found)] == max(earned.values())
    assert found not in earned  # a score that is rounded stays on its side
    cuts, profit = profit_curve(scores, hits, value, cost)
    assert dict(zip(cuts.tolist(), profit.tolist(), strict=True)) == pytest.approx(earned)
    metric = Profit(value, cost, found)
    metric.update(probabilities, labels)
    assert float(metric.compute()) == pytest.approx(max(earned.values()) / len(labels), rel=1e-5)


def test_nobody_is_contacted_where_everybody_costs_more_than_they_bring() -> None:
    probabilities, labels = drawn()
    threshold = best_threshold(probabilities[:, 1], labels == 1, 1.0, 2.0)
    assert threshold == float("inf")
    metric = Profit(1.0, 2.0, threshold)
    metric.update(probabilities, labels)
    assert float(metric.compute()) == 0.0
