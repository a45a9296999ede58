"""Which runs the page uses, and how good each of them was on its test split."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from marketorch.errors import ConfigError
from marketorch.runs import Run, load_run
from marketorch.tasks.recommendation import Recommendation

RECOMMENDER = "recommender"
LISTENING = {"logo": "brands", "emotion": "face", "smile": "face", "scene": "photo"}
LISTENING |= {"sentiment": "text"}  # runs that read posts, and what they answer about
NAMES = (*LISTENING, RECOMMENDER)
DEMO = Path("runs/demo")


class MeasuredRun(NamedTuple):
    """What a run measured on its test split.

    Args:
        name: what the page uses it for.
        run: its directory.
        experiment: its name.
        metric: the main one.
        values: of the run and of its baselines, by their names; empty: it was not evaluated.
        examples: of the test split.
    """

    name: str
    run: str
    experiment: str
    metric: str
    values: dict[str, float]
    examples: int


def select_runs(given: Mapping[str, str], demo: Path = DEMO) -> dict[str, str]:
    """The directories of the runs to show: those given or, if none is, those of the demo.

    Raises:
        ConfigError: none is given and there is no demo.
    """
    if given:
        return dict(given)
    found = {name: str(demo / name) for name in NAMES if (demo / name).is_dir()}
    if not found:
        raise ConfigError(
            f"Nothing to show: there are no runs in {demo}, which `make demo` makes. Or name some "
            f"of your own: {', '.join(f'{name}=RUN' for name in NAMES)}."
        )
    return found


def loaded(directories: Mapping[str, str]) -> dict[str, Run]:
    """The runs by what they are for. ConfigError if the recommender is none."""
    runs = {name: load_run(path) for name, path in directories.items()}
    run = runs.get(RECOMMENDER)
    if run and not isinstance(run.task, Recommendation):
        raise ConfigError(
            f"{RECOMMENDER}={run.directory}: expected a run of Recommendation, not of "
            f"{type(run.task).__name__}."
        )
    return runs


def measured_run(name: str, run: Run) -> MeasuredRun:
    """What ``evaluation/test.json`` of a run says of its main metric."""
    metric = run.task.main_metric
    measured_run = MeasuredRun(name, str(run.directory), run.config.name, metric, {}, 0)
    try:
        path = run.directory / "evaluation" / "test.json"
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows = {run.config.name: result["metrics"]} | result["baselines"]
        values = {model: own[metric] for model, own in rows.items() if known(own.get(metric))}
        return measured_run._replace(values=values, examples=result["num_examples"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or cut short
        return measured_run


def known(value: Any) -> bool:
    """Whether a metric was measured."""
    return isinstance(value, float) and math.isfinite(value)
