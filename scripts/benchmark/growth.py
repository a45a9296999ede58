"""How a recommender grows: time and memory as items go to a million and events to ten.

    python scripts/benchmark/growth.py [items=10000,100000,1000000] [events=1000000,10000000]
                                       [dense=10000,100000] [steps=60] [users=2000] [rounds=1]
                                       [threads=2] [clock=wall|cpu] [plot=growth.png]

For every number of items and of events the synthetic shop writes an event log, and a process of
its own reads it with `EventData`, trains the sequential transformer (width 64, two layers, length
50) with `Trainer.fit` for ``steps`` steps, saves, and evaluates the first ``users`` users against
the whole catalogue. The loss is the softmax on a sample of 1024 negatives, the gradients of the
item tables are sparse. At the sizes of ``dense`` the same is done with dense gradients and AdamW.

Timed are training steps after five of warm-up; an event is a position that is learnt. Memory is
the most that the process ever had (`resource.getrusage`), libraries, checkpoints and evaluation
included. Each × is a ratio to the smallest cell of the same gradients. With the same number of
events all cells see batches of the same lengths. On a machine that others use too, a cell may meet
a busier quarter of an hour than its neighbour: ``threads=1``, ``clock=cpu`` and ``rounds=3``, in
which every cell has its turn and of which times are medians, tell more than the clock on the wall.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rounds import CLOCKS, WARM_UP

from marketorch import Trainer
from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.console import say, table
from marketorch.data.events.dataset import EventDataset
from marketorch.data.events.source import EventData
from marketorch.data.ragged import chosen
from marketorch.data.synthetic.shop import make_shop
from marketorch.engine.evaluation import evaluate
from marketorch.errors import ConfigError, UserError, guard
from marketorch.figures.plots import ACCENT, INK, QUIET, save
from marketorch.models.recommenders.sequential_transformer import SequentialTransformer
from marketorch.optim import optimizers as optim
from marketorch.tasks.recommendation import Recommendation

EVENTS_PER_USER, BATCH_SIZE, NEGATIVES = 30, 64, 1024
SCORES = 2**24  # of a batch of the evaluation, users times items
NEVER = 1_000_000  # steps or epochs that no run reaches
GIB, BUDGET = 2**30, 16  # the budget in GiB, that the largest cell has to keep to
DEFAULTS = {
    "items": "10000,100000,1000000",
    "events": "1000000,10000000",
    "dense": "10000,100000",
    "steps": "60",
    "users": "2000",
    "rounds": "1",
    "threads": "2",
    "clock": "wall",
    "plot": "",
}
T = TypeVar("T")


@dataclass(frozen=True)
class Cell:
    """What is measured in one process."""

    items: int
    events: int
    sparse: bool


@dataclass
class Result:
    """What was measured.

    Args:
        cell: where.
        steps, seconds, learnt: timed steps, their seconds, and the events learnt in them.
        reading, evaluating: seconds before the first step, and of the evaluation.
        data, training, peak: most bytes up to the first step, the last one, and the end.
    """

    cell: Cell
    steps: int
    seconds: float
    learnt: int
    reading: float
    evaluating: float
    data: int
    training: int
    peak: int

    @property
    def step(self) -> float:
        """Milliseconds a step."""
        return 1e3 * self.seconds / self.steps

    @property
    def event(self) -> float:
        """Microseconds an event that is learnt."""
        return 1e6 * self.seconds / self.learnt

    @property
    def memory(self) -> float:
        """Bytes an event of the log."""
        return self.peak / self.cell.events


# -- one cell ---------------------------------------------------------------------------------


def fresh(function: Callable[..., T], *arguments: Any) -> T:
    """Calls in a new process, whose memory is its own. UserError if the process was killed."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(function, *arguments).result()
    except BrokenProcessPool as error:
        raise UserError(f"The process of {arguments} was killed: too little memory?") from error


def write_log(items: int, events: int, folder: Path) -> None:
    """Writes events.parquet and items.parquet of a shop of that size."""
    users = max(1, events // EVENTS_PER_USER)
    shop = make_shop(num_users=users, num_items=items, events_per_user=EVENTS_PER_USER)
    shop.events[["user", "item", "time"]].to_parquet(folder / "events.parquet")
    shop.items[["item", "title"]].to_parquet(folder / "items.parquet")


def peak() -> int:
    """Most bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def first(dataset: EventDataset, number: int) -> EventDataset:
    """The first users alone."""
    assert dataset.targets is not None
    assert dataset.users is not None
    assert dataset.ids is not None
    rows = torch.arange(len(dataset)) < number
    return replace(
        dataset,
        histories=chosen(dataset.histories, rows),
        targets=chosen(dataset.targets, rows),
        users=dataset.users[rows],
        ids=dataset.ids[:number],
    )


def read(folder: Path, users: int) -> tuple[EventDataset, EventDataset, dict[str, Any]]:
    """The training split, the first ``users`` of the validation split, and the schema."""
    source = EventData(
        path=str(folder / "events.parquet"),
        time="time",
        item_table=str(folder / "items.parquet"),
        title="title",
    )
    with contextlib.redirect_stdout(io.StringIO()):  # what cannot be hit is of no interest here
        train, validation = source.split("train"), source.split("validation")
    assert train is not None
    assert validation is not None
    return train, first(validation, users), source.schema


@dataclass
class Watch:
    """Counts events as they reach the loss and stamps the clock at the events of a `Trainer`."""

    clock: Callable[[], float]
    learnt: int = 0
    stamps: list[tuple[int, float, int]] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)

    def count(self, module: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        """Before each call of the loss with (model, positives)."""
        self.learnt += len(arguments[1].rows)

    def note(self, name: str, trainer: Trainer) -> None:
        """At ``start``, and after some steps."""
        if name in ("start", "log"):
            self.stamps.append((trainer.position.step, self.clock(), self.learnt))
            self.peaks.append(peak())


def measure(cell: Cell, folder: Path, scratch: Path, options: dict[str, str]) -> Result:
    """Reads the log in ``folder``, trains in ``scratch`` and evaluates."""
    torch.set_num_threads(int(options["threads"]))
    watch = Watch(CLOCKS[options["clock"]])
    began = watch.clock()
    train, asked, schema = read(folder, int(options["users"]))
    model = partial(SequentialTransformer, length=50, dim=64, depth=2, sparse=cell.sparse)
    task = Recommendation(model=model, schema=schema, loss="sampled_softmax", negatives=NEGATIVES)
    task.loss.register_forward_pre_hook(watch.count)
    trainer = Trainer(
        run_dir=scratch / "run",
        device="cpu",
        epochs=NEVER,
        max_steps=WARM_UP + int(options["steps"]),
        batch_size=BATCH_SIZE,
        eval_every=NEVER,
        log_every=WARM_UP,
        on_event=watch.note,
    )
    trainer.fit(task, train, None, partial(optim.adamw, lr=1e-3))
    size = max(1, min(256, SCORES // cell.items))
    before = watch.clock()
    evaluate(task, task.encode(asked), batch_size=size, device=trainer.torch_device)
    evaluating = watch.clock() - before
    (_, start, _), (early, warm, seen), *_, (late, end, learnt) = watch.stamps
    return Result(
        cell,
        late - early,
        end - warm,
        learnt - seen,
        start - began,
        evaluating,
        watch.peaks[0],
        watch.peaks[-1],
        peak(),
    )


def run(options: dict[str, str]) -> list[Result]:
    """Every cell in turn, in each round; then the median of each."""
    found: dict[Cell, list[Result]] = {}
    with tempfile.TemporaryDirectory() as name:
        for number in range(int(options["rounds"])):
            for cell in cells(options):
                folder = Path(name) / f"{cell.items}_{cell.events}"
                if not folder.exists():
                    folder.mkdir()
                    fresh(write_log, cell.items, cell.events, folder)
                with tempfile.TemporaryDirectory() as scratch:
                    # Where `datasets` keeps what it has read: no process finds another's.
                    os.environ["HF_DATASETS_CACHE"] = scratch
                    result = fresh(measure, cell, folder, Path(scratch), options)
                say(f"round {number + 1}  {line(result)}")
                found.setdefault(cell, []).append(result)
    return [middle(results) for results in found.values()]


def cells(options: dict[str, str]) -> Iterator[Cell]:
    """By events, then by items, each with sparse gradients first."""
    for events in numbers(options, "events"):
        for items in numbers(options, "items"):
            yield Cell(items, events, True)
            if items in numbers(options, "dense"):
                yield Cell(items, events, False)


def middle(results: list[Result]) -> Result:
    """One result of a cell for all: medians, and for memory the most."""
    names = ("seconds", "reading", "evaluating")
    times = {name: median(getattr(r, name) for r in results) for name in names}
    most = {name: max(getattr(r, name) for r in results) for name in ("data", "training", "peak")}
    return replace(results[0], **times, **most)


# -- what came out ----------------------------------------------------------------------------


def line(result: Result) -> str:
    """A result while the others are still to come."""
    cell = result.cell
    kind = "sparse" if cell.sparse else "dense"
    place = f"{short(cell.items):>5} items  {short(cell.events):>5} events  {kind:6}"
    memory = f"{result.data / GIB:.2f} / {result.training / GIB:.2f} / {result.peak / GIB:.2f} GiB"
    return f"{place}  {result.step:7.1f} ms a step  data / training / peak {memory}"


def short(number: int) -> str:
    """``10k`` or ``1M``."""
    return f"{number / 1e6:g}M" if number >= 1e6 else f"{number / 1e3:g}k"


def show(results: list[Result]) -> None:
    """Prints time and memory of the cells, and what one more item or event costs."""
    times, memories = [], []
    for result in results:
        cell = result.cell
        place = (short(cell.items), short(cell.events), "sparse" if cell.sparse else "dense")
        same = [r for r in results if r.cell.sparse == cell.sparse]
        least = min(same, key=lambda r: (r.cell.items, r.cell.events))
        rate = (f"{result.event:.1f}", f"{result.event / least.event:.2f}")
        other = (f"{1e6 / result.event:,.0f}", f"{result.reading:.0f}", f"{result.evaluating:.0f}")
        times.append((*place, f"{result.step:.0f}", *rate, *other))
        gib = [f"{size / GIB:.2f}" for size in (result.data, result.training, result.peak)]
        ratio = f"{result.memory / least.memory:.2f}"
        memories.append((*place, *gib, f"{result.memory:,.0f}", ratio))
    columns = ["items", "events", "rows"]
    clocked = [*columns, "ms", "µs", "×", "events/s", "data s", "eval s"]
    table("time · milliseconds a step, microseconds an event", clocked, times)
    held = [*columns, "data GiB", "training", "peak", "bytes/event", "×"]
    table("memory · the most until then", held, memories)
    for message in slopes([result for result in results if result.cell.sparse]):
        say(message)
    largest = max(results, key=lambda r: (r.cell.items * r.cell.events, r.cell.sparse))
    say(f"largest cell: {largest.peak / GIB:.2f} GiB of {BUDGET}")


def slopes(results: list[Result]) -> Iterator[str]:
    """What one more event costs at each number of items, and one more item at each of events."""
    for grown, other in (("events", "items"), ("items", "events")):
        for held in sorted({getattr(r.cell, other) for r in results}):
            row = [r for r in results if getattr(r.cell, other) == held]
            ends = sorted(row, key=lambda r: getattr(r.cell, grown))
            low, high = ends[0], ends[-1]
            more = getattr(high.cell, grown) - getattr(low.cell, grown)
            if more:
                cost = (high.peak - low.peak) / more
                yield f"{short(held):>6} {other:6} {cost:8,.0f} bytes for one more of {grown}"


def draw(results: list[Result], path: Path) -> None:
    """Time an event and peak memory over the number of items."""
    figure = Figure(figsize=(9.4, 3.9))
    left, right = figure.subplots(1, 2)
    groups = sorted({(r.cell.sparse, r.cell.events) for r in results})
    for sparse, events in groups:
        row = [r for r in results if (r.cell.sparse, r.cell.events) == (sparse, events)]
        row.sort(key=lambda r: r.cell.items)
        few = events == min(r.cell.events for r in results)
        style = {
            "color": ACCENT if sparse else QUIET,
            "marker": "o" if few else "s",
            "linestyle": "--" if few else "-",
            "label": f"{'sparse' if sparse else 'dense'}, {short(events)} events",
        }
        items = [r.cell.items for r in row]
        left.plot(items, [r.event for r in row], **style)
        right.plot(items, [r.peak / GIB for r in row], **style)
    sizes = sorted({r.cell.items for r in results})
    right.axhline(BUDGET, color=INK, linewidth=1, linestyle=":")
    right.text(sizes[0], BUDGET + 0.2, f"{BUDGET} GiB", color=INK)
    finish(left, sizes, "µs an event", "Time to learn an event")
    finish(right, sizes, "GiB", "Peak memory")
    left.legend(frameon=False, fontsize=8)
    save(figure, path)


def finish(axes: Axes, sizes: list[int], unit: str, title: str) -> None:
    """A value axis from zero on, which shows what is flat, over each number of items."""
    axes.set_xscale("log")
    axes.set_xticks(sizes, [short(size) for size in sizes])
    axes.minorticks_off()
    axes.set(xlabel="items in the catalogue", ylabel=unit, title=title)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.15)
    axes.spines[["top", "right"]].set_visible(False)


# -- options ----------------------------------------------------------------------------------


def numbers(options: dict[str, str], name: str) -> list[int]:
    """A list of whole numbers, with commas between them."""
    return [whole_number(name, text) for text in options[name].split(",") if text]


def parse(arguments: list[str]) -> dict[str, str]:
    """The options, checked. ConfigError for one that does not exist."""
    options: dict[str, str] = {}
    for name, default in DEFAULTS.items():
        value, arguments = split_option(arguments, name)
        options[name] = default if value is None else value
    if arguments:
        raise ConfigError(f"{arguments[0]}: unknown option. Options: {', '.join(DEFAULTS)}.")
    for name in ("items", "events", "dense", "steps", "users", "rounds", "threads"):
        least = min(numbers(options, name), default=int(name == "dense"))
        if least < 1:
            raise ConfigError(f"{name}={options[name]}: expected at least 1.")
    if options["clock"] not in CLOCKS:
        raise ConfigError(f"clock={options['clock']}: expected one of {', '.join(CLOCKS)}.")
    return options


def main(arguments: list[str]) -> None:
    """Runs every cell, prints them and draws them."""
    options = parse(arguments)
    threads, load = options["threads"], os.getloadavg()[0]
    os.environ["OMP_NUM_THREADS"] = threads
    say(f"{threads} threads, load {load:.1f}, {options['clock']} clock, torch {torch.__version__}")
    results = run(options)
    show(results)
    if options["plot"]:
        draw(results, Path(options["plot"]))
        say(f"plot      {options['plot']}")


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__ or ""))
