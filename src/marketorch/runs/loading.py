"""A finished run: found, loaded, ready to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from marketorch import config as configs
from marketorch import distributed
from marketorch.config import DictConfig
from marketorch.data.dataset import RawDataset
from marketorch.engine import checkpoint
from marketorch.engine.evaluation import predict_all
from marketorch.engine.hardware import lay_out
from marketorch.engine.task import DataSource, Row, Task
from marketorch.errors import CheckpointError, closest

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

    def predict(self, inputs: Any, *, explain: int = 0, **options: Any) -> list[Row]:
        """Predicts whatever the run's data source can read, or a raw data set; a row an example.

        Args:
            inputs: what the source's ``inputs`` reads: a path; texts, paths, histories or rows by
                name in a list; a table of pandas or Arrow; or a data set as it gives.
            explain: how many reasons to name for each answer.
            options: of the source's ``inputs``.
        """
        read = isinstance(inputs, RawDataset)
        dataset: Any = inputs if read else self.data.inputs(inputs, **options)
        if not len(dataset):
            return list(dataset.skipped)
        predictions = predict_all(self.task, self.task.encode(dataset), **self.loop)
        return self.task.rows(predictions, dataset, explain=explain)


def build_task(config: DictConfig, schema: dict[str, Any]) -> Task:
    """Builds the task around its model; class counts come from the data's ``schema``."""
    task: Task = configs.build(config.task, model=configs.build(config.model), schema=schema)
    return task


def find_run(path: str | Path) -> Path:
    """Checks that a path is a run directory; ``hf://owner/name`` is fetched from the hub.

    Raises:
        CheckpointError: it is not; the message says what is missing and names the nearest one.
    """
    run_dir = Path(path)
    if str(path).startswith(HUB):
        from marketorch.runs.hub import fetch  # with the hub's client, which is for these alone

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
