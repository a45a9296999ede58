"""Texts with labels, texts to predict on, event logs with the tables beside them, and requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from damage import damaged_json, pick, token
from numpy.random import Generator
from of_tables import Table, of_frame, worse, written
from options import drawn_options
from stock import Stock, reviews, shop
from watched import Asked, Reader

from marketorch.data.events.source import EventData
from marketorch.data.texts.source import TextData, read_inputs

SUFFIXES = [".csv", ".csv", ".tsv", ".jsonl", ".jsonl", ".json", ".parquet", ".txt"]
LOGS = [".csv", ".csv", ".tsv", ".jsonl", ".parquet", ".parquet"]
COLUMNS = {  # of real files whose columns are called otherwise
    "Tweets.csv": {"label": "airline_sentiment"},
    "political_social_media.csv": {"label": "bias"},
    "facebook_live_engagement.csv": {"text": "status_published", "label": "status_type"},
}
BESIDE = ("user", "item", "item_table", "user_table", "item_attributes", "user_attributes", "title")
BESIDE += ("negatives", "without_validation")
ITEM_COLUMNS = ["category", "brand", "price"]


def readers(stock: Stock) -> list[Reader]:
    """The readers of texts and of events."""

    def texts(rng: Generator, folder: Path) -> Asked:
        path, encoding = _texts(rng, folder, stock)
        options = (
            COLUMNS.get(path.name[4:], {})
            | drawn_options(rng, TextData, ["text", "label", "part"])
            | {"encoding": encoding}
        )
        return Asked(lambda: train_on(path, options))

    def inputs(rng: Generator, folder: Path) -> Asked:
        if rng.random() < 0.2:
            source = token(rng)
            return Asked(lambda: read_inputs(source), (source,))
        path, encoding = _texts(rng, folder, stock)
        on_bad = str(pick(rng, ["error", "skip"]))
        return Asked(lambda: read_inputs(str(path), encoding=encoding, on_bad=on_bad))

    def events(rng: Generator, folder: Path) -> Asked:
        path, columns = _log(rng, folder, stock)
        options = columns | _event_options(rng, folder)
        return Asked(lambda: learn_from(path, options))

    def requests(rng: Generator, folder: Path) -> Asked:
        path, columns = _log(rng, folder, stock)
        words = [token(rng), f"item:{token(rng)}", f"user:{token(rng)}", "1 2", "user:1, 2", "1,,"]
        source = str(path) if rng.random() < 0.7 else str(pick(rng, words))
        return Asked(
            lambda: EventData(path=str(path), **columns).inputs(source), ("input=", source)
        )

    return [
        *(Reader("texts", texts, 1.5), Reader("text_inputs", inputs)),
        *(Reader("events", events, 1.5), Reader("requests", requests)),
    ]


# -- texts ------------------------------------------------------------------------------------


def train_on(path: Path, options: dict[str, Any]) -> None:
    """All that training does with texts before they meet the tokenizer."""
    data = TextData(path=str(path), **options)
    assert data.schema
    data.fingerprint()
    for name in ("train", "validation", "test"):
        data.split(name)


def _texts(rng: Generator, folder: Path, stock: Stock) -> tuple[Path, str]:
    """A file of texts, and its encoding."""
    real = stock.one(rng, "texts")
    if real:
        path = folder / real[0]
        path.write_bytes(worse(rng, real[1], path.suffix))
        return path, "utf-8"
    pairs = [reviews()[int(i)] for i in rng.integers(0, len(reviews()), rng.integers(2, 40))]
    table: Table = {
        "text": [text for text, _ in pairs],
        "label": [label for _, label in pairs],
        "part": [str(pick(rng, ["train", "train", "val", "test"])) for _ in pairs],
    }
    if rng.random() < 0.3:
        make = pick(rng, [lambda: str(int(rng.integers(3))), lambda: token(rng)])
        table["label"] = [make() for _ in pairs]
    return written(rng, folder, table, SUFFIXES)


# -- events -----------------------------------------------------------------------------------


def learn_from(path: Path, options: dict[str, Any]) -> None:
    """All that training does with a log before there is a model."""
    data = EventData(path=str(path), **options)
    assert data.schema
    data.fingerprint()
    for name in ("train", "validation", "test"):
        data.split(name)
    type(data.catalogue).from_bytes(data.catalogue.to_bytes())


def _log(rng: Generator, folder: Path, stock: Stock) -> tuple[Path, dict[str, Any]]:
    """An event log, and what its columns are called."""
    real = stock.one(rng, "events")
    if real:
        path = folder / real[0]
        path.write_bytes(worse(rng, real[1], path.suffix))
        return path, {"time": "t"} if b"\x00t\x15" in real[1] else {}
    frame = shop()[0][["user", "item", "time"]].head(int(rng.integers(2, 120)))
    table = of_frame(frame) | {"stars": [str(stars) for stars in rng.integers(1, 6, len(frame))]}
    if rng.random() < 0.3:
        table["time"] = [f"2024-05-{day:02d}" for day in rng.integers(1, 29, len(frame))]
    path, _ = written(rng, folder, table, LOGS)
    time = {"time": "time"} if rng.random() < 0.7 else {}
    return path, time


def _event_options(rng: Generator, folder: Path) -> dict[str, Any]:
    """A protocol, and tables beside the log."""
    options = drawn_options(rng, EventData, ["stars", "time"], *BESIDE)
    if rng.random() < 0.2:
        options |= _given(rng, folder)
    if rng.random() < 0.4:
        options |= _beside(rng, folder)
    if rng.random() < 0.1:
        skipped = folder / "skipped.json"
        skipped.write_bytes(damaged_json(rng, [1, 2, 3]))
        options["without_validation"] = str(skipped)
    return options


def _given(rng: Generator, folder: Path) -> dict[str, Any]:
    """A test file with negatives."""
    events = shop()[0].groupby("user").tail(1)
    rows: list[Any] = [
        {"user": int(u), "item": int(i), "time": 1, "others": [1, 2, 3]}
        for u, i in zip(events["user"], events["item"], strict=True)
    ]
    lines = [json.dumps(row).encode() for row in rows]
    for _ in range(int(rng.integers(0, 3))):
        place = int(rng.integers(len(rows)))
        lines[place] = damaged_json(rng, rows[place])
    path = folder / "held_out.jsonl"
    path.write_bytes(b"\n".join(lines))
    negatives = {"negatives": "others"} if rng.random() < 0.7 else {}
    return {"protocol": "given", "test": str(path)} | negatives


def _beside(rng: Generator, folder: Path) -> dict[str, Any]:
    """Tables of items and users."""
    _, items, users = shop()
    places = []
    for name, frame in (("items", items), ("users", users)):
        (folder / name).mkdir()
        path, _ = written(rng, folder / name, of_frame(frame.head(80)), LOGS)
        places.append(str(path))
    found = {"item_table": places[0], "title": "title", "item_attributes": ITEM_COLUMNS}
    return found | {"user_table": places[1], "user_attributes": ["region", "age_group"]}
