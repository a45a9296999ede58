"""Two processes do what one does. `ranks.py` is what each of them runs; torchrun starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ranks
import torch
from toy import Points, PointTask, differing, everything, fit, logged

from marketorch import distributed
from marketorch.engine import checkpoint
from marketorch.engine.evaluation import evaluate
from marketorch.errors import ConfigError

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two gloo ranks left their results."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(HERE / "ranks.py"), str(folder)]
    run = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module")
def tensors(folder: Path) -> list[dict[str, dict[str, torch.Tensor]]]:
    """Of each rank: run, tensor name, tensor."""
    return [torch.load(folder / f"tensors{rank}.pt") for rank in range(2)]


def test_both_ranks_end_with_the_same_weights(tensors: Any) -> None:
    for run in ("plain", "lonely"):
        assert not differing(tensors[0][run], tensors[1][run])


@pytest.mark.parametrize(("run", "options"), [("plain", ranks.PLAIN), ("lonely", ranks.LONELY)])
def test_two_ranks_train_like_one(
    tmp_path: Path, folder: Path, tensors: Any, run: str, options: dict[str, Any]
) -> None:
    alone = fit(tmp_path, **options)
    for name, value in everything(alone).items():
        torch.testing.assert_close(tensors[0][run][name], value, rtol=1e-4, atol=1e-6)
    for name in ("train/loss", "train/accuracy", "train/gradient_norm", "val/auroc"):
        assert logged(folder / run, name) == pytest.approx(logged(tmp_path, name), rel=1e-4)


def test_two_ranks_measure_what_one_does(folder: Path) -> None:
    """Metrics are exact for any share, that of a rank without examples included."""
    alone = ranks.measure()
    for rank in range(2):
        for metrics, expected in zip(
            json.loads((folder / f"metrics{rank}.json").read_text()), alone, strict=True
        ):
            assert metrics == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_two_ranks_measure_the_weights_that_they_keep(folder: Path, tensors: Any) -> None:
    """Both evaluate the same, though each rank's batch norm has seen other examples."""
    assert differing(tensors[0]["normed"], tensors[1]["normed"])
    state, _ = checkpoint.load_best(folder / "normed" / "checkpoints" / checkpoint.BEST)
    task = PointTask(**ranks.NORMED["task"])
    task.load_state_dict(state)
    loop: dict[str, Any] = {"batch_size": 8, "device": ranks.CPU, "precision": "fp32"}
    for name, value in evaluate(task, Points(30, seed=1), **loop).items():
        assert logged(folder / "normed", f"val/{name}")[-1] == pytest.approx(value, abs=1e-6), name


def test_two_ranks_resume_bit_for_bit(tensors: Any) -> None:
    for rank in range(2):
        assert not differing(tensors[rank]["resumed"], tensors[rank]["whole"])


def test_a_signal_to_one_rank_stops_both_at_the_same_step(tensors: Any) -> None:
    """`ranks.stopped` looks at the step; what is resumed from it is the whole run."""
    for rank in range(2):
        assert not differing(tensors[rank]["stopped"], tensors[rank]["whole"])


def test_ranks_do_not_repeat_each_others_noise(tmp_path: Path, tensors: Any) -> None:
    alone = everything(fit(tmp_path, **ranks.STOCHASTIC))
    assert differing(tensors[0]["whole"], alone)


@pytest.mark.parametrize("name", ["gqu", "cuda:99", "cuda:x"])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(ConfigError, match=f"trainer.device is '{name}'"):
        distributed.resolve_device(name)
