"""``torchrun scripts/…`` does what one process does, pictures and baselines included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, TINY_DETECTOR

from marketorch import compose, evaluate, train

COMMON = ["trainer.precision=fp32", "trainer.device=cpu", "trainer.epochs=2"]
COMMON += ["trainer.batch_size=16"]
SPLITS = ["data.num_train=203", "data.num_validation=61", "data.num_test=61"]
TINY = {
    "sentiment": [
        *(*SPLITS, "model.dim=16", "model.vocab_size=300", "model.embedding_dropout=0.0"),
        "model.dropout=0.0",
    ],
    "recommender": [
        *("data.num_users=61", "data.num_items=80", "data.events_per_user=8", "model.dim=16"),
        "model.dropout=0.0",
    ],
    "emotion": [*SPLITS, "data.size=24", "model.width=4", "model.depth=[1,1]", "model.dropout=0.0"],
    "logo": [
        *("data.num_train=53", "data.num_validation=21", "data.num_test=61", "data.size=64"),
        *("trainer.num_workers=0", "trainer.eval_batch_size=8", "baselines=[average_box]"),
        *TINY_DETECTOR,
    ],
    "propensity": [
        *(*SPLITS, "model.members=2", "model.width=8", "model.bins=8", "model.dropout=0.0"),
    ],
}
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


def torchrun(script: str, *arguments: object, cwd: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(ROOT / "scripts" / f"{script}.py")]
    run = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=list(TINY))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two ranks have trained and one process, the same way; named like the experiment."""
    folder = tmp_path_factory.mktemp("ddp") / request.param
    folder.mkdir()
    recipe = [f"experiment={request.param}", *COMMON, *TINY[request.param]]
    torchrun("train", *recipe, "run_dir=two", cwd=folder)
    train(compose([*recipe, f"run_dir={folder / 'one'}"]))
    return folder


def test_two_ranks_train_like_one_process(folder: Path) -> None:
    one, two = (read(folder / name / "report.json") for name in ("one", "two"))
    assert (two["world_size"], two["step"]) == (2, one["step"])
    assert two["metrics"].keys() == one["metrics"].keys()
    if folder.name not in NORMED:
        assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-3)
    assert {path.name for path in (folder / "two").iterdir()} == {
        path.name for path in (folder / "one").iterdir()
    }


def test_one_process_reproduces_what_two_ranks_logged(folder: Path, tmp_path: Path) -> None:
    logged = read(folder / "two" / "report.json")["metrics"]
    copy = shutil.copytree(folder / "two", tmp_path / "copy")
    measured = evaluate(copy, "validation", baselines=False)["metrics"]
    assert {f"val/{name}": value for name, value in measured.items()} == pytest.approx(
        logged, abs=1e-6
    )


def test_two_ranks_evaluate_like_one_process(folder: Path) -> None:
    """To 1e-6, baselines too; and the pictures show all examples."""
    torchrun("evaluate", "run=two", cwd=folder)
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
