"""``torchrun scripts/…`` does what one process does, pictures and baselines included."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from test_experiments import embedded

from marketorch import compose, evaluate, train
from marketorch.config import tiny

COMMON = ["trainer.max_steps=null", "trainer.epochs=2", "trainer.eval_every=null"]
SPLITS = ["data.num_train=203", "data.num_validation=61", "data.num_test=61"]
STILL = ["model.dropout=0.0"]
TINY = {  # sizes that two ranks do not share evenly, and nothing drawn at random
    "sentiment": [*SPLITS, "model.embedding_dropout=0.0", *STILL],
    "recommender": ["data.num_users=61", *STILL],
    "emotion": [*SPLITS, "data.size=24", *STILL],
    "logo": [
        *("data.num_train=53", "data.num_validation=21", "data.num_test=61"),
        *("trainer.eval_batch_size=8", "baselines=[average_box]"),
    ],
    "propensity": [*SPLITS, *STILL],
}
OTHERS = [name for name in embedded() if name not in TINY]
"""The first experiments of all other kinds that read no files."""
NORMED = {"emotion", "logo"}
"""Batch norms see one rank's examples at a time, so these weights are not those of one process."""
FIGURES = {
    "sentiment": {"confusion.png", "reliability.png", "test.json"},
    "recommender": {"found.png", "test.json"},
    "emotion": {*("confusion.png", "reliability.png", "mistakes.png", "saliency.png", "test.json")},
    # What else there is depends on what is found.
    "logo": {"precision_recall.png", "share_of_voice.png", "missed.png", "test.json"},
    "propensity": {
        *("confusion.png", "reliability.png", "gains.png", "profit.png", "test.json"),
    },
}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two ranks have trained and evaluated each experiment, in a folder of its name.

    All by one torchrun, in which the scripts run one after the other: its start is what is slow.
    """
    root = tmp_path_factory.mktemp("ddp")
    commands = []
    for name in TINY:
        (root / name).mkdir()
        commands.append((name, "train", *recipe(name), "run_dir=two"))
        commands.append((name, "evaluate", "run=two"))
    for name in OTHERS:
        (root / name).mkdir()
        commands.append((name, "train", *tiny(name, "trainer.max_steps=4", "run_dir=two")))
    torchrun(ROOT / "tests" / "script_after_script.py", json.dumps(commands), cwd=root)
    return root


def torchrun(*words: object, cwd: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", *map(str, words)]
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr


def recipe(name: str) -> list[str]:
    return tiny(name, *COMMON, *TINY[name])


@pytest.fixture(scope="module", params=list(TINY))
def folder(request: pytest.FixtureRequest, every: Path) -> Path:
    """Where two ranks have trained and one process, the same way; named like the experiment."""
    folder = every / request.param
    train(compose([*recipe(folder.name), f"run_dir={folder / 'one'}"]))
    return folder


def test_two_ranks_train_like_one_process(folder: Path) -> None:
    one, two = (read(folder / name / "report.json") for name in ("one", "two"))
    assert (two["world_size"], two["step"]) == (2, one["step"])
    assert two["metrics"].keys() == one["metrics"].keys()
    if folder.name not in NORMED:
        assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-3)
    names = [{path.name for path in (folder / name).iterdir()} for name in ("one", "two")]
    assert names[1] == names[0] | {"evaluation"}


def test_one_process_reproduces_what_two_ranks_logged(folder: Path, tmp_path: Path) -> None:
    logged = read(folder / "two" / "report.json")["metrics"]
    copy = shutil.copytree(folder / "two", tmp_path / "copy")
    measured = evaluate(copy, "validation", baselines=False)["metrics"]
    assert {f"val/{name}": value for name, value in measured.items()} == pytest.approx(
        logged, abs=1e-6
    )


def test_two_ranks_evaluate_like_one_process(folder: Path) -> None:
    """To 1e-6, baselines too; and the pictures show all examples."""
    written = folder / "two" / "evaluation"
    names = {path.name for path in written.iterdir()}
    assert names >= FIGURES[folder.name]
    assert names == FIGURES[folder.name] or folder.name == "logo"
    pictures = {path.name: path.read_bytes() for path in written.glob("*.png")}
    two = read(written / "test.json")
    one = json.loads(json.dumps(evaluate(folder / "two")))
    assert two["num_examples"] == one["num_examples"] == 61
    assert two["metrics"].keys() == one["metrics"].keys()
    assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-6)
    assert two["baselines"].keys() == one["baselines"].keys()
    for name, metrics in one["baselines"].items():
        assert two["baselines"][name] == pytest.approx(metrics, abs=1e-6), name
    assert {path.name for path in written.iterdir()} == names
    for name, picture in pictures.items():
        assert (written / name).read_bytes() == picture, name


@pytest.mark.parametrize("name", OTHERS)
def test_two_ranks_train_what_any_kind_of_experiment_trains(every: Path, name: str) -> None:
    report = read(every / name / "two" / "report.json")
    assert (report["world_size"], report["step"]) == (2, 4)
    assert all(math.isfinite(value) for value in report["metrics"].values())


def test_a_script_makes_the_group_of_ranks_itself(every: Path, tmp_path: Path) -> None:
    torchrun(ROOT / "scripts" / "train.py", *recipe("propensity"), "run_dir=own", cwd=tmp_path)
    own, two = (read(path / "report.json") for path in (tmp_path / "own", every / "propensity/two"))
    assert (own["world_size"], own["metrics"]) == (2, two["metrics"])
