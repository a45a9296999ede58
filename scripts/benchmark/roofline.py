"""Where the time of a training step goes, and how far it is from what the machine allows.

    python scripts/benchmark/roofline.py [recipes=sentiment,emotion,…] [steps=20] [threads=2]

For each recipe on its embedded data, `Trainer.fit` as it comes is watched twice after five steps of
warm-up. Once by `torch.profiler`: the time that each operator takes itself, by kind; what no
operator accounts for is Python, loading and the profiler. Once by a counter of floating-point
operations of products and convolutions, forwards and backwards. A third time nothing watches, and
that gives the milliseconds.

The floor is what cannot be had for less here: those operations at the rate that a product of large
square matrices is measured to reach in the recipe's precision, and the bytes that the optimizer
has to read and write at the rate of a large copy. Activations are not in it: they might stay in
the cache, in principle. So no step reaches it; small products are what keeps most away.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from statistics import median
from typing import Any

import torch
from rounds import NEVER, WARM_UP, listed, read_options
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from marketorch import build, build_task, compose
from marketorch.command_line import arguments_or_help
from marketorch.console import say, table
from marketorch.engine.evaluation import resolve_precision
from marketorch.errors import guard

RECIPES: dict[str, list[str]] = {
    "sentiment": ["data.num_train=4000"],
    "recommender": [],
    "emotion": ["data.num_train=3000"],
    "logo": ["data.num_train=400"],
    "propensity": ["data.num_train=10000"],
    "uplift": ["data.num_train=10000"],
}
KINDS: dict[str, tuple[str, ...]] = {
    "products": ("mm", "addmm", "bmm", "baddbmm", "linear", "einsum", "matmul", "mkldnn_linear"),
    "convolutions": ("conv",),
    "attention": ("scaled_dot_product", "flash_attention"),
    "normalisation": ("norm",),
    "look-ups": ("embedding", "index", "gather", "scatter", "unique", "sort", "searchsorted"),
    "random numbers": ("bernoulli", "random", "uniform", "normal_", "dropout", "multinomial"),
    "copies and casts": ("copy", "cat", "contiguous", "clone", "_to_copy", "stack", "fill", "zero"),
}
"""What the names of operators hold, in this order; all other operators are element-wise."""
UPDATE_BYTES = 4 * 8  # a parameter: AdamW reads 4 and writes 3, and 1 is zeroed
SIZE, COPY = 2048, 2**26  # of the matrices; floats that are copied
OPTIMIZER = "Optimizer.step"


def kind(event: FunctionEvent) -> str:
    """What an operator does, or ``optimizer`` if it was called by one."""
    parent = event
    while parent is not None:
        if parent.name.startswith(OPTIMIZER):
            return "optimizer"
        parent = parent.cpu_parent
    name = event.name.removeprefix("aten::")
    if not event.name.startswith(("aten::", "mkldnn")):
        return "Python, loading"
    if name in KINDS["products"]:
        return "products"
    for own, words in list(KINDS.items())[1:]:
        if any(word in name for word in words):
            return own
    return "element-wise"


# -- the machine ------------------------------------------------------------------------------


def median_time(call: Callable[[], Any], times: int = 7) -> float:
    """Seconds of the median call, after one that is not counted."""
    call()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return median(taken)


def product_rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a product of large square matrices."""
    a, b = (torch.randn(SIZE, SIZE).to(dtype) for _ in range(2))
    return 2 * SIZE**3 / median_time(lambda: a @ b)


def copy_rate() -> float:
    """Bytes a second, read and written, of a copy that no cache holds."""
    source = torch.randn(COPY)
    target = torch.empty_like(source)
    return 2 * 4 * COPY / median_time(lambda: target.copy_(source))


# -- a recipe ---------------------------------------------------------------------------------


class Watch:
    """Opens ``watcher`` after the warm-up, closes it after the last step, and takes the time."""

    def __init__(self, watcher: AbstractContextManager, last: int) -> None:
        self.watcher, self.last, self.seconds, self.examples = watcher, last, 0.0, 0

    def __call__(self, name: str, trainer: Any) -> None:
        """Notes an event of the Trainer."""
        step = trainer.position.step
        if name == "log" and step == WARM_UP:
            self.watcher.__enter__()
            self.seconds, self.examples = -time.perf_counter(), -trainer.position.examples
        if name == "log" and step == self.last:
            self.seconds += time.perf_counter()
            self.examples += trainer.position.examples
            self.watcher.__exit__(None, None, None)


def recipe(name: str, steps: int) -> Callable[[AbstractContextManager], tuple[Watch, Any]]:
    """A function that trains the recipe once, watched, and returns the watch and the task."""
    config = compose([f"experiment={name}", *RECIPES[name], f"trainer.log_every={WARM_UP}"])
    config.trainer.update(epochs=1000, max_steps=WARM_UP + steps, eval_every=NEVER)
    data = build(config.data)
    with quiet():
        train, schema = data.split("train"), data.schema

    def run(watcher: AbstractContextManager) -> tuple[Watch, Any]:
        watch, task = Watch(watcher, WARM_UP + steps), build_task(config, schema)
        with tempfile.TemporaryDirectory() as folder, quiet():
            trainer = build(config.trainer, run_dir=folder, seed=0, on_event=watch)
            trainer.fit(task, train, None, build(config.optim))
        return watch, task

    return run


@contextmanager
def quiet() -> Iterator[None]:
    """Says nothing of the runs."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def measure(name: str, steps: int) -> dict[str, Any]:
    """Milliseconds a step, their shares by kind, and the floor's parts, of one recipe."""
    run = recipe(name, steps)
    plain, task = run(contextlib.nullcontext())
    counter = FlopCounterMode(display=False)
    run(counter)
    profiler = profile(activities=[ProfilerActivity.CPU])
    watched, _ = run(profiler)
    spent: Counter[str] = Counter()
    for event in profiler.events():
        spent[kind(event)] += event.self_cpu_time_total / 1e6
    told = sum(taken for own, taken in spent.items() if own != "Python, loading")
    spent["Python, loading"] = max(watched.seconds - told, 0.0)
    total = sum(spent.values())
    return {
        "recipe": name,
        "ms": 1000 * plain.seconds / steps,
        "rate": plain.examples / plain.seconds,
        "shares": {own: taken / total for own, taken in spent.most_common()},
        "flops": counter.get_total_flops() / steps,
        "bytes": UPDATE_BYTES * sum(p.numel() for p in task.parameters() if p.requires_grad),
    }


# -- what is shown ----------------------------------------------------------------------------


def show(rows: list[dict[str, Any]], products: float, copies: float) -> None:
    """Prints how far each recipe is from the floor, and where its time goes."""
    floors = []
    for row in rows:
        parts = 1000 * row["flops"] / products, 1000 * row["bytes"] / copies
        floors.append(
            (
                row["recipe"],
                f"{row['ms']:.1f}",
                f"{row['rate']:,.0f}",
                f"{row['flops'] / 1e9:.2f}",
                *(f"{part:.2f}" for part in parts),
                f"{row['ms'] / sum(parts):.1f}",
            )
        )
    columns = ("recipe", "ms a step", "examples/s", "GFLOP", "products, ms", "update, ms")
    table("the floor of a step", (*columns, "step over floor"), floors)
    kinds = Counter[str]()
    for row in rows:
        kinds.update(row["shares"])
    shares = [
        [own, *(f"{row['shares'].get(own, 0):.0%}" for row in rows)]
        for own, _ in kinds.most_common()
    ]
    table("where a step's time goes", ("", *(row["recipe"] for row in rows)), shares)


def main(arguments: list[str]) -> None:
    """Measures the machine and the recipes, and prints both tables."""
    options = read_options(
        arguments, {"steps": 20, "threads": 2}, {}, {"recipes": ",".join(RECIPES)}
    )
    steps = -(-options["steps"] // WARM_UP) * WARM_UP  # log steps are where it starts and ends
    torch.set_num_threads(options["threads"])
    precision = resolve_precision("auto", torch.device("cpu"))
    products, copies = product_rate(precision), copy_rate()
    shown = f"products of {SIZE}² in {precision}: {products / 1e9:,.0f} GFLOP/s"
    say(f"{shown}; copies {copies / 1e9:.1f} GB/s; {options['threads']} threads")
    rows = []
    for name in listed("recipes", options["recipes"], RECIPES):
        rows.append(measure(name, steps))
        say(f"{name}: {rows[-1]['ms']:.1f} ms a step")
    show(rows, products, copies)


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__ or ""))
