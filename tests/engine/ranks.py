"""What each rank of test_distributed.py runs: torchrun … ranks.py FOLDER."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import HARD, Killed, Points, PointTask, everything, fit, kill_after_saving

from marketorch import distributed
from marketorch.engine.evaluation import evaluate
from marketorch.engine.trainer import Trainer
from marketorch.errors import Interrupted

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


def stopped(run_dir: Path) -> Trainer:
    """A run that the second rank alone is asked to end, in its third step, and that is resumed."""

    def on_event(name: str, trainer: Trainer) -> None:
        if name == "save" and trainer.position.step == 2 and distributed.rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="SIGTERM: saved after step 3 of 8"):
        fit(run_dir, on_event=on_event, **STOCHASTIC)
    return fit(run_dir, resume=True, **STOCHASTIC)


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
    results["stopped"] = everything(stopped(folder / "stopped"))
    torch.save(results, folder / f"tensors{distributed.rank()}.pt")
    (folder / f"metrics{distributed.rank()}.json").write_text(json.dumps(measure()))


if __name__ == "__main__":
    with distributed.process_group(CPU):
        main(Path(sys.argv[1]))
