"""How fast tables are trained on, against rows fetched one by one, a bare loop, and boosted trees.

    python scripts/benchmark/tabular.py [rounds=4] [steps=200] [workers=2] [data_dir=DIR]
                                        [precision=auto] [only=loading|engine]
                                        [clock=wall|cpu] [threads=1]

*Loading.* A small network, two layers of 128, in batches of 1024, on customers that are tensors
already: embedded ones or, with ``data_dir``, those of Adult (14 columns). The same network,
optimizer, schedule, clipping and precision in our Trainer as it comes, and in a plain loop over a
DataLoader whose data set returns a row, as most are written, in one process and with ``workers``
(see `table_peers`). A loop on one batch again and again shows what the network alone takes: the
heavier it is, the less loading counts. Loading is timed without a network, too. The time in which
boosted trees (model=boosted_trees) fit the same rows is told beside it, in epochs of the network.

*Engine.* `Trainer.fit` over a bare loop (see `engine.py`), for the small network, and for model=mlp
as it comes.

Timed are steps alone, as in `rounds`; sides take turns and only ratios count. Workers are seen by
the clock on the wall alone, so clock=cpu needs workers=0.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

import engine
import torch
from rounds import (
    CLOCKS,
    Row,
    Side,
    Speed,
    alternate,
    announce,
    middle,
    ratios,
    read_options,
)
from table_peers import (
    BATCH_SIZE,
    DEVICE,
    Loader,
    again,
    as_trained,
    by_hand,
    by_rows,
    load_alone,
)

from marketorch import build, build_task, compose
from marketorch.command_line import arguments_or_help
from marketorch.console import say, table
from marketorch.errors import ConfigError, guard

OURS, ALONE = "marketorch", "network alone"
SMALL = ("model.width=128", "model.depth=2", "model.number_dim=0")
NUM_TRAIN = 30_000  # embedded customers, about as many as Adult trains on
NUMBERS = {"rounds": 4, "steps": 200, "workers": 2, "threads": 1}
CHOICES = {
    "only": ("", "loading", "engine"),
    "clock": tuple(CLOCKS),
    "precision": ("auto", "fp32", "bf16"),
}
TEXTS = {"data_dir": ""}


# -- comparisons ------------------------------------------------------------------------------


def configured(options: dict[str, Any], *overrides: str) -> Any:
    """The config of Adult, or of embedded customers, in batches of `BATCH_SIZE`."""
    folder = options["data_dir"]
    where = ["experiment=income_adult", f"data_dir={folder}"]
    embedded = ["experiment=propensity", f"data.num_train={NUM_TRAIN}", "task.value=null"]
    return compose(
        [
            *(where if folder else embedded),
            *overrides,
            f"trainer.batch_size={BATCH_SIZE}",
            f"trainer.precision={options['precision']}",
            "trainer.device=cpu",
        ]
    )


def compare_loading(options: dict[str, Any]) -> list[Row]:
    """Prints rows a second of all sides, with and without a network, and what the trees take."""
    trees = time_trees(options)  # first, because it needs a library of its own
    config = configured(options, "model=mlp", *SMALL)
    work = engine.Work(config)
    loaders: dict[str, Loader] = {
        "rows as tensors": by_rows,
        "rows as arrays": partial(by_rows, arrays=True),
    }
    if workers := options["workers"]:
        loaders[f"rows as tensors, {workers} workers"] = partial(by_rows, workers=workers)
    speeds = alternate(
        {OURS: engine.training_sides(work)[engine.FIT]}
        | {name: partial(by_hand, config, work.data, load) for name, load in loaders.items()}
        | {ALONE: partial(by_hand, config, work.data, again)},
        rounds=options["rounds"],
        steps=options["steps"],
    )
    rows = show_training(work, speeds)
    rows += compare_loading_alone(config, work.data, loaders, options)
    return [*rows, compare_trees(trees, len(work.train), speeds[OURS])]


def show_training(work: engine.Work, speeds: dict[str, list[Speed]]) -> list[Row]:
    """Prints rows a second of all sides; returns how many times ours is faster than loaders."""
    lines: list[tuple[Any, ...]] = []
    rows = []
    for name, own in speeds.items():
        row = Row.of(f"training, over {name}", ratios(speeds[OURS], own), "≥ 10")
        if name not in (OURS, ALONE):
            rows.append(row)
        share = 100 * median(ratios(own, speeds[ALONE]))
        shown = ("", "") if name == OURS else row.cells[:2]
        lines.append((name, f"{middle(own):,.0f}", *shown, f"{share:.0f} %"))
    columns = ("side", "rows/s", "ours ×", "min–max", "of it the network")
    setting = f"{len(work.train):,} rows, {len(work.data.schema['columns'])} columns"
    table(f"training · {setting}, 2 × 128, batches of {BATCH_SIZE}", columns, lines)
    return rows


def compare_loading_alone(
    config: Any, data: Any, loaders: dict[str, Loader], options: dict[str, Any]
) -> list[Row]:
    """Prints rows a second of what reads the rows, without a network."""
    sides: dict[str, Side] = {
        name: partial(load_alone, config, data, load)
        for name, load in ({OURS: as_trained} | loaders).items()
    }
    speeds = alternate(sides, rounds=options["rounds"], steps=options["steps"])
    lines: list[tuple[Any, ...]] = [(OURS, f"{middle(speeds[OURS]):,.0f}", "", "")]
    rows = []
    for name in loaders:
        rows.append(Row.of(f"loading alone, over {name}", ratios(speeds[OURS], speeds[name])))
        lines.append((name, f"{middle(speeds[name]):,.0f}", *rows[-1].cells[:2]))
    title = f"loading alone · batches of {BATCH_SIZE}"
    table(title, ("side", "rows/s", "ours ×", "min–max"), lines)
    return rows


def time_trees(options: dict[str, Any]) -> list[float]:
    """Seconds in which boosted trees fit the same rows, three times at most."""
    config = configured(options, "model=boosted_trees")
    data, clock = build(config.data), CLOCKS[options["clock"]]
    train, seconds = data.split("train"), []
    for _ in range(min(options["rounds"], 3)):
        task = build_task(config, data.schema)
        began = clock()
        task.prepare(train)
        seconds.append(clock() - began)
    return seconds


def compare_trees(seconds: list[float], number: int, fitted: list[Speed]) -> Row:
    """Says how long boosted trees take, in seconds and in epochs of the network."""
    epochs = [taken * own.rate / number for taken, own in zip(seconds, fitted, strict=False)]
    taken = f"{median(seconds):.1f} s ({min(seconds):.1f}–{max(seconds):.1f})"
    say(f"boosted trees fit the same rows in {taken}: {median(epochs):,.0f} epochs")
    return Row.of("fitting boosted trees, over an epoch of the network", epochs)


def compare_engine(options: dict[str, Any]) -> list[Row]:
    """Prints the time of a step in `Trainer.fit` over that of the bare loop."""
    lines, rows = [], []
    for name, overrides in (("2 × 128", SMALL), ("as it comes", ())):
        work = engine.Work(configured(options, "model=mlp", *overrides))
        steps = options["steps"] if overrides else max(1, options["steps"] // 4)
        row, line = engine.cost(f"model=mlp, {name}", work, options["rounds"], steps)
        rows.append(row)
        lines.append(line)
    table(f"cost of the engine · batches of {BATCH_SIZE}", engine.COLUMNS, lines)
    return rows


# -- options ----------------------------------------------------------------------------------


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options, checked. ConfigError for one that does not exist or does not fit."""
    options = read_options(arguments, NUMBERS, CHOICES, TEXTS)
    if options["clock"] == "cpu" and options["workers"] and options["only"] in ("", "loading"):
        raise ConfigError("clock=cpu does not see worker processes: add workers=0, or clock=wall.")
    return options


def measure(options: dict[str, Any]) -> list[Row]:
    """Makes all comparisons, or the one that ``only`` names; prints them, returns their rows."""
    torch.set_num_threads(options["threads"])
    announce(options["clock"], DEVICE, options["precision"])
    rows = []
    if options["only"] in ("", "loading"):
        rows += compare_loading(options)
    if options["only"] in ("", "engine"):
        rows += compare_engine(options)
    return rows


if __name__ == "__main__":
    with guard():
        measure(parse(arguments_or_help(__doc__ or "")))
