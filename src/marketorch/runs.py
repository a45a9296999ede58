"""The verbs on a run directory: train, evaluate, predict. Scripts and notebooks call these."""

from __future__ import annotations

import datetime
import itertools
import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from marketorch import config as configs
from marketorch.config import DictConfig
from marketorch.engine import checkpoint, distributed
from marketorch.engine.evaluation import evaluate as measure
from marketorch.engine.evaluation import join_ranks, predict_all
from marketorch.engine.files import remove_left_over
from marketorch.engine.hardware import lay_out
from marketorch.engine.loading import derive_seed
from marketorch.engine.task import (
    Dataset,
    DataSource,
    Predictions,
    Task,
    check_not_empty,
    prepare,
)
from marketorch.engine.tracking import console, say, table, write_json
from marketorch.engine.trainer import Trainer
from marketorch.errors import CheckpointError, ConfigError, DataError, Interrupted, closest

VERSIONS = ("torch", "transformers", "datasets", "hydra-core", "torchmetrics")
CONFIG, DONE = "config.yaml", "DONE"
HUB = "hf://"


@dataclass
class Run:
    """A trained run, ready to evaluate or predict."""

    directory: Path
    config: DictConfig
    task: Task
    data: DataSource
    device: torch.device

    @property
    def loop(self) -> dict[str, Any]:
        """How to run the evaluation loop."""
        trainer = self.config.trainer
        return {
            "batch_size": trainer.get("eval_batch_size", 256),
            "device": self.device,
            "precision": trainer.get("precision", "auto"),
            "num_workers": trainer.get("num_workers", 0),
        }

    def predict(self, inputs: Dataset | str | Sequence[str], *, explain: int = 0) -> list[dict]:
        """Predicts a file, a text, a list of texts or a raw data set; one row an example."""
        dataset = self._read(inputs)
        if not len(dataset):
            return list(getattr(dataset, "others", []))
        predictions = predict_all(self.task, self.task.encode(dataset), **self.loop)
        return self.task.rows(predictions, dataset, explain=explain)

    def _read(self, inputs: Any) -> Any:
        if isinstance(inputs, (str, Path)):
            return self.data.inputs(str(inputs))
        if isinstance(inputs, Sequence) and inputs and isinstance(inputs[0], str):
            kind: Any = type(self.data.inputs(inputs[0]))
            return kind(list(inputs))
        return inputs


# -- train ------------------------------------------------------------------------------------


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


def build_task(config: DictConfig, schema: dict[str, Any]) -> Task:
    """Builds the task around its model; class counts come from the data's ``schema``."""
    task: Task = configs.build(config.task, model=configs.build(config.model), schema=schema)
    return task


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


# -- load, evaluate ---------------------------------------------------------------------------


def find_run(path: str | Path) -> Path:
    """Checks that a path is a run directory; ``hf://owner/name`` is fetched from the hub.

    Raises:
        CheckpointError: it is not; the message says what is missing and names the nearest one.
    """
    run_dir = Path(path)
    if str(path).startswith(HUB):
        from marketorch.engine.hub import fetch  # with the hub's client, which is for these alone

        run_dir = fetch(str(path))
    if not run_dir.is_dir():
        near = [str(p.parent) for p in Path("runs").glob("*/*/config.yaml")]
        raise CheckpointError(f"run={path}: there is no such folder.{closest(str(path), near)}")
    for part in (CONFIG, f"checkpoints/{checkpoint.BEST}"):
        if not (run_dir / part).exists():
            raise CheckpointError(f"run={path} is not a finished run: it has no {part}.")
    return run_dir


def find_resumable(path: str) -> Path:
    """Returns the config of a run that can be continued. CheckpointError if it is no run."""
    found = Path(path) / CONFIG
    if not found.exists():
        near = [str(p.parent) for p in Path("runs").glob("*/*/config.yaml")]
        raise CheckpointError(f"resume={path}: there is no {CONFIG} there.{closest(path, near)}")
    return found


def load_run(path: str | Path, overrides: Sequence[str] = ()) -> Run:
    """Loads a run's best weights, its data source (unread) and its config."""
    run_dir = find_run(path)
    config = configs.load(run_dir / CONFIG, overrides)
    configs.check(config)
    best = run_dir / "checkpoints" / checkpoint.BEST
    state, metadata = checkpoint.load_best(best)
    with checkpoint.fitting(best):
        task = build_task(config, metadata["schema"])
        task.load_state_dict(state)
    device = distributed.resolve_device(config.trainer.get("device", "auto"))
    lay_out(task, device, config.trainer.get("channels_last", False))
    return Run(run_dir, config, task.eval(), configs.build(config.data), device)


def evaluate(
    path: str | Path, split: str = "test", overrides: Sequence[str] = (), baselines: bool = True
) -> dict[str, Any]:
    """Measures a run beside its baselines; writes ``evaluation/<split>.json`` and pictures."""
    run = load_run(path, overrides)
    with distributed.process_group(run.device):
        dataset = run.data.split(split)
        check_not_empty(dataset, split)
        collected: list[Predictions] = []
        encoded = run.task.encode(dataset)
        metrics = measure(run.task, encoded, collect=collected, **run.loop)
        predictions = join_ranks(collected)
        others = _baselines(run, dataset) if baselines else {}
        best = run.task.schema.get("best_reachable", {}).get(split)
        others |= {"best reachable": best} if best else {}
        result = {
            "split": split,
            "num_examples": len(encoded),
            "metrics": metrics,
            "baselines": others,
        }
        if distributed.is_main():
            folder = run.directory / "evaluation"
            write_json(folder / f"{split}.json", result)
            run.task.figures(predictions, dataset, folder)
            _compare(run, split, result)
    return result


def _baselines(run: Run, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Fits the config's baseline models on the training split and measures them on ``dataset``."""
    results = {}
    for name in run.config.baselines:
        model = configs.compose(["~experiment", f"model={name}"]).model
        # The run's own task settings: what is masked and how it is measured must be the same.
        task = configs.build(run.config.task, model=configs.build(model), schema=run.task.schema)
        prepare(task, run.data.split("train"))
        task.to(run.device).eval()
        results[name] = measure(task, task.encode(dataset), **run.loop)
    return results


def _compare(run: Run, split: str, result: dict[str, Any]) -> None:
    """One table: a row a model, or a column where metrics are too many for the screen.

    Metrics of single classes stay in the file.
    """
    models = {run.config.name: result["metrics"]} | result["baselines"]
    names = [name for name in result["metrics"] if "/" not in name]
    rows = [
        (model, *(metrics.get(name, math.nan) for name in names))
        for model, metrics in models.items()
    ]
    title = f"{run.config.name} · {split} split · {result['num_examples']:,} examples"
    columns: Any = ("model", *names)
    width = max(map(len, models)) + sum(max(len(name), 6) for name in names)
    if width + 3 * len(columns) + 1 > console.width:
        columns, *rows = zip(("metric", *names), *rows, strict=True)
    table(title, columns, rows)
    say(f"written   {run.directory / 'evaluation'}")


# -- provenance -------------------------------------------------------------------------------


def versions(*others: str) -> dict[str, str]:
    """Versions of what training rests on, and of ``others``; what is not installed is left out."""
    found = {}
    for name in (*VERSIONS, *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any]:
    """Commit and whether the tree differs from it; empty outside a checkout."""

    def ask(*words: str) -> str:
        folder = Path(__file__).parent
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {}
