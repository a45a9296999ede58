"""Trainings to be killed: forked from a process that has imported everything, marked and watched.

A fork starts in milliseconds, and what is sent to it, kill -9 say, meets a process like any other.
In the fork alone, the functions that make up a training say in shared memory which phase they are
in; the process that watches reads it, before it strikes and after the other is dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from marketorch import Trainer, compose, train
from marketorch.config import load, tiny
from marketorch.engine import checkpoint
from marketorch.engine.checkpoint import BEST, LAST
from marketorch.errors import guard

PHASES = ("prepare", "step", "evaluation", "write", "finish")
TIMES = ("seconds", "eval_seconds", "examples_per_second")
COMMON = ["trainer.max_steps=null", "trainer.epochs=2", "trainer.log_every=4"]
COMMON += ["trainer.save_every=2", "trainer.eval_every=5"]
AVERAGED = ["data.num_test=0", "trainer.ema_decay=0.9"]
STAGE = tiny("sentiment", "task=masked_language", *COMMON, "data.num_test=0")
RECIPES = {
    "text_classification": tiny(
        "sentiment", *AVERAGED, "trainer.accumulate=2", "+model.ngrams={max_order: 2}"
    ),
    "masked_language": tiny(  # a first stage, and texts that start from it
        "sentiment",
        *("data.num_test=0", "pretrain=sentiment"),
        f"pretrain_overrides={[str(override) for override in STAGE[1:]]}",
    ),
    "image_classification": tiny("emotion", *AVERAGED, "data.size=16", "optim=muon"),
    "detection": tiny("logo", *AVERAGED, "data.num_train=40", "trainer.batch_size=2"),
    "recommendation": tiny("recommender"),
    "propensity": tiny("propensity", "data.num_test=0"),
    "uplift": tiny("uplift", "data.num_test=0"),
}
"""A tiny training of each task, with what makes resuming hard: averages, calibration, Muon."""


class Marks:
    """Which phase a process is in, how often each has begun, and what all of it took."""

    def __init__(self) -> None:
        self.now = RawArray("q", 1)
        self.entries = RawArray("q", len(PHASES))
        self.seconds = RawArray("d", len(PHASES))

    @property
    def phase(self) -> str:
        """The phase by name."""
        return PHASES[self.now[0]]

    @contextlib.contextmanager
    def inside(self, phase: str) -> Iterator[None]:
        """Marks a phase; the one it interrupts goes on afterwards."""
        number, former, started = PHASES.index(phase), self.now[0], time.perf_counter()
        self.now[0] = number
        self.entries[number] += 1
        try:
            yield
        finally:
            self.now[0] = former
            self.seconds[number] += time.perf_counter() - started

    def mark(self, owner: Any, name: str, phase: str) -> None:
        """Makes ``owner.name`` say that it is in ``phase`` while it runs."""
        function = getattr(owner, name)

        def marked(*arguments: Any, **options: Any) -> Any:
            with self.inside(phase):
                return function(*arguments, **options)

        setattr(owner, name, marked)

    def install(self) -> None:
        """Marks the phases of a training, in this process."""
        self.mark(Trainer, "_run_epoch", "step")
        self.mark(Trainer, "_backward", "step")
        self.mark(Trainer, "_evaluate", "evaluation")
        self.mark(Trainer, "_finish", "finish")
        self.mark(checkpoint, "write_atomically", "write")


@dataclass
class Trainee:
    """A forked training.

    Args:
        run_dir: what it trains; it is resumed if it is there, else it begins with ``recipe``.
        overrides: besides it, and of a run that is resumed.
        before: called in the fork before it trains, for faults that come from inside.
        log: what it prints; beside the run directory if not said.
    """

    run_dir: Path
    recipe: Sequence[str] = ()
    overrides: Sequence[str] = ()
    before: Callable[[], object] = lambda: None
    log: Path = Path()
    marks: Marks = field(default_factory=Marks)

    def __post_init__(self) -> None:
        if self.log == Path():
            self.log = self.run_dir.with_name(f"{self.run_dir.name}.log")
        self.modules = self.log.with_suffix(".modules")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.status: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._train()

    def _train(self) -> None:
        """What the fork does, and never returns from."""
        status = 70
        try:
            out = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
            self.before()
            self.marks.install()
            with guard():
                if (self.run_dir / "config.yaml").exists():
                    train(load(self.run_dir / "config.yaml", self.overrides), resume=True)
                else:
                    train(compose([*self.recipe, *self.overrides, f"run_dir={self.run_dir}"]))
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            with contextlib.suppress(BaseException):  # a fork must not go on as its parent
                sys.stdout.flush()
                sys.stderr.flush()
                self.modules.write_text("\n".join(sys.modules))
            os._exit(status)

    @property
    def said(self) -> str:
        """What the last training in this run directory has printed."""
        return self.log.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether it is still there; else ``status`` holds how it ended: a code, or −signal."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def wait(self, seconds: float = 300.0) -> int:
        """Waits for its end. TimeoutError, and it is killed, if there is none."""
        until = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > until:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"{self.run_dir} did not end within {seconds:.0f} seconds")
            time.sleep(0.002)
        assert self.status is not None
        return self.status

    def reach(self, phase: str, times: int) -> bool:
        """Waits until a phase has begun so many times; False if the training has ended before."""
        number = PHASES.index(phase)
        while self.marks.entries[number] < times:
            if not self.alive:
                return False
            time.sleep(0.0002)
        return self.alive

    def send(self, number: int) -> None:
        """Sends a signal."""
        if self.alive:
            os.kill(self.pid, number)


def whole(run_dir: Path, recipe: Sequence[str]) -> Trainee:
    """A training that nothing happens to."""
    trainee = Trainee(run_dir, [*recipe, *COMMON] if recipe else recipe)
    if trainee.wait():
        raise RuntimeError(f"{run_dir} failed without a fault: {trainee.said}")
    for name in trainee.modules.read_text().split("\n"):  # what later forks need not import anew
        with contextlib.suppress(ImportError):
            import_module(name)
    return trainee


# -- what is compared -------------------------------------------------------------------------


def differences(run_dir: Path, expected: Path, *, lines: bool = True) -> list[str]:
    """What of a run that was hurt is not, to the bit, what one that was not has; the first of each.

    Args:
        lines: whether metrics.jsonl has to have the very same lines, times apart; else its
            evaluations alone. A run that saves at a step of no one's choosing has a line more.
    """
    found = []
    for name, read in (("best", best), ("last", last), ("report", report)):
        ours, theirs = read(run_dir), read(expected)
        odd = [key for key in {**ours, **theirs} if not same(ours.get(key), theirs.get(key))]
        found += [f"{name}: {key}" for key in odd[:1]]
    ours_logged, theirs_logged = logged(run_dir), logged(expected)
    if not lines:
        ours_logged, theirs_logged = map(evaluations, (ours_logged, theirs_logged))
    if ours_logged != theirs_logged:
        found.append("metrics.jsonl")
    if not (run_dir / "DONE").exists():
        found.append("no DONE")
    found += [f"left over: {path.name}" for path in run_dir.rglob("*.tmp")]
    return found


def same(one: Any, other: Any) -> bool:
    """Equal, tensors to the bit."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return type(one) is type(other) and bool(one == other)


def best(run_dir: Path) -> dict[str, torch.Tensor]:
    """The weights that are evaluated."""
    return dict(load_file(run_dir / "checkpoints" / BEST))


def last(run_dir: Path) -> dict[str, Any]:
    """All that a run is continued from, flat, but for its times."""
    state = checkpoint.load_state(run_dir / "checkpoints" / LAST)
    state["position"].pop("seconds")
    return dict(
        flat({key: state[key] for key in ("task", "optimizers", "ema", "position", "best")})
    )


def flat(node: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested dicts and lists, by their path."""
    if isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from flat(value, f"{name}/{key}")
    else:
        yield name, node


def report(run_dir: Path) -> dict[str, Any]:
    """What report.json says of the result."""
    values = json.loads((run_dir / "report.json").read_text())
    return {key: values[key] for key in ("metrics", "best_step", "step", "epoch", "parameters")}


def logged(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, but for their times."""
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def evaluations(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines that are of evaluations."""
    return [line for line in lines if any(key.startswith("val/") for key in line)]
