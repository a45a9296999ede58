"""Runs a row of RESULTS.md again: python scripts/reproduce.py NAME [data_dir=D] [seeds=0,1].

``python scripts/reproduce.py list`` names the rows, which stand in scripts/results.yaml
(``table=FILE``: in another file). Each run is trained and measured by train.py and evaluate.py, in
``runs_dir`` (runs/reproduce); one that is finished is taken as it is, and one that was cut goes on.
Prints what is claimed beside what was found; the exit status is 1 where they differ by more than
the row allows. ``seeds`` takes some of the row's runs only, and allows for that as well.
"""

from __future__ import annotations

import math
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from string import Template

import yaml

from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.config import check, compose, load, plain
from marketorch.config.plain_yaml import read_plain
from marketorch.errors import ConfigError, closest, guard

SCRIPTS = Path(__file__).parent
NUMBER = r"(\d*\.?\d+)"
CLAIM = re.compile(rf"{NUMBER}(?: ± {NUMBER})? within {NUMBER}")
DATA = "data_dir=D"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table; results.yaml says what its entries mean."""

    section: str
    train: str
    commit: str
    hardware: str = "AVX512-BF16, bf16"
    minutes: float | None = None
    start: str | None = None
    seeds: list[int] = field(default_factory=lambda: [0])
    folds: list[int] = field(default_factory=lambda: [0])
    note: str = ""
    claims: dict[str, str] = field(default_factory=dict)

    def overrides(self, seed: int, fold: int, data_dir: str) -> list[str]:
        """What train.py is told for one of its runs."""
        words = Template(self.train).safe_substitute(s=seed, f=fold).split()
        return [f"data_dir={data_dir}" if word == DATA else word for word in words]


def read_table(path: Path) -> dict[str, Row]:
    """Reads the rows of a table. ConfigError if an entry is misspelt, missing or no claim."""
    if not path.is_file():
        raise ConfigError(f"table={path}: there is no such file.")
    rows = {}
    for name, entries in (yaml.safe_load(read_plain(path)) or {}).items():
        try:
            rows[name] = Row(**entries)
        except TypeError as error:
            raise ConfigError(f"{path}, {name}: {error}") from error
        for metric, text in rows[name].claims.items():
            if not CLAIM.fullmatch(str(text)):
                expected = "expected such as .87 ± .01 within .02."
                raise ConfigError(f"{path}, {name}, {metric}: {text!r} is no claim; {expected}")
    return rows


def train_all(
    rows: dict[str, Row], name: str, seeds: list[int], data_dir: str, root: Path
) -> list[Path]:
    """Sees to the runs of a row, and first to the one they start from; returns their folders."""
    row, start, folders = rows[name], [], []
    if row.start:
        first = train_all(rows, row.start, rows[row.start].seeds[:1], data_dir, root)[0]
        start = [f"init_from={first}"]
    for seed, fold in product(seeds, row.folds):
        folders.append(root / name / (f"{seed}_{fold}" if len(row.folds) > 1 else f"{seed}"))
        train(folders[-1], [*row.overrides(seed, fold, data_dir), *start])
    return folders


def train(run_dir: Path, overrides: list[str]) -> None:
    """Trains a run, or goes on with it; one that is finished stays as it is."""
    overrides = [*overrides, f"run_dir={run_dir}"]
    config, written = compose(overrides), run_dir / "config.yaml"
    check(config)
    if written.exists() and plain(load(written)) != plain(config):
        raise ConfigError(f"{run_dir} holds a run of another config: delete it, or set runs_dir=.")
    if not (run_dir / "DONE").exists():
        call("train", *([f"resume={run_dir}"] if written.exists() else overrides))
        if not (run_dir / "DONE").exists():
            raise SystemExit(1)  # it was ended and saved, and has said so


def call(script: str, *arguments: str) -> None:
    """Runs a script in a process of its own, as a user would, and ends where it fails."""
    code = subprocess.run([sys.executable, SCRIPTS / f"{script}.py", *arguments]).returncode
    if code:
        raise SystemExit(code)


def compare(claim: str, values: list[float], share: float) -> tuple[str, ...]:
    """What the table shows of a metric; ``share`` is how many of the row's runs were taken."""
    parts = CLAIM.fullmatch(claim)
    assert parts
    mean, deviation, tolerance = (float(part or 0) for part in parts.groups())
    difference = statistics.mean(values) - mean
    tolerance += 3 * deviation * math.sqrt((1 - share) / len(values))  # a mean of fewer varies more
    verdict = "pass" if abs(difference) <= tolerance else "differs"
    if share < 1 and not deviation:
        verdict = "needs all runs"
    return f"{difference:+.4f}", f"{tolerance:.4f}", verdict


def judge(name: str, row: Row, folders: list[Path], share: float) -> bool:
    """Measures the runs and prints what is claimed beside it; whether no metric differs."""
    from results import read, spread  # with torch, which --help does not need

    from marketorch.console import say, table

    for folder in folders:
        if not (folder / "evaluation" / "test.json").exists():
            call("evaluate", f"run={folder}", "baselines=false")
    results = [read(str(folder), "test")["metrics"] for folder in folders]
    lines = []
    for metric, claim in row.claims.items():
        values = [result[metric] for result in results]
        shown = claim.partition(" within")[0], spread(values)
        lines.append((metric, *shown, *compare(claim, values, share)))
    columns = ("metric", "claimed", "found", "difference", "tolerance", "")
    title = f"{name} · {len(folders)} of {len(folders) / share:.0f} runs"
    table(f"{title} · claimed of commit {row.commit}", columns, lines)
    if row.note:
        say(row.note)
    return all(line[-1] != "differs" for line in lines)


def show(rows: dict[str, Row]) -> None:
    """Prints the names of the rows and what each takes."""
    from marketorch.console import table

    columns = ("row", "runs", "minutes each", "data_dir", "commit")
    lines = []
    for name, row in rows.items():
        minutes = f"{row.minutes:g}" if row.minutes else "–"
        needs = "needed" if DATA in row.train else ""
        lines.append((name, len(row.seeds) * len(row.folds), minutes, needs, row.commit))
    table("rows of RESULTS.md", columns, lines)


def main(arguments: list[str]) -> None:
    """Reproduces one row, or lists them. ConfigError if an argument is wrong."""
    options, rest = {}, arguments
    for key in ("table", "data_dir", "runs_dir", "seeds"):
        options[key], rest = split_option(rest, key)
    if len(rest) != 1:
        raise ConfigError(f"One row is asked for, not '{' '.join(rest)}'. Usage: {__doc__}")
    rows, name = read_table(Path(options["table"] or SCRIPTS / "results.yaml")), rest[0]
    if name == "list":
        return show(rows)
    if name not in rows:
        raise ConfigError(f"There is no row '{name}'.{closest(name, rows)} `list` names them.")
    row, data_dir = rows[name], options["data_dir"] or ""
    if DATA in row.train and not Path(data_dir or "?").is_dir():
        found = f"data_dir={data_dir} is no folder" if data_dir else "data_dir is missing"
        raise ConfigError(f"{name} reads real data, and {found}; expected data_dir=FOLDER.")
    seeds = [whole_number("seeds", s) for s in (options["seeds"] or "").split(",") if s]
    if other := set(seeds) - set(row.seeds):
        raise ConfigError(f"seeds={min(other)}: the runs of {name} have {row.seeds}.")
    seeds = sorted(set(seeds)) or row.seeds
    folders = train_all(rows, name, seeds, data_dir, Path(options["runs_dir"] or "runs/reproduce"))
    if row.claims and not judge(name, row, folders, len(seeds) / len(row.seeds)):
        raise SystemExit(1)


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__))
