"""Breaks trainings on purpose, resumes them and compares: what is promised in docs/reliability.md.

    python scripts/faults/faults.py [kills=50] [seed=0] [only=kill,disk,…] [tasks=uplift,…]
                             [output=faults.json]

``only`` picks faults, all of them if it is empty:

    kill      kill -9 in a phase drawn at random, at a moment of it drawn at random, ``kills`` times
              for each task; a run that was resumed may be killed again
    term      SIGTERM at a random moment; int: Ctrl-C; twice: Ctrl-C two times
    disk      the disk is full from a random write on; locked: it is read-only from there on
    clock     the clock on the wall jumps by days, back and forth, at every look at it
    worker    kill -9 of a process that loads data
    rank_killed, rank_term      kill -9, or SIGTERM, to one of two ranks under torchrun

A run counts as equal if, once resumed to its end, best and last weights, optimizers, averages,
position and best evaluation are those of an undisturbed run to the bit, report.json says the same,
metrics.jsonl has the same lines but for times, DONE is there and nothing is left over. Prints a
table and writes the counts as JSON. Disks are small tmpfs that only root may mount; without it
these faults are skipped, and that is said. The exit status is 1 if anything was not equal.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from machine import FAULTS, Skipped
from trainees import COMMON, PHASES, RECIPES, Marks, Trainee, differences, whole

from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.console import say, table
from marketorch.engine.tracking import write_json
from marketorch.errors import ConfigError, closest, guard

DEFAULTS = {"kills": "50", "seed": "0", "only": "", "tasks": "", "output": "faults.json"}


def strike(trainee: Trainee, whole_run: Marks, draw: random.Random) -> str | None:
    """Kills a training in a random phase; returns the one it died in, None if it had ended."""
    phase = draw.choice(PHASES)
    number = PHASES.index(phase)
    entries = whole_run.entries[number]
    # Rather early, so that a run can be killed several times before it comes to its end.
    reached = not entries or trainee.reach(phase, draw.randint(1, max(1, entries // 3)))
    seconds = whole_run.seconds[number] / entries if entries else 1.0
    if reached:
        time.sleep(draw.uniform(0, min(seconds, 1.0)))
    trainee.send(signal.SIGKILL)
    return trainee.marks.phase if trainee.wait() == -signal.SIGKILL else None


def kill(name: str, kills: int, draw: random.Random, folder: Path) -> dict[str, Any]:
    """Kills trainings of a task so often; counts deaths, and those of equal runs, by phase."""
    expected = folder / "whole"
    marks = whole(expected, RECIPES[name]).marks
    died: Counter[str] = Counter()
    equal: Counter[str] = Counter()
    odd: list[str] = []
    half_written = runs = 0
    while sum(died.values()) < kills:
        run_dir = folder / f"killed{runs}"
        deaths: list[str] = []
        while sum(died.values()) + len(deaths) < kills:
            phase = strike(trainee := started(run_dir, name), marks, draw)
            half_written += any(run_dir.rglob("*.tmp"))
            if phase is None:
                break
            deaths.append(phase)
        if (status := trainee.status) == -signal.SIGKILL:
            status = started(run_dir, name).wait()
        found = differences(run_dir, expected) if status == 0 else [trainee.said[-500:]]
        odd += [f"{run_dir.name} after {deaths}: {', '.join(found)}"] if found else []
        died.update(deaths)
        equal.update([] if found else deaths)
        runs += 1
    phases = {phase: {"kills": died[phase], "equal": equal[phase]} for phase in PHASES}
    return {"runs": runs, "half_written": half_written, "phases": phases, "odd": odd}


def started(run_dir: Path, name: str) -> Trainee:
    """A training of a task that begins or, if it had begun, is resumed."""
    return Trainee(run_dir, [*RECIPES[name], *COMMON])


def kill_all(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`kill` for every task."""
    results = {}
    for name in options["tasks"]:
        draw = random.Random(f"{options['seed']} {name}")
        before = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder) as own:
            results[name] = result = kill(name, options["kills"], draw, Path(own))
        counts = ", ".join(f"{p} {c['kills']}" for p, c in result["phases"].items())
        say(f"{name}: {counts}; {result['runs']} runs, {time.monotonic() - before:.0f} s")
        for line in result["odd"]:
            say(f"  NOT EQUAL {line}")
    return results


def show(results: dict[str, Any]) -> bool:
    """Prints the tables; returns whether all was equal."""
    killed = results.get("kill", {})
    rows = [
        (name, *(f"{c['equal']}/{c['kills']}" for c in result["phases"].values()), result["runs"])
        for name, result in killed.items()
    ]
    if rows:
        table("kill -9: bit-equal / kills", ("task", *PHASES, "runs"), rows)
    others = [(name, r) for name, r in results.items() if name in FAULTS]
    if others:
        rows = [(name, r["times"], r["equal"], r["seconds"], r["said"]) for name, r in others]
        table("other faults", ("fault", "times", "equal", "seconds to the end", "says"), rows)
    sound = all(c["kills"] == c["equal"] for r in killed.values() for c in r["phases"].values())
    return sound and all(r["times"] == r["equal"] for _, r in others)


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options, checked. ConfigError for one that does not exist."""
    options: dict[str, Any] = {}
    for name, default in DEFAULTS.items():
        value, arguments = split_option(arguments, name)
        options[name] = default if value is None else value
    if arguments:
        raise ConfigError(f"{arguments[0]}: unknown option. Options: {', '.join(DEFAULTS)}.")
    for name in ("kills", "seed"):
        options[name] = whole_number(name, options[name])
    for name, known in (("only", ["kill", *FAULTS]), ("tasks", list(RECIPES))):
        options[name] = [part for part in options[name].split(",") if part] or known
        for part in options[name]:
            if part not in known:
                near = f"{closest(part, known)} Known are: {', '.join(known)}."
                raise ConfigError(f"{name}={part}: there is none.{near}")
    return options


def main(arguments: list[str]) -> None:
    """Causes every fault that is asked for."""
    options = parse(arguments)
    torch.set_num_threads(1)  # a process that has started threads cannot be forked safely
    say(f"load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, seed {options['seed']}")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        if "kill" in options["only"]:
            results["kill"] = kill_all(options, Path(folder))
        for name in [name for name in options["only"] if name in FAULTS]:
            draw = random.Random(f"{options['seed']} {name}")
            with tempfile.TemporaryDirectory(dir=folder) as own:
                try:
                    results[name] = FAULTS[name](Path(own), draw)
                except Skipped as reason:
                    say(f"{name}: skipped, {reason}")
                    continue
            say(f"{name}: {results[name]}")
    write_json(Path(options["output"]), results)
    if not show(results):
        raise SystemExit(1)


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__ or ""))
