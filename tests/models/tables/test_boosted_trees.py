"""Boosted trees: LightGBM's own answers, through a checkpoint, and how they stop."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_tables import Rows, rows

from marketorch.errors import ConfigError
from marketorch.models.tables.boosted_trees import BoostedTrees, side_by_side, stratified

lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is an extra: marketorch[boost]")
SIZES = {"num_numbers": 3, "level_counts": (6, 3)}


def table(number: int = 600, num_classes: int = 2, seed: int = 0) -> Rows:
    return rows(number, **SIZES, num_classes=num_classes, missing=0.1, seed=seed)


def fitted(data: Rows, num_classes: int = 2, **options: object) -> BoostedTrees:
    model = BoostedTrees(**SIZES, num_classes=num_classes, **options)  # type: ignore[arg-type]
    model.fit(data)
    return model


@pytest.mark.parametrize("num_classes", [2, 3])
def test_answers_are_those_of_lightgbm(num_classes: int) -> None:
    data = table(num_classes=num_classes)
    model = fitted(data, num_classes, rounds=60, held_out=0.0)
    x = side_by_side(data.numbers, data.categories)
    reference = lightgbm.train(
        model._options(),
        lightgbm.Dataset(x, data.labels.numpy(), categorical_feature=[3, 4]),
        60,
    )
    expected = reference.predict(x)
    expected = np.stack([1 - expected, expected], 1) if num_classes == 2 else expected
    logits = model(data.numbers, data.categories.long())
    assert logits.dtype == torch.float32
    np.testing.assert_allclose(logits.exp().numpy(), expected, rtol=1e-5)
    assert (logits.argmax(1) == data.labels).float().mean() > 0.8


def test_levels_are_told_apart_by_name_not_by_order() -> None:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 6, (2000, 1), generator=generator)
    labels = torch.isin(levels[:, 0], torch.tensor([0, 2, 5])).long()
    data = Rows(torch.zeros(2000, 0), levels.int(), labels)
    model = BoostedTrees(num_numbers=0, level_counts=[6], num_classes=2, rounds=30, held_out=0.0)
    model.fit(data)
    assert (model(data.numbers, levels).argmax(1) == labels).all()
    assert "cat_threshold=" in model.trees.numpy().tobytes().decode()


def test_trees_travel_in_a_file(tmp_path: Path) -> None:
    data = table()
    model, fresh = fitted(data, rounds=15), BoostedTrees(**SIZES, num_classes=2)
    save_file(model.state_dict(), tmp_path / "trees.safetensors")
    fresh.load_state_dict(load_file(tmp_path / "trees.safetensors"))
    inputs = data.numbers, data.categories.long()
    assert torch.equal(fresh(*inputs), model(*inputs))


def test_loading_forgets_the_trees_that_were_there() -> None:
    one, other = fitted(table(), rounds=15), fitted(table(seed=1), rounds=15)
    data = table(seed=2)
    expected = other(data.numbers, data.categories.long())
    assert not torch.equal(one(data.numbers, data.categories.long()), expected)
    one.load_state_dict(other.state_dict())
    assert torch.equal(one(data.numbers, data.categories.long()), expected)


def test_the_same_rows_give_the_same_trees() -> None:
    assert torch.equal(fitted(table(), rounds=30).trees, fitted(table(), rounds=30).trees)
    different = fitted(table(), rounds=30, seed=1)
    assert not torch.equal(fitted(table(), rounds=30).trees, different.trees)


def test_growth_stops_early_and_all_rows_are_fitted_with_as_many() -> None:
    data = table(400)
    options = {"rounds": 500, "learning_rate": 0.3, "patience": 5, "min_rows": 5}
    model = fitted(data, **options)
    part = fitted(data, **options, refit=False)
    number = model.booster.num_trees()
    assert 1 <= number < 100
    assert part.booster.num_trees() == number
    assert not torch.equal(part.trees, model.trees)
    # Again by hand: the rows that were not held out, watched on those that were.
    aside = stratified(data.labels.numpy(), 0.15, 0)
    x, y = side_by_side(data.numbers, data.categories), data.labels.numpy()
    whole = lightgbm.Dataset(x, y, categorical_feature=[3, 4], params=model._options())
    own = lightgbm.train(model._options(), whole.construct().subset(np.flatnonzero(~aside)), number)
    same = part.booster.predict(x[aside])
    np.testing.assert_allclose(own.predict(x[aside]), same, rtol=1e-6)
    losses = {}
    for trees in (max(1, number - 3), number, number + 3):
        grown = lightgbm.train(
            model._options(), whole.subset(np.flatnonzero(~aside)), trees
        ).predict(x[aside])
        losses[trees] = -np.log(np.where(y[aside] == 1, grown, 1 - grown)).mean()
    assert min(losses, key=losses.__getitem__) == number


def test_rows_without_a_label_are_left_out() -> None:
    data = table()
    some = Rows(data.numbers[:400], data.categories[:400], data.labels[:400])
    data.labels[400:] = -1
    assert torch.equal(fitted(data, rounds=10).trees, fitted(some, rounds=10).trees)


def test_a_share_is_taken_of_each_class() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    chosen = stratified(labels, 0.2, 0)
    assert chosen[:90].sum() == 18
    assert chosen[90:].sum() == 2
    assert (chosen == stratified(labels, 0.2, 0)).all()
    assert (chosen != stratified(labels, 0.2, 1)).any()


@pytest.mark.parametrize("labels", [[0] * 8, [0, 1] * 4, [0, 1]])
def test_a_handful_of_rows_is_no_error(labels: list[int]) -> None:
    data = table(len(labels))
    data.labels = torch.tensor(labels)
    logits = fitted(data, rounds=10)(data.numbers, data.categories.long())
    assert torch.isfinite(logits).all()
    assert logits.exp().sum(1).tolist() == pytest.approx([1.0] * len(labels))


def test_without_lightgbm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ConfigError, match=r"pip install 'marketorch\[boost\]'"):
        BoostedTrees(**SIZES, num_classes=2)
