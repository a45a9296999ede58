"""One seed is one run: begun anew, or with other workers, it ends in the same bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from test_experiments import embedded
from toy import differing

from marketorch import compose, train
from marketorch.config import tiny
from marketorch.engine.tracking import finite

pytestmark = pytest.mark.numbers

SHORT = ["max_steps=6", "batch_size=8", "eval_every=3", "ema_decay=0.9"]
SECONDS = ("seconds", "eval_seconds", "examples_per_second")


def run(run_dir: Path, experiment: str, *overrides: str) -> tuple[Any, list[dict], dict]:
    """Its weights, what it logged but for what a clock measures, and what validation measured."""
    options = [*(f"trainer.{option}" for option in SHORT), f"run_dir={run_dir}"]
    report = train(compose(tiny(experiment, *options, *overrides)))
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    logged = [{k: v for k, v in line.items() if k not in SECONDS} for line in lines]
    weights = load_file(run_dir / "checkpoints" / "best.safetensors")
    return weights, logged, finite(report["metrics"])


@pytest.mark.parametrize("experiment", embedded())
def test_two_runs_of_one_seed_are_equal_with_any_number_of_workers(
    tmp_path: Path, experiment: str
) -> None:
    first = run(tmp_path / "first", experiment, "trainer.num_workers=0")
    other = run(tmp_path / "other", experiment, "trainer.num_workers=0", "seed=1")
    assert differing(first[0], other[0])
    assert first[1] != other[1]
    assert len(first[1]) >= 6
    for workers in (0, 2):
        again = run(tmp_path / f"{workers}", experiment, f"trainer.num_workers={workers}")
        assert not differing(first[0], again[0])
        assert again[1:] == first[1:]
