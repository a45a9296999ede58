"""Predictions as a table: ranked, filtered, written as JSON lines, CSV or Parquet, or shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from marketorch.engine import distributed
from marketorch.engine.task import Row
from marketorch.engine.tracking import say
from marketorch.errors import ConfigError, DataError, closest
from marketorch.runs.loading import Run, load_run
from marketorch.runs.rows import TOLD, WRITERS, counts_any, show, write
from marketorch.tasks.classification import Classification
from marketorch.tasks.tables import CustomerTask

EXPLAINED = (Classification, CustomerTask)


def predict_file(
    run: Run,
    source: str,
    *,
    output: str | None = None,
    explain: int = 0,
    rank: str | None = None,
    contains: str | None = None,
    exclude: str | None = None,
    also: str | None = None,
    draw: str | None = None,
    counts: str | None = None,
    top: int | None = None,
) -> list[Row]:
    """Predicts every row of ``source``; see scripts/predict.py for the options.

    A data set that has ``draw(rows, folder)`` can be drawn, a task that has ``counts(rows)`` counts
    what it has found.

    Raises:
        ConfigError: ``rank`` names no class, ``output`` or ``counts`` no known format, ``contains``
            asks for text where there is none, ``draw`` for photos, ``counts`` for detections or
            ``also`` for what does not answer the same question.
        DataError: ``source`` cannot be read, or no row is left.
    """
    count = check_files(run, output, counts)
    started = time.perf_counter()
    dataset = asked_for(run.data.inputs(source), contains, exclude)
    if draw:
        check_drawing(dataset, source, draw)
    other = second_run(also, run, dataset) if also else None
    rank = rank or getattr(run.task, "rank", None)
    with distributed.process_group(run.device):
        every = run.predict(dataset, explain=0 if top else explain)  # dear: for what is shown
        if other:
            every = with_answers_of(other, dataset, every)
        main = distributed.is_main()
    if not main:
        return every
    rows = first_rows(run, dataset, every, rank, top, explain) if rank or top else every
    seconds = time.perf_counter() - started
    if output:
        write(rows, output)
    else:
        show(rows[:20])
    if count:
        tell_counts(count(every), counts)
    if draw:
        say(f"drawn     {len(dataset.draw(every, Path(draw))):,} photos in {draw}")
    rate = (
        f"{len(dataset):,} examples in {seconds:.1f} s ({len(dataset) / max(seconds, 1e-9):,.0f}/s)"
    )
    written = ", ".join(filter(None, (output, counts)))
    say(rate + (f" → {written}" if written else ""))
    return rows


def check_files(
    run: Run, output: str | None, counts: str | None
) -> Callable[[Sequence[Row]], list[Row]] | None:
    """Returns what counts the run's rows, if they can be counted.

    Raises:
        ConfigError: a file's format is none that is written, or ``counts`` is asked in vain.
    """
    for option, file in {"output": output, "counts": counts}.items():
        if file and Path(file).suffix not in WRITERS:
            raise ConfigError(f"{option}={file}: expected one of {', '.join(WRITERS)}.")
    count: Callable[[Sequence[Row]], list[Row]] | None = getattr(run.task, "counts", None)
    if counts and count is None:
        raise ConfigError(f"counts={counts}: only what a detector finds can be counted.")
    return count


def asked_for(dataset: Any, contains: str | None, exclude: str | None) -> Any:
    """The examples that hold a text, if one is given, and without some items, if any are."""
    if contains:
        dataset = mentioning(dataset, contains)
    if exclude:
        if not hasattr(dataset, "without"):
            raise ConfigError(f"exclude={exclude}: only items of a recommender can be excluded.")
        dataset = dataset.without(exclude)
    return dataset


def tell_counts(totals: list[Row], file: str | None) -> None:
    """Writes counts, if a file is given, and shows those of what was found."""
    if file:
        write(totals, file)
    if seen := [row for row in totals if counts_any(row)]:
        show(seen[:20], "counts")


def check_drawing(dataset: Any, source: str, draw: str) -> None:
    """Refuses to draw what are no photos, and to write where the photos of ``source`` lie.

    There, pictures could replace photos, and the next prediction would take them for photos.
    """
    if not hasattr(dataset, "draw"):
        raise ConfigError(
            f"draw={draw}: only faces in photos can be drawn, or brands that a detector finds."
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
    if not isinstance(run.task, Classification) or kinds[0] != kinds[1]:
        raise ConfigError(
            f"also={path}: two classifiers of one kind can answer side by side; found {kinds[0]} "
            f"beside {kinds[1]}."
        )
    schema, images = other.task.schema, getattr(dataset, "images", None)
    wanted = [schema.get("channels"), schema.get("size"), schema.get("size")]
    if isinstance(images, Tensor) and list(images.shape[1:]) != wanted:
        found = list(images.shape[1:])
        raise ConfigError(f"also={other.directory}: it reads images of {wanted}, not of {found}.")
    return other


def with_answers_of(run: Run, dataset: Any, rows: list[Row]) -> list[Row]:
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


def mentioning(dataset: Any, text: str) -> Any:
    """The examples that hold ``text``, of a data set that has texts."""
    if not hasattr(dataset, "containing"):
        raise ConfigError(f"contains={text}: these examples hold no text to search.")
    kept = dataset.containing(text)
    if not len(kept):
        raise DataError(f"contains={text}: none of {len(dataset):,} rows mentions it.")
    return kept


def first_rows(
    run: Run, dataset: Any, every: list[Row], rank: str | None, top: int | None, explain: int
) -> list[Row]:
    """The ``top`` rows, ranked if a class is named, with reasons if any are asked for.

    Of recommendations it is the ``top`` items of each row.
    """
    places = list(range(len(every)))
    if rank:
        places = ranking(every, rank, getattr(run.task, "classes", ()))
    if "items" in every[0]:
        return [
            {name: own[:top] if isinstance(own, list) else own for name, own in row.items()}
            for row in every
        ]
    places = places[:top] if top else places
    rows = [every[place] for place in places]
    if explain and top and isinstance(run.task, EXPLAINED) and hasattr(dataset, "select"):
        asked = run.predict(dataset.select(places), explain=explain)
        reasons = [{name: own[name] for name in TOLD if name in own} for own in asked]
        rows = [row | own for row, own in zip(rows, reasons, strict=True)]
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
