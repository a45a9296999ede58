"""Measures a run beside its baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marketorch import config as configs
from marketorch import distributed
from marketorch.console import console, say, table
from marketorch.engine.evaluation import evaluate as measure
from marketorch.engine.evaluation import join_ranks
from marketorch.engine.task import Dataset, Predictions, check_not_empty, prepare
from marketorch.engine.tracking import write_json
from marketorch.runs.loading import Run, load_run


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
    for name in run.config.get("baselines", ()):
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
