"""What the engine costs: `Trainer.fit` over a bare loop that does the same work, for every task.

    python scripts/benchmark/engine.py [rounds=4] [tasks=text_classification,detection,…] [steps=N]
                                       [clock=cpu|wall] [threads=1] [device=cpu]

*Steps.* The flagship experiment of each task on its embedded data, less of it, is trained by
`Trainer.fit` and by the loop of `bare_loop`: same initial weights, batches in the same order from
the same loader, precision, optimizer, clipping, schedule and moving average. The bare loop does not
seed, log, count or check for NaN, so the ratio is the price of all that. Both sides are timed from
the moment the task gets a batch to the moment it gets another, ``steps`` later, after five steps of
warm-up. Examples are drawn in the process itself, so that its clock sees that work, too.

*Evaluation.* One full evaluation of the validation split, metrics included, by the trained task,
over the time that training takes for as many examples. Fixed costs of metrics weigh on splits as
small as these.

Sides take turns (see `rounds`); only ratios count. Machines are never quiet and the cost is small:
so the clock is the process's own, on one thread.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from bare_loop import train_bare
from rounds import (
    CLOCKS,
    NEVER,
    WARM_UP,
    Meter,
    Row,
    Side,
    Speed,
    alternate,
    announce,
    listed,
    middle,
    ratios,
    read_options,
)

from marketorch import Task, build, build_task, check, compose
from marketorch.command_line import arguments_or_help, whole_number
from marketorch.console import table
from marketorch.distributed import resolve_device
from marketorch.engine import hardware, loading
from marketorch.engine.evaluation import evaluate
from marketorch.engine.task import Batch
from marketorch.errors import guard

FIT, BARE, EVALUATION = "Trainer.fit", "bare loop", "evaluation"
COST = "≤ 1.03"
REVIEWS = ("experiment=sentiment", "data.num_train=6000", "data.num_validation=1000")
RECIPES: dict[str, tuple[tuple[str, ...], int]] = {  # of each task, and its steps a round
    "text_classification": ((*REVIEWS, "data.num_test=0"), 40),
    "masked_language": ((*REVIEWS, "data.num_test=0", "task=masked_language"), 40),
    "image_classification": (
        ("experiment=emotion", "data.num_train=2048", "data.num_validation=512"),
        40,
    ),
    "detection": (
        ("experiment=logo", "data.num_train=400", "data.num_validation=64", "data.num_test=0"),
        20,
    ),
    "recommendation": (("experiment=recommender",), 40),
    "propensity": (("experiment=propensity",), 100),
    "uplift": (("experiment=uplift", "data.num_test=100"), 100),
}
NUMBERS = {"rounds": 4, "threads": 1}
CHOICES = {"clock": ("cpu", "wall")}
TEXTS = {"tasks": ",".join(RECIPES), "steps": "", "device": "cpu"}


@dataclass
class Work:
    """What both sides train: a recipe on data that are read once."""

    config: Any

    @cached_property
    def data(self) -> Any:
        """The recipe's data."""
        return build(self.config.data)

    @cached_property
    def train(self) -> Any:
        """The training split."""
        return self.data.split("train")

    @property
    def device(self) -> torch.device:
        """Where both sides train."""
        return resolve_device(self.config.trainer.device)

    def task(self, seed: int) -> Task:
        """A new task; the same seed gives the same weights."""
        torch.manual_seed(seed)
        return build_task(self.config, self.data.schema)


# -- sides ------------------------------------------------------------------------------------


def fit(work: Work, seed: int, steps: int) -> tuple[Speed, Task]:
    """One round of `Trainer.fit`, which logs as often as the recipe says."""
    task, last = work.task(seed), WARM_UP + steps
    meter = Meter(None, work.device)
    length = {"epochs": NEVER, "eval_every": NEVER, "max_steps": last + 1}
    with tempfile.TemporaryDirectory() as folder:
        trainer = build(work.config.trainer, run_dir=folder, seed=seed, **length)
        meter.stamp_entries(task, last, lambda: trainer.position.examples)
        trainer.fit(task, work.train, None, build(work.config.optim))
    return meter.speed(), task


def run_bare(work: Work, seed: int, steps: int) -> tuple[Speed, Task]:
    """One round of the bare loop on the batches of `fit`."""
    task, last = work.task(seed), WARM_UP + steps
    task.prepare(work.train)
    settings, device = work.config.trainer, work.device
    hardware.lay_out(task, device, settings.channels_last)
    encoded = task.train().encode(work.train)
    meter, done = Meter(None, device), 0

    def batches() -> Iterator[Batch]:
        nonlocal done
        for epoch in itertools.count():
            keys = loading.epoch_keys(encoded, settings.batch_size, seed=seed, epoch=epoch)
            workers = settings.num_workers
            for key, batch in loading.load(encoded, keys, device=device, num_workers=workers):
                yield batch
                done += len(key.indices)

    meter.stamp_entries(task, last, lambda: done)
    train_bare(task, batches(), work.config, last + 1, device=device)
    return meter.speed(), task


def evaluate_once(work: Work, task: Task, validation: Any, seed: int, steps: int) -> Speed:
    """One full evaluation of the encoded validation split, whatever ``seed`` and ``steps``."""
    settings, clock = work.config.trainer, CLOCKS[Meter.clock]
    began = clock()
    evaluate(
        task,
        validation,
        batch_size=settings.eval_batch_size,
        device=work.device,
        precision=settings.precision,
        num_workers=settings.num_workers,
    )
    return Speed(clock() - began, len(validation), 0)


def training_sides(work: Work) -> dict[str, Side]:
    """`Trainer.fit` and the bare loop."""
    return {
        FIT: lambda seed, steps: fit(work, seed, steps)[0],
        BARE: lambda seed, steps: run_bare(work, seed, steps)[0],
    }


# -- comparisons ------------------------------------------------------------------------------


def cost(title: str, work: Work, rounds: int, steps: int) -> tuple[Row, tuple[str, ...]]:
    """Step time of `Trainer.fit` over the bare loop, and its line of a table."""
    fitted, bare = alternate(training_sides(work), rounds=rounds, steps=steps).values()
    return cost_row(title, fitted, bare)


def cost_row(title: str, fitted: list[Speed], bare: list[Speed]) -> tuple[Row, tuple[str, ...]]:
    """What the engine adds to a step: ratio, and milliseconds of a mean step."""
    row = Row.of(f"{title}: step time of Trainer.fit over a bare loop", ratios(bare, fitted), COST)
    return row, (title, f"{middle(fitted):,.1f}", f"{middle(bare):,.1f}", *row.cells)


COLUMNS = ("task", "examples/s", "bare", "step time / bare", "min–max", "target")


def compare(name: str, options: dict[str, Any]) -> tuple[list[Row], list[tuple[str, ...]]]:
    """Rows of one task, and their lines of the two tables."""
    overrides, steps = RECIPES[name]
    steps = options["steps"] or steps
    where = (f"trainer.device={options['device']}", "trainer.num_workers=0")
    config = compose([*overrides, *where])
    check(config)
    work = Work(config)
    task = fit(work, 0, steps)[1]
    validation = task.encode(work.data.split("validation"))
    sides = training_sides(work)
    sides[EVALUATION] = partial(evaluate_once, work, task, validation)
    fitted, bare, evaluated = alternate(sides, rounds=options["rounds"], steps=steps).values()
    row, line = cost_row(name, fitted, bare)
    title = f"{name}: an evaluation over training on as many examples"
    other = Row.of(title, ratios(fitted, evaluated), "≤ 1")
    rates = f"{middle(evaluated):,.1f}", f"{middle(fitted):,.1f}"
    return [row, other], [line, (name, *rates, *other.cells)]


def measure(options: dict[str, Any]) -> list[Row]:
    """Compares the tasks that are asked for, prints both tables and returns all rows."""
    torch.set_num_threads(options["threads"])
    announce(options["clock"], resolve_device(options["device"]))
    found = [compare(name, options) for name in options["tasks"]]
    table("cost of the engine", COLUMNS, (lines[0] for _, lines in found))
    columns = ("task", "evaluated/s", "trained/s", "evaluation / training", "min–max", "target")
    table("time an example of an evaluation", columns, (lines[1] for _, lines in found))
    return [row for rows, _ in found for row in rows]


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options, checked. ConfigError for one that does not exist or does not fit."""
    options = read_options(arguments, NUMBERS, CHOICES, TEXTS)
    options["tasks"] = listed("tasks", options["tasks"], RECIPES)
    options["steps"] = whole_number("steps", options["steps"] or "0")
    return options


if __name__ == "__main__":
    with guard():
        measure(parse(arguments_or_help(__doc__ or "")))
