"""What each rank of test_distributed.py runs: torchrun … ranks.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from toy import HARD, Killed, Points, PointTask, everything, fit, kill_after_saving

from marketorch.engine import distributed
from marketorch.engine.evaluation import evaluate

CPU = torch.device("cpu")
PLAIN: dict[str, Any] = {"train": Points(61), "accumulate": 3, "log_every": 1}
"""No randomness but the order, so ranks must not matter. The last of 8 batches has 5 examples."""
LONELY: dict[str, Any] = {"train": Points(17), "log_every": 1}
"""The last batch has one example: one rank has nothing to do."""
STOCHASTIC: dict[str, Any] = {"task": HARD, "ema_decay": 0.9, "accumulate": 2, "save_every": 1}
NORMED: dict[str, Any] = {"task": {"batch_norm": True}, "monitor": "last"}
"""Each rank's batch norm measures its own examples, and no moving average evens that out."""
NUMBERS = (3, 1, 50)
"""Sizes of the splits to evaluate; of 1 example, the second rank gets none."""


def measure() -> list[dict[str, float]]:
    torch.manual_seed(1)
    task = PointTask()
    loop: dict[str, Any] = {"batch_size": 8, "device": CPU, "precision": "fp32"}
    return [evaluate(task, Points(num, seed=7), **loop) for num in NUMBERS]


def main(folder: Path) -> None:
    """Trains, is cut, resumes, evaluates; each rank leaves its tensors and numbers."""
    results = {
        "plain": everything(fit(folder / "plain", **PLAIN)),
        "lonely": everything(fit(folder / "lonely", **LONELY)),
        "whole": everything(fit(folder / "whole", **STOCHASTIC)),
        "normed": everything(fit(folder / "normed", **NORMED)),
    }
    try:
        fit(folder / "cut", on_event=kill_after_saving(3), **STOCHASTIC)
    except Killed:
        results["resumed"] = everything(fit(folder / "cut", resume=True, **STOCHASTIC))
    torch.save(results, folder / f"tensors{distributed.rank()}.pt")
    (folder / f"metrics{distributed.rank()}.json").write_text(json.dumps(measure()))


if __name__ == "__main__":
    with distributed.process_group(CPU):
        main(Path(sys.argv[1]))
