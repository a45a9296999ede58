"""The uplift task: it learns whom a mail changes, measures lists, ranks and explains."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from toy import Killed, differing, everything, fit, kill_after_saving

from marketorch.data.synthetic.customer_data import SyntheticCustomers
from marketorch.data.tables.source import CustomerData
from marketorch.engine.evaluation import evaluate, predict_all
from marketorch.engine.task import prepare
from marketorch.engine.trainer import Trainer
from marketorch.errors import ConfigError, DataError
from marketorch.metrics.uplift import UpliftAreas, UpliftProfit, policy_counts
from marketorch.metrics.uplift_curves import areas, count, uplift_estimates
from marketorch.models.tables.boosted_trees import BoostedTrees
from marketorch.models.tables.logistic import TableLogistic
from marketorch.models.tables.mlp import TableMLP
from marketorch.models.tables.tabm import TabM
from marketorch.models.uplift.doubly_robust import DRLearner
from marketorch.models.uplift.learners import DragonNet, Everyone, SLearner, TLearner
from marketorch.optim import optimizers as optim
from marketorch.runs import Run
from marketorch.runs.prediction import best_rows, ranking
from marketorch.tasks.uplift import Uplift, effects

LOOP: dict[str, Any] = {"batch_size": 64, "device": torch.device("cpu"), "precision": "fp32"}
MLP = partial(TableMLP, width=16, depth=1, dropout=0.1, number_dim=4, bins=8)
SMALL = partial(DragonNet, model=MLP)
LEARNERS: dict[str, Any] = {
    "s": partial(SLearner, model=MLP),
    "t": partial(TLearner, model=MLP),
    "dragonnet": partial(DragonNet, model=MLP, propensity=0.1),
    "members": partial(DragonNet, model=partial(TabM, members=3, width=16, bins=8)),
}


def write_customers(path: Path, number: int = 600, mails: tuple[str, ...] = ("none", "a")) -> None:
    """Customers whom a mail brings if they live in the north, and keeps away if in the south."""
    generator = np.random.default_rng(0)
    home = generator.choice(["north", "south"], number)
    mail = generator.choice(mails, number)
    change = np.where(home == "north", 0.4, -0.2) * (mail != "none")
    bought = generator.random(number) < 0.3 + change
    frame = {"customer": [f"c{i}" for i in range(number)], "home": home, "mail": mail}
    frame |= {"age": generator.integers(18, 80, number), "bought": np.where(bought, "yes", "no")}
    pd.DataFrame(frame).to_csv(path, index=False)


def source_of(path: Path, **options: Any) -> CustomerData:
    roles = {"target": "bought", "treatment": "mail", "control": "none", "ids": "customer"}
    return CustomerData(path=str(path), **roles | options)


@pytest.fixture
def source(tmp_path: Path) -> CustomerData:
    write_customers(tmp_path / "customers.csv")
    return source_of(tmp_path / "customers.csv")


@pytest.fixture
def three(tmp_path: Path) -> CustomerData:
    """With a second mail."""
    write_customers(tmp_path / "three.csv", 900, ("none", "a", "b"))
    return source_of(tmp_path / "three.csv")


def task_of(source: CustomerData, model: Any = SMALL, **options: Any) -> Uplift:
    torch.manual_seed(0)
    return Uplift(model=model, schema=source.schema, **{"resamples": 50} | options)


def fitted(source: CustomerData, model: Any, **options: Any) -> Uplift:
    task = task_of(source, model, **options)
    prepare(task, source.split("train"))
    return task.eval()


REGRESSION = partial(TLearner, model=TableLogistic)


# -- learning ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_it_learns_whom_a_mail_changes(tmp_path: Path, source: CustomerData, name: str) -> None:
    task = task_of(source, LEARNERS[name])
    trainer = Trainer(
        run_dir=tmp_path, device="cpu", precision="fp32", epochs=30, batch_size=64, monitor="last"
    )
    train = source.split("train")
    trainer.fit(task, train, source.split("validation"), partial(optim.adamw, lr=1e-2))
    found = effects(predict_all(task, task.encode(train), **LOOP)["probabilities"])[:, 0]
    north = torch.from_numpy(np.array(train.column("home").to_pylist()) == "north")
    assert float(found[north].mean()) == pytest.approx(0.4, abs=0.15)
    assert float(found[~north].mean()) == pytest.approx(-0.2, abs=0.15)
    assert evaluate(task, task.encode(train), **LOOP)["qini"] > 0.2


@pytest.mark.parametrize("name", LEARNERS)
def test_a_resumed_run_is_bit_equal(tmp_path: Path, source: CustomerData, name: str) -> None:
    options: dict[str, Any] = {
        "task": lambda: task_of(source, LEARNERS[name]),
        "train": source.split("train"),
        "validation": source.split("validation"),
        "batch_size": 64,
        "save_every": 3,
    }
    straight = fit(tmp_path / "straight", **options)
    with pytest.raises(Killed):
        fit(tmp_path / "cut", on_event=kill_after_saving(3), **options)
    resumed = fit(tmp_path / "cut", resume=True, **options)
    assert differing(everything(straight), everything(resumed)) == []


def test_customers_without_a_label_count_nothing(source: CustomerData) -> None:
    task = fitted(source, SMALL)
    batch = task.encode(source.split("train")).__getitems__(range(32))
    whole = task(batch)
    batch["labels"][::2] = -1
    half = task(batch)
    assert int(whole.weight) == 32
    assert int(half.weight) == 16
    rest = {name: values[1::2] for name, values in batch.items()}
    torch.testing.assert_close(half.loss_sum, task(rest).loss_sum)


def test_a_doubly_robust_learner_comes_nearer_to_the_truth_than_the_mean() -> None:
    data = SyntheticCustomers(num_train=6000, num_validation=100, num_test=3000, treatment=True)
    outcomes = partial(BoostedTrees, rounds=60, learning_rate=0.1, held_out=0.0)
    learner = partial(DRLearner, model=outcomes, folds=2, rounds=300, min_rows=100)
    test, errors = data.split("test"), []
    for model in (learner, Everyone):
        task = fitted(data, model, resamples=0)
        found = effects(predict_all(task, task.encode(test), **LOOP)["probabilities"])[:, 0]
        errors.append(float(np.square(found.numpy() - data.truth("test").uplift).mean()))
    assert errors[0] < 0.8 * errors[1]


# -- metrics ----------------------------------------------------------------------------------


def test_metrics_do_not_hang_on_the_batches(source: CustomerData) -> None:
    task = fitted(source, REGRESSION, value=10.0, cost=1.0)
    encoded = task.encode(source.split("test"))
    found = evaluate(task, encoded, **LOOP | {"batch_size": 7})
    shares = predict_all(task, encoded, **LOOP | {"batch_size": 7})["probabilities"]
    given, labels = encoded.treatment, encoded.labels
    counts = policy_counts(*map(np.asarray, (effects(shares), given, labels)))
    expected = uplift_estimates(counts, 50)
    for name in ("qini", "qini_low", "qini_high", "auuc", "auuc_low", "auuc_high", "effect"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name
    assert found["qini_low"] < found["qini"] < found["qini_high"]
    own = torch.where(given == 1, shares[:, 1], shares[:, 0]).double()
    lost = -torch.where(labels == 1, own, 1 - own).log().mean()
    assert found["log_loss"] == pytest.approx(float(lost), rel=1e-5)


def test_everyone_is_a_list_in_no_order(source: CustomerData) -> None:
    task = fitted(source, Everyone)
    found = evaluate(task, task.encode(source.split("test")), **LOOP)
    for name in ("qini", "qini_low", "qini_high"):
        assert found[name] == pytest.approx(0, abs=1e-9)
    assert found["auuc"] == pytest.approx(found["effect"] / 2, rel=1e-5)


def test_each_of_several_treatments_is_measured_alone(three: CustomerData) -> None:
    task = fitted(three, REGRESSION)
    encoded = task.encode(three.split("test"))
    found = evaluate(task, encoded, **LOOP)
    shares = effects(predict_all(task, encoded, **LOOP)["probabilities"]).numpy()
    given, labels = encoded.treatment.numpy(), encoded.labels.numpy()
    for place, name in enumerate("ab"):
        own = (given == 0) | (given == place + 1)
        ones = np.ones(own.sum(), np.int64)
        alone = areas(count(shares[own, place], given[own] > 0, labels[own], ones, 1))
        assert found[f"qini/{name}"] == pytest.approx(float(alone["qini"]), rel=1e-5)
        assert found[f"effect/{name}"] == pytest.approx(float(alone["effect"]), rel=1e-5)
    best = areas(count(shares.max(1), given, labels, shares.argmax(1) + 1, 2))
    assert found["qini"] == pytest.approx(float(best["qini"]), rel=1e-5)


@pytest.mark.parametrize("cost", [0.0, 2.0, 100.0])
def test_profit_is_that_of_contacting_who_is_worth_it(cost: float) -> None:
    draw = np.random.default_rng(0)
    describe_prediction = torch.from_numpy(draw.normal(0.1, 0.2, (500, 1))).float()
    given = torch.from_numpy(draw.integers(0, 2, 500))
    labels = torch.from_numpy((draw.random(500) < 0.4).astype(np.int64))
    metric = UpliftProfit(["a"], 10.0, cost, resamples=50)
    for part in range(0, 500, 100):
        rows = slice(part, part + 100)
        metric.update(describe_prediction[rows], given[rows], labels[rows])
    found = {name: float(value) for name, value in metric.compute().items()}
    worth = describe_prediction[:, 0] * 10 > cost
    expected = 0.0
    if worth.any():
        rates = [labels[worth & (given == arm)].float().mean() for arm in (0, 1)]
        expected = float(worth.float().mean() * ((rates[1] - rates[0]) * 10 - cost))
    assert found["profit"] == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert found["profit_low"] <= found["profit"] <= found["profit_high"]


def test_metrics_of_ranks_are_those_of_one_list() -> None:
    """The states of ranks are joined in any order, and a rank may have seen nobody."""
    draw = np.random.default_rng(0)
    describe_prediction = torch.from_numpy(draw.normal(size=(300, 2))).float()
    given = torch.from_numpy(draw.integers(0, 3, 300))
    labels = torch.from_numpy(draw.integers(0, 2, 300))
    ranks = [UpliftAreas(["a", "b"], resamples=20) for _ in range(4)]
    parts = (slice(300), slice(200), slice(200, 300), slice(0))
    for metric, rows in zip(ranks, parts, strict=True):
        metric.update(describe_prediction[rows], given[rows], labels[rows])
    whole, first, second, nobody = ranks
    for name in ("effects", "treatment", "labels"):
        states = [getattr(rank, name) for rank in (nobody, second, first)]
        setattr(nobody, name, [part for state in states for part in state])
    joined = {name: float(value) for name, value in nobody.compute().items()}
    assert joined == {name: float(value) for name, value in whole.compute().items()}
    assert {"qini", "qini_low", "auuc_high", "effect", "qini/a", "auuc/b"} <= set(joined)


def test_metrics_of_nothing_yet_are_of_the_right_shape() -> None:
    metric = UpliftAreas(["a", "b"])
    assert metric.gathered()[0].shape == (0, 2)


# -- what is shown ----------------------------------------------------------------------------


def test_rows_say_what_is_best_for_whom(three: CustomerData) -> None:
    task = fitted(three, REGRESSION, value=10.0, cost=1.0)
    test = three.split("test")
    rows = task.rows(predict_all(task, task.encode(test), **LOOP), test)
    homes = test.column("home").to_pylist()
    for row, home, name in zip(rows, homes, test.ids, strict=True):
        assert row["customer"] == name
        gained = {mail: row[f"p_{mail}"] - row["p_none"] for mail in "ab"}
        assert row["uplift"] == pytest.approx(max(gained.values()), abs=2e-6)
        assert row["uplift_a"] == pytest.approx(gained["a"], abs=2e-6)
        assert (row["best"] == "none") == (row["uplift"] <= 0) == (home == "south")
        assert row["contact"] == (row["uplift"] > 0.1)
        assert row["expected_profit"] == pytest.approx(10 * row["uplift"] - 1, abs=2e-5)


def test_rows_of_one_treatment_have_one_uplift(source: CustomerData) -> None:
    task, test = fitted(source, REGRESSION), source.split("test")
    row = task.rows(predict_all(task, task.encode(test), **LOOP), test)[0]
    assert list(row) == ["customer", "best", "uplift", "p_none", "p_a"]


def test_the_first_rows_are_those_of_the_greatest_uplift_with_reasons(
    tmp_path: Path, source: CustomerData
) -> None:
    task, test = fitted(source, REGRESSION), source.split("test")
    config: Any = type("Config", (), {"trainer": {"precision": "fp32"}})
    run = Run(tmp_path, config, task, source, torch.device("cpu"))
    every = run.predict(test)
    rows = best_rows(run, test, every, task.rank_by, 5, 3)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    uplifts = sorted((row["uplift"] for row in every), reverse=True)
    assert [row["uplift"] for row in rows] == uplifts[:5]
    south = ranking(every, "p_none")[-1]  # a number, highest first
    assert every[south]["p_none"] == min(row["p_none"] for row in every)
    uplift_estimates = [row["reasons"][0] for row in run.predict(test, explain=3)]
    homes = {"north": 0, "south": 0}
    for reason in uplift_estimates:
        if reason["column"] == "home":
            homes[reason["value"]] += 1
    usual = max(homes, key=homes.__getitem__)  # who is like most has no such reason
    assert homes[usual] > 0.3 * len(uplift_estimates)


def test_the_weight_of_a_reason_is_what_the_uplift_loses(source: CustomerData) -> None:
    task, test = fitted(source, REGRESSION), source.split("test")
    rows = task.rows(predict_all(task, task.encode(test), **LOOP), test, explain=3)
    usual = "south" if any(r["column"] == "home" for r in rows[0]["reasons"]) else None
    encoded = task.encode(test)
    place = next(
        i for i, row in enumerate(rows) if any(r["column"] == "home" for r in row["reasons"])
    )
    reason = next(r for r in rows[place]["reasons"] if r["column"] == "home")
    changed = encoded.select([place])
    changed.categories[:] = task.encoder.typical()[1].int()
    with torch.no_grad():
        shares = task.probabilities(changed.numbers, changed.categories.long())
    lost = rows[place]["uplift"] - float(effects(shares)[0, 0])
    assert reason["weight"] == pytest.approx(lost, abs=2e-4), usual


def test_figures_are_drawn_and_the_interval_is_judged(
    tmp_path: Path, source: CustomerData, capsys: pytest.CaptureFixture[str]
) -> None:
    train, said = source.split("train"), []
    for model in (REGRESSION, Everyone):
        task = fitted(source, model, resamples=200)
        capsys.readouterr()
        predictions = predict_all(task, task.encode(train), **LOOP)
        paths = task.figures(predictions, train, tmp_path)
        assert [path.name for path in paths] == ["qini.png", "uplift.png"]
        assert all(path.stat().st_size > 5000 for path in paths)
        said.append(" ".join(capsys.readouterr().out.split()))
    assert "the order is better than none" in said[0]
    assert "covers 0" not in said[0]
    assert "covers 0, so these customers do not show that the order is better" in said[1]
    assert "a customer if all are treated, 95 % between" in said[0]


# -- what does not fit ------------------------------------------------------------------------


def test_data_of_no_experiment_are_refused(tmp_path: Path, source: CustomerData) -> None:
    schema = {k: v for k, v in source.schema.items() if k != "treatments"}
    with pytest.raises(DataError, match=r"set data\.treatment to the column"):
        Uplift(model=SMALL, schema=schema)
    with pytest.raises(DataError, match="two classes; found 3: a, b, c"):
        Uplift(model=SMALL, schema=source.schema | {"classes": ["a", "b", "c"]})


def test_a_model_that_is_no_learner_is_refused(source: CustomerData) -> None:
    with pytest.raises(ConfigError, match="TabM, which knows no treatments; expected a learner"):
        Uplift(model=partial(TabM, width=8), schema=source.schema)


def test_a_split_without_treatments_cannot_be_measured(source: CustomerData) -> None:
    task = fitted(source, REGRESSION)
    test = source.split("test")
    test.treatment = None
    with pytest.raises(DataError, match="no treatments, to evaluate on"):
        evaluate(task, task.encode(test), **LOOP)
