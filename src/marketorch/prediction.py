"""Predictions as a table: ranked, filtered, written as JSON lines, CSV or Parquet, or shown."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from marketorch.engine import distributed
from marketorch.engine.tracking import finite, say, table
from marketorch.errors import ConfigError, DataError, closest
from marketorch.runs import Run, load_run

Row = dict[str, Any]


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
    top: int | None = None,
) -> list[Row]:
    """Predicts every row of ``source``; see scripts/predict.py for the options.

    Raises:
        ConfigError: ``rank`` names no class, ``output`` no known format, ``contains`` asks for
            text where there is none, or ``draw`` for photos.
        DataError: ``source`` cannot be read, or no row is left.
    """
    if output and Path(output).suffix not in WRITERS:
        raise ConfigError(f"output={output}: expected one of {', '.join(WRITERS)}.")
    started = time.perf_counter()
    dataset = run.data.inputs(source)
    if contains:
        dataset = mentioning(dataset, contains)
    if exclude:
        if not hasattr(dataset, "without"):
            raise ConfigError(f"exclude={exclude}: only items of a recommender can be excluded.")
        dataset = dataset.without(exclude)
    with distributed.process_group(run.device):
        rows = run.predict(dataset, explain=0 if rank or top else explain)
        if also:
            rows = with_answers_of(load_run(also), dataset, rows)
        main = distributed.is_main()
    if not main:
        return rows
    if draw:
        if not hasattr(dataset, "draw"):
            raise ConfigError(f"draw={draw}: only faces in photos can be drawn.")
        say(f"drawn     {len(dataset.draw(rows, Path(draw))):,} photos in {draw}")
    if rank:
        rows = ranked(rows, rank)
    if top:
        rows = rows[:top]
    if explain and (rank or top) and "text" in rows[0]:  # dear: only for what is shown
        rows = [row | {"words": explained(run, row, explain)} for row in rows]
    seconds = time.perf_counter() - started
    if output:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        WRITERS[Path(output).suffix](rows, Path(output))
    else:
        show(rows[:20])
    rate = len(dataset) / max(seconds, 1e-9)
    say(
        f"{len(dataset):,} examples in {seconds:.1f} s ({rate:,.0f}/s)"
        + (f" → {output}" if output else "")
    )
    return rows


def with_answers_of(run: Run, dataset: Any, rows: list[Row]) -> list[Row]:
    """Rows with the label and the probabilities of a second run, called by its name.

    Raises:
        ConfigError: it reads examples of another form.
    """
    schema, images = run.task.schema, getattr(dataset, "images", None)
    wanted = [schema.get("channels"), schema.get("size"), schema.get("size")]
    if isinstance(images, Tensor) and list(images.shape[1:]) != wanted:
        found = list(images.shape[1:])
        raise ConfigError(f"also={run.directory}: it reads images of {wanted}, not of {found}.")
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


def ranked(rows: list[Row], name: str) -> list[Row]:
    """Rows by the probability of class ``name``, highest first."""
    answered = next((row for row in rows if "probability" in row), None)
    if answered is None:
        return [{"rank": i} | row for i, row in enumerate(rows, start=1)]
    classes = [key[2:] for key in answered if key.startswith("p_")]  # rows without come last
    if name not in classes:
        raise ConfigError(
            f"rank={name}: there is no such class.{closest(name, classes)} "
            f"Classes: {', '.join(classes)}."
        )
    order = sorted(rows, key=lambda row: -row.get(f"p_{name}", -1.0))
    return [{"rank": i} | row for i, row in enumerate(order, start=1)]


def explained(run: Run, row: Row, number: int) -> Any:
    """The telling words of one predicted row."""
    return run.predict([row["text"]], explain=number)[0]["words"]


def spelled(words: list[Row]) -> str:
    """Telling words on one line: the sign says for or against the prediction."""
    return ", ".join(f"{'+' if w['weight'] >= 0 else '−'}{w['word']}" for w in words)


def unrolled(row: Row) -> list[Row]:
    """A row a recommended item instead of a row a user."""
    lists = [row[name] for name in ("items", "titles", "scores") if name in row]
    names = ["item", *(["title"] if "titles" in row else []), "score"]
    own = {name: value for name, value in row.items() if not isinstance(value, list)}
    return [
        own | {"rank": rank} | dict(zip(names, values, strict=True))
        for rank, values in enumerate(zip(*lists, strict=True), start=1)
    ]


def show(rows: list[Row]) -> None:
    """Prints rows as a table."""
    if "items" in rows[0]:
        rows = [one for row in rows for one in unrolled(row)]
    every = dict.fromkeys(name for row in rows for name in row)
    names = [name for name in every if not name.startswith("p_")]
    body = []
    for row in rows:
        cells = dict(row) | ({"words": spelled(row["words"])} if "words" in row else {})
        if "text" in cells:
            text = str(cells["text"]).replace("\n", " ")
            cells["text"] = text if len(text) <= 90 else text[:87] + "…"
        body.append([cells.get(name, "") for name in names])
    table("predictions", names, body)


def _write_jsonl(rows: list[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(finite(row), ensure_ascii=False) + "\n")


def _flat(rows: list[Row]) -> pd.DataFrame:
    if "items" in rows[0]:
        return pd.DataFrame([one for row in rows for one in unrolled(row)])
    return pd.DataFrame(
        [row | ({"words": spelled(row["words"])} if "words" in row else {}) for row in rows]
    )


WRITERS = {
    ".jsonl": _write_jsonl,
    ".csv": lambda rows, path: _flat(rows).to_csv(path, index=False),
    ".parquet": lambda rows, path: _flat(rows).to_parquet(path, index=False),
}
