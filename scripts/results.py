"""Sums up the runs of one experiment for RESULTS.md: python scripts/results.py RUN_DIR ….

Reads what evaluate.py wrote; prints mean ± standard deviation over the runs, a row a model.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from marketorch.console import table
from marketorch.engine.tracking import as_written, read_json
from marketorch.errors import ConfigError, guard
from marketorch.runs import find_run

METRICS = ("accuracy", "f1_macro", "auroc", "log_loss", "ece")


def read(run: str, split: str) -> dict[str, Any]:
    """The evaluation of one run, with its minutes and its commit."""
    run_dir = find_run(run)
    path = run_dir / "evaluation" / f"{split}.json"
    if not path.exists():
        raise ConfigError(f"{run} has no {path.name}: python scripts/evaluate.py run={run}")
    report, result = read_json(run_dir / "report.json"), read_json(path)
    with as_written(run_dir):
        return result | {"name": report["name"], "minutes": report["seconds"] / 60}


def spread(values: list[float]) -> str:
    """``mean ± std``; the sample standard deviation, where there is more than one value."""
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{deviation}"


def main(arguments: list[str]) -> None:
    """Prints one table; every run must have been evaluated on the same split."""
    splits = [a.partition("=")[2] for a in arguments if a.startswith("split=")]
    split = splits[-1] if splits else "test"
    results = [read(Path(a).as_posix(), split) for a in arguments if "=" not in a]
    if not results:
        raise ConfigError(f"Name at least one run directory. {__doc__}")
    with as_written(", ".join(a for a in arguments if "=" not in a)):
        summarise(results, split)


def summarise(results: list[dict[str, Any]], split: str) -> None:
    """Prints mean and standard deviation over evaluations of one split, a row a model."""
    models: dict[str, list[dict[str, float]]] = {
        results[0]["name"]: [r["metrics"] for r in results]
    }
    for name in results[0]["baselines"]:
        models[name] = [r["baselines"][name] for r in results if name in r["baselines"]]
    shown = [m for m in METRICS if m in results[0]["metrics"]]
    rows = [
        (name, *(spread([v[m] for v in values]) if m in values[0] else "–" for m in shown))
        for name, values in models.items()
    ]
    rows.append(("minutes of training", spread([r["minutes"] for r in results])))
    title = f"{split} · {results[0]['num_examples']:,} examples · {len(results)} runs"
    table(title, ("model", *shown), rows)


if __name__ == "__main__":
    with guard():
        main(sys.argv[1:])
