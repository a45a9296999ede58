"""How long it takes to start: python scripts/benchmark/startup.py [rounds=5] [only=NAME].

Each measurement is a process of its own, and `rounds` go through all of them in turn:

*Commands.* ``train.py --help``, and ``import marketorch``, from start to end.

*First steps.* From the start of the process to the end of the first training step of an
experiment on embedded data: what was imported on the way, wherever that happened
(`-X importtime`), and what else the data, preparing the first step and that step took.
``without data`` leaves out drawing the data, which a run on files does not do.

On a machine that others use too, the CPU time of the process tells more than the clock.

The first round fills the disk's cache and is not counted.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from first_step import MARK
from rounds import Row, read_options

from marketorch.command_line import arguments_or_help
from marketorch.console import say, table
from marketorch.errors import guard

HERE = Path(__file__).parent
COMMANDS = {
    "--help": [str(HERE.parent / "train.py"), "--help"],
    "import marketorch": ["-c", "import marketorch"],
}
EXPERIMENTS = ("sentiment", "recommender", "emotion", "logo", "propensity")
PARTS = ("total", "CPU", "without data", "imports", "data", "prepare", "step")


def run(arguments: Sequence[str]) -> tuple[dict[str, float], str]:
    """Seconds of a Python process, on the clock and of the CPU, and what it wrote to stderr."""
    began, started = busy(), time.time()
    said = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    took = {"total": time.time() - started, "CPU": busy() - began}
    if said.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{said.stderr[-2000:]}")
    return took, said.stderr


def busy() -> float:
    """CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def first_step(experiment: str) -> dict[str, float]:
    """Seconds of the parts of a training's way to the end of its first step."""
    script, started = str(HERE / "first_step.py"), time.time()
    took, lines = run(["-X", "importtime", script, f"experiment={experiment}"])
    return took | parts(lines, started)


def parts(lines: str, started: float) -> dict[str, float]:
    """Reads the times of a first step out of what its process has written to stderr.

    Args:
        lines: of `-X importtime`, ``import time: own µs | with what it imports | module``, and of
            `first_step.py`, ``reached: place seconds``.
        started: when the process was started.
    """
    wall, imports, own = {}, 0.0, 0.0
    for line in lines.splitlines():
        head, _, rest = line.partition(":")
        if head == "import time" and rest.split("|")[0].strip().isdecimal():
            own += int(rest.split("|")[0]) / 1e6
        elif line.startswith(MARK):
            _, place, now = line.split()
            wall[place] = float(now) - started - own
            started, imports, own = float(now), imports + own, 0.0
    total = imports + sum(wall.values())
    return {
        "total": total,
        "without data": total - wall["data"],
        "imports": imports,
        "data": wall["data"],
        "prepare": wall["config"] + wall["ready"],
        "step": wall["step"],
    }


def times(rounds: int = 5, only: str = "") -> list[dict[str, Any]]:
    """Measures all, or the one that ``only`` names, and returns a row each.

    Returns:
        ``name``, ``rounds``, the medians of the parts in seconds and, of the total, ``least`` and
        ``most``.
    """
    sides: dict[str, Callable[[], dict[str, float]]] = {
        **{name: lambda words=words: run(words)[0] for name, words in COMMANDS.items()},
        **{name: lambda name=name: first_step(name) for name in EXPERIMENTS},
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides if only in ("", name)}
    for number in range(rounds + 1):
        for name, rows in found.items():
            row = sides[name]()
            if number:
                rows.append(row)
        say(f"round {number}/{rounds}")
    return [summary(name, rows) for name, rows in found.items()]


def summary(name: str, rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The medians of a name's rounds, and the range of their total."""
    totals = [row["total"] for row in rows]
    middle = {part: median(row[part] for row in rows) for part in rows[0]}
    return {"name": name, "rounds": len(rows), **middle, "least": min(totals), "most": max(totals)}


def line(row: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table."""
    shown = [f"{row[part]:.2f}" if part in row else "" for part in PARTS]
    return row["name"], shown[0], f"{row['least']:.2f}–{row['most']:.2f}", *shown[1:]


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options, checked. ConfigError for one that does not exist or does not fit."""
    return read_options(arguments, {"rounds": 5}, {"only": ("", *COMMANDS, *EXPERIMENTS)}, {})


def measure(options: dict[str, Any]) -> list[Row]:
    """Measures, prints the table and returns the rows of its totals."""
    say(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    columns = ("", "total", "range", *PARTS[1:])
    rows = times(**options)
    table("median seconds from the process's start", columns, map(line, rows))
    return [
        Row(
            f"{where(row)} {row['name']}",
            row["total"],
            row["least"],
            row["most"],
            row["rounds"],
            "s",
            target(row["name"]),
        )
        for row in rows
    ]


def target(name: str) -> str:
    """What the seconds of a row should stay within; of the import alone, nothing is asked."""
    return "≤ 6" if name in EXPERIMENTS else "≤ 2" if name == "--help" else ""


def where(row: dict[str, Any]) -> str:
    """What the total of a row ends with."""
    return "the whole of" if row["name"] in COMMANDS else "to the end of the first step of"


if __name__ == "__main__":
    with guard():
        measure(parse(arguments_or_help(__doc__ or "")))
