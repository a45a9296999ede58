"""Fair timing on a machine that is never quiet: sides take turns, and only ratios count.

A B, B A, A B …: whatever else the machine does meets both sides alike, and a ratio is taken within
a round, between neighbours in time. The order turns with every round, because the place in it can
count for several per cent; take an even number of rounds. A `Meter` sits on a side's encoder and
counts what really went through it, so no side can be credited with examples it did not train on.
What a comparison has found is a `Row`: its table is printed from it, and `all.py` keeps it.
On a machine that others use too, one thread (``OMP_NUM_THREADS=1``) and the process's own CPU time
(``clock=cpu``) tell more than the clock on the wall.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from marketorch import ConfigError, Task
from marketorch.command_line import split_option, whole_number
from marketorch.console import say
from marketorch.engine.evaluation import resolve_precision
from marketorch.errors import closest

WARM_UP = 5  # steps at the start of every round that are not timed
NEVER = 1_000_000  # steps or epochs that no round reaches
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Side = Callable[[int, int], "Speed"]
"""Runs one round: (seed, timed steps) to its speed."""


@dataclass
class Speed:
    """What one round did between its two stamps. ``positions``: tokens, padding too; 0: images."""

    seconds: float
    examples: int
    positions: int

    @property
    def rate(self) -> float:
        """Examples a second."""
        return self.examples / self.seconds


@dataclass(frozen=True)
class Row:
    """What a comparison has found, over its rounds.

    Args:
        comparison: what is set against what.
        unit: ``×`` of a ratio, ``s`` of seconds.
        target: ``"≥ 4"`` or ``"≤ 1.03"``, for the median; empty: there is none.
    """

    comparison: str
    median: float
    lowest: float
    highest: float
    rounds: int
    unit: str = "×"
    target: str = ""

    @classmethod
    def of(cls, comparison: str, values: Sequence[float], target: str = "") -> Row:
        """The row of a ratio a round."""
        limits = min(values), max(values)
        return cls(comparison, median(values), *limits, rounds=len(values), target=target)

    @property
    def met(self) -> bool | None:
        """Whether the median is as the target asks; None without one."""
        if not self.target:
            return None
        sign, number = self.target.split()
        return self.median >= float(number) if sign == "≥" else self.median <= float(number)

    @property
    def cells(self) -> tuple[str, str, str]:
        """Median, lowest to highest, and target, for a table."""
        return digits(self.median), f"{digits(self.lowest)}–{digits(self.highest)}", self.target


def digits(value: float) -> str:
    """A ratio, finer around 1, where thousandths decide."""
    return f"{value:.3f}" if value < 2 else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


class Meter:
    """Counts examples and token positions that enter ``encoder`` and stamps the clock.

    The encoder's first tensor argument is ``(B, L)`` token ids, ``(B, L, D)`` embeddings, or
    ``(B, C, S, S)`` images, which have no positions. Without an encoder, whoever runs the steps
    counts.
    """

    clock: str = "wall"  # one of CLOCKS, for all meters

    def __init__(self, encoder: nn.Module | None, device: torch.device) -> None:
        self.device = device
        self.examples = self.positions = 0
        self.stamps: list[tuple[float, int, int]] = []
        if encoder is not None:
            encoder.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: nn.Module, arguments: tuple, keywords: dict[str, Any]) -> None:
        values = [*arguments, *keywords.values()]
        shape = next(v for v in values if isinstance(v, Tensor)).shape
        self.examples += shape[0]
        self.positions += shape[0] * shape[1] if len(shape) < 4 else 0

    def stamp(self, step: int, last: int) -> None:
        """Called after every step, or some: takes the time after the warm-up and after ``last``."""
        if step in (WARM_UP, last):
            self.mark()

    def stamp_entries(self, module: nn.Module, last: int, examples: Callable[[], int]) -> None:
        """Stamps as ``module`` is entered, once a step, so that one step more has to be run.

        Args:
            examples: asked for how many are done.
        """
        done = itertools.count()

        def enter(*_: Any) -> None:
            self.examples = examples()
            self.stamp(next(done), last)

        module.register_forward_pre_hook(enter)

    def mark(self) -> None:
        """Takes the time, at the start or at the end of what is timed."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.stamps.append((CLOCKS[self.clock](), self.examples, self.positions))

    def speed(self) -> Speed:
        """The speed between the two stamps."""
        start, end = self.stamps
        return Speed(*(b - a for a, b in zip(start, end, strict=True)))


def fit(trainer: Any, task: Task, train: Any, optimizer: Any, meter: Meter, last: int) -> Speed:
    """Runs `Trainer.fit` for ``last`` steps and returns its speed after the warm-up.

    The "log" event comes after the warm-up and after the last step, before it is saved.
    """
    with tempfile.TemporaryDirectory() as folder:
        trainer(
            run_dir=folder,
            epochs=NEVER,
            max_steps=last,
            eval_every=NEVER,
            log_every=WARM_UP,
            on_event=lambda name, t: name == "log" and meter.stamp(t.position.step, last),
        ).fit(task, train, None, optimizer)
    return meter.speed()


def announce(clock: str, device: torch.device, precision: str = "auto") -> None:
    """Sets the clock of all meters, and says on what is measured."""
    Meter.clock = clock
    resolved = str(resolve_precision(precision, device)).removeprefix("torch.")
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    shown = f"{device}, {threads} threads, precision {precision} is {resolved}"
    say(f"{shown}, load {load:.1f}, {clock} clock")


def alternate(sides: dict[str, Side], *, rounds: int, steps: int) -> dict[str, list[Speed]]:
    """Runs every side once unrecorded, then ``rounds`` times, a seed and an order a round."""
    for run in sides.values():
        run(0, 1)
    speeds: dict[str, list[Speed]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            speeds[name].append(sides[name](number, steps))
        shown = "   ".join(f"{name} {parts[-1].rate:,.0f}" for name, parts in speeds.items())
        say(f"round {number + 1}/{rounds}   examples/s   {shown}")
    return speeds


def ratios(upper: list[Speed], lower: list[Speed]) -> list[float]:
    """The rounds' ratios of examples a second."""
    return [u.rate / v.rate for u, v in zip(upper, lower, strict=True)]


def middle(speeds: list[Speed]) -> float:
    """Median examples a second."""
    return median(s.rate for s in speeds)


def summary(speeds: list[Speed]) -> tuple[str, str]:
    """Median examples a second, and token positions computed an example."""
    positions = sum(s.positions for s in speeds) / sum(s.examples for s in speeds)
    return f"{middle(speeds):,.0f}", f"{positions:.1f}"


def read_options(
    arguments: list[str],
    numbers: Mapping[str, int],
    choices: Mapping[str, Sequence[str]],
    texts: Mapping[str, str],
) -> dict[str, Any]:
    """A benchmark's options, checked. ConfigError for one that does not exist or does not fit.

    Args:
        numbers: defaults of whole numbers; only ``workers`` may be 0.
        choices: what an option may be, its default first.
        texts: defaults of what may be anything.
    """
    firsts = {name: known[0] for name, known in choices.items()}
    defaults: dict[str, Any] = {**numbers, **firsts, **texts}
    options: dict[str, Any] = {}
    for name, default in defaults.items():
        value, arguments = split_option(arguments, name)
        options[name] = value or str(default)
    if arguments:
        hint = closest(arguments[0].partition("=")[0], defaults)
        raise ConfigError(f"{arguments[0]}: unknown option.{hint} Options: {', '.join(defaults)}.")
    for name, known in choices.items():
        if options[name] not in known:
            shown = " or ".join(filter(None, known))
            raise ConfigError(f"{name}={options[name]}: expected {shown}.")
    for name in numbers:
        options[name] = whole_number(name, options[name])
        if name != "workers" and not options[name]:
            raise ConfigError(f"{name}=0: expected at least 1.")
    return options


def listed(name: str, text: str, known: Iterable[str]) -> list[str]:
    """The parts of an option like ``tasks=text,images``. ConfigError for one that is not known."""
    names, known = text.split(","), list(known)
    for part in names:
        if part not in known:
            hint = closest(part, known)
            raise ConfigError(f"{name}={text}: '{part}' is none of {', '.join(known)}.{hint}")
    return names
