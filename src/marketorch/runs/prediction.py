"""Predictions as a table: ranked, filtered, written as JSON lines, CSV or Parquet, or shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marketorch import distributed
from marketorch.console import say
from marketorch.engine.task import Row
from marketorch.errors import ConfigError, closest
from marketorch.runs.loading import Run, load_run
from marketorch.runs.options import check_options
from marketorch.runs.rows import FORMATS, counts_any, show, write

SHOWN = 20  # rows on the terminal


def predict_file(
    run: Run,
    source: Any,
    *,
    output: str | None = None,
    explain: int = 0,
    rank: str | None = None,
    top: int | None = None,
    also: str | None = None,
    draw: str | None = None,
    counts: str | None = None,
    **options: Any,
) -> list[Row]:
    """Predicts every row of ``source``; see scripts/predict.py for the options.

    Args:
        options: of the ``inputs`` of the run's data source.

    Raises:
        ConfigError: ``rank`` names no class, ``output`` or ``counts`` no known format, or the
            task or the data of the run have not what ``also``, ``counts``, ``draw`` or one of
            ``options`` asks for.
        DataError: ``source`` cannot be read, or no row is left.
    """
    check_files(run, output, counts)
    check_options(run.data.inputs, options)
    started = time.perf_counter()
    dataset: Any = run.data.inputs(source, **options)
    if draw:
        check_drawing(dataset, str(source), draw)
    other = second_run(also, run, dataset) if also else None
    rank = rank or run.task.rank_by
    with distributed.process_group(run.device):
        every = run.predict(dataset, explain=0 if top else explain)  # dear: for what is shown
        if other:
            every = with_second_answers(other, dataset, every)
        main = distributed.is_main()
    if not main:
        return every
    rows = best_rows(run, dataset, every, rank, top, explain) if rank or top else every
    seconds = time.perf_counter() - started
    if output:
        write(rows, output, run.task.table)
    else:
        show(run.task.table(rows[:SHOWN]))
    if run.task.summarises:
        report_summary(run.task.summary(every), counts)
    if draw:
        say(f"drawn     {len(dataset.draw(every, Path(draw))):,} photos in {draw}")
    rate = len(dataset) / max(seconds, 1e-9)
    written = ", ".join(filter(None, (output, counts)))
    arrow = f" → {written}" if written else ""
    say(f"{len(dataset):,} examples in {seconds:.1f} s ({rate:,.0f}/s){arrow}")
    return rows


def check_files(run: Run, output: str | None, counts: str | None) -> None:
    """Raises ConfigError if a file has another format, or the task has nothing to count."""
    for option, file in {"output": output, "counts": counts}.items():
        if file and Path(file).suffix not in FORMATS:
            raise ConfigError(f"{option}={file}: expected one of {', '.join(FORMATS)}.")
    if counts and not run.task.summarises:
        task = type(run.task).__name__
        raise ConfigError(f"counts={counts}: {task} has no summary of its rows to write.")


def report_summary(summary: list[Row], file: str | None) -> None:
    """Writes a summary, if a file is given, and shows its rows that count anything."""
    if file:
        write(summary, file)
    if counted := [row for row in summary if counts_any(row)]:
        show(counted[:SHOWN], "counts")


def check_drawing(dataset: Any, source: str, draw: str) -> None:
    """Refuses to draw what are no photos, and to write where the photos of ``source`` lie.

    There, pictures could replace photos, and the next prediction would take them for photos.
    """
    if not dataset.drawable:
        raise ConfigError(
            f"draw={draw}: only photos can be drawn in which something is found, not these inputs."
        )
    folder, origin = Path(draw).resolve(), Path(source).resolve()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"draw={draw} is a file; expected a folder.")
    among = folder.is_relative_to(origin) if origin.is_dir() else folder == origin.parent
    if among:
        raise ConfigError(
            f"draw={draw}: pictures are not written among the photos that they are drawn of; "
            "choose a folder elsewhere."
        )


def second_run(path: str, run: Run, dataset: Any) -> Run:
    """The run whose answers are to stand beside those of ``run``.

    Raises:
        ConfigError: it answers, or reads, examples of another form.
    """
    other = load_run(path)
    kinds = [type(one.task).__name__ for one in (other, run)]
    if not run.task.compares or kinds[0] != kinds[1]:
        raise ConfigError(
            f"also={path}: two classifiers of one kind can answer side by side; found {kinds[0]} "
            f"beside {kinds[1]}."
        )
    other.task.check_readable(dataset, f"also={other.directory}")
    return other


def with_second_answers(run: Run, dataset: Any, rows: list[Row]) -> list[Row]:
    """Rows with the label and the probabilities of a second run, called by its name."""
    name, answers = run.config.name, run.predict(dataset)
    more = [
        {name: answer["label"]}
        | {f"p_{name}_{key[2:]}": share for key, share in answer.items() if key.startswith("p_")}
        if "probability" in answer
        else {}
        for answer in answers
    ]
    return [row | extra for row, extra in zip(rows, more, strict=True)]


def best_rows(
    run: Run, dataset: Any, every: list[Row], rank: str | None, top: int | None, explain: int
) -> list[Row]:
    """The ``top`` rows, ranked if there is something to rank by, and explained if that is asked.

    Explanations are dear, so they are made for these rows alone.
    """
    task, places = run.task, list(range(len(every)))
    if rank:
        places = ranking(every, rank, task.classes)
    rows = [every[place] for place in places]
    if top:
        rows = task.first(rows, top)
        if explain and task.explanation:
            explained = run.predict(dataset.select(places[:top]), explain=explain)
            name = task.explanation
            rows = [
                row | {name: own[name]} if name in own else row
                for row, own in zip(rows, explained, strict=True)
            ]
    return [{"rank": i} | row for i, row in enumerate(rows, start=1)] if rank else rows


def ranking(rows: list[Row], name: str, classes: Sequence[str] = ()) -> list[int]:
    """Places of the rows by the probability of class ``name``, or by the score of its detections.

    The highest comes first, rows that say nothing of the class last. ``name`` may be a column of
    numbers, too.

    Args:
        classes: those that there are, where the rows give no probabilities.

    Raises:
        ConfigError: there is no such class, or there are no classes.
    """
    if isinstance(rows[0].get(name), float):
        return sorted(range(len(rows)), key=lambda place: -rows[place][name])
    answered: Row = next((row for row in rows if "probability" in row), {})
    classes = [key[2:] for key in answered if key.startswith("p_")] or classes
    if not classes:
        raise ConfigError(f"rank={name}: these predictions tell no classes apart.")
    if name not in classes:
        raise ConfigError(
            f"rank={name}: there is no such class.{closest(name, classes)} "
            f"Classes: {', '.join(classes)}."
        )
    return sorted(range(len(rows)), key=lambda place: -strength(rows[place], name))


def strength(row: Row, name: str) -> float:
    """How surely a row is of class ``name``; -1 if it does not say."""
    if f"p_{name}" in row:
        return float(row[f"p_{name}"])
    return float(row.get("score", -1.0)) if row.get("label") == name else -1.0
