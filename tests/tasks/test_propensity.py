"""The propensity task on a small table: it learns, keeps probabilities true, ranks and explains."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from toy import Killed, differing, everything, fit, kill_after_saving

from marketorch.data.cuts import UNLABELLED
from marketorch.data.tables.source import CustomerData
from marketorch.engine.evaluation import evaluate, predict_all
from marketorch.engine.trainer import Trainer
from marketorch.errors import ConfigError
from marketorch.models.tables.boosted_trees import BoostedTrees
from marketorch.models.tables.logistic import TableLogistic
from marketorch.models.tables.mlp import TableMLP
from marketorch.models.tables.prior import Prior
from marketorch.models.tables.tabm import TabM
from marketorch.optim import optimizers as optim
from marketorch.tasks.propensity import Propensity

LOOP = {"batch_size": 64, "device": torch.device("cpu"), "precision": "fp32"}
SMALL: Any = partial(TableMLP, width=16, depth=1, dropout=0.0, number_dim=4, bins=8)
ENSEMBLE: Any = partial(TabM, members=4, width=16, depth=1, dropout=0.1, number_dim=4, bins=8)


def write_customers(path: Path, number: int = 400, seed: int = 0, share: float = 0.5) -> None:
    """Customers who leave where few months meet a monthly plan; the colour is for nothing."""
    generator = np.random.default_rng(seed)
    months = generator.integers(1, 60, number)
    plan = generator.choice(["monthly", "yearly"], number)
    likely = np.where((months < 24) & (plan == "monthly"), 0.9, 0.1) * share * 2
    frame = pd.DataFrame(
        {
            "customer": [f"c{i}" for i in range(number)],
            "months": [str(value) if value % 7 else "" for value in months],
            "plan": plan,
            "colour": generator.choice(["red", "green", "blue"], number),
            "left": np.where(generator.random(number) < likely, "yes", "no"),
        }
    )
    frame.to_csv(path, index=False)


@pytest.fixture
def source(tmp_path: Path) -> CustomerData:
    write_customers(tmp_path / "customers.csv")
    return CustomerData(path=str(tmp_path / "customers.csv"), target="left", ids="customer")


def task_of(source: CustomerData, model: Any = SMALL, **options: Any) -> Propensity:
    torch.manual_seed(0)
    return Propensity(model=model, schema=source.schema, **options)


def trained(run_dir: Path, task: Propensity, source: CustomerData, epochs: int = 12) -> Any:
    trainer = Trainer(run_dir=run_dir, device="cpu", precision="fp32", epochs=epochs, batch_size=64)
    train, validation = source.split("train"), source.split("validation")
    return trainer.fit(task, train, validation, partial(optim.adamw, lr=1e-2))


@pytest.mark.parametrize("model", [SMALL, ENSEMBLE])
def test_overfits_eight_customers(tmp_path: Path, source: CustomerData, model: Any) -> None:
    few = source.split("train").select(range(8))
    task = task_of(source, model, calibration=False)
    trainer = Trainer(
        run_dir=tmp_path, device="cpu", precision="fp32", epochs=80, batch_size=8, monitor="last"
    )
    report = trainer.fit(task, few, few, partial(optim.adamw, lr=1e-2))
    assert report["metrics"]["val/accuracy"] == 1.0
    assert report["metrics"]["val/log_loss"] < 0.2


def test_what_was_trained_ranks_others_better_than_chance(
    tmp_path: Path, source: CustomerData
) -> None:
    task = task_of(source)
    trained(tmp_path / "run", task, source)
    found = evaluate(task, task.encode(source.split("test")), **LOOP)
    assert found["auroc"] > 0.8
    assert found["lift@10%"] > 1.5
    assert 0 < found["auprc"] <= 1


@pytest.mark.parametrize("model", [Prior, TableLogistic, partial(BoostedTrees, rounds=20)])
def test_the_sceptics_are_fitted_by_prepare(source: CustomerData, model: Any) -> None:
    task = task_of(source, model)
    task.prepare(source.split("train"))
    found = evaluate(task, task.encode(source.split("test")), **LOOP)
    assert found["auroc"] == 0.5 if model is Prior else found["auroc"] > 0.7
    share = source.split("train").labels.float().mean()  # type: ignore[union-attr]
    mean = predict_all(task, task.encode(source.split("train")), **LOOP)["probabilities"][:, 1]
    assert float(mean.mean()) == pytest.approx(float(share), abs=0.02)


def test_members_are_mixed_as_probabilities(source: CustomerData) -> None:
    task = task_of(source, ENSEMBLE)
    train = source.split("train")
    task.prepare(train)
    task.eval()
    batch = task.encode(train).__getitems__(list(range(32)))
    with torch.no_grad():
        logits = task.model(batch["numbers"], batch["categories"])
        found = task.predict(batch)["probabilities"]
    assert logits.shape == (32, 4, 2)
    torch.testing.assert_close(found, logits.softmax(2).mean(1))


def test_a_balanced_loss_leaves_probabilities_true(tmp_path: Path) -> None:
    """One in ten leaves: weighed up while training, the mean probability is one in ten again."""
    write_customers(tmp_path / "customers.csv", 1200, share=0.15)
    source = CustomerData(path=str(tmp_path / "customers.csv"), target="left", ids="customer")
    task = task_of(source, balance=1.0, calibration=False)
    assert task.log_weights[1] > task.log_weights[0] + 1
    trained(tmp_path / "run", task, source)
    train = source.split("train")
    found = predict_all(task, task.encode(train), **LOOP)["probabilities"][:, 1].mean()
    assert float(found) == pytest.approx(float((train.labels == 1).float().mean()), abs=0.04)


def test_customers_without_a_label_weigh_nothing(source: CustomerData) -> None:
    task, train = task_of(source), source.split("train")
    task.prepare(train)
    task.eval()
    encoded = task.encode(train)
    assert encoded.labels is not None
    encoded.labels[4:] = UNLABELLED
    few, every = (task(encoded.__getitems__(list(range(n)))) for n in (4, 8))
    assert few.weight == every.weight == 4
    torch.testing.assert_close(few.loss_sum, every.loss_sum)


def test_the_threshold_is_chosen_on_validation(tmp_path: Path, source: CustomerData) -> None:
    task = task_of(source, value=10.0, cost=4.0)
    report = trained(tmp_path / "run", task, source)
    assert 0.1 < float(task.threshold) < 0.9
    assert report["metrics"]["val/profit"] > 0
    rows = task.rows(
        predict_all(task, task.encode(source.split("test")), **LOOP), source.split("test")
    )
    for row in rows:
        assert row["contact"] == (row["p_yes"] >= float(task.threshold) - 1e-6)
        assert row["expected_profit"] == pytest.approx(10 * row["p_yes"] - 4, abs=1e-4)


def test_who_is_not_calibrated_is_contacted_where_it_pays(source: CustomerData) -> None:
    """So is who is ranked by a baseline, which never sees the validation split."""
    assert float(task_of(source, value=10.0, cost=4.0).threshold) == pytest.approx(0.4)
    assert float(task_of(source).threshold) == 0.5


def test_a_value_needs_two_classes(source: CustomerData) -> None:
    schema = source.schema | {"classes": ["a", "b", "c"], "class_counts": [1, 1, 1]}
    with pytest.raises(ConfigError, match=r"task\.value is given, but there are 3 classes"):
        Propensity(model=SMALL, schema=schema, value=1.0)


@pytest.mark.parametrize("model", [SMALL, partial(BoostedTrees, rounds=20)])
def test_reasons_name_the_columns_that_matter(
    tmp_path: Path, source: CustomerData, model: Any
) -> None:
    task, train = task_of(source, model), source.split("train")
    if model is SMALL:
        trained(tmp_path / "run", task, source, epochs=20)
    else:
        task.prepare(train)
    task.eval()
    predictions = predict_all(task, task.encode(train), **LOOP)
    rows = task.rows(predictions, train, explain=3)
    surest = max(rows, key=lambda row: row["p_yes"])
    assert {one["column"] for one in surest["reasons"][:2]} <= {"months", "plan"}
    assert any(one["weight"] > 0.3 for one in surest["reasons"])
    strengths = [abs(one["weight"]) for one in surest["reasons"]]
    assert strengths == sorted(strengths, reverse=True)
    first = surest["reasons"][0]
    place = [row["customer"] for row in rows].index(surest["customer"])
    assert first["value"] == train.row(place)[first["column"]]


def test_a_reason_is_what_is_lost_where_a_column_is_as_usual(source: CustomerData) -> None:
    """By hand: the plan of each customer is replaced by the most frequent one."""
    task, train = task_of(source), source.split("train")
    task.prepare(train)
    task.eval()
    encoded, labels = task.encode(train), torch.ones(len(train), dtype=torch.int64)
    place = task.encoder.category_names.index("plan")
    usual = encoded.categories.clone()
    usual[:, place] = encoded.categories[:, place].mode().values
    before = task.log_odds(encoded.numbers, encoded.categories, labels)
    after = task.log_odds(encoded.numbers, usual, labels)
    rows = task.rows(predict_all(task, encoded, **LOOP), train, explain=9)
    for row, lost in zip(rows, (before - after).tolist(), strict=True):
        own = [one["weight"] for one in row["reasons"] if one["column"] == "plan"]
        assert (own or [0.0])[0] == pytest.approx(lost, abs=2e-3)


def test_pictures_of_the_list_are_drawn(tmp_path: Path, source: CustomerData) -> None:
    task, train = task_of(source, Prior, value=5.0, cost=1.0), source.split("train")
    task.prepare(train)
    task.eval()
    collected = predict_all(task, task.encode(train), **LOOP)
    names = [path.name for path in task.figures(collected, train, tmp_path)]
    assert names == ["confusion.png", "reliability.png", "gains.png", "profit.png"]
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)


HARD: dict[str, Any] = {
    "optimizer": partial(optim.adamw, lr=1e-2),
    **{"batch_size": 64, "ema_decay": 0.9, "save_every": 1, "epochs": 2},
}


def hard_run(run_dir: Path, source: CustomerData, **options: Any) -> Trainer:
    return fit(
        run_dir,
        task=lambda: task_of(source, ENSEMBLE, balance=0.5, value=3.0, cost=1.0),
        train=source.split("train"),
        validation=source.split("validation"),
        **HARD | options,
    )


def test_a_resumed_run_is_bit_equal(tmp_path: Path, source: CustomerData) -> None:
    whole: dict[str, Tensor] = everything(hard_run(tmp_path / "whole", source))
    for number, step in enumerate([2, 5]):
        kill = kill_after_saving(step)
        with pytest.raises(Killed):
            hard_run(tmp_path / "cut", source, resume=number > 0, on_event=kill)
    resumed = hard_run(tmp_path / "cut", source, resume=True)
    assert not differing(everything(resumed), whole)
