"""Time to RecBole's quality: how long its SASRec trains to its best, and we to the same.

    python scripts/benchmark/recommender.py data_dir=DIR [minutes=40] [threads=2] [seed=0]
                                            [clock=wall|cpu] [python=PYTHON] [rounds=1]

Both sides read ``DIR/recommender/ml-100k/ml-100k.inter`` (MovieLens-100k), hold out the last two
films of each user by time, train on those before, and are measured by NDCG@10 of the second-last
among all films. *RecBole* 1.2.1 runs SASRec with its own settings (width 64, two layers, length 50,
full softmax, batch 2048, Adam 1e-3; see `recbole_side`) until its early stopping or the end of the
epoch in which ``minutes`` pass. *Ours* is the sequential transformer of the same width, depth and
length by `RECIPE`, through `marketorch.train`.

The clock runs from the first step on, evaluations included and preparing the data excluded, on
both sides with as many threads; RecBole goes first. On a machine that others use too, ``threads=1
clock=cpu`` counts each process's own CPU time instead, ``minutes`` as well.

Each RecBole epoch that improved on all before is set against our first evaluation that is as
good. RecBole masks nothing when it ranks for a sequential model, so films already seen take ranks;
ours then does the same (``task.mask_seen=false``). The test split is never read. Each of ``rounds``
rounds has the next seed; the row of all is the time to RecBole's best, and 0 where ours never
reaches that.

RecBole needs an environment of its own, and Python 3.11 or older in it. ``python`` names the
interpreter of one; without it, one with `PINNED` is made under ``~/.cache/marketorch/recbole``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from recbole_side import CONVERGED, MARK
from rounds import CLOCKS, Row, announce, read_options

from marketorch import build, compose, train
from marketorch.command_line import arguments_or_help, whole_number
from marketorch.console import say, table
from marketorch.errors import ConfigError, DataError, UserError, guard

NAME, TARGET = "ml-100k", 50
PINNED = [
    "recbole==1.2.1",
    "torch==2.11.0",  # as in constraints.txt: both sides compute with the same library
    "numpy==1.26.4",
    "pandas==2.1.4",
    "scipy==1.17.1",
    "scikit-learn==1.9.1",
    "ray==2.6.3",
    "thop==0.1.1.post2209072238",
    "tensorboard==2.21.0",
    "setuptools==65.5.0",
]
RECIPE = [  # chosen on validation
    "model.dropout=0.2",
    "optim.adamw_lr=4e-3",
    "trainer.epochs=6",
    "trainer.batch_size=16",
    "trainer.ema_decay=0.98",
    "trainer.eval_every=76",
    "trainer.save_every=1000000",
    "trainer.log_every=76",
]
CPU = torch.device("cpu")
ENVIRONMENT = Path.home() / ".cache/marketorch/recbole"
NUMBERS = {"minutes": 40, "threads": 2, "rounds": 1}
CHOICES = {"clock": tuple(CLOCKS)}
TEXTS = {"data_dir": "", "python": "", "seed": "0"}
Line = dict[str, Any]
"""An evaluation: ``ndcg``, ``seconds`` since training began, ``eval_seconds`` of them for it."""


# -- RecBole ----------------------------------------------------------------------------------


def recbole_python() -> str:
    """The interpreter of RecBole's environment. ConfigError if it has not been made."""
    ready = ENVIRONMENT / "ready.json"
    if not (ready.exists() and json.loads(ready.read_text()) == PINNED):
        raise ConfigError(
            f"RecBole's own environment, {ENVIRONMENT}, is not there. Running `python "
            "scripts/benchmark/recommender.py data_dir=DIR` makes it, or python=PYTHON names one."
        )
    return str(ENVIRONMENT / "bin/python")


def make_environment() -> str:
    """The interpreter of RecBole's environment, which is made if there is none."""
    with suppress(ConfigError):
        return recbole_python()
    folder = ENVIRONMENT
    if sys.version_info[:2] > (3, 11):
        raise ConfigError("RecBole's requirements stop at Python 3.11: name one with python=.")
    say(f"installing RecBole into {folder}; this takes minutes, once")
    pip = [
        str(folder / "bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], [*pip, *PINNED]):
        if subprocess.run(command).returncode:
            raise UserError(f"RecBole's environment could not be made: {' '.join(command)}")
    (folder / "ready.json").write_text(json.dumps(PINNED))
    return recbole_python()


def recbole_lines(
    python: str, folder: Path, options: dict[str, Any]
) -> Generator[Line, None, None]:
    """Runs `recbole_side` on ``folder/NAME/NAME.inter`` and yields what it prints, as it does."""
    values = [
        str(folder),
        NAME,
        *(str(options[name]) for name in ("minutes", "threads", "seed", "clock")),
    ]
    script = Path(__file__).resolve().parent / "recbole_side.py"
    errors = folder / "errors.txt"
    environment = os.environ | {"OMP_NUM_THREADS": str(options["threads"])}
    environment.pop("PYTHONPATH", None)  # ours is not for RecBole
    with errors.open("w") as stream:
        process = subprocess.Popen(
            [python, str(script), *values],
            cwd=folder,  # RecBole writes logs and weights where it stands
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith(MARK):
                    yield json.loads(line.removeprefix(MARK))
        except BaseException:  # whoever listens has gone
            process.kill()
            raise
        finally:
            process.wait()
    if process.returncode:
        raise UserError(f"RecBole failed:\n{errors.read_text()[-2000:]}")


def run_recbole(lines: Iterator[Line]) -> tuple[list[Line], str]:
    """The evaluations among RecBole's lines, and why it stopped."""
    evaluations: list[Line] = []
    for line in lines:
        if "stopped" in line:
            return evaluations, line["stopped"]
        evaluations.append(line | {"ndcg": line["ndcg@10"], "epoch": len(evaluations) + 1})
        shown = f"{line['seconds']:8.1f} s   NDCG@10 {line['ndcg@10']:.4f}"
        say(f"RecBole   epoch {len(evaluations):3d} {shown}")
    raise UserError("RecBole ended without a word.")


# -- ours -------------------------------------------------------------------------------------


def our_config(folder: Path, seed: int) -> Any:
    """The recipe on the same file, which only needs another ending to be read as what it is."""
    path = folder / f"{NAME}.tsv"
    shutil.copyfile(folder / NAME / f"{NAME}.inter", path)
    fixed = ["experiment=recommender_ml1m", "data=event_log", f"data.path={path}"]
    fixed += ["data.user=user_id:token", "data.item=item_id:token", "data.time=timestamp:float"]
    fixed += ["model.dim=64", "model.depth=2", "model.length=50", "task.mask_seen=false"]
    fixed += [f"seed={seed}", f"run_dir={folder / 'ours'}", "trainer.device=cpu"]
    return compose([*fixed, *RECIPE])


def run_ours(config: Any, clock: str) -> list[Line]:
    """Our evaluations; the Trainer's own clock is the one that is asked for."""
    with mock.patch.object(time, "perf_counter", CLOCKS[clock]):
        train(config)
    lines = map(json.loads, (Path(config.run_dir) / "metrics.jsonl").read_text().splitlines())
    return [line | {"ndcg": line["val/ndcg@10"]} for line in lines if "val/ndcg@10" in line]


def held_out(config: Any) -> dict[str, str]:
    """The item id that each user id is validated on."""
    data = build(config.data).split("validation")
    items = [data.catalogue.items[number - 1] for number in data.targets.values.tolist()]
    return dict(zip(map(str, data.ids), map(str, items), strict=True))


# -- the comparison ---------------------------------------------------------------------------


def improvements(evaluations: list[Line]) -> list[Line]:
    """Those that are better than all before."""
    best, better = float("-inf"), []
    for line in evaluations:
        if line["ndcg"] > best:
            best = line["ndcg"]
            better.append(line)
    return better


def first_as_good(evaluations: list[Line], ndcg: float) -> Line | None:
    """The first that reaches ``ndcg``, if one does."""
    return next((line for line in evaluations if line["ndcg"] >= ndcg), None)


def compare(theirs: list[Line], ours: list[Line]) -> float:
    """A line for each RecBole epoch that improved; the last is its best.

    Returns:
        RecBole's time to it over ours; 0 if ours never was as good.
    """
    rows = []
    for line in improvements(theirs):
        match = first_as_good(ours, line["ndcg"])
        row = (line["epoch"], f"{line['ndcg']:.4f}", f"{line['seconds']:.1f}")
        ratio = f"{line['seconds'] / match['seconds']:.1f}" if match else "never reached"
        reached = (f"{match['ndcg']:.4f}", f"{match['seconds']:.1f}") if match else ("", "")
        rows.append((*row, *reached, ratio))
    columns = ("RecBole epoch", "NDCG@10", "seconds", "ours", "seconds", "ratio")
    title = f"time to RecBole's validation NDCG@10 · {NAME} · target of the last row ≥ {TARGET}"
    table(title, columns, rows)
    return line["seconds"] / match["seconds"] if match else 0.0


def describe(theirs: list[Line], ours: list[Line], stopped: str) -> None:
    """Where the time went, whether RecBole was done, and how good each side became."""
    sides = {"RecBole": (theirs, len(theirs)), "ours": (ours, ours[-1]["epoch"])}
    rows = []
    for name, (lines, epochs) in sides.items():
        best = max(lines, key=lambda line: line["ndcg"])
        seconds, measured = lines[-1]["seconds"], sum(line["eval_seconds"] for line in lines)
        each = (f"{(seconds - measured) / epochs:.2f}", f"{measured / epochs:.2f}")
        rows.append((name, f"{best['ndcg']:.4f}", f"{best['seconds']:.1f}", f"{epochs:g}", *each))
    columns = (
        "side",
        "best NDCG@10",
        "after s",
        "epochs",
        "training s/epoch",
        "evaluation s/epoch",
    )
    table("each side by itself", columns, rows)
    cut = "it had not converged, its best may be yet to come"
    known = "it had converged" if stopped == CONVERGED else cut
    say(f"RecBole ended by {stopped}: {known}.")


def check_same(about: Line, config: Any) -> None:
    """Says whom both sides agree on, and stops if they rank differently."""
    if not about:
        raise UserError("RecBole ended without a word.")
    if about["masks_seen"] != config.task.mask_seen:
        raise UserError("The two sides do not mask the same items, their NDCG cannot be compared.")
    other, own = about["held_out"], held_out(config)
    if other.keys() != own.keys():
        raise UserError(f"RecBole validates on {len(other):,} users, ours on {len(own):,} others.")
    same = sum(other[user] == item for user, item in own.items())
    say(f"{same:,} of {len(own):,} users are validated on the same item by both sides.")
    say(f"RecBole   torch {about['torch']}, {about['parameters']:,} parameters; masks nothing seen")


# -- options ----------------------------------------------------------------------------------


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options, checked. ConfigError for one that does not exist or does not fit."""
    options = read_options(arguments, NUMBERS, CHOICES, TEXTS)
    options["seed"] = whole_number("seed", options["seed"])
    if not options["data_dir"]:
        raise ConfigError("data_dir is missing: the folder in which recommender/ml-100k lies.")
    return options


def run_both(source: Path, python: str, options: dict[str, Any]) -> float:
    """Runs RecBole, then ours, and prints how much less time ours took; returns the ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / NAME).mkdir()
        shutil.copyfile(source, folder / NAME / source.name)
        config = our_config(folder, options["seed"])
        lines = recbole_lines(python, folder, options)
        check_same(next(lines, {}), config)
        theirs, stopped = run_recbole(lines)
        lines.close()
        ours = run_ours(config, options["clock"])
    ratio = compare(theirs, ours)
    describe(theirs, ours, stopped)
    return ratio


def measure(options: dict[str, Any]) -> list[Row]:
    """Runs both sides, a seed a round, in RecBole's environment, and returns the row of all."""
    source = Path(options["data_dir"]) / "recommender" / NAME / f"{NAME}.inter"
    if not source.exists():
        raise DataError(f"{source}: there is no such file.")
    python = options["python"] or recbole_python()
    torch.set_num_threads(options["threads"])
    announce(options["clock"], CPU)
    rounds = [options | {"seed": options["seed"] + number} for number in range(options["rounds"])]
    values = [run_both(source, python, own) for own in rounds]
    title = f"{options['clock']} time to the best NDCG@10 of RecBole's SASRec, RecBole over ours"
    return [Row.of(title, values, f"≥ {TARGET}")]


def main(arguments: list[str]) -> None:
    """Measures, after RecBole's environment is made where there is none."""
    options = parse(arguments)
    options["python"] = options["python"] or make_environment()
    measure(options)


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__ or ""))
