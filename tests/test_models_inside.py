"""Configs of models that hold another: composed, checked, built and replaced as a whole."""

from __future__ import annotations

from functools import partial

import pytest

from marketorch.config import build, check, compose
from marketorch.config.composition import kinds
from marketorch.errors import ConfigError
from marketorch.models.tables.boosted_trees import BoostedTrees
from marketorch.models.tables.tabm import TabM
from marketorch.models.uplift.learners import TLearner


def test_what_is_inside_is_built_first() -> None:
    config = compose(["task=uplift", "model=t_learner", "model.model.members=3"])
    check(config)
    model = build(config.model)
    assert model.func is TLearner
    inner = model.keywords["model"]
    assert isinstance(inner, partial)
    assert inner.func is TabM
    assert inner.keywords["members"] == 3
    learner = model(num_numbers=2, level_counts=[3], num_arms=2)
    assert [own.head.weight.shape[0] for own in learner.models] == [3, 3]


def test_a_misspelling_inside_is_found() -> None:
    config = compose(["task=uplift", "model=t_boosted_trees", "model.model.round=3"])
    with pytest.raises(ConfigError, match=r"model\.model\.round: .*Did you mean 'rounds'\?"):
        check(config)


def test_a_learner_around_another_model_stands_as_its_file_says() -> None:
    """Though both are learners of one kind, settings of a network mean nothing to trees."""
    config = compose(["experiment=uplift", "model=t_learner", "model.model.members=5"])
    other = compose(["experiment=uplift", "model=t_boosted_trees"])
    check(config)
    check(other)
    assert config.model.model.members == 5
    assert build(other.model).keywords["model"].func is BoostedTrees
    assert kinds(config.model) != kinds(other.model)


def test_kinds_are_those_of_everything_that_is_built() -> None:
    node = {"_target_": "a", "inner": {"_target_": "b", "names": {1: "x"}}, "plain": {"y": 2}}
    assert kinds(node) == ["a", ["b"]]
