"""Feeds damaged and random files to every reader: python scripts/fuzz/fuzz.py [inputs=10000].

    python scripts/fuzz/fuzz.py [inputs=10000] [seed=0] [only=customers,texts] [data_dir=FOLDER]
                                [out=FILE] [seconds=20]
    python scripts/fuzz/fuzz.py only=customers case=17 [seed=0]

What takes a file or words from a user must answer, or refuse with an error that names the file, the
row or the key. Anything else is a failure: another exception, more than ``seconds`` for one input,
more memory than a few GiB, a crash. Files are drawn by small grammars and the embedded generators,
and with ``data_dir`` taken from real data, too; then bytes, lines, cells and values are damaged. An
input depends on its reader, the seed and its number alone (with real data, on these as well), so
``case=N`` shows what became of one again and keeps its files in ``fuzzed/``.

Prints a row a reader, and every failure; ``out=FILE`` has the same as JSON. Ends with status 1 if
there is a failure.
"""

from __future__ import annotations

import os

# Read by the libraries when they are imported: no network, and nothing left in the user's cache.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import of_boxes
import of_customers
import of_images
import of_posts
import of_runs
import of_texts
import torch
from stock import Stock, make
from watched import ANSWERED, REFUSED, SECONDS, Case, Reader, Result, run_all, run_case

from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.console import say, table
from marketorch.engine.tracking import write_json
from marketorch.errors import ConfigError, closest, guard

OPTIONS = {"inputs": "10000", "seed": "0", "only": "", "data_dir": "", "out": "", "case": ""}
OPTIONS |= {"seconds": f"{SECONDS:.0f}"}
FAMILIES = (of_customers, of_texts, of_images, of_boxes, of_posts, of_runs)
SHOWN = 3  # failures of a kind of a reader that are printed whole
KEPT = Path("fuzzed")


def all_readers(stock: Stock) -> dict[str, Reader]:
    """Every reader by its name."""
    return {reader.name: reader for family in FAMILIES for reader in family.readers(stock)}


def cases_of(readers: Sequence[Reader], inputs: int, seed: int) -> list[Case]:
    """So many inputs by the readers' shares, each reader one at least, in turn."""
    total = sum(reader.share for reader in readers)
    numbers = {r.name: max(1, round(inputs * r.share / total)) for r in readers}
    return [Case(name, seed, i) for name, count in numbers.items() for i in range(count)]


def fuzz(
    readers: dict[str, Reader], cases: Sequence[Case], folder: Path, seconds: float
) -> list[Result]:
    """The results of all inputs."""
    datasets.config.HF_DATASETS_CACHE = folder / "datasets"
    os.environ["MARKETORCH_CACHE"] = str(folder / "cache")
    results = []
    for result in run_all(readers, cases, folder, seconds=seconds):
        results.append(result)
        if result.failed:
            say(f"{result.case.reader} case={result.case.number}: {result.kind}: {last(result)}")
        if len(results) % 1000 == 0:
            say(f"{len(results):,} of {len(cases):,} inputs")
    return results


def last(result: Result) -> str:
    """The last line of what is known of a failure."""
    return (result.said.strip().splitlines() or [""])[-1][:200]


# -- what is said -----------------------------------------------------------------------------


def summary(results: Sequence[Result]) -> list[dict[str, Any]]:
    """A row a reader, and one of all."""
    names = dict.fromkeys(result.case.reader for result in results)
    rows = [_row(name, [r for r in results if r.case.reader == name]) for name in names]
    return [*rows, _row("all", results)]


def _row(name: str, results: Sequence[Result]) -> dict[str, Any]:
    kinds = Counter(result.kind for result in results)
    return {
        "reader": name,
        "inputs": len(results),
        "answered": kinds[ANSWERED],
        "refused": kinds[REFUSED],
        "failures": sum(result.failed for result in results),
        "slowest": max(result.seconds for result in results),
    }


def failures(results: Sequence[Result]) -> list[dict[str, Any]]:
    """What is known of each failure."""
    return [
        {**r.case._asdict(), "kind": r.kind, "said": r.said, "seconds": r.seconds}
        for r in results
        if r.failed
    ]


def tell(results: Sequence[Result], seed: int, seconds: float, out: str) -> None:
    """Prints the table and some failures, and writes both."""
    rows, failed = summary(results), failures(results)
    columns = ("reader", "inputs", "answered", "refused", "failures", "slowest, s")
    title = f"{len(results):,} damaged inputs, seed {seed}, {seconds / 60:.1f} minutes"
    shown: Counter[tuple[str, str]] = Counter()
    for one in failed:
        shown[one["reader"], one["kind"]] += 1
        if shown[one["reader"], one["kind"]] <= SHOWN:
            say(f"\nonly={one['reader']} case={one['number']} seed={seed}: {one['kind']}")
            say(one["said"])
    table(title, columns, [list(row.values()) for row in rows])
    if out:
        write_json(Path(out), {"seed": seed, "readers": rows, "failures": failed})


def replay(reader: Reader, case: Case) -> Result:
    """Reads one input once more in this process, and leaves its files in ``fuzzed/``."""
    result = run_case(reader, case, KEPT)
    say(f"{case.reader} case={case.number}: {result.kind} in {result.seconds:.2f} s\n{result.said}")
    for file in sorted(path for path in KEPT.rglob("*") if path.is_file()):
        say(f"  {file} ({file.stat().st_size:,} bytes)")
    return result


def options_of(arguments: list[str]) -> dict[str, str]:
    """The options. ConfigError for one that does not exist."""
    values: dict[str, str] = {}
    for name, default in OPTIONS.items():
        value, arguments = split_option(arguments, name)
        values[name] = value or default
    if arguments:
        raise ConfigError(f"{arguments[0]}: unknown option. Options: {', '.join(OPTIONS)}.")
    return values


def chosen(readers: dict[str, Reader], only: str) -> dict[str, Reader]:
    """The readers of a list of names; all if it is empty. ConfigError for one there is not."""
    for name in filter(None, only.split(",")):
        if name not in readers:
            raise ConfigError(
                f"only={name}: there is no such reader.{closest(name, readers)} "
                f"Readers: {', '.join(readers)}."
            )
    return {name: readers[name] for name in only.split(",")} if only else readers


def main(arguments: list[str]) -> None:
    """Makes the whole files, reads the damaged ones and says what became of them."""
    values = options_of(arguments)
    inputs, seed, seconds = (whole_number(k, values[k]) for k in ("inputs", "seed", "seconds"))
    torch.set_num_threads(1)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        stock = make(folder / "stock", values["data_dir"] or None)
        readers = chosen(all_readers(stock), values["only"])
        if values["case"]:
            reader = readers[values["only"]]
            case = Case(reader.name, seed, whole_number("case", values["case"]))
            raise SystemExit(int(replay(reader, case).failed))
        cases = cases_of(list(readers.values()), inputs, seed)
        results = fuzz(readers, cases, folder, seconds)
    tell(results, seed, time.perf_counter() - started, values["out"])
    if any(result.failed for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    with guard("nothing is kept"):
        main(arguments_or_help(__doc__))
