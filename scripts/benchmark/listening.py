"""Measures listening: python scripts/benchmark/listening.py logo=RUN emotion=RUN [posts=200].

Draws ``posts`` posts with photos of ``size`` pixels a side, listens to them with the runs given
(``logo``, ``emotion``, ``smile``, ``scene``, ``sentiment``), and prints posts a second, CPU time a
post and the peak of the process's memory. Each of ``rounds`` rounds has twice the posts of the one
before, so that memory which grows with their number is seen.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path

import torch

from marketorch.app.runs import LISTENING
from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.console import say, table
from marketorch.data.synthetic.posts import write_posts
from marketorch.errors import ConfigError, guard
from marketorch.listening import Listener, analyse_folder

NUMBERS = {"posts": 200, "size": 640, "rounds": 2, "explain": 3}
COLUMNS = ("posts", "seconds", "posts/s", "CPU ms/post", "peak memory, MiB")


def peak() -> float:
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(listener: Listener, number: int, size: int, folder: Path) -> tuple[object, ...]:
    """One round: its row of the table."""
    source = write_posts(folder / f"{number}", number, size=size)
    clock, used = time.perf_counter(), time.process_time()
    analyse_folder(listener, source, folder / f"{number}.parquet")
    seconds, busy = time.perf_counter() - clock, time.process_time() - used
    return number, seconds, number / seconds, 1000 * busy / number, round(peak())


def main(arguments: list[str]) -> None:
    """Listens to some posts, then to more, and prints the table."""
    options: dict[str, str] = {}
    for name in (*LISTENING, *NUMBERS):
        value, arguments = split_option(arguments, name)
        options |= {name: value} if value else {}
    if arguments:
        raise ConfigError(f"{arguments[0]}: unknown option. {__doc__}")
    posts, size, rounds, explain = (
        whole_number(name, options.get(name, str(default))) for name, default in NUMBERS.items()
    )
    runs = {name: options[name] for name in LISTENING if name in options}
    listener = Listener.load(**runs, explain=explain)
    cores = len(os.sched_getaffinity(0))
    say(f"{cores} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    before = round(peak())
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(listener, posts * 2**i, size, Path(folder)) for i in range(rounds)]
    say(f"{before:,} MiB before the first post")
    table(f"listening · {', '.join(runs)} · {size} × {size} pixels", COLUMNS, rows)


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__))
