"""All benchmarks against their peers, one after the other, and what they found in one file.

    python scripts/benchmark/all.py [text recommender images detection tabular engine startup]
                                    [rounds=3] [data_dir=DIR] [out=benchmarks.json] [quick=true]
                                    [results=true] [PART.OPTION=VALUE …]

Without names, all parts are measured: *text* against the Hugging Face Trainer, *recommender*
against RecBole, *images* against the loops of torchvision and timm, *detection* against
torchvision's, *tabular* against a DataLoader of rows and beside boosted trees, *engine*, which is
Trainer.fit over a bare loop for every task, and *startup*, which has no peer. Each is a script
beside this one, whose ``--help`` says what it does; ``engine.steps=20`` sets an option of it. Sides
take turns, ``rounds`` times, three at least.

Nothing is installed. A part that lacks a library, a data set or RecBole's environment says what is
missing and how to get it, and the others go on; the exit status is 1 then. ``quick=true`` makes a
few steps of each, to see that they run; its numbers mean nothing, and never replace those of more.

After each part, ``out`` holds its rows, with machine, versions, commit, date and options; what the
file has of other parts stays. ``results=true`` writes its table into RESULTS.md, between the two
markers there.
"""

from __future__ import annotations

import datetime
import gc
import importlib
import os
import platform
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from rounds import Row, digits, read_options

from marketorch.command_line import arguments_or_help, yes_or_no
from marketorch.console import say, table
from marketorch.engine.files import write_atomically
from marketorch.engine.tracking import read_json, write_json
from marketorch.errors import CheckpointError, ConfigError, UserError, closest, guard
from marketorch.runs.provenance import commit, versions

RESULTS = Path(__file__).parents[2] / "RESULTS.md"
START, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
LEAST_ROUNDS = 3
PEERS = ("torchvision", "accelerate", "timm", "lightgbm")
EXTRAS = {"accelerate": "benchmark", "timm": "benchmark", "lightgbm": "boost"}


@dataclass(frozen=True)
class Part:
    """How a benchmark is run here: with its ``options``, and with a ``quick`` one's in addition."""

    options: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    reads: bool = True  # whether it has a data_dir

    def arguments(self, shared: dict[str, Any], own: list[str]) -> list[str]:
        """Its command line; the last of an option counts, so ``own`` ones do."""
        found = [f"rounds={shared['rounds']}", *self.options]
        found += [f"data_dir={shared['data_dir']}"] if self.reads and shared["data_dir"] else []
        return [*found, *(self.quick if shared["quick"] else ()), *own]


PARTS = {
    "text": Part(("only=throughput",), ("steps=2", "batch_size=4")),
    "recommender": Part(("minutes=75", "threads=1", "clock=cpu"), ("minutes=1",)),
    "images": Part(("only=training",), ("steps=2", "model=small", "batch_size=32")),
    "detection": Part(("only=training,inference",), ("steps=2", "calls=3", "trainer.batch_size=2")),
    "tabular": Part(("only=loading", "workers=0", "clock=cpu"), ("steps=4",)),
    "engine": Part((), ("steps=2",), reads=False),
    "startup": Part((), ("only=--help",), reads=False),
}


# -- measuring --------------------------------------------------------------------------------


def run(name: str, shared: dict[str, Any], own: list[str]) -> dict[str, Any]:
    """Measures a part: its rows, and what they were measured with.

    Raises:
        UserError: something it needs is missing.
    """
    try:
        module = importlib.import_module(name)
        arguments = PARTS[name].arguments(shared, own)
        options = module.parse(arguments)
        about = {"machine": machine(), "versions": versions(*PEERS), **measured()}
        rows = module.measure(options)
    except ImportError as error:
        raise ConfigError(lacking(error)) from error
    show(name, rows)
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        **about,
        "options": arguments,
        "quick": shared["quick"],
        "rows": [{"part": name} | asdict(row) | {"met": row.met} for row in rows],
    }


@cache
def measured() -> dict[str, Any]:
    """The commit, as it was before RESULTS.md got the first table."""
    return commit()


def lacking(error: ImportError) -> str:
    """How to get the library that an import has not found."""
    name = (error.name or "").partition(".")[0]
    if not (name and isinstance(error, ModuleNotFoundError)):
        return f"A library is missing, or of another version: {error}"
    extra = EXTRAS.get(name)
    how = f"-e '.[{extra}]'" if extra else name
    return f"{name} is not installed: pip install {how}"


def show(name: str, rows: list[Row]) -> None:
    """Prints a part's rows."""
    lines = [
        (row.comparison, *row.cells[:2], row.unit, verdict(asdict(row), row.met)) for row in rows
    ]
    table(name, ("comparison", "median", "min–max", "", "target"), lines)


def machine() -> dict[str, Any]:
    """Processor, cores, memory, GPU and load."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        **gpu,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def processor() -> str:
    """What Linux calls it, or the platform where there is no such file."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


# -- what was found ---------------------------------------------------------------------------


def kept(path: Path) -> dict[str, Any]:
    """The parts that a file holds. CheckpointError if it is not one of these."""
    if not path.exists():
        return {}
    parts = read_json(path).get("parts")
    if not isinstance(parts, dict):
        raise CheckpointError(
            f"{path} has no parts: it is not a file of this script. Name another."
        )
    return parts


def merge(path: Path, name: str, part: dict[str, Any]) -> dict[str, Any]:
    """Writes a part into a file beside the others it holds; returns all, in the order of PARTS.

    A quick one leaves a full one as it is.
    """
    parts = kept(path)
    if not part["quick"] or parts.get(name, part)["quick"]:
        parts[name] = part
    ordered = {known: parts.pop(known) for known in PARTS if known in parts} | parts
    write_json(path, {"parts": ordered})
    return ordered


def verdict(row: dict[str, Any], met: bool | None) -> str:
    """The target and whether it was met."""
    return "" if met is None else f"{row['target']}: {'met' if met else 'missed'}"


def markdown(parts: dict[str, Any]) -> str:
    """The table of all parts that were measured in full, and what each was measured with."""
    lines = [
        "| part | comparison | median (lowest–highest) | rounds | target |",
        "|---|---|---|---|---|",
    ]
    about = []
    for name, part in parts.items():
        if part["quick"]:
            continue
        for row in part["rows"]:
            middle, low, high = (digits(row[key]) for key in ("median", "lowest", "highest"))
            value = f"**{middle}** {row['unit']} ({low}–{high})"
            cells = (name, row["comparison"], value, row["rounds"], verdict(row, row["met"]))
            lines.append(f"| {' | '.join(map(str, cells))} |")
        about.append(f"- {name}: {provenance(part)}")
    return "\n".join([*lines, "", *about])


def provenance(part: dict[str, Any]) -> str:
    """Commit, day, machine and options of a part in a line."""
    own, changed = part["machine"], " and changes" if part.get("dirty") else ""
    where = f"{own['processor']}, {own['cores']} cores, load {own['load']} before"
    options = dict(o.split("=", 1) for o in part["options"])  # the last of each counts
    options |= {"data_dir": "D"} if "data_dir" in options else {}
    shown = " ".join(f"{name}={value}" for name, value in options.items())
    made = f"commit {part.get('commit', 'unknown')[:7]}{changed}, {part['date'][:10]}"
    return f"{made}, torch {part['versions']['torch']}, {where}; `{shown}`"


def write_between(path: Path, text: str) -> None:
    """Puts ``text`` between the two markers of a file, in place of what is there.

    Raises:
        ConfigError: the markers are not there, each once and in order.
    """
    whole = path.read_text(encoding="utf-8")
    before, start, rest = whole.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in rest or END in before + after:
        raise ConfigError(f"{path} needs the markers {START} and {END}, once each, in this order.")
    written = f"{before}{start}\n{text}\n{end}{after}".encode()
    write_atomically(path, lambda file: file.write(written))


# -- options ----------------------------------------------------------------------------------


def parse(arguments: list[str]) -> tuple[list[str], dict[str, Any], dict[str, list[str]]]:
    """The parts, the shared options, and the options of single parts.

    Raises:
        ConfigError: for a part or an option that does not exist or does not fit.
    """
    names = [a for a in arguments if "=" not in a]
    own: dict[str, list[str]] = {name: [] for name in PARTS}
    given = [a for a in arguments if "." in a.partition("=")[0] and a not in names]
    for argument in given:
        part, _, option = argument.partition(".")
        own[known(part)].append(option)
    rest = [a for a in arguments if a not in names and a not in given]
    switches = {name: ("false", "true") for name in ("quick", "results")}
    texts = {"data_dir": "", "out": "benchmarks.json"}
    shared = read_options(rest, {"rounds": LEAST_ROUNDS}, switches, texts)
    shared |= {name: yes_or_no(name, shared[name]) for name in switches}
    if shared["rounds"] < LEAST_ROUNDS:
        raise ConfigError(f"rounds={shared['rounds']}: expected at least {LEAST_ROUNDS}.")
    if shared["quick"] and shared["results"]:
        raise ConfigError("quick=true measures nothing that belongs into RESULTS.md.")
    return [known(name) for name in names] or list(PARTS), shared, own


def known(name: str) -> str:
    """The name itself. ConfigError if no part is called that."""
    if name not in PARTS:
        raise ConfigError(f"{name}: no such part.{closest(name, PARTS)} Parts: {', '.join(PARTS)}.")
    return name


def main(arguments: list[str]) -> None:
    """Measures part after part; exits with status 1 if one could not be measured."""
    names, shared, own = parse(arguments)
    out, threads, missing = Path(shared["out"]), torch.get_num_threads(), []
    kept(out)  # a file that cannot be merged with is told before hours of measuring
    for name in names:
        say(f"-- {name}")
        torch.set_num_threads(threads)  # which the part before may have changed
        try:
            parts = merge(out, name, run(name, shared, own[name]))
        except UserError as error:
            say(f"{name} was not measured. {error}")
            missing.append(name)
            continue
        if shared["results"]:
            write_between(RESULTS, markdown(parts))
        gc.collect()
    if missing:
        raise UserError(f"not measured: {', '.join(missing)}; see above.")


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__ or ""))
