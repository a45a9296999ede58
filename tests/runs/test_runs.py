"""A run from Python: resumed with other settings, resumed when it is done, written down."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY_DETECTOR
from safetensors.torch import load_file
from toy import Killed, differing, kill_after_saving

from marketorch import ConfigError, DataError, compose, evaluate, train
from marketorch.config import load
from marketorch.console import console
from marketorch.data.texts.source import TextDataset, mentioning
from marketorch.engine.resuming import changes
from marketorch.engine.tracking import write_json
from marketorch.engine.trainer import Trainer

COMMON = ["trainer.precision=fp32", "trainer.batch_size=16", "trainer.epochs=2"]
COMMON += ["data.num_train=96", "data.num_validation=48", "data.num_test=48"]
TINY = {
    "sentiment": ["model.dim=16", "model.vocab_size=200"],
    "emotion": ["data.size=16", "model.width=4", "model.depth=[1,1]"],
    "logo": [
        *("data.num_train=20", "data.num_validation=8", "data.num_test=8", "data.size=64"),
        *("trainer.batch_size=4", "trainer.num_workers=0", *TINY_DETECTOR),
    ],
}
HARD = {
    "sentiment": ["+model.ngrams={max_order: 2}"],
    "emotion": [
        *("trainer.ema_decay=0.9", "trainer.accumulate=2", "optim=muon", "task.balance=0.5"),
        *("model.dropout=0.3", "model.skip=0.3", "task.augment.mixup=0.4", "task.views=flip"),
        *("task.augment.flip=0.5", "task.augment.erase=0.5", "task.augment.cutmix=1.0"),
    ],
    "logo": [
        *("trainer.ema_decay=0.9", "trainer.accumulate=2", "optim=muon", "task.augment.flip=0.5"),
        *("task.augment.mosaic=0.5", "task.augment.zoom=[0.6,1.6]", "task.augment.rotate=5"),
    ],
}
"""What makes it harder to resume."""
ANOTHER = {"logo": ["trainer.num_workers=2"]}
"""With what a run is continued that was begun without: scenes must not depend on it."""
CALIBRATED = {"sentiment": [0.5, 0.5], "emotion": [1.0], "logo": 0.3}
"""What calibration has to move: weights of the members, or the score that counts."""


def tiny(run_dir: Path, *overrides: str, experiment: str = "sentiment") -> dict[str, Any]:
    recipe = [f"experiment={experiment}", *COMMON, *TINY[experiment]]
    return train(compose([*recipe, f"run_dir={run_dir}", *overrides]))


def resumed(run_dir: Path, *overrides: str) -> dict[str, Any]:
    return train(load(run_dir / "config.yaml", overrides), resume=True)


# -- resuming ---------------------------------------------------------------------------------


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(run_dir / "checkpoints" / "best.safetensors")


@pytest.mark.parametrize("experiment", list(TINY))
def test_resuming_a_finished_run_gives_the_same_weights(tmp_path: Path, experiment: str) -> None:
    """Calibration is fitted anew, from the same point: the weights must not move."""
    report = tiny(tmp_path, *HARD[experiment], experiment=experiment)
    first = weights(tmp_path)
    calibrated = first.get("head.mix", first.get("threshold"))
    assert calibrated is not None
    assert calibrated.shape == torch.tensor(CALIBRATED[experiment]).shape
    assert not torch.equal(calibrated, torch.tensor(CALIBRATED[experiment]))
    again = resumed(tmp_path)
    assert (tmp_path / "DONE").exists()
    assert again["metrics"] == report["metrics"]
    assert again["best_step"] == report["best_step"]
    assert not differing(weights(tmp_path), first)


@pytest.mark.parametrize("experiment", list(TINY))
def test_a_run_that_was_killed_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, experiment: str
) -> None:
    """In mid-epoch, from its config.yaml alone; what is evaluated and calibrated is the same."""
    options = [*HARD[experiment], "trainer.save_every=1"]
    report = tiny(tmp_path / "whole", *options, experiment=experiment)
    kill = kill_after_saving(2)
    monkeypatch.setattr(Trainer, "_event", lambda trainer, name: kill(name, trainer))
    with pytest.raises(Killed):
        tiny(tmp_path / "cut", *options, experiment=experiment)
    monkeypatch.undo()
    again = resumed(tmp_path / "cut", *ANOTHER.get(experiment, []))
    assert again["metrics"] == report["metrics"]
    assert not differing(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_a_resume_with_other_settings_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny(tmp_path, "trainer.max_minutes=0", "trainer.log_every=1")
    capsys.readouterr()
    harmless = ["trainer.max_minutes=0", "trainer.save_every=1", "trainer.log_every=2"]
    resumed(tmp_path, *harmless)
    assert "changed" not in capsys.readouterr().out
    resumed(tmp_path, *harmless, "seed=3", "trainer.batch_size=8", "data.num_train=90")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "changed" in line]
    for change in ("seed 0 → 3", "data.num_train 96 → 90", "trainer.batch_size 16 → 8"):
        assert change in line
    assert "the training data: from here on" in line
    assert "not an exact resume" in line


def test_only_what_counts_is_a_change() -> None:
    old = {"seed": 0, "name": "a", "model": {"dim": 16, "ngrams": {"max_order": 2}}}
    assert list(changes(old, old | {"name": "b", "run_dir": "c", "data_dir": "d"})) == []
    new = {"seed": 0, "model": {"dim": 16, "ngrams": {"max_order": 3}}, "trainer": {"epochs": 2}}
    assert list(changes(old, new)) == [
        "model.ngrams.max_order 2 → 3",
        "trainer.epochs (not set) → 2",
    ]


# -- splits and files -------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", list(TINY))
@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_split_cannot_be_trained_on(tmp_path: Path, split: str, experiment: str) -> None:
    with pytest.raises(DataError, match=r"split is empty|needs labels"):
        tiny(tmp_path, f"data.num_{split}=0", experiment=experiment)


@pytest.mark.parametrize("experiment", list(TINY))
def test_an_empty_test_split_cannot_be_evaluated(tmp_path: Path, experiment: str) -> None:
    tiny(tmp_path, "data.num_test=0", "trainer.max_steps=1", experiment=experiment)
    with pytest.raises(DataError, match="The test split is empty"):
        evaluate(tmp_path)


def test_json_has_null_where_there_is_no_number(tmp_path: Path) -> None:
    value = {"a": math.nan, "b": [1.5, math.inf, {"c": -math.inf}], "d": ("x", 2, True, None)}
    write_json(tmp_path / "report.json", value)
    text = (tmp_path / "report.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found == {"a": None, "b": [1.5, None, {"c": None}], "d": ["x", 2, True, None]}


# -- predictions ------------------------------------------------------------------------------


def test_rows_that_mention_a_text() -> None:
    texts = TextDataset(["Fine Battery", "no power", "battery died"])
    assert mentioning(texts, "BATTERY").texts == ["Fine Battery", "battery died"]
    assert mentioning(texts, "power").ids == [1]
    with pytest.raises(DataError, match=r"contains=screen: none of 3 rows"):
        mentioning(texts, "screen")


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_of_an_evaluation_shows_every_number_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, width: int
) -> None:
    """On a narrow screen, a column a model instead of a row a model."""
    tiny(tmp_path / "run", "baselines=[majority, nb_logistic]", "name=a_name_that_is_rather_long")
    capsys.readouterr()
    monkeypatch.setattr(console, "width", width)
    result = evaluate(tmp_path / "run")
    shown = capsys.readouterr().out
    for metrics in (result["metrics"], *result["baselines"].values()):
        for name, value in metrics.items():
            assert "/" in name or f"{value:.4f}" in shown, name
    assert ("metric" in shown) == (width == 80)
    assert max(len(line) for line in shown.splitlines() if line[0] in "┏┃┡│└") <= width


def test_a_mistake_in_the_data_leaves_the_run_directory_to_the_mended_command(
    tmp_path: Path,
) -> None:
    (tmp_path / "posts.csv").write_text(
        "body,tone\n" + "".join(f"{word} phone {i},{word}\n" for i in range(30) for word in "ab")
    )
    recipe = [f"data.path={tmp_path / 'posts.csv'}", "data=text_file", "data.text=body"]
    recipe += ["trainer.max_steps=1", f"run_dir={tmp_path / 'run'}", "model=nb_logistic"]
    for _ in range(2):
        with pytest.raises(DataError, match="no column 'label'"):
            train(compose(recipe))
        assert not (tmp_path / "run").exists()
    train(compose([*recipe, "data.label=tone"]))
    with pytest.raises(ConfigError, match="already holds a finished run"):
        train(compose(recipe))
    assert (tmp_path / "run" / "config.yaml").exists()
