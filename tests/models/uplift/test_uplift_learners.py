"""Learners of uplift: shapes, gradients, who learns from whom, and effects that are known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_tables import rows
from torch import Tensor

from marketorch.data.tables.encoding import EncodedCustomers
from marketorch.errors import ConfigError
from marketorch.models.tables.boosted_trees import BoostedTrees
from marketorch.models.tables.logistic import TableLogistic
from marketorch.models.tables.mlp import TableMLP
from marketorch.models.tables.tabm import TabM
from marketorch.models.uplift.doubly_robust import DRLearner
from marketorch.models.uplift.learners import DragonNet, Everyone, Learner, SLearner, TLearner

SIZES: dict[str, Any] = {"num_numbers": 3, "level_counts": (4, 3)}
MLP = partial(TableMLP, width=32, dropout=0.0)
TABM = partial(TabM, width=32, members=4, dropout=0.0)
TREES = partial(BoostedTrees, rounds=60, learning_rate=0.1, held_out=0.0, min_rows=5)
NETWORKS = {
    "s": (SLearner, {"model": MLP}),
    "s of members": (SLearner, {"model": TABM}),
    "t": (TLearner, {"model": MLP}),
    "t of members": (TLearner, {"model": TABM}),
    "dragonnet": (DragonNet, {"model": MLP}),
    "dragonnet of members": (DragonNet, {"model": TABM, "propensity": 0.5}),
}
FITTED = {
    "everyone": (Everyone, {}),
    "s of trees": (SLearner, {"model": TREES}),
    "t of trees": (TLearner, {"model": TREES}),
    "t of regressions": (TLearner, {"model": TableLogistic}),
    "doubly robust": (DRLearner, {"model": TREES, "min_rows": 20, "rounds": 200}),
    "doubly robust, of regressions": (DRLearner, {"model": TableLogistic, "min_rows": 20}),
}


def customers(number: int, arms: int = 1, seed: int = 0) -> tuple[EncodedCustomers, Tensor]:
    """Customers of an experiment and what each arm adds to their chance ``(N, A)``.

    Treatment a helps who has a positive first number, and harms others.
    """
    data, draw = rows(number, seed=seed), torch.Generator().manual_seed(seed)
    treatment = torch.randint(0, arms + 1, (number,), generator=draw)
    strength = torch.linspace(0.35, 0.2, arms)
    effects = strength * data.numbers[:, :1].sign()
    chance = 0.5 + F.pad(effects, (1, 0)).gather(1, treatment[:, None])[:, 0]
    labels = (torch.rand(number, generator=draw) < chance).long()
    return EncodedCustomers(data.numbers, data.categories, labels, treatment), effects


def built(kind: type[Learner], options: dict[str, Any], data: EncodedCustomers, arms: int) -> Any:
    torch.manual_seed(0)
    learner: Any = kind(**SIZES, num_arms=arms + 1, **options)
    if hasattr(learner, "fit"):
        learner.fit(data)
    return learner


def inputs(data: EncodedCustomers) -> tuple[Tensor, Tensor]:
    return data.numbers, data.categories.long()


def loss_of(learner: Learner, data: EncodedCustomers) -> Tensor:
    assert data.labels is not None
    assert data.treatment is not None
    return learner.losses(*inputs(data), data.treatment, data.labels)


def uplift(learner: Learner, data: EncodedCustomers) -> Tensor:
    with torch.no_grad():
        shares = learner(*inputs(data)).sigmoid()
    shares = shares.mean(1) if shares.ndim == 3 else shares
    return shares[:, 1:] - shares[:, :1]


@pytest.mark.parametrize("arms", [1, 2])
@pytest.mark.parametrize("name", [*NETWORKS, *FITTED])
def test_every_treatment_has_log_odds(name: str, arms: int) -> None:
    data, _ = customers(400, arms)
    learner = built(*(NETWORKS | FITTED)[name], data, arms)
    own = data.select(range(7))
    shape = learner(*inputs(own)).shape
    assert shape in {(7, arms + 1), (7, 4, arms + 1)}
    assert learner(*inputs(own)).isfinite().all()
    assert own.treatment is not None
    given = learner.factual(*inputs(own), own.treatment)
    place = own.treatment.reshape(-1, *[1] * (len(shape) - 1)).expand(*shape[:-1], 1)
    torch.testing.assert_close(given, learner(*inputs(own)).gather(-1, place)[..., 0])


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    data, _ = customers(64, 2)
    learner = built(*NETWORKS[name], data, 2)
    losses = loss_of(learner, data)
    assert losses.shape == (64,)
    losses.sum().backward()
    for part, parameter in learner.named_parameters():
        assert parameter.grad is not None, part
        assert parameter.grad.isfinite().all(), part


@pytest.mark.parametrize("name", ["t", "t of members"])
def test_the_models_of_a_t_learner_never_see_each_others_customers(name: str) -> None:
    data, _ = customers(64, 2)
    learner = built(*NETWORKS[name], data, 2)
    assert data.treatment is not None
    loss_of(learner, data.select((data.treatment == 1).nonzero()[:, 0])).sum().backward()
    for arm, model in enumerate(learner.models):
        touched = any(p.grad.abs().sum() > 0 for p in model.parameters())
        assert touched == (arm == 1)


def test_what_other_customers_did_does_not_move_a_fitted_t_learner() -> None:
    data, _ = customers(300)
    assert data.labels is not None
    assert data.treatment is not None
    learner = built(*FITTED["t of trees"], data, 1)
    other = replace(data, labels=torch.where(data.treatment == 1, 1 - data.labels, data.labels))
    moved = built(*FITTED["t of trees"], other, 1)
    before, after = learner(*inputs(data)), moved(*inputs(data))
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


@pytest.mark.parametrize("name", NETWORKS)
def test_sixteen_customers_are_learnt_by_heart(name: str) -> None:
    data, _ = customers(16)
    kind, options = NETWORKS[name]
    learner = built(kind, options | ({"propensity": 0.0} if kind is DragonNet else {}), data, 1)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        loss = loss_of(learner, data).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02


def test_the_weight_of_the_propensity_is_that_of_a_cross_entropy() -> None:
    data, _ = customers(32, 2)
    learner = built(DragonNet, {"model": MLP, "propensity": 0.5}, data, 2)
    assert data.treatment is not None
    assert data.labels is not None
    logits = learner.model(*inputs(data))
    own = logits[:, :3].gather(1, data.treatment[:, None])[:, 0]
    expected = F.binary_cross_entropy_with_logits(own, data.labels.float(), reduction="none")
    expected += 0.5 * F.cross_entropy(logits[:, 3:], data.treatment, reduction="none")
    torch.testing.assert_close(loss_of(learner, data), expected)
    assert learner(*inputs(data)).shape == (32, 3)


def test_everyone_has_the_mean_effect() -> None:
    data, _ = customers(500)
    assert data.labels is not None
    assert data.treatment is not None
    learner = built(Everyone, {}, data, 1)
    means = [data.labels[data.treatment == arm].double().mean() for arm in (0, 1)]
    found = uplift(learner, data)
    assert found.unique().numel() == 1
    assert float(found[0]) == pytest.approx(float(means[1] - means[0]), abs=1e-6)


@pytest.mark.parametrize("name", [name for name in FITTED if name != "everyone"])
def test_fitted_learners_find_effects_better_than_the_mean_does(name: str) -> None:
    data, _ = customers(6000, 2, seed=1)
    other, effects = customers(500, 2, seed=2)
    found = uplift(built(*FITTED[name], data, 2), other)
    constant = uplift(built(Everyone, {}, data, 2), other)
    for arm in range(2):
        errors = [(own[:, arm] - effects[:, arm]).square().mean() for own in (found, constant)]
        assert errors[0] < 0.75 * errors[1], arm


def test_doubly_robust_scores_are_right_in_the_mean_however_wrong_the_models_are() -> None:
    """Where treatments are drawn by lot; here all models say the same of everybody."""
    data, effects = customers(20_000, 2)
    learner = DRLearner(**SIZES, num_arms=3, model=partial(BoostedTrees, rounds=1), folds=2)
    scores = learner.scores(data)
    assert scores.shape == (2, 20_000)
    for arm in range(2):
        for helped in (True, False):
            own = (effects[:, arm] > 0).numpy() == helped
            error = scores[arm][own].std() / np.sqrt(own.sum())
            gap = scores[arm][own].mean() - float(effects[torch.from_numpy(own), arm].mean())
            assert abs(gap) < 4 * error


def test_customers_without_a_label_teach_a_doubly_robust_learner_nothing() -> None:
    data, _ = customers(400)
    unknown = EncodedCustomers(
        torch.cat([data.numbers, data.numbers[:50]]),
        torch.cat([data.categories, data.categories[:50]]),
        torch.cat([data.labels, torch.full((50,), -1)]),  # type: ignore[list-item]
        torch.cat([data.treatment, data.treatment[:50]]),  # type: ignore[list-item,index]
    )
    options = FITTED["doubly robust"]
    one, other = built(*options, data, 1), built(*options, unknown, 1)
    assert torch.equal(one(*inputs(data)), other(*inputs(data)))


def test_a_fitted_learner_travels_with_its_weights() -> None:
    data, _ = customers(300)
    learner = built(*FITTED["doubly robust"], data, 1)
    kind, options = FITTED["doubly robust"]
    fresh = kind(**SIZES, num_arms=2, **options)
    fresh.load_state_dict(learner.state_dict())
    assert torch.equal(fresh(*inputs(data)), learner(*inputs(data)))


def test_models_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="BoostedTrees, which is fitted in closed form"):
        DragonNet(**SIZES, num_arms=2, model=TREES)
    with pytest.raises(ConfigError, match="TableMLP, which has to be trained"):
        DRLearner(**SIZES, num_arms=2, model=MLP)
