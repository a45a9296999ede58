"""The training loop, on a problem it has never heard of (see tests/toy.py)."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassRecall
from torchmetrics.wrappers import ClasswiseWrapper
from toy import (
    HARD,
    JitteredPoints,
    Killed,
    Points,
    PointTask,
    differing,
    everything,
    fit,
    kill_after_saving,
    logged,
)

from marketorch.engine import checkpoint
from marketorch.engine import trainer as trainer_module
from marketorch.engine.loading import epoch_order
from marketorch.engine.monitor import Monitor
from marketorch.engine.task import Step
from marketorch.engine.trainer import Trainer
from marketorch.engine.update import Update
from marketorch.errors import ConfigError, DataError, NonFiniteError
from marketorch.metrics.probabilities import Brier
from marketorch.optim import optimizers as optim

CHECKPOINTS = "checkpoints"


# -- it trains --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [partial(optim.adamw, lr=0.02), partial(optim.muon, lr=0.05, adamw_lr=0.02)]
)
def test_eight_examples_are_overfitted(tmp_path: Path, optimizer: Any) -> None:
    eight = Points(8)
    trainer = fit(
        tmp_path, train=eight, validation=eight, epochs=80, eval_every=80, optimizer=optimizer
    )
    assert trainer.best.metrics["val/accuracy"] == 1.0
    assert trainer.best.metrics["val/log_loss"] < 0.05


def test_the_xor_of_new_points_is_learnt(tmp_path: Path) -> None:
    trainer = fit(tmp_path, train=Points(400), validation=Points(200, seed=1), epochs=12)
    assert trainer.best.metrics["val/accuracy"] > 0.9
    assert trainer.task.seen == 400  # prepare was called, on the training split


def test_the_report_says_what_happened(tmp_path: Path) -> None:
    report = fit(tmp_path, epochs=3, seed=5).report()
    assert report["step"] == 3 * math.ceil(60 / 8)
    assert report["epoch"] == 3
    assert report["seed"] == 5
    assert report["precision"] == "fp32"
    assert report["parameters"] == sum(p.numel() for p in PointTask().parameters())
    assert set(report["metrics"]) == {
        "val/accuracy",
        "val/auroc",
        "val/auprc",
        "val/log_loss",
    }


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    runs = [fit(tmp_path / str(i), seed=seed, task=HARD) for i, seed in enumerate([0, 0, 1])]
    first, same, other = map(everything, runs)
    assert not differing(first, same)
    assert differing(first, other)


def test_evaluating_more_often_does_not_change_the_weights(tmp_path: Path) -> None:
    rarely = fit(tmp_path / "rarely", task=HARD, ema_decay=0.9)
    often = fit(tmp_path / "often", task=HARD, ema_decay=0.9, eval_every=1, log_every=1)
    assert not differing(everything(rarely), everything(often))


# -- it resumes, bit for bit ------------------------------------------------------------------

FULL: dict[str, Any] = {"task": HARD, "ema_decay": 0.9, "accumulate": 2, "save_every": 1}
"""60 points, batches of 8, two batches a step: 8 batches and 4 steps an epoch, 8 steps in all."""


@pytest.fixture(scope="module", params=[Points, JitteredPoints])
def data(request: pytest.FixtureRequest) -> Any:
    """Batches at once, with random numbers in the forward pass only, or example by example."""
    return request.param(60)


@pytest.fixture(scope="module")
def uninterrupted(data: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return everything(fit(tmp_path_factory.mktemp("uninterrupted"), train=data, **FULL))


def resume_after(run_dir: Path, data: Any, *steps: int, num_workers: int = 0) -> Trainer:
    """A run that is killed after each of ``steps``, and then runs to its end."""
    for number, step in enumerate(steps):
        kill = kill_after_saving(step)
        with pytest.raises(Killed):
            fit(run_dir, train=data, resume=number > 0, on_event=kill, **FULL)
    return fit(run_dir, train=data, resume=True, num_workers=num_workers, **FULL)


@pytest.mark.parametrize("steps", [[1], [3], [4], [7], [1, 2], [2, 3, 5, 6]], ids=str)
def test_a_resumed_run_is_bit_equal(
    tmp_path: Path, data: Any, uninterrupted: Any, steps: list[int]
) -> None:
    assert not differing(everything(resume_after(tmp_path, data, *steps)), uninterrupted)


def test_it_may_resume_with_other_workers(tmp_path: Path, data: Any, uninterrupted: Any) -> None:
    resumed = resume_after(tmp_path, data, 3, num_workers=2)
    assert not differing(everything(resumed), uninterrupted)


def test_it_resumes_where_time_ran_out(tmp_path: Path, data: Any, uninterrupted: Any) -> None:
    stopped = fit(tmp_path, train=data, max_minutes=0, **FULL)
    assert stopped.position.step == 1
    resumed = fit(tmp_path, train=data, resume=True, **FULL)
    assert not differing(everything(resumed), uninterrupted)


def test_muon_resumes_too(tmp_path: Path) -> None:
    options: dict[str, Any] = {"optimizer": optim.muon, "save_every": 1}
    whole = fit(tmp_path / "whole", **options)
    with pytest.raises(Killed):
        fit(tmp_path / "cut", on_event=kill_after_saving(3), **options)
    assert not differing(
        everything(fit(tmp_path / "cut", resume=True, **options)), everything(whole)
    )


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    finished = fit(tmp_path, **FULL)
    again = fit(tmp_path, resume=True, **FULL)
    assert not differing(everything(again), everything(finished))
    assert again.best == finished.best


@pytest.mark.parametrize("other", [{"ema_decay": 0.9}, {"optimizer": optim.muon}])
def test_another_recipe_cannot_resume(tmp_path: Path, other: dict[str, Any]) -> None:
    fit(tmp_path, max_minutes=0)
    with pytest.raises(ConfigError, match="continue it with its own"):
        fit(tmp_path, resume=True, **other)


def test_metrics_of_a_resumed_run_have_no_gap_and_no_repetition(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    fit(whole, log_every=1, save_every=3)

    def killed_at_step_5(name: str, trainer: Trainer) -> None:
        if name == "log" and trainer.position.step == 5:
            raise Killed

    with pytest.raises(Killed):  # steps 4 and 5 are logged, but step 3 is the last one saved
        fit(cut, log_every=1, save_every=3, on_event=killed_at_step_5)
    fit(cut, log_every=1, save_every=3, resume=True)
    for name in ("step", "train/loss", "val/log_loss"):
        assert logged(cut, name) == logged(whole, name)


# -- the loss is exact ------------------------------------------------------------------------


@pytest.mark.parametrize("num", [64, 75])  # 75: three batches of 32, the last one of 11 = 8 + 3
def test_accumulating_is_a_larger_batch(tmp_path: Path, num: int) -> None:
    options: dict[str, Any] = {"train": Points(num), "log_every": 1}
    large = fit(tmp_path / "large", batch_size=32, **options)
    small = fit(tmp_path / "small", batch_size=8, accumulate=4, **options)
    assert small.position.step == large.position.step
    for name, value in everything(large).items():
        if name.startswith("task"):
            torch.testing.assert_close(everything(small)[name], value, rtol=1e-5, atol=1e-6)
    for name in ("train/loss", "train/accuracy", "train/gradient_norm"):
        assert logged(tmp_path / "small", name) == pytest.approx(
            logged(tmp_path / "large", name), rel=1e-4
        )


def test_examples_of_weight_zero_count_for_nothing(tmp_path: Path) -> None:
    """The loss is divided by the summed weights, not by the number of examples."""
    weights = torch.ones(60)
    weights[20:] = 0
    options: dict[str, Any] = {"batch_size": 60, "epochs": 5, "task": {"standardise": False}}
    weighted = fit(tmp_path / "weighted", train=Points(60, weights=weights), log_every=1, **options)
    fewer = Points(60)
    fewer.points, fewer.labels = fewer.points[:20], fewer.labels[:20]
    alone = fit(tmp_path / "alone", train=fewer, log_every=1, **options)
    for name, value in everything(alone).items():
        if "extra" not in name:
            torch.testing.assert_close(everything(weighted)[name], value)
    for name in ("train/loss", "train/accuracy"):
        assert logged(tmp_path / "weighted", name) == pytest.approx(
            logged(tmp_path / "alone", name), rel=1e-4
        )


def test_the_losses_are_the_golden_ones(tmp_path: Path, golden: Any) -> None:
    losses = {}
    for name, optimizer in {"adamw": optim.adamw, "muon": optim.muon}.items():
        fit(tmp_path / name, task=HARD, max_steps=20, epochs=5, log_every=1, optimizer=optimizer)
        losses[name] = logged(tmp_path / name, "train/loss")
        assert len(losses[name]) == 20
    golden("engine", losses)


def test_the_gradient_norm_is_clipped(tmp_path: Path) -> None:
    """With plain SGD at rate 1 the first step moves the weights by the clipped norm."""

    def sgd(module: torch.nn.Module) -> list[torch.optim.Optimizer]:
        group = {"params": list(module.parameters()), "peak_lr": 1.0}
        return [torch.optim.SGD([group], lr=1.0)]

    torch.manual_seed(1)
    start = [p.detach().clone() for p in PointTask().parameters()]  # as `fit` seeds it
    trainer = fit(tmp_path, optimizer=sgd, max_steps=1, clip_norm=0.01, warmup=0)
    moved = [p.detach() - s for p, s in zip(trainer.task.parameters(), start, strict=True)]
    assert torch.nn.utils.get_total_norm(moved).item() == pytest.approx(0.01, rel=1e-3)


# -- when it evaluates, saves and stops -------------------------------------------------------


def events(run_dir: Path, wanted: str, **options: Any) -> list[int]:
    """The steps at which an event happened in a run of two epochs of 8 steps."""
    steps: list[int] = []

    def on_event(name: str, trainer: Trainer) -> None:
        if name == wanted:
            steps.append(trainer.position.step)

    fit(run_dir, on_event=on_event, **options)
    return steps


def test_it_evaluates_each_epoch_or_as_told(tmp_path: Path) -> None:
    assert events(tmp_path / "a", "evaluate") == [8, 16]
    assert events(tmp_path / "b", "evaluate", eval_every=5) == [5, 10, 15, 16]


def test_it_saves_at_evaluations_and_as_told(tmp_path: Path) -> None:
    assert events(tmp_path / "a", "save") == [8, 16]
    assert events(tmp_path / "b", "save", save_every=3) == [3, 6, 8, 9, 12, 15, 16]


def test_max_steps_cuts_the_run_and_the_schedule(tmp_path: Path) -> None:
    trainer = fit(tmp_path, max_steps=5)
    assert trainer.position.step == trainer.total_steps == 5
    assert trainer.factor(5) == pytest.approx(0)
    assert (tmp_path / CHECKPOINTS / checkpoint.BEST).exists()
    assert fit(tmp_path / "more", max_steps=999).position.step == 16  # epochs bound it as well


def test_zero_steps_only_prepare_and_evaluate(tmp_path: Path) -> None:
    trainer = fit(tmp_path, max_steps=0)
    assert trainer.position.step == 0
    assert trainer.task.seen == 60
    assert "val/accuracy" in trainer.best.metrics
    state, _ = checkpoint.load_best(tmp_path / CHECKPOINTS / checkpoint.BEST)
    torch.testing.assert_close(state["mean"], Points(60).points.mean(0))


class Scripted(PointTask):
    """Its accuracy is told beforehand, one number an evaluation."""

    def __init__(self, accuracies: list[float]) -> None:
        super().__init__()
        self.accuracies = iter(accuracies)

    def metrics(self) -> Any:
        metrics = super().metrics()

        def compute() -> dict[str, torch.Tensor]:
            value = torch.tensor(next(self.accuracies))
            return {"accuracy": value, "log_loss": -value}

        metrics.compute = compute
        return metrics


def scripted(
    run_dir: Path, accuracies: list[float], resume: bool = False, **options: Any
) -> Trainer:
    trainer = Trainer(
        run_dir=run_dir, device="cpu", precision="fp32", batch_size=8, epochs=8, **options
    )
    task = Scripted(accuracies)
    trainer.fit(task, Points(16), Points(8), optim.adamw, resume=resume)
    return trainer


def test_patience_stops_the_run(tmp_path: Path) -> None:
    trainer = scripted(tmp_path, [0.5, 0.7, 0.6, 0.7, 0.9, 0.9], patience=2)
    assert trainer.position.epoch == 4
    assert trainer.best.value == pytest.approx(0.7)
    assert trainer.best.step == 4


def test_a_run_out_of_patience_does_not_go_on_when_resumed(tmp_path: Path) -> None:
    first = scripted(tmp_path, [0.5, 0.4, 0.3, 0.9], patience=2)
    assert scripted(tmp_path, [0.9], resume=True, patience=2).position == first.position
    assert scripted(tmp_path, [0.9] * 9, resume=True, patience=9).position.epoch == 8


def test_the_best_weights_are_kept_or_the_last(tmp_path: Path) -> None:
    accuracies = [0.1, 0.9, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    best = scripted(tmp_path / "best", accuracies)
    last = scripted(tmp_path / "last", accuracies, monitor="last")
    least = scripted(tmp_path / "least", accuracies, monitor="val/log_loss", mode="min")
    assert (best.best.step, last.best.step, least.best.step) == (4, 16, 4)
    for trainer in (best, last, least):
        _, header = checkpoint.load_best(trainer.checkpoints / checkpoint.BEST)
        assert header["step"] == trainer.best.step
        assert header["schema"] == trainer.task.schema


def test_a_metric_that_is_not_a_number_is_never_the_best(tmp_path: Path) -> None:
    nan = math.nan
    trainer = scripted(tmp_path, [nan, 0.5, nan, 0.6, nan, 0.4, nan, nan])
    assert trainer.best.value == pytest.approx(0.6)


def test_the_averaged_weights_are_evaluated_and_kept(tmp_path: Path) -> None:
    trainer = fit(tmp_path, task=HARD, ema_decay=0.9, epochs=1)
    state, _ = checkpoint.load_best(trainer.checkpoints / checkpoint.BEST)
    assert trainer.update.ema is not None
    assert {"norm.running_mean", "norm.running_var"} < set(trainer.update.ema)
    for name, value in trainer.update.ema.items():
        assert torch.equal(state[name], value)
        assert not torch.equal(everything(trainer)[f"task {name}"], value)
        assert torch.equal(trainer.task.state_dict()[name], value)  # the run ends with its best


# -- what can go wrong ------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [0, 2, 7])
@pytest.mark.parametrize("accumulate", [1, 3])  # three batches a step, and two in the last one
def test_a_loss_that_is_not_finite_stops_the_run(
    tmp_path: Path, accumulate: int, batch: int
) -> None:
    """The message names the step and the examples; the checkpoint before it stays."""
    data = Points(60)
    indices = epoch_order(60, 8, seed=0, epoch=1)[batch].tolist()
    options: dict[str, Any] = {
        "train": data,
        "accumulate": accumulate,
        "task": {"standardise": False},
    }
    saved: list[bytes] = []

    def poison(name: str, trainer: Trainer) -> None:
        if name == "save":
            saved.append((trainer.checkpoints / checkpoint.LAST).read_bytes())
            data.points[indices[0]] = math.nan

    with pytest.raises(NonFiniteError) as caught:
        fit(tmp_path, on_event=poison, log_every=100, **options)
    message = str(caught.value)
    steps = math.ceil(8 / accumulate)
    assert f"at step {steps + batch // accumulate + 1} (epoch 1, batch {batch})" in message
    assert str([f"point-{i}" for i in indices]) in message
    assert saved == [(tmp_path / CHECKPOINTS / checkpoint.LAST).read_bytes()]
    data.points[indices[0]] = 0
    assert fit(tmp_path, resume=True, **options).position.epoch == 2


def test_a_misspelt_monitor_names_what_is_measured(tmp_path: Path) -> None:
    """And before anything is prepared."""
    expected = r"monitor is 'acuracy'. Did you mean 'accuracy'\? Measured are: .*log_loss"
    for name in ("acuracy", "val/acuracy"):
        with pytest.raises(ConfigError, match=expected):
            fit(tmp_path, monitor=name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["recall/like", "last", None])
def test_a_number_of_a_metric_that_gives_several_can_be_monitored(
    monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    recall = MulticlassRecall(2, average="none")
    classes = ClasswiseWrapper(recall, labels=["unlike", "like"], prefix="recall/")
    monkeypatch.setattr(PointTask, "metrics", lambda _: MetricCollection({"recall": classes}))
    Monitor(name).watch(PointTask())
    with pytest.raises(ConfigError, match="Did you mean 'recall'"):
        Monitor("recal/like").watch(PointTask())


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_split_is_refused_by_name(tmp_path: Path, split: str) -> None:
    with pytest.raises(DataError, match=f"The {split} split is empty"):
        fit(tmp_path, **{split: Points(0)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "trainer.batch_size is 0; expected at least 1"),
        ({"accumulate": -1}, "trainer.accumulate is -1"),
        ({"patience": 0}, "trainer.patience is 0; expected at least 1, or null"),
        ({"mode": "maximum"}, "trainer.mode is 'maximum'; expected max, min or null"),
        ({"precision": "fp16"}, "trainer.precision is 'fp16'"),
        ({"device": "tpu"}, "trainer.device is 'tpu'; expected auto, cpu, gpu"),
        ({"schedule": "step"}, "trainer.schedule is 'step'; expected cosine, linear or constant"),
        ({"backends": ["excel"]}, "trainer.backends has 'excel'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_senseless_options_are_refused(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit(tmp_path, **options)


# -- optimizers and schedules -----------------------------------------------------------------


def test_schedules() -> None:
    def factors(kind: str, **options: Any) -> list[float]:
        factor = optim.schedule(kind, total_steps=10, **options)
        return [factor(step) for step in range(11)]

    assert factors("constant", warmup=0) == [1.0] * 11
    assert factors("linear", warmup=0) == pytest.approx([1 - i / 10 for i in range(11)])
    cosine = factors("cosine", warmup=0, final=0.1)
    assert cosine[0] == 1
    assert cosine[5] == pytest.approx(0.55)
    assert cosine[10] == pytest.approx(0.1)
    warm = factors("cosine", warmup=4)  # four steps
    assert warm[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert warm == factors("cosine", warmup=0.4)  # or four tenths of ten


def rates(optimizers: list[torch.optim.Optimizer], parameter: torch.Tensor) -> tuple[float, float]:
    """(learning rate, weight decay) of a parameter."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        if any(p is parameter for p in group["params"]):
            return group["lr"], group["weight_decay"]
    raise AssertionError("no optimizer has this parameter")


@pytest.mark.parametrize("factory", [partial(optim.adamw, lr=0.1), partial(optim.muon, lr=0.1)])
def test_only_matrices_decay(factory: Any) -> None:
    task = PointTask(batch_norm=True)
    optimizers = factory(task, weight_decay=0.3)
    assert rates(optimizers, task.inner.weight) == (0.1, 0.3)
    for parameter in (task.inner.bias, task.norm.weight):
        assert rates(optimizers, parameter)[1] == 0
    counted = [p for o in optimizers for g in o.param_groups for p in g["params"]]
    assert len(counted) == len(list(task.parameters()))


@pytest.mark.parametrize("factory", [optim.adamw, optim.muon])
def test_lr_scale_finds_its_parameters(factory: Any) -> None:
    task = PointTask()
    plain, scaled = factory(task), factory(task, lr_scale={"head": 10, "inner": 0.5})
    for parameter, factor in [
        (task.head.weight, 10),
        (task.inner.weight, 0.5),
        (task.inner.bias, 0.5),
        (task.hidden.weight, 1),
    ]:
        expected = rates(plain, parameter)[0] * factor
        assert rates(scaled, parameter)[0] == pytest.approx(expected)


@pytest.mark.parametrize("factory", [optim.adamw, optim.muon])
def test_a_misspelt_lr_scale_is_refused(factory: Any) -> None:
    with pytest.raises(ConfigError, match=r"lr_scale names \['haed'\]"):
        factory(PointTask(), lr_scale={"haed": 10})


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    task = PointTask()
    task.hidden.requires_grad_(False)
    before = task.hidden.weight.clone()
    trainer = Trainer(run_dir=tmp_path, device="cpu", precision="fp32", epochs=1)
    trainer.fit(task, Points(60), Points(8), optim.adamw)
    assert torch.equal(task.hidden.weight, before)


def test_the_moving_average_is_short_at_first() -> None:
    """Its decay rises from 2 / 11 towards ``ema_decay``, so that first weights are forgotten."""
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    groups = [{"params": [module.weight], "peak_lr": 1.0}]
    update = Update(module, lambda task: [torch.optim.SGD(groups, lr=1.0)], ema_decay=0.3)
    assert update.ema is not None
    expected, decays = 0.0, [2 / 11, 3 / 12, 0.3, 0.3]
    for step, decay in enumerate(decays):
        module.weight.grad = -torch.ones(1, 1)
        update.add(torch.tensor(1.0))
        update.apply(1.0, step)
        expected = decay * expected + (1 - decay) * (step + 1)
        assert update.ema["weight"].item() == pytest.approx(expected)


# -- what a task may ask for ------------------------------------------------------------------


class Refreshing(PointTask):
    """Derives its shift anew from its weights as each epoch begins, and says what it has cost."""

    refreshes = True

    def __init__(self) -> None:
        super().__init__(**HARD)
        self.register_buffer("shift", torch.zeros(()))
        self.calls: list[str] = []

    def refresh(self, train: Any) -> None:
        self.calls.append("refresh")
        self.shift = self.head.weight.detach().sum() + len(train)

    def forward(self, batch: Any) -> Any:
        step = super().forward(batch)
        return Step(step.loss_sum * (1 + 0.01 * self.shift.tanh()), step.weight, step.logs)

    def metrics(self) -> Any:
        self.calls.append("metrics")
        return super().metrics()

    def dear_metrics(self) -> dict[str, Any]:
        self.calls.append("dear")
        return {"brier": Brier()}


@pytest.mark.parametrize("step", [3, 8, 12])
def test_what_is_refreshed_each_epoch_is_the_same_in_a_resumed_run(
    tmp_path: Path, step: int
) -> None:
    options: dict[str, Any] = {"task": Refreshing, "epochs": 3, "save_every": 1}
    whole = fit(tmp_path / "whole", **options)
    assert whole.task.calls.count("refresh") == 3  # type: ignore[operator, union-attr]
    with pytest.raises(Killed):
        fit(tmp_path / "cut", on_event=kill_after_saving(step), **options)
    resumed = fit(tmp_path / "cut", resume=True, **options)
    assert not differing(everything(whole), everything(resumed))


def test_dear_metrics_come_every_so_many_evaluations_and_last(tmp_path: Path) -> None:
    fit(tmp_path, task=Refreshing, epochs=5, dear_every=3)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    measured = [line for line in lines if "val/accuracy" in line]
    assert [line["epoch"] for line in measured] == [1, 2, 3, 4, 5]
    assert [line["epoch"] for line in measured if "val/brier" in line] == [3, 5]


def test_validation_is_not_predicted_where_nothing_is_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    monkeypatch.setattr(trainer_module, "predict_all", lambda *_, **__: passes.append(1) or {})
    fit(tmp_path / "plain")
    assert not passes
    calibrated = type("Calibrated", (PointTask,), {"calibrates": True})
    fit(tmp_path / "calibrated", task=calibrated)
    assert passes == [1]
