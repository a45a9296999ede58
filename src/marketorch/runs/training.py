"""Trains what a config describes and leaves a complete run directory."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Any

import torch

from marketorch import config as configs
from marketorch import distributed
from marketorch.config import DictConfig
from marketorch.console import say, table
from marketorch.engine import checkpoint
from marketorch.engine.files import remove_left_over
from marketorch.engine.loading import derive_seed
from marketorch.engine.task import DataSource, Task
from marketorch.engine.tracking import write_json
from marketorch.engine.trainer import Trainer
from marketorch.errors import ConfigError, DataError, Interrupted
from marketorch.runs.loading import CONFIG, DONE, build_task, find_run
from marketorch.runs.provenance import commit, versions


def train(config: DictConfig, *, resume: bool = False) -> dict[str, Any]:
    """Trains what the config describes and leaves a complete run directory.

    With ``resume``, ``config.run_dir`` is a run that was cut short; it continues exactly.
    ``config.pretrain`` names an experiment to train first, in ``run_dir/pretrain``, and to
    start from; ``config.init_from`` names a finished run to start from.

    Returns:
        What report.json holds.
    """
    configs.check(config)
    device = distributed.resolve_device(config.trainer.get("device", "auto"))
    with distributed.process_group(device):
        try:
            return _train(config, resume)
        except Interrupted as stop:
            stop.message += f"; resume={config.run_dir} continues"
            raise


def _train(config: DictConfig, resume: bool) -> dict[str, Any]:
    run_dir = _claim(config, resume)
    begun = resume and _has_begun(run_dir)
    data: DataSource = configs.build(config.data)
    try:
        training, validation = data.split("train"), data.split("validation")
        start = _starting_point(config, run_dir)
    except DataError:
        if not resume:
            _release(run_dir)
        raise
    trainer: Trainer = configs.build(config.trainer, run_dir=run_dir, seed=config.seed)
    torch.manual_seed(derive_seed(config.seed))
    task = build_task(config, data.schema)
    if start and not begun:
        _start_from(task, start)
    _introduce(config, run_dir, data, task)
    record = {
        "config": configs.plain(config),
        "versions": versions(),
        "data_fingerprint": data.fingerprint(),
    }
    report = trainer.fit(
        task, training, validation, configs.build(config.optim), resume=begun, record=record
    )
    del record["config"]
    report |= record | {"name": config.name, "run_dir": str(run_dir), "data": data.schema}
    report["git"] = commit()
    if distributed.is_main():
        write_json(run_dir / "report.json", report)
        (run_dir / DONE).touch()
        _summary(config, run_dir, report)
    return report


def _claim(config: DictConfig, resume: bool) -> Path:
    """The run directory, new or to be continued, with its config.yaml."""
    if config.run_dir is None:
        stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        names = itertools.chain([stamp], (f"{stamp}_{i}" for i in itertools.count(2)))
        folder = Path("runs") / config.name
        name = next(name for name in names if not (folder / name).exists())
        config.run_dir = distributed.broadcast(str(folder / name))
    run_dir = Path(config.run_dir)
    if not resume and (run_dir / CONFIG).exists():
        state = "a finished run" if (run_dir / DONE).exists() else "a run that was cut short"
        raise ConfigError(
            f"{run_dir} already holds {state}. Continue it with resume={run_dir}, choose another "
            "run_dir, or delete it."
        )
    distributed.barrier()
    if distributed.is_main():
        (run_dir / DONE).unlink(missing_ok=True)
        if resume:
            remove_left_over(run_dir)
        configs.save(config, run_dir / CONFIG)
    return run_dir


def _has_begun(run_dir: Path) -> bool:
    """Whether a run that was cut short has saved anything to continue from; else it begins anew.

    A finished run whose checkpoint is gone must not: its weights would be overwritten.
    """
    if checkpoint.is_in(run_dir / "checkpoints") or (run_dir / "report.json").exists():
        return True
    say(f"resume    {run_dir} was cut short before its first checkpoint: it begins anew")
    return False


def _release(run_dir: Path) -> None:
    """Gives back a run directory in which nothing is learnt yet, for the command once mended."""
    if distributed.is_main() and not any(run_dir.rglob("*.pt")):
        (run_dir / CONFIG).unlink(missing_ok=True)
        if not any(run_dir.iterdir()):
            run_dir.rmdir()


def _starting_point(config: DictConfig, run_dir: Path) -> Path | None:
    """The run to start from: ``init_from``, or the ``pretrain`` experiment, trained if need be."""
    if config.init_from:
        return find_run(config.init_from)
    if not config.pretrain:
        return None
    stage = run_dir / "pretrain"
    if not (stage / DONE).exists():
        _train_stage(config, stage)
    return stage


def _train_stage(config: DictConfig, stage: Path) -> None:
    """Trains, or continues, the ``pretrain`` experiment as a run of its own."""
    say(f"── first    {config.pretrain}, in {stage}")
    resume = checkpoint.is_in(stage / "checkpoints")
    if resume:
        inner = configs.load(stage / CONFIG)
    else:
        (stage / CONFIG).unlink(missing_ok=True)
        overrides = [f"experiment={config.pretrain}", f"run_dir={stage}"]
        overrides += [f"{key}={config[key]}" for key in ("seed", "data_dir")]
        overrides += [f"trainer.{key}={config.trainer[key]}" for key in ("device", "precision")]
        inner = configs.compose([*overrides, *config.pretrain_overrides])
    configs.check(inner)
    _train(inner, resume)
    say(f"── then     {config.name}")


def _start_from(task: Task, run_dir: Path) -> None:
    state, _ = checkpoint.load_best(run_dir / "checkpoints" / checkpoint.BEST)
    taken, fresh = checkpoint.load_matching(task, state)
    say(f"start     {len(taken)} tensors from {run_dir}, {len(fresh)} new: {', '.join(fresh[:4])}")


def _introduce(config: DictConfig, run_dir: Path, data: DataSource, task: Task) -> None:
    """Says what is about to happen, in three lines."""
    schema = data.schema
    classes = zip(schema.get("classes", []), schema.get("class_counts", []), strict=False)
    counts = ", ".join(f"{name} {count:,}" for name, count in classes)
    parameters = sum(p.numel() for p in task.parameters() if p.requires_grad)
    size = f"{schema['num_examples']:,} training examples"
    model = config.model["_target_"].rpartition(".")[2]
    say(f"run       {run_dir}")
    say(f"data      {size}: {counts}" if counts else f"data      {size}")
    say(f"model     {model}, {parameters:,} trainable parameters")


def _summary(config: DictConfig, run_dir: Path, report: dict[str, Any]) -> None:
    """The closing table."""
    rows = [(name, value) for name, value in report["metrics"].items()]
    best = report["data"].get("best_reachable", {}).get("validation", {})
    rows += [(f"best reachable {name}", value) for name, value in best.items()]
    rows += [
        ("best step", report["best_step"]),
        ("minutes", report["seconds"] / 60),
        ("examples a second", report["examples_per_second"]),
        ("parameters", report["parameters"]),
    ]
    table(f"{config.name} · seed {config.seed}", ("validation", "value"), rows)
    say(f"evaluate  python scripts/evaluate.py run={run_dir} split=test")
