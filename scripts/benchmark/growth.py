"""How training grows with its data: time an example, and memory.

    python scripts/benchmark/growth.py [of=sentiment,emotion,…] [factors=1,10,100] [steps=30]
                                       [rounds=1] [threads=2] [clock=wall|cpu] [plot=growth.png]

Each of `GROWTHS` is trained by its recipe on 1, 10 and 100 times as many examples, in a process of
its own, and evaluated on as few validation examples each time. The recipes of drawn data draw more;
``events`` and ``items`` write the log of a shop with more events, or more goods, and read it
(``dense_items``: without sparse gradients); ``table`` writes a table of fifty columns with more
rows.

*Preparing* is all before the first step: drawing or reading the examples, fitting and encoding.
*A step* is timed after five of warm-up; as batches of texts and of shoppers differ in length, its
time is given by the example. Memory is the most that the process ever had (`resource.getrusage`),
libraries, mapped files, checkpoints and evaluation included: what an example adds to it is the
difference to the smallest size. On a machine that others use too, ``threads=1 clock=cpu rounds=3``,
of which times are medians, tell more than the clock on the wall.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from drawn_files import write_log, write_table
from matplotlib.figure import Figure
from rounds import CLOCKS, NEVER, WARM_UP, listed, read_options

from marketorch import Trainer, compose, train
from marketorch.command_line import arguments_or_help, whole_number
from marketorch.console import say, table
from marketorch.errors import UserError, guard
from marketorch.figures.plots import save

USERS = 2_000  # who are validated on
SCORES = 2**24  # of a batch of the evaluation, users times items
MIB = 2**20


@dataclass(frozen=True)
class Growth:
    """What is trained on more and more.

    Attributes:
        overrides: of the recipe, for a size and a folder that `write` has written to.
        size: the smallest number of examples.
        write: writes files of that size.
    """

    overrides: Callable[[int, Path], list[str]]
    size: int
    write: Callable[[int, Path], None] | None = None


def embedded(name: str, key: str, size: int) -> Growth:
    """An experiment whose data are drawn."""
    few = [] if key == "num_users" else ["data.num_validation=200", "data.num_test=200"]
    return Growth(lambda n, _: [f"experiment={name}", f"data.{key}={n}", *few], size)


def of_log(folder: Path, items: int, *, sparse: bool) -> list[str]:
    """A recommender of many items, by the softmax on a sample of negatives."""
    files = {"path": "events.parquet", "item_table": "items.parquet"}
    files["without_validation"] = "others.json"
    return [
        *("experiment=recommender", "data=event_log", "data.time=time", "data.title=title"),
        *(f"data.{key}={folder / name}" for key, name in files.items()),
        *(
            "model.repeats=false",
            "model.length=50",
            "trainer.ema_decay=0",
            f"model.sparse={str(sparse).lower()}",
        ),
        *("task.loss=sampled_softmax", "task.negatives=1024", "trainer.batch_size=64"),
        f"trainer.eval_batch_size={max(1, min(256, SCORES // items))}",
    ]


def of_table(folder: Path) -> list[str]:
    """A network on a table of customers."""
    return [
        *("experiment=propensity", "data=customer_table", f"data.path={folder / 'table.parquet'}"),
        *("data.target=bought", "data.validation_fraction=0.05", "data.test_fraction=0.05"),
        *("task.value=null", "model=mlp", "trainer.batch_size=1024"),
    ]


def of_items(*, sparse: bool) -> Growth:
    """A million events of more and more items."""
    return Growth(
        lambda number, folder: of_log(folder, number, sparse=sparse),
        10_000,
        lambda number, folder: write_log(number, 1_000_000, folder, USERS),
    )


GROWTHS = {
    "sentiment": embedded("sentiment", "num_train", 2_000),
    "emotion": embedded("emotion", "num_train", 1_200),
    "logo": embedded("logo", "num_train", 100),
    "recommender": embedded("recommender", "num_users", 300),
    "propensity": embedded("propensity", "num_train", 5_000),
    "uplift": embedded("uplift", "num_train", 5_000),
    "events": Growth(
        lambda number, folder: of_log(folder, 10_000, sparse=True),
        100_000,
        lambda number, folder: write_log(10_000, number, folder, USERS),
    ),
    "items": of_items(sparse=True),
    "dense_items": of_items(sparse=False),
    "table": Growth(
        lambda number, folder: of_table(folder),
        100_000,
        lambda number, folder: write_table(number, folder / "table.parquet"),
    ),
}


@dataclass
class Result:
    """What was measured at one size.

    Attributes:
        size: of the data.
        preparing: seconds up to the first step.
        learnt, seconds: examples of the timed steps, and their seconds.
        before, peak: most bytes up to the first step, and at the end.
    """

    size: int
    preparing: float
    learnt: int
    seconds: float
    before: int
    peak: int

    @property
    def training(self) -> float:
        """Microseconds an example of training."""
        return 1e6 * self.seconds / self.learnt


@dataclass
class Watch:
    """Stamps the clock at the events of the `Trainer` that `train` builds."""

    clock: Callable[[], float]
    stamps: list[tuple[int, float]] = field(default_factory=list)
    before: int = 0

    def note(self, trainer: Trainer, name: str) -> None:
        """At ``start``, and after some steps."""
        if name == "start":
            self.before = peak()
        if name in ("start", "log"):
            self.stamps.append((trainer.position.examples, self.clock()))


def peak() -> int:
    """Most bytes that this process has had in memory, pages of mapped files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls in a new process, whose memory is its own. UserError if the process was killed."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(function, *arguments).result()
    except BrokenProcessPool as error:
        raise UserError(f"The process of {arguments} was killed: too little memory?") from error


def write(name: str, size: int, folder: Path) -> None:
    """Writes the files of a growth, if it reads any."""
    if writer := GROWTHS[name].write:
        writer(size, folder)


def measure(name: str, size: int, folder: Path, steps: int, threads: int, clock: str) -> Result:
    """Runs `train` on data of a size."""
    torch.set_num_threads(threads)
    watch = Watch(CLOCKS[clock])
    # Every event is a call of this method; `train` has no other way to be watched.
    noted = patch.object(Trainer, "_event", lambda trainer, event: watch.note(trainer, event))
    with tempfile.TemporaryDirectory() as scratch:
        # Where `datasets` keeps what it has read: no process finds another's.
        os.environ["HF_DATASETS_CACHE"] = scratch
        overrides = [
            *GROWTHS[name].overrides(size, folder),
            *(f"trainer.max_steps={WARM_UP + steps}", f"trainer.log_every={WARM_UP}"),
            *("trainer.epochs=1000", f"trainer.eval_every={NEVER}", f"run_dir={scratch}/run"),
        ]
        began = watch.clock()
        with noted, contextlib.redirect_stdout(io.StringIO()):
            train(compose(overrides))
    (_, start), (early, warm), *_, (late, end) = watch.stamps
    return Result(size, start - began, late - early, end - warm, watch.before, peak())


def at_size(name: str, size: int, rounds: int, how: tuple[Any, ...]) -> Result:
    """The medians of some rounds, and of memory the most."""
    with tempfile.TemporaryDirectory() as place:
        fresh(write, name, size, Path(place))
        results = [fresh(measure, name, size, Path(place), *how) for _ in range(rounds)]
    return replace(
        results[0],
        preparing=median(result.preparing for result in results),
        seconds=median(result.seconds for result in results),
        before=max(result.before for result in results),
        peak=max(result.peak for result in results),
    )


def row(name: str, result: Result, first: Result) -> tuple[str, ...]:
    """A line of the table."""
    more = result.size - first.size
    return (
        name,
        f"{result.size:,}",
        f"{1e6 * result.preparing / result.size:.1f}",
        f"{result.training:.0f}",
        f"{result.training / first.training:.2f}",
        f"{result.before / MIB:,.0f}",
        f"{result.peak / MIB:,.0f}",
        f"{(result.peak - first.peak) / more / 1024:.2f}" if more else "",
    )


def draw(found: dict[str, list[Result]], path: Path) -> None:
    """Time an example and peak memory, by size."""
    figure = Figure(figsize=(9.4, 3.9))
    for axes, unit in zip(figure.subplots(1, 2), ("µs an example", "peak, GiB"), strict=True):
        for name, results in found.items():
            values = [r.training if "µs" in unit else r.peak / 2**30 for r in results]
            axes.plot([r.size for r in results], values, marker="o", label=name)
        axes.set(xscale="log", xlabel="examples", ylabel=unit)
        axes.set_ylim(0, axes.get_ylim()[1] * 1.15)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)


def main(arguments: list[str]) -> None:
    """Measures, prints one table and draws it."""
    options = read_options(
        arguments,
        {"steps": 30, "rounds": 1, "threads": 2},
        {"clock": tuple(CLOCKS)},
        {"of": ",".join(GROWTHS), "factors": "1,10,100", "plot": ""},
    )
    factors = [whole_number("factors", text) for text in options["factors"].split(",")]
    how = options["steps"], options["threads"], options["clock"]
    found: dict[str, list[Result]] = {}
    rows = []
    for name in listed("of", options["of"], GROWTHS):
        for factor in factors:
            result = at_size(name, factor * GROWTHS[name].size, options["rounds"], how)
            found.setdefault(name, []).append(result)
            rows.append(row(name, result, found[name][0]))
            say("   ".join(rows[-1]))
    columns = ("of", "examples", "µs each to prepare", "µs each to train", "×")
    memory = ("MiB by then", "peak", "KiB an example")
    table("growth of the data", (*columns, *memory), rows)
    if options["plot"]:
        draw(found, Path(options["plot"]))
        say(f"plot      {options['plot']}")


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__ or ""))
