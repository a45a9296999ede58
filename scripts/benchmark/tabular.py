"""How fast tables are trained on, against rows fetched one by one, a bare loop, and boosted trees.

    python scripts/benchmark/tabular.py [rounds=4] [steps=200] [workers=2] [data_dir=DIR]
                                        [precision=auto] [rows=100000,1000000,10000000]
                                        [growth_steps=100] [only=loading|engine|growth]
                                        [clock=wall|cpu] [threads=1]

*Loading.* A small network, two layers of 128, in batches of 1024, on customers that are tensors
already: embedded ones or, with ``data_dir``, those of Adult (14 columns). The same network,
optimizer, schedule, clipping and precision in our Trainer as it comes, and in a plain loop over a
DataLoader whose data set returns a row, as most are written, in one process and with ``workers``
(see `table_peers`). A loop on one batch again and again shows what the network alone takes: the
heavier it is, the less loading counts. Loading is timed without a network, too. The time in which
boosted trees (model=boosted_trees) fit the same rows is told beside it, in epochs of the network.

*Engine.* `Trainer.fit` over a bare loop on the same encoded tensors, which draws an order and takes
the rows of a batch at once: for the small network, and for model=mlp as it comes. The bare loop
does not seed, log, count or check for NaN.

*Growth.* Tables of 50 columns (see `table_growth`), trained by `train` from Parquet: time a row of
preparing and of training, and the most memory, as rows grow.

Timed are steps alone, as in `rounds`; sides take turns and only ratios count. Workers are seen by
the clock on the wall alone, so clock=cpu needs workers=0.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from functools import partial
from statistics import median
from typing import Any

import torch
from rounds import (
    CLOCKS,
    NEVER,
    WARM_UP,
    Meter,
    Side,
    Speed,
    alternate,
    middle,
    ratios,
    read_options,
)
from table_growth import grow
from table_peers import (
    BATCH_SIZE,
    DEVICE,
    Loader,
    again,
    as_trained,
    by_batches,
    by_hand,
    by_rows,
    load_alone,
)

from marketorch import build, build_task, compose
from marketorch.command_line import arguments_or_help, whole_number
from marketorch.engine.evaluation import resolve_precision
from marketorch.engine.tracking import say, table
from marketorch.errors import ConfigError, guard

SMALL = ("model.width=128", "model.depth=2", "model.number_dim=0")
NUM_TRAIN = 30_000  # embedded customers, about as many as Adult trains on
NUMBERS = {"rounds": 4, "steps": 200, "workers": 2, "growth_steps": 100, "threads": 1}
CHOICES = {
    "only": ("", "loading", "engine", "growth"),
    "clock": tuple(CLOCKS),
    "precision": ("auto", "fp32", "bf16"),
}
TEXTS = {"data_dir": "", "rows": "100000,1000000,10000000"}


# -- sides -----------------------------------------------------------------------------------


def ours(config: Any, data: Any, seed: int, steps: int) -> Speed:
    """One round of `Trainer.fit`, which logs as often as it is configured to.

    A step ends where the next one's batch enters the network.
    """
    torch.manual_seed(seed)
    task, last, done = build_task(config, data.schema), WARM_UP + steps, itertools.count()
    meter = Meter(task.model, DEVICE)
    task.model.register_forward_pre_hook(lambda *_: meter.stamp(next(done), last))
    length = {"epochs": NEVER, "eval_every": NEVER, "max_steps": last + 1}
    with tempfile.TemporaryDirectory() as folder:
        trainer = build(config.trainer, run_dir=folder, seed=seed, **length)
        trainer.fit(task, data.split("train"), None, build(config.optim))
    return meter.speed()


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


def compare_loading(options: dict[str, Any]) -> None:
    """Prints rows a second of all sides, and what the trees take."""
    config = configured(options, "model=mlp", *SMALL)
    data = build(config.data)
    loaders: dict[str, Loader] = {
        "rows as tensors": by_rows,
        "rows as arrays": partial(by_rows, arrays=True),
    }
    if workers := options["workers"]:
        loaders[f"rows as tensors, {workers} workers"] = partial(by_rows, workers=workers)
    sides: dict[str, Side] = {"marketorch": partial(ours, config, data)}
    sides |= {name: partial(by_hand, config, data, load) for name, load in loaders.items()}
    sides["network alone"] = partial(by_hand, config, data, again)
    speeds = alternate(sides, rounds=options["rounds"], steps=options["steps"])
    fitted = speeds["marketorch"]
    rows: list[tuple[Any, ...]] = []
    for name, own in speeds.items():
        other = ("", "") if own is fitted else ratios(fitted, own)
        share = 100 * float(ratios(own, speeds["network alone"])[0])
        rows.append((name, f"{middle(own):,.0f}", *other, f"{share:.0f} %"))
    columns = ("side", "rows/s", "ours ×", "min–max", "of it the network")
    number = len(data.split("train"))
    setting = f"{number:,} rows, {len(data.schema['columns'])} columns"
    table(f"training · {setting}, 2 × 128, batches of {BATCH_SIZE}", columns, rows)
    show_loading_alone(config, data, loaders, options)
    compare_trees(options, number / middle(fitted))


def show_loading_alone(
    config: Any, data: Any, loaders: dict[str, Loader], options: dict[str, Any]
) -> None:
    """Prints rows a second of what reads the rows, without a network."""
    sides: dict[str, Side] = {
        name: partial(load_alone, config, data, load)
        for name, load in ({"marketorch": as_trained} | loaders).items()
    }
    speeds = alternate(sides, rounds=options["rounds"], steps=options["steps"])
    fastest = speeds["marketorch"]
    rows: list[tuple[Any, ...]] = [("marketorch", f"{middle(fastest):,.0f}", "", "")]
    for name in loaders:
        rows.append((name, f"{middle(speeds[name]):,.0f}", *ratios(fastest, speeds[name])))
    title = f"loading alone · batches of {BATCH_SIZE}"
    table(title, ("side", "rows/s", "ours ×", "min–max"), rows)


def compare_trees(options: dict[str, Any], epoch: float) -> None:
    """Says how long boosted trees take to fit the same rows, in seconds and epochs."""
    config = configured(options, "model=boosted_trees")
    data, clock = build(config.data), CLOCKS[options["clock"]]
    train, seconds = data.split("train"), []
    for _ in range(min(options["rounds"], 3)):
        task = build_task(config, data.schema)
        began = clock()
        task.prepare(train)
        seconds.append(clock() - began)
    taken = f"{median(seconds):.1f} s ({min(seconds):.1f}–{max(seconds):.1f})"
    say(f"boosted trees fit the same rows in {taken}: {median(seconds) / epoch:,.0f} epochs")


def compare_engine(options: dict[str, Any]) -> None:
    """Prints the time of a step in `Trainer.fit` over that of the bare loop."""
    rows: list[tuple[Any, ...]] = []
    for name, overrides in (("2 × 128", SMALL), ("as it comes", ())):
        config = configured(options, "model=mlp", *overrides)
        data = build(config.data)
        sides: dict[str, Side] = {
            "Trainer.fit": partial(ours, config, data),
            "bare loop": partial(by_hand, config, data, by_batches),
        }
        steps = options["steps"] if overrides else max(1, options["steps"] // 4)
        fitted, bare = alternate(sides, rounds=options["rounds"], steps=steps).values()
        extra = 1e3 * BATCH_SIZE * (1 / middle(fitted) - 1 / middle(bare))
        rates = f"{middle(fitted):,.0f}", f"{middle(bare):,.0f}"
        rows.append((name, *rates, *ratios(bare, fitted), f"{extra:.2f}", "≤ 1.03"))
    columns = ("network", "rows/s", "bare", "step time / bare", "min–max", "more, ms", "target")
    table(f"cost of the engine · batches of {BATCH_SIZE}", columns, rows)


# -- options ----------------------------------------------------------------------------------


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options, checked. ConfigError for one that does not exist or does not fit."""
    options = read_options(arguments, NUMBERS, CHOICES, TEXTS)
    options["rows"] = [whole_number("rows", text) for text in options["rows"].split(",")]
    if min(options["rows"]) < BATCH_SIZE:
        raise ConfigError(f"rows={min(options['rows'])}: expected at least {BATCH_SIZE}.")
    if options["clock"] == "cpu" and options["workers"] and options["only"] in ("", "loading"):
        raise ConfigError("clock=cpu does not see worker processes: add workers=0, or clock=wall.")
    return options


def main(arguments: list[str]) -> None:
    """Runs all parts, or the one that ``only`` names."""
    options = parse(arguments)
    Meter.clock = options["clock"]
    torch.set_num_threads(options["threads"])
    precision, load = resolve_precision(options["precision"], DEVICE), os.getloadavg()[0]
    say(f"{options['threads']} threads, {precision}, load {load:.1f}, {Meter.clock} clock")
    if options["only"] in ("", "loading"):
        compare_loading(options)
    if options["only"] in ("", "engine"):
        compare_engine(options)
    if options["only"] in ("", "growth"):
        grow(options["rows"], options["growth_steps"], options["threads"], options["clock"])


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__ or ""))
