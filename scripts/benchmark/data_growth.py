"""How training grows with the data, task by task: time an example, and memory.

    python scripts/benchmark/data_growth.py [tasks=sentiment,emotion,…] [factors=1,10,100]
                                            [steps=30] [threads=2] [clock=wall|cpu]

The recipe of each task is trained for some steps on 1, 10 and 100 times as many drawn examples
(`BASES`), each in a process of its own, and evaluated on as few validation examples each time.
*Preparing* is all before the first step: drawing the examples, which is the larger part where
pictures are drawn, fitting and encoding. *A step* is timed after five of warm-up; as batches of
texts and of shoppers differ in length, its time is told an example. Memory is the most that the
process ever had, libraries included: what an example adds to it is the difference to the smallest
size. For event logs of ten million and tables of ten million rows see growth.py and tabular.py.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from unittest.mock import patch

import torch
from rounds import CLOCKS, NEVER, WARM_UP, listed, read_options
from table_growth import Result, Watch, fresh, peak

from marketorch.command_line import arguments_or_help, whole_number
from marketorch.console import say, table
from marketorch.errors import guard

BASES = {
    "sentiment": ("num_train", 2000),
    "emotion": ("num_train", 1200),
    "logo": ("num_train", 100),
    "recommender": ("num_users", 300),
    "propensity": ("num_train", 5000),
    "uplift": ("num_train", 5000),
}
"""What makes an experiment's data larger, and where it starts."""
FEW = {"num_validation": 200, "num_test": 200}
MIB = 2**20


def train_on(name: str, factor: int, steps: int, threads: int, clock: str) -> Result:
    """Trains an experiment's recipe on ``factor`` times as many examples as the smallest size."""
    from marketorch import Trainer, compose, train

    torch.set_num_threads(threads)
    key, base = BASES[name]
    sizes = {key: factor * base} | (FEW if key == "num_train" else {})
    watch = Watch(CLOCKS[clock])
    # Every event is a call of this method; `train` has no other way to be watched.
    noted = patch.object(Trainer, "_event", lambda trainer, event: watch.note(trainer, event))
    with tempfile.TemporaryDirectory() as folder:
        overrides = [
            f"experiment={name}",
            *(f"data.{key}={size}" for key, size in sizes.items()),
            f"trainer.max_steps={WARM_UP + steps}",
            f"trainer.log_every={WARM_UP}",
            "trainer.epochs=1000",
            f"trainer.eval_every={NEVER}",  # at the end alone
            f"run_dir={folder}/run",
        ]
        began = watch.clock()
        with noted, contextlib.redirect_stdout(io.StringIO()):
            train(compose(overrides))
    (_, start), (early, warm), *_, (late, end) = watch.stamps
    taken = start - began, late - early, end - warm
    return Result(factor * base, *taken, watch.before, peak())


def grow(name: str, factors: list[int], steps: int, threads: int, clock: str) -> list[tuple]:
    """Rows of the table for one task."""
    results = [fresh(train_on, name, factor, steps, threads, clock) for factor in factors]
    first = results[0]
    rows = []
    for result in results:
        more = result.rows - first.rows
        added = f"{(result.peak - first.peak) / more / 1024:.2f}" if more else ""
        rows.append(
            (
                name,
                f"{result.rows:,}",
                f"{result.prepared:.0f}",
                f"{result.training:.0f}",
                f"{result.training / first.training:.2f}",
                f"{result.peak / MIB:,.0f}",
                added,
            )
        )
        say("   ".join(rows[-1]))
    return rows


def main(arguments: list[str]) -> None:
    """Measures and prints one table."""
    options = read_options(
        arguments,
        {"steps": 30, "threads": 2},
        {"clock": tuple(CLOCKS)},
        {"tasks": ",".join(BASES), "factors": "1,10,100"},
    )
    factors = [whole_number("factors", text) for text in options["factors"].split(",")]
    own = options["steps"], options["threads"], options["clock"]
    names = listed("tasks", options["tasks"], BASES)
    rows = [row for name in names for row in grow(name, factors, *own)]
    columns = ("task", "examples", "µs each to prepare", "µs each to train", "×")
    table("growth of the data", (*columns, "MiB", "KiB an example"), rows)


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__ or ""))
