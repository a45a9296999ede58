"""Every experiment in its tiny form (configs/tiny): what holds for one holds for all.

A new experiment is tried here once its tiny form is written; what it reads, a module of `drawn`
draws.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from drawings import folder, squares
from drawn import data_dir
from omegaconf import DictConfig
from safetensors.torch import load_file
from toy import Killed, differing, kill_after_saving

from marketorch import Task, Trainer, build, build_task, check, compose, load_run, train
from marketorch.config import config_dir, tiny
from marketorch.engine.loading import Fetcher, Key
from marketorch.errors import ConfigError
from marketorch.runs import training

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))
TINY = sorted(path.stem for path in (config_dir() / "tiny").glob("[!_]*.yaml"))
OF_FILES = {  # in golden runs: what OpenCV draws may differ from one version to the next
    "logo": ["data=detection_files", "data.path=squares.json", "data.size=64"],
    "scene": ["data=image_files", "data.path=pictures", "data.size=32"],
}
# In a detector, rounding may give a point to another box, and OpenCV prints scenes or finds faces.
# A ReLU is so near zero in the golden run of emotion that weights changed by 1e-7, or a pixel drawn
# a grey lighter, move losses by 1e-3.
TOLERANCE = {"logo": 3e-3, "emotion": 3e-3, "smile": 1e-2}
TOLERANCE |= {name: 1e-2 for name in ("logo_from_marks", "logo_flickrlogos27")}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_dir(tmp_path_factory.mktemp("data"))


def kinds(experiment: str) -> tuple[str, str]:
    """The task and the data source of an experiment."""
    config = compose(tiny(experiment))
    return config.task["_target_"], config.data["_target_"]


def one_of_each_kind() -> list[str]:
    """The first experiment of each pair of a task and a data source."""
    found: dict[tuple[str, str], str] = {}
    for experiment in TINY:
        found.setdefault(kinds(experiment), experiment)
    return list(found.values())


def embedded() -> list[str]:
    """Those that read no files and take steps, the first of each kind."""
    configs = {name: compose(tiny(name, "data_dir=nowhere")) for name in one_of_each_kind()}
    return [
        name
        for name, config in configs.items()
        if "nowhere" not in str(config.data) and config.trainer.max_steps
    ]


def test_every_experiment_has_a_tiny_form() -> None:
    assert TINY == EXPERIMENTS


# -- one batch --------------------------------------------------------------------------------


def prepared(config: DictConfig) -> tuple[Task, Any]:
    """The task, fitted on the training split, and a batch of it."""
    data = build(config.data)
    raw = data.split("train")
    torch.manual_seed(0)
    task = build_task(config, data.schema)
    task.prepare(raw)
    encoded = task.encode(raw)
    return task, Fetcher(encoded)[Key(0, 0, 0, [*range(min(16, len(encoded)))])]


@pytest.mark.parametrize("experiment", TINY)
def test_every_parameter_gets_a_finite_gradient_and_a_batch_is_learnt(
    experiment: str, drawn: Path
) -> None:
    config = compose(tiny(experiment, f"data_dir={drawn}"))
    check(config)
    task, batch = prepared(config)
    if config.trainer.get("max_steps") == 0 or not any(p.requires_grad for p in task.parameters()):
        return  # fitted in closed form; it takes no step
    step = task.train()(batch)
    assert torch.isfinite(step.loss_sum)
    (step.loss_sum / step.weight).backward()
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
    first, last = learn(task, batch)
    assert last < 0.95 * first


def learn(task: Task, batch: Any, steps: int = 30) -> tuple[float, float]:
    """The loss of a batch before and after so many steps on it alone."""
    torch.manual_seed(0)
    parameters = [parameter for parameter in task.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        step = task(batch)
        loss = step.loss_sum / step.weight
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


# -- one run ----------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", TINY)
def test_the_losses_are_the_golden_ones_and_the_run_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Any, drawn: Path, experiment: str
) -> None:
    """What is fitted takes no step: there it is what validation measures."""
    monkeypatch.chdir(tmp_path)
    squares(tmp_path / "squares.json", 120)
    folder(tmp_path / "pictures", 60)
    splits = watched_splits(monkeypatch)
    own = [*OF_FILES.get(experiment, []), f"data_dir={drawn}", "run_dir=run"]
    report = train(compose(tiny(experiment, *own)))
    assert set(splits) == {"train", "validation"}  # the test split is for evaluate.py
    answers_are_whole(tmp_path / "run")
    lines = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    losses = [line["train/loss"] for line in lines if "train/loss" in line]
    name, tolerance = f"experiments/{experiment}", TOLERANCE.get(experiment, 1e-4)
    if report["step"]:
        assert len(losses) == report["step"]
        return golden(name, losses, rtol=tolerance)
    values = {name: [v] for name, v in report["metrics"].items() if math.isfinite(v)}
    assert len(values) >= 3
    golden(name, values)


def watched_splits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the splits that a training asks for, as it asks."""
    asked: list[str] = []
    whole = training.configs.build

    def watched(node: Any, **arguments: Any) -> Any:
        built = whole(node, **arguments)
        if hasattr(built, "split"):
            split = built.split
            built.split = lambda name: asked.append(name) or split(name)
        return built

    monkeypatch.setattr(training.configs, "build", watched)
    return asked


def answers_are_whole(run_dir: Path) -> None:
    """A finite answer for each example, as a table too, and an exported function or a reason."""
    run = load_run(run_dir)
    examples: Any = run.data.split("validation")
    rows = run.predict(examples)
    assert rows
    assert all(row for row in rows)
    flat = run.task.table(run.task.first(rows, 3))
    assert all(not isinstance(cell, list) for row in flat for cell in row.values())
    try:
        function = run.task.export(run.data)
    except ConfigError:
        with pytest.raises(ConfigError, match="has no exported function"):
            run.task.export(run.data)
        return
    with torch.no_grad():
        given = function.eval()(function.made_up(3))
    given = given if isinstance(given, tuple) else (given,)
    assert len(given) == len(function.gives)
    assert all(len(own) == 3 and not own.isnan().any() for own in given)
    json.dumps(function.about())


# -- cut short --------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", one_of_each_kind())
def test_a_run_that_was_cut_short_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: Path, experiment: str
) -> None:
    options = ["trainer.max_steps=4", "trainer.save_every=2", f"data_dir={drawn}", "seed=3"]
    whole = compose(tiny(experiment, *options, f"run_dir={tmp_path}/whole"))
    report = train(whole)
    if not report["step"]:
        return  # nothing to cut
    cut = compose(tiny(experiment, *options, f"run_dir={tmp_path}/cut"))
    with monkeypatch.context() as patch:
        killed = kill_after_saving(2)
        event = Trainer._event
        patch.setattr(Trainer, "_event", lambda own, name: (event(own, name), killed(name, own)))
        with pytest.raises(Killed):
            train(cut)
    train(compose(tiny(experiment, *options, f"run_dir={tmp_path}/cut")), resume=True)
    one, other = (
        load_file(tmp_path / name / "checkpoints" / "best.safetensors") for name in ("whole", "cut")
    )
    assert not differing(one, other)
