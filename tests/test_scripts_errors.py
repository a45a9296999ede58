"""What a user gets wrong is said in one message on stderr, without a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch


def assert_explained(status: int, stderr: str, messages: list[str]) -> None:
    assert status == 1, stderr
    assert stderr.startswith("error: ")
    assert "Traceback" not in stderr
    for message in messages:
        assert message in stderr


@pytest.mark.parametrize(
    ("script", "arguments", "messages"),
    [
        ("train", ["trainer.max_stepz=3"], ["trainer.max_stepz", "Did you mean"]),
        ("train", ["experiment=sentimint"], ["no experiment 'sentimint'", "'sentiment'"]),
        ("train", ["data=text_file", "data.path=no.csv"], ["no.csv does not exist"]),
        ("evaluate", ["run=runs/none"], ["run=runs/none: there is no such folder"]),
        pytest.param(
            "train",
            ["trainer.device=gpu"],
            ["trainer.device is 'gpu'", "no GPU here", "trainer.device=cpu"],
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU"),
        ),
    ],
    ids=["override", "experiment", "data", "run", "device"],
)
def test_a_mistake_is_explained(
    run_script: Any, script: str, arguments: list[str], messages: list[str]
) -> None:
    result = run_script(script, *arguments)
    assert_explained(result.returncode, result.stderr, messages)


@pytest.mark.parametrize(
    ("script", "arguments", "messages"),
    [
        ("train", ["--epochs", "3"], ["Unknown flag --epochs", "key=value"]),
        ("train", ["resume=runs/none"], ["resume=runs/none", "no config.yaml"]),
        ("train", ["data=text_file"], ["data.path is missing"]),
        ("evaluate", [], ["run=RUN_DIR is missing"]),
        ("predict", ["run=runs/none"], ["input=… is missing"]),
        ("predict", ["run=runs/none", "input=a"], ["run=runs/none: there is no such folder"]),
        ("train", ["-x"], ["Unknown flag -x", "key=value"]),
        ("evaluate", ["run=a", "baselines=no"], ["baselines=no: expected true or false"]),
        ("predict", ["run=a", "input=a", "explain=few"], ["explain=few: expected a whole number"]),
        ("predict", ["run=a", "input=a", "top=-1"], ["top=-1: expected a whole number"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_more_mistakes_in_this_process(
    tmp_path: Path, call_script: Any, script: str, arguments: list[str], messages: list[str]
) -> None:
    result = call_script(script, *arguments)
    assert_explained(result.returncode, result.stderr, messages)
    assert list(tmp_path.iterdir()) == []  # nothing was begun


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"metrics": {"auroc": "x"}}'])
def test_a_damaged_evaluation_is_not_summed_up(
    call_script: Any, tiny_runs: Path, tmp_path: Path, content: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_runs / "sentiment", run)
    (run / "evaluation").mkdir(exist_ok=True)
    (run / "evaluation" / "test.json").write_text(content)
    result = call_script("results", run)
    assert_explained(result.returncode, result.stderr, [str(run)])
