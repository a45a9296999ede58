"""Trains the flagship models on embedded data and listens with them: python scripts/demo.py.

Needs no files and no network. Two experiments are trained at a time, and what each says is written
beside its run. Each model stands beside its baselines on the test split; an experiment lists its
trivial baseline first, and the strongest of the others is the classic one.
Then posts are drawn, of which everything is known, and a report is written on what the models hear.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from marketorch import Listener, analyse_folder, brand_report, compose, evaluate, load_run, train
from marketorch.console import say, table
from marketorch.data.synthetic.posts import DISGRACED, TURN, write_posts
from marketorch.errors import guard
from marketorch.listening.truth import compare_with_truth, tone_around

FLAGSHIPS = {  # the one that takes longest first, and what is made shorter of it
    "logo": ["trainer.epochs=6"],
    "scene": ["trainer.epochs=3"],
    "emotion": [],
    "recommender": ["trainer.epochs=4"],
    "sentiment": [],
}
LISTENING = ("sentiment", "emotion", "scene", "logo")
RUNS = Path("runs/demo")
AT_ONCE = 2
LARGE = 0.2  # of a photo's side: the drawn faces are, and smaller ones take longer to look for
REACHABLE = "best reachable"
COLUMNS = ("experiment", "model", "trivial", "strongest classic", REACHABLE, "minutes")


def demonstrate(name: str) -> tuple[Any, ...]:
    """Trains and evaluates one experiment; returns its row of the closing table."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // AT_ONCE))
    run_dir = RUNS / name
    log = RUNS / f"{name}.txt"
    with log.open("w", encoding="utf-8") as said, redirect_stdout(said), redirect_stderr(said):
        report = train(compose([f"experiment={name}", *FLAGSHIPS[name], f"run_dir={run_dir}"]))
        result = evaluate(run_dir, "test")
    task = load_run(run_dir).task
    metric, nothing = task.main_metric, float("nan")
    baselines = {k: values.get(metric, nothing) for k, values in result["baselines"].items()}
    reachable = baselines.pop(REACHABLE, nothing)
    trivial, *classics = baselines.values() or [nothing]
    strongest = (min if task.lower_is_better else max)(classics, default=nothing)
    measured = result["metrics"][metric]
    return f"{name} ({metric})", measured, trivial, strongest, reachable, report["seconds"] / 60


def demonstrate_all() -> list[tuple[Any, ...]]:
    """Every flagship's row, `AT_ONCE` of them at a time."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for run_dir in filter(Path.exists, (RUNS / name for name in FLAGSHIPS)):
        say(f"removed   {run_dir}, the run of an earlier demo")
        shutil.rmtree(run_dir)
    say(f"training  {', '.join(FLAGSHIPS)}, {AT_ONCE} at a time; what they say is in {RUNS}/*.txt")
    rows = []
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(demonstrate, name): name for name in FLAGSHIPS}
        for done in as_completed(running):
            rows.append(done.result())
            say(f"trained   {running[done]}, {rows[-1][-1]:.1f} minutes")
    return rows


def listen(runs: Path, number: int = 300, size: int = 320) -> None:
    """Listens to drawn posts with the runs; says how much of what is known of them was found."""
    for earlier in ("posts", "posts.parquet.parts", "report"):
        shutil.rmtree(runs / earlier, ignore_errors=True)
    posts = write_posts(runs / "posts", number, size=size, settings=True)
    heard = runs / "posts.parquet"
    kinds = {name: runs / name for name in LISTENING}
    analyse_folder(Listener.load(**kinds, min_face=LARGE), posts, heard)
    page = brand_report(heard, runs / "report", f"What {number:,} drawn posts show")
    right = compare_with_truth(heard, posts.with_name("truth.jsonl"))
    say("right     " + ", ".join(f"{name} {share:.1%}" for name, share in right.items()))
    falls = tone_around(heard, TURN)
    if DISGRACED in falls.index:
        before, after = falls.loc[DISGRACED, ["before", "after"]]
        place = f"{list(falls.index).index(DISGRACED) + 1} of {len(falls)} by how far it fell"
        say(f"disgrace  {DISGRACED}: mean tone {before:+.2f}, then {after:+.2f}; {place}")
    say(f"look at   {page} and {page.with_name('overview.png')}")


def main() -> None:
    """Runs every flagship, shows them side by side, listens with them; says what to try next."""
    table("marketorch · test split of the embedded data", COLUMNS, demonstrate_all())
    listen(RUNS)
    sentence = "Everyone told me the delivery was slow, and they were wrong."
    say(f'try       python scripts/predict.py run={RUNS / "sentiment"} input="{sentence}"')
    say("page      python scripts/app.py shows them all in a browser")
    say("all       python scripts/train.py --help lists every experiment and option")


if __name__ == "__main__":
    with guard():
        main()
