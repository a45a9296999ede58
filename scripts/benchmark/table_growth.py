"""How a network on tables grows: time and memory as rows go from a hundred thousand to ten million.

Tables of fifty columns are drawn and written row group by row group, and a process of its own runs
`train` on each: reading, finding out what the columns are, looking for leaks, hashing, fitting,
encoding, and then some steps of training and the evaluation of the validation rows.
"""

from __future__ import annotations

import contextlib
import io
import resource
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from rounds import CLOCKS, WARM_UP
from table_peers import BATCH_SIZE

from marketorch import Trainer, compose, train
from marketorch.console import say, table

NUMBERS, GAPS, CATEGORIES, DATES = 30, 10, 15, 5  # columns; GAPS of the numbers have missing cells
LEVELS = (2, 3, 5, 8, 12, 20, 30, 50, 80, 100, 150, 200, 300, 500, 900)
GROUP = 100_000  # rows that are drawn and written at once
MISSING, SHARES = 0.1, {"validation_fraction": 0.05, "test_fraction": 0.05}
GIB, BUDGET = 2**30, 16  # that the largest table has to keep to
DAYS = np.datetime64("2020-01-01", "s")


@dataclass
class Result:
    """What was measured of one table.

    Attributes:
        rows: of the table.
        preparing: seconds up to the first step.
        learnt, seconds: rows of the timed steps, and their seconds.
        before, peak: most bytes up to the first step, and at the end.
    """

    rows: int
    preparing: float
    learnt: int
    seconds: float
    before: int
    peak: int

    @property
    def prepared(self) -> float:
        """Microseconds a row of preparing."""
        return 1e6 * self.preparing / self.rows

    @property
    def training(self) -> float:
        """Microseconds a row of training."""
        return 1e6 * self.seconds / self.learnt


def peak() -> int:
    """Most bytes that this process has had in memory, pages of the mapped file included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# -- the table --------------------------------------------------------------------------------


def write_table(rows: int, path: Path) -> None:
    """Writes a table with 50 columns and the target ``bought``."""
    words = [[f"level {code:03d}" for code in range(number)] for number in LEVELS]
    writer = None
    for group, first in enumerate(range(0, rows, GROUP)):
        drawn = draw(min(GROUP, rows - first), np.random.default_rng(group), words)
        writer = writer or pq.ParquetWriter(path, drawn.schema, use_dictionary=dictionaries(drawn))
        writer.write_table(drawn)
    assert writer is not None
    writer.close()


def dictionaries(drawn: pa.Table) -> list[str]:
    """The columns of words; numbers and dates hardly repeat."""
    return [name for name in drawn.column_names if name.startswith("category")]


def draw(rows: int, generator: np.random.Generator, words: list[list[str]]) -> pa.Table:
    """Skewed numbers, levels that few rows have, dates, and a target that depends on some."""
    columns: dict[str, Any] = {}
    numbers = generator.standard_normal((NUMBERS, rows)).round(3)
    score = numbers[:3].sum(0) - 2.5
    for i, values in enumerate(numbers):
        own = np.exp(values).round(2) if i % 2 else values
        gaps = generator.random(rows) < MISSING if i < GAPS else None
        columns[f"number {i:02d}"] = pa.array(own, mask=gaps)
    for i, levels in enumerate(words):
        codes = (len(levels) * generator.random(rows) ** 2).astype(np.int32)
        columns[f"category {i:02d}"] = pa.DictionaryArray.from_arrays(codes, levels).cast(
            pa.string()
        )
        score += 0.5 * (codes == 0) if i < CATEGORIES // 5 else 0
    for i in range(DATES):
        seconds = generator.integers(0, 4 * 365 * 86_400, rows).astype("m8[s]")
        columns[f"date {i:02d}"] = pa.array((DAYS + seconds).astype("M8[us]"))
    bought = generator.random(rows) < 1 / (1 + np.exp(-score))
    return pa.table(columns | {"bought": pa.array(np.where(bought, "yes", "no"))})


# -- one table --------------------------------------------------------------------------------


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


def measure(path: Path, rows: int, steps: int, threads: int, clock: str) -> Result:
    """Runs `train` on a table."""
    torch.set_num_threads(threads)
    watch = Watch(CLOCKS[clock])
    overrides = [
        "experiment=propensity",
        "data=customer_table",
        f"data.path={path}",
        "data.target=bought",
        *(f"data.{name}={share}" for name, share in SHARES.items()),
        "task.value=null",
        "model=mlp",
        "trainer.epochs=1",
        f"trainer.batch_size={BATCH_SIZE}",
        f"trainer.max_steps={WARM_UP + steps}",
        f"trainer.log_every={WARM_UP}",
        f"run_dir={path.parent / f'run_{rows}'}",
    ]
    began = watch.clock()
    # Every event is a call of this method; `train` has no other way to be watched.
    noted = patch.object(Trainer, "_event", lambda trainer, name: watch.note(trainer, name))
    with noted, contextlib.redirect_stdout(io.StringIO()):
        train(compose(overrides))
    (_, start), (early, warm), *_, (late, end) = watch.stamps
    taken = start - began, late - early, end - warm
    return Result(rows, *taken, watch.before, peak())


def grow(sizes: list[int], steps: int, threads: int, clock: str) -> None:
    """Trains on tables of all sizes and prints time and memory a row."""
    results = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.parquet"
            fresh(write_table, rows, path)
            result = fresh(measure, path, rows, steps, threads, clock)
        line = f"{result.prepared:.1f} µs a row to prepare, {result.training:.1f} to train"
        say(f"{rows:>11,} rows   {line}, peak {result.peak / GIB:.2f} GiB")
        results.append(result)
    first = results[0]
    shown = [
        (
            f"{r.rows:,}",
            f"{r.preparing:.1f}",
            f"{r.prepared:.1f}",
            f"{r.prepared / first.prepared:.2f}",
            f"{r.training:.1f}",
            f"{r.training / first.training:.2f}",
            f"{r.before / GIB:.2f}",
            f"{r.peak / GIB:.2f}",
        )
        for r in results
    ]
    columns = ("rows", "prepared in s", "µs a row", "×", "learning, µs", "×")
    memory = ("GiB by then", "peak")
    title = f"growth · {NUMBERS + CATEGORIES + DATES} columns, model=mlp, {steps} steps"
    table(title, (*columns, *memory), shown)
    say(f"largest table: {results[-1].peak / GIB:.2f} GiB of {BUDGET}")


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls in a new process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
