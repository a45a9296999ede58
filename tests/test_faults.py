"""What a machine does to a run: signals, disks, clocks. scripts/faults/ causes the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from toy import HARD, Killed, differing, everything, fit, logged

from marketorch import compose, train
from marketorch.config import load
from marketorch.engine.files import remove_left_over, write_atomically, writing
from marketorch.engine.stopping import StopSignals, leave_signals_to_the_parent
from marketorch.engine.tracking import Tracker
from marketorch.engine.trainer import Trainer
from marketorch.errors import CheckpointError, Interrupted, guard

FULL: dict[str, Any] = {"task": HARD, "ema_decay": 0.9, "accumulate": 2, "log_every": 1}
TINY = ["experiment=sentiment", "data.num_train=96", "data.num_validation=48", "data.num_test=0"]
TINY += ["model.dim=16", "model.vocab_size=200", "trainer.batch_size=16", "trainer.epochs=2"]
TINY += ["trainer.precision=fp32", "trainer.device=cpu"]
STAGE = [*TINY[1:], "task=masked_language"]
TWO_STAGES = [*TINY, "pretrain=sentiment", f"pretrain_overrides={STAGE}"]


def send_at(step: int, *numbers: int) -> Callable[[str, Trainer], None]:
    """An ``on_event`` that sends this process signals when step ``step`` is logged."""

    def on_event(name: str, trainer: Trainer) -> None:
        if name == "log" and trainer.position.step == step:
            for number in numbers:
                os.kill(os.getpid(), number)

    return on_event


# -- signals ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """Tests in the background of a shell begin with Ctrl-C ignored, and what they start, too."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_saves_after_the_step_and_the_run_resumes(
    tmp_path: Path, number: int, status: int
) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    whole = fit(tmp_path / "whole", **FULL)
    for step in (3, 4):  # in mid-epoch, and where an evaluation is due
        run_dir = tmp_path / str(step)
        with pytest.raises(Interrupted, match=f"saved after step {step} of 8") as caught:
            fit(run_dir, on_event=send_at(step, number), **FULL)
        assert caught.value.status == status
        resumed = fit(run_dir, resume=True, **FULL)
        assert not differing(everything(resumed), everything(whole))
        assert resumed.best == whole.best
        for name in ("step", "train/loss", "val/log_loss"):
            assert logged(run_dir, name) == logged(tmp_path / "whole", name)
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_second_interrupt_ends_the_run_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(tmp_path, on_event=send_at(3, signal.SIGINT, signal.SIGINT), **FULL)
    assert not isinstance(caught.value, Interrupted)
    assert not (tmp_path / "checkpoints").exists()


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.received == 0
    finally:
        signal.signal(signal.SIGINT, former)


def test_a_training_in_another_thread_leaves_signals_alone(tmp_path: Path) -> None:
    seen: list[Any] = []

    def note(name: str, trainer: Trainer) -> None:
        seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=lambda: fit(tmp_path, on_event=note, max_steps=2))
    thread.start()
    thread.join()
    assert set(seen) == {signal.getsignal(signal.SIGTERM)}


def test_processes_that_load_data_do_not_die_of_a_signal_to_all() -> None:
    former = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        leave_signals_to_the_parent(0)
        assert {signal.getsignal(n) for n in former} == {signal.SIG_IGN}
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_script_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, number: int, status: int
) -> None:
    strike = send_at(2, number)
    monkeypatch.setattr(Trainer, "_event", lambda trainer, name: strike(name, trainer))
    with pytest.raises(SystemExit) as end, guard():
        train(compose([*TINY, "trainer.log_every=1", f"run_dir={tmp_path / 'run'}"]))
    assert end.value.code == status
    said = capsys.readouterr().err.splitlines()[-1]
    name = signal.Signals(number).name
    assert said == f"{name}: saved after step 2 of 12; resume={tmp_path / 'run'} continues"
    assert not (tmp_path / "run" / "DONE").exists()


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("DataLoader worker (pid 3) is killed by signal: Killed.", "a process that loads data"),
        ("[pair.cc:538] Connection reset by peer", "another process of this run has ended"),
    ],
)
def test_the_end_of_another_process_is_explained(capsys: Any, message: str, shown: str) -> None:
    with pytest.raises(SystemExit) as end, guard():
        raise RuntimeError(message)
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: {shown}")


# -- cut short anywhere -----------------------------------------------------------------------


def evaluated(run_dir: Path) -> list[Any]:
    """The lines of metrics.jsonl without their times."""
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    times = ("seconds", "eval_seconds", "examples_per_second")
    return [{k: v for k, v in line.items() if k not in times} for line in lines]


@pytest.mark.parametrize("recipe", [TINY, TWO_STAGES], ids=["one stage", "two"])
def test_a_run_cut_short_before_its_first_checkpoint_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, recipe: list[str]
) -> None:
    report = train(compose([*recipe, f"run_dir={tmp_path / 'whole'}"]))

    def at_the_start(trainer: Trainer, name: str) -> None:
        raise Killed

    monkeypatch.setattr(Trainer, "_event", at_the_start)
    with pytest.raises(Killed):
        train(compose([*recipe, f"run_dir={tmp_path / 'cut'}"]))
    monkeypatch.undo()
    again = train(load(tmp_path / "cut" / "config.yaml"), resume=True)
    assert "before its first checkpoint: it begins anew" in capsys.readouterr().out
    assert again["metrics"] == report["metrics"]
    assert evaluated(tmp_path / "cut") == evaluated(tmp_path / "whole")


def test_a_run_that_was_moved_is_resumed_where_it_is(tmp_path: Path, call_script: Any) -> None:
    train(compose([*TINY, "trainer.max_minutes=0", f"run_dir={tmp_path / 'before'}"]))
    (tmp_path / "before").rename(tmp_path / "after")
    done = call_script("train", "resume=after", "trainer.max_minutes=null")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "after" / "report.json").read_text())["step"] == 12
    assert not (tmp_path / "before").exists()


def test_a_finished_run_without_its_checkpoint_does_not_begin_anew(tmp_path: Path) -> None:
    train(compose([*TINY, "trainer.max_steps=2", f"run_dir={tmp_path}"]))
    weights = (tmp_path / "checkpoints" / "best.safetensors").read_bytes()
    for name in ("last.pt", "previous.pt"):
        (tmp_path / "checkpoints" / name).unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        train(load(tmp_path / "config.yaml"), resume=True)
    assert (tmp_path / "checkpoints" / "best.safetensors").read_bytes() == weights


def test_resuming_at_the_very_end_repeats_no_line(tmp_path: Path) -> None:
    """Calibration is measured anew, and logged once."""
    train(compose([*TINY, f"run_dir={tmp_path}"]))
    before = evaluated(tmp_path)
    assert [line for line in before if "weights" in line]
    train(load(tmp_path / "config.yaml"), resume=True)
    assert evaluated(tmp_path) == before


def test_what_a_killed_process_had_begun_to_write_is_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in ("checkpoints/last.pt.123.tmp", "report.json.7.tmp", "notes.tmp", "a.pt"):
        (tmp_path / name).touch()
    remove_left_over(tmp_path)
    assert {path.name for path in tmp_path.rglob("*.*")} == {"notes.tmp", "a.pt"}


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, total_steps=9)
    for step in (1, 2):
        tracker.log(step, {"loss": 0.5})
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 3, "lo\n\0\0\0\n[}\n')
    Tracker(tmp_path, total_steps=9, start_step=2)
    assert [line["step"] for line in evaluated(tmp_path)] == [1, 2]


# -- disks and clocks -------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named_with_the_file(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, total_steps=9)
    tracker.path.unlink()
    tracker.path.symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(
        CheckpointError,
        match=r"metrics\.jsonl: \[Errno 28\] No space left on device \([\d,]+ bytes are free",
    ):
        tracker.log(1, {"loss": 0.5})


NOBODY = 65534
LOCKED = """
import os, sys
from pathlib import Path
from marketorch.engine.files import write_atomically
from marketorch.errors import guard
if os.geteuid() == 0:
    os.seteuid(int(sys.argv[2]))  # root may write anywhere
with guard():
    write_atomically(Path(sys.argv[1]) / "run" / "last.pt", lambda file: file.write(b"new"))
"""


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "last.pt").write_bytes(b"old")
    for path in (tmp_path, folder, folder / "run"):
        path.chmod(0o555)
    try:
        command = [sys.executable, "-c", LOCKED, str(folder), str(NOBODY)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    finally:
        for path in (tmp_path, folder, folder / "run"):
            path.chmod(0o755)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(
        f"error: Could not write {folder / 'run' / 'last.pt'}: [Errno 13]"
    )
    assert (folder / "run" / "last.pt").read_bytes() == b"old"
    assert [path.name for path in (folder / "run").iterdir()] == ["last.pt"]


def test_an_error_of_another_kind_is_not_taken_for_one_of_the_disk(tmp_path: Path) -> None:
    """torch raises that a process has ended wherever the program happens to be."""
    with pytest.raises(RuntimeError, match="DataLoader worker"), writing(tmp_path / "last.pt"):
        raise RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed.")

    def fail(file: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "last.pt", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(tmp_path / "whole", **FULL)
    sound, looks = time.time, iter(range(1_000_000))

    def jumping() -> float:
        return sound() + (864_000 if next(looks) % 2 else -864_000)

    monkeypatch.setattr(time, "time", jumping)
    hurt = fit(tmp_path / "hurt", max_minutes=60, **FULL)
    assert not differing(everything(hurt), everything(whole))
    seconds = logged(tmp_path / "hurt", "seconds")
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] <= seconds[-1] < 3600
