"""Heads: losses count what is known, calibration finds the truth, numbers have distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import brentq
from scipy.stats import lognorm, norm
from torch import Tensor

from marketorch.data.cuts import UNLABELLED
from marketorch.tasks.heads import ClassHead, NumberHead


def calibrated(members: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and biases that a head finds for logits ``(N, M, K)``."""
    head = ClassHead(members.shape[2], members=members.shape[1])
    head.calibrate(members, labels)
    return head.mix, head.bias


def test_calibration_finds_the_better_member_and_the_class_shares() -> None:
    torch.manual_seed(0)
    labels = (torch.rand(4000) < 0.8).long()
    noise, told = torch.randn(4000), 2.0 * labels - 1.0 + torch.randn(4000)
    members = torch.stack([torch.stack([-x, x], 1) / 2 for x in (noise, told)], 1)
    weights, bias = calibrated(members, labels)
    # The log-odds of the better member are 2 x + log(0.8 / 0.2), Gaussian noise of variance 1.
    assert weights[0] < 0.15
    assert weights[1] == pytest.approx(2.0, abs=0.2)
    assert bias[1] - bias[0] == pytest.approx(1.386, abs=0.15)


def test_calibration_is_pulled_to_equal_weights_and_no_bias() -> None:
    """By 1e-4 of their squares. Without that, where a sample can be separated, both run away."""
    signs = torch.tensor([-1.0, 1.0]).repeat(20)
    members = torch.stack([-signs, signs], 1)[:, None] / 2
    weights, _ = calibrated(members, (signs > 0).long())
    # Minus log-sigmoid(w) + 1e-4 log(w)², whose derivative is zero at w:
    best = brentq(lambda w: -w / (1 + np.exp(w)) + 2e-4 * np.log(w), 1, 50)
    assert weights.tolist() == pytest.approx([best], rel=1e-2)
    _, bias = calibrated(torch.zeros(20, 1, 2), torch.ones(20, dtype=torch.int64))
    best = brentq(lambda b: -2 / (1 + np.exp(2 * b)) + 4e-4 * b, 0, 50)
    assert bias.tolist() == pytest.approx([-best, best], rel=1e-2)


def test_unlabelled_examples_cost_nothing_and_every_member_is_trained() -> None:
    head, logits = ClassHead(3, members=2), torch.randn(6, 2, 3)
    labels = torch.tensor([0, 1, 2, UNLABELLED, 0, UNLABELLED])
    loss, weight = head.loss(logits, labels)
    known = labels >= 0
    expected = [F.cross_entropy(logits[known, m], labels[known]) for m in range(2)]
    assert weight == 4
    assert loss / weight == pytest.approx(float(sum(expected)) / 2)


def test_an_example_may_have_several_classes() -> None:
    """Each with the share of the examples that have it, once it is calibrated."""
    torch.manual_seed(0)
    head, logits = ClassHead(3, members=2, several=True), torch.zeros(5000, 2, 3)
    labels = (torch.rand(5000, 3) < torch.tensor([0.9, 0.5, 0.1])).long()
    head.calibrate(logits, labels)
    shares = head.probabilities(logits[:1])[0]
    assert shares.tolist() == pytest.approx(labels.float().mean(0).tolist(), abs=0.01)
    labels[:10] = -1  # not known
    loss, weight = head.loss(logits, labels)
    assert weight == 4990
    assert loss == pytest.approx(4990 * 3 * np.log(2), rel=1e-5)


@pytest.mark.parametrize("distribution", ["normal", "lognormal", "zero_lognormal"])
def test_a_number_head_learns_the_distribution_of_what_it_is_shown(distribution: str) -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(20_000, generator=generator)
    targets = {
        "normal": 5 + 2 * draws,
        "lognormal": (1 + 0.5 * draws).exp(),
        "zero_lognormal": (1 + 0.5 * draws).exp() * (torch.rand(20_000, generator=generator) < 0.3),
    }[distribution]
    head = NumberHead(distribution)
    head.fit(targets)
    outputs = torch.zeros(1, 1, head.num_outputs, requires_grad=True)
    optimizer = torch.optim.LBFGS([outputs], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss, weight = head.loss(outputs.expand(20_000, -1, -1), targets)
        (loss / weight).backward()
        return loss / weight

    optimizer.step(closure)
    found = outputs.detach()
    assert float(head.mean(found)) == pytest.approx(float(targets.mean()), rel=0.03)
    levels = [0.1, 0.5, 0.8, 0.95]
    expected = torch.quantile(targets, torch.tensor(levels)).tolist()
    assert head.quantiles(found, levels)[0].tolist() == pytest.approx(expected, rel=0.05, abs=1e-6)


def test_densities_are_those_of_scipy_and_members_are_a_mixture() -> None:
    head, outputs = NumberHead("zero_lognormal"), torch.zeros(3, 2, 3, dtype=torch.float64)
    outputs[:, 1, 0] = 1.0
    targets = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)
    deviation = float(F.softplus(torch.tensor(0.5413))) + 1e-3
    members = [lognorm(deviation, scale=np.exp(location)) for location in (0, 1)]
    expected = [0.5, *(np.mean([0.5 * m.pdf(x) for m in members]) for x in (1.0, 4.0))]
    assert head.log_likelihood(outputs, targets).exp().tolist() == pytest.approx(expected, rel=1e-4)
    assert float(head.mean(outputs)[0]) == pytest.approx(
        np.mean([0.5 * m.mean() for m in members]), rel=1e-4
    )
    middle = brentq(lambda x: np.mean([norm(c, deviation).cdf(x) for c in (0, 1)]) - 0.5, -5, 5)
    normal = NumberHead("normal")
    assert float(normal.quantiles(outputs[:1], [0.5])[0]) == pytest.approx(middle, abs=1e-4)


def test_calibration_widens_what_is_too_sure() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = 3 * torch.randn(5000, generator=generator)
    head, outputs = NumberHead("normal"), torch.zeros(5000, 1, 2)
    head.calibrate(outputs, targets)
    assert float(head.widen) == pytest.approx(3.0, rel=0.06)
    low, high = head.quantiles(outputs[:1], [0.05, 0.95])[0].tolist()
    assert ((targets > low) & (targets < high)).float().mean() == pytest.approx(0.9, abs=0.02)
    head.calibrate(outputs, targets)  # it starts anew
    assert float(head.widen) == pytest.approx(3.0, rel=0.06)


def test_targets_that_are_not_known_count_nothing() -> None:
    head, outputs = NumberHead("lognormal"), torch.zeros(3, 1, 2)
    loss, weight = head.loss(outputs, torch.tensor([1.0, torch.nan, 2.0]))
    assert weight == 2
    assert torch.isfinite(loss)
    with pytest.raises(ValueError, match="distribution is 'cauchy'; expected one of normal"):
        NumberHead("cauchy")
