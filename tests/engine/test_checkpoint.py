"""Checkpoints survive a full disk and a cut file, and cannot run code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from toy import Points, PointTask, fit

from marketorch.engine import checkpoint
from marketorch.engine.checkpoint import BEST, LAST, PREVIOUS
from marketorch.errors import CheckpointError


def state(step: int) -> dict[str, Any]:
    return {"position": {"step": step}, "task": {"weight": torch.arange(5000) + step}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a last checkpoint, of step 2, and a previous one, of step 1."""
    for step in (1, 2):
        checkpoint.save_last(tmp_path, state(step))
    return tmp_path


def cut(path: Path, share: float, less: int) -> None:
    os.truncate(path, max(0, int(path.stat().st_size * share) + less))


POSITIONS = [(0, 0), (0, 1), (0, 100), (0.1, 0), (0.5, 0), (0.9, 0), (1, -22), (1, -2), (1, -1)]
cut_anywhere = pytest.mark.parametrize(("share", "plus"), POSITIONS)


def test_saving_keeps_the_one_before(folder: Path) -> None:
    assert checkpoint.load_state(folder / LAST)["position"] == {"step": 2}
    assert checkpoint.load_state(folder / PREVIOUS)["position"] == {"step": 1}
    assert sorted(path.name for path in folder.iterdir()) == [LAST, PREVIOUS]  # nothing left over


@cut_anywhere
def test_a_cut_file_is_refused_by_name(folder: Path, share: float, plus: int) -> None:
    cut(folder / LAST, share, plus)
    with pytest.raises(CheckpointError, match=r"last\.pt is damaged or incomplete"):
        checkpoint.load_state(folder / LAST)


@cut_anywhere
def test_a_cut_last_falls_back_to_previous(folder: Path, share: float, plus: int) -> None:
    cut(folder / LAST, share, plus)
    warnings: list[str] = []
    assert checkpoint.load_last(folder, warnings.append)["position"] == {"step": 1}
    (warning,) = warnings
    assert str(folder / LAST) in warning
    assert str(folder / PREVIOUS) in warning


def test_both_cut_or_none_there(folder: Path) -> None:
    for name in (LAST, PREVIOUS):
        cut(folder / name, 0.5, 0)
    with pytest.raises(CheckpointError, match=r"last\.pt is damaged.*previous\.pt is damaged"):
        checkpoint.load_last(folder)
    with pytest.raises(CheckpointError, match="There is no checkpoint in"):
        checkpoint.load_last(folder / "elsewhere")


def test_a_file_of_another_program_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save({"weights": torch.ones(2)}, tmp_path / LAST)
    with pytest.raises(CheckpointError, match="is not a checkpoint of a marketorch run"):
        checkpoint.load_last(tmp_path)


class Bomb:
    """Pickles to a call that makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_pickle_bomb_is_not_executed(tmp_path: Path) -> None:
    torch.save({"position": {}, "bomb": Bomb(tmp_path / "exploded")}, tmp_path / LAST)
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        checkpoint.load_last(tmp_path)
    assert not (tmp_path / "exploded").exists()


# -- a full disk ------------------------------------------------------------------------------

FULL_DISK = """
import resource, sys
from pathlib import Path

import torch
from marketorch.engine import checkpoint
from marketorch.errors import CheckpointError

folder = Path(sys.argv[1])
task = torch.nn.Linear(100, 100)
state = {"position": {"step": 3}, "task": task.state_dict()}
for limit in (0, 1000, 20_000, 39_000):  # what fits on the "disk"; both files need 40 kB
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for save in (
        lambda: checkpoint.save_last(folder, state),
        lambda: checkpoint.save_best(folder, task, {"schema": {}}),
    ):
        try:
            save()
        except CheckpointError as error:
            print(error)
        else:
            raise SystemExit("a file too large was written")
"""


def test_a_full_disk_leaves_the_old_checkpoints_unharmed(folder: Path) -> None:
    checkpoint.save_best(folder, nn.Linear(100, 100), {"schema": {}})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    command = [sys.executable, "-c", FULL_DISK, str(folder)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    errors = child.stdout.splitlines()
    assert len(errors) == 8
    for number, error in enumerate(errors):
        path = folder / (BEST if number % 2 else LAST)
        assert error.startswith(f"Could not write {path}: [Errno 27] File too large")
        assert error.endswith(f"The one already there, {path}, is unharmed.")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_failed_save_does_not_cost_the_fallback(folder: Path) -> None:
    """Damaged last, sound previous, and then the disk is full: previous must stay."""
    cut(folder / LAST, 0.5, 0)

    def fail(file: Any) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", lambda state, file: fail(file))
        with pytest.raises(CheckpointError, match="No space left on device"):
            checkpoint.save_last(folder, state(3))
    assert checkpoint.load_last(folder, lambda _: None)["position"] == {"step": 1}


# -- best.safetensors -------------------------------------------------------------------------


def test_best_holds_weights_metadata_and_extra_state(tmp_path: Path) -> None:
    task = PointTask(batch_norm=True)
    task.prepare(Points(50))
    metadata = {"schema": {"classes": ["ä", "b"], "counts": [1, 2]}, "step": 7}
    checkpoint.save_best(tmp_path, task, metadata)
    loaded, header = checkpoint.load_best(tmp_path / BEST)
    assert header == metadata
    other = PointTask(batch_norm=True)
    other.load_state_dict(loaded)
    assert other.seen == 50  # what prepare learnt travels with the weights
    for name, value in task.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    tied = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    tied["b"].weight = tied["a"].weight
    checkpoint.save_best(tmp_path, tied, {})
    loaded, _ = checkpoint.load_best(tmp_path / BEST)
    assert torch.equal(loaded["b.weight"], tied["a"].weight)


@pytest.mark.parametrize(("share", "plus"), [*POSITIONS, (1, -4000)])
def test_a_cut_best_is_refused_by_name(tmp_path: Path, share: float, plus: int) -> None:
    checkpoint.save_best(tmp_path, nn.Linear(50, 50), {"schema": {}})
    cut(tmp_path / BEST, share, plus)
    with pytest.raises(CheckpointError, match=r"best\.safetensors"):
        checkpoint.load_best(tmp_path / BEST)


def test_a_missing_best_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"best\.safetensors does not exist"):
        checkpoint.load_best(tmp_path / BEST)


# -- starting from another run ----------------------------------------------------------------


def test_load_matching_copies_what_fits_and_says_so() -> None:
    torch.manual_seed(0)
    small, wide = PointTask(width=8), PointTask(width=8)
    wide.head = nn.Linear(8, 5)  # another number of classes
    head = wide.head.weight.detach().clone()
    copied, fresh = checkpoint.load_matching(wide, small.state_dict())
    assert fresh == ["head.bias", "head.weight"]
    assert sorted(copied + fresh) == sorted(wide.state_dict())
    assert torch.equal(wide.hidden.weight, small.hidden.weight)
    assert torch.equal(wide.head.weight, head)


def test_load_matching_refuses_a_stranger() -> None:
    with pytest.raises(CheckpointError, match=r"no weight of that run.*conv\.weight \(3,\)"):
        checkpoint.load_matching(PointTask(), {"conv.weight": torch.ones(3)})


# -- the whole way ----------------------------------------------------------------------------


def test_a_run_resumes_from_previous_if_last_was_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = fit(tmp_path / "whole", save_every=1)
    fit(tmp_path / "cut", save_every=1, max_steps=6, schedule="constant", warmup=0)
    cut(tmp_path / "cut" / "checkpoints" / LAST, 0.5, 0)
    resumed = fit(tmp_path / "cut", resume=True)
    assert "Falling back" in capsys.readouterr().out
    assert resumed.position.step == whole.position.step


@pytest.mark.parametrize("value", [None, "3", [1], -1, float("nan")])
def test_a_position_that_is_none_is_refused(tmp_path: Path, value: Any) -> None:
    fit(tmp_path)
    path = tmp_path / "checkpoints" / LAST
    state = torch.load(path, weights_only=True)
    state["position"]["batch"] = value
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"does not fit .*position\.batch is"):
        fit(tmp_path, resume=True)


def test_lines_that_no_run_wrote_are_dropped(tmp_path: Path) -> None:
    """From ``metrics.jsonl``, when its run is resumed."""
    fit(tmp_path, save_every=1, max_steps=6)
    path = tmp_path / "metrics.jsonl"
    whole = path.read_text(encoding="utf-8").splitlines()
    path.write_bytes(b"3\n[1]\n{}\n\xff\n" + b"[" * 100_000 + b"\n" + path.read_bytes())
    fit(tmp_path, save_every=1, max_steps=7, resume=True)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all("step" in json.loads(line) for line in lines)
    assert lines[:2] == whole[:2]
