"""Trains and evaluates the flagship models on embedded data: python scripts/demo.py.

Needs no files and no network. Each model stands beside its baselines on the test split; an
experiment lists its trivial baseline first, and the strongest of the others is the classic one.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from marketorch import compose, evaluate, load_run, train
from marketorch.engine.tracking import say, table
from marketorch.errors import guard

FLAGSHIPS = ("sentiment", "recommender", "emotion", "logo")
RUNS = Path("runs/demo")
REACHABLE = "best reachable"
COLUMNS = ("experiment", "model", "trivial", "strongest classic", REACHABLE, "minutes")


def demonstrate(name: str) -> tuple[Any, ...]:
    """Trains and evaluates one experiment; returns its row of the closing table."""
    run_dir = RUNS / name
    if run_dir.exists():
        say(f"removed   {run_dir}, the run of an earlier demo")
        shutil.rmtree(run_dir)
    report = train(compose([f"experiment={name}", f"run_dir={run_dir}"]))
    result = evaluate(run_dir, "test")
    task = load_run(run_dir).task
    metric, nothing = task.main_metric, float("nan")
    baselines = {k: values.get(metric, nothing) for k, values in result["baselines"].items()}
    reachable = baselines.pop(REACHABLE, nothing)
    trivial, *classics = baselines.values() or [nothing]
    strongest = (min if task.lower_is_better else max)(classics, default=nothing)
    measured = result["metrics"][metric]
    return f"{name} ({metric})", measured, trivial, strongest, reachable, report["seconds"] / 60


def main() -> None:
    """Runs every flagship, then shows them side by side and says what to try next."""
    rows = [demonstrate(name) for name in FLAGSHIPS]
    table("marketorch · test split of the embedded data", COLUMNS, rows)
    sentence = "Everyone told me the delivery was slow, and they were wrong."
    say(f'try       python scripts/predict.py run={RUNS / "sentiment"} input="{sentence}"')
    say("all       python scripts/train.py --help lists every experiment and option")


if __name__ == "__main__":
    with guard():
        main()
