"""Turns the records of posts into a report: a page, its tables, and one picture of it all."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from marketorch.console import say
from marketorch.engine.files import write_atomically
from marketorch.errors import ConfigError
from marketorch.listening.record import read_records
from marketorch.listening.report import figures, tables
from marketorch.listening.report.page import cell, page
from marketorch.listening.report.tables import Frames, flatten_records

SHOWN = 20  # rows of a table on the page; its CSV has all
LETTERS = 500  # of a caption on the page
CAUTION = (
    "An emotion here is how a face looks in a picture, as onlookers would name it, and cannot be "
    "known to be what the person feels: people smile out of politeness and frown at the sun. Read "
    "these shares over many posts, and do not judge, rate or single out anybody by them; at work "
    "and in schools the law of some places forbids it."
)
HEADS = {
    "voices": {"brand": "brand", "posts": "posts", "boxes": "sightings"}
    | {"share_of_voice": "share of voice", "area": "of a photo", "share_of_area": "of the room"},
    "sentiment": {"brand": "brand", "captions": "captions"},
    "emotions": {"brand": "brand", "faces": "faces"},
    "smiles": {"brand": "brand", "faces": "faces"},
    "faults": {"id": "post", "image": "photo", "part": "part", "reason": "reason"},
}
SECTIONS = ("voices", "sentiment", "emotions", "smiles", "posts", "faults")
BOUNDS = {"tone": "tone", "low": "at least", "high": "at most"}


def brand_report(table: Any, folder: str | Path, title: str = "What the posts show") -> Path:
    """Writes ``report.html``, ``overview.png`` and a CSV of each table into a folder.

    Args:
        table: what `analyse_folder` has written, or the same as a `pyarrow.Table` or a data frame.
        folder: made if need be; files of an earlier report are written over.
        title: of the page.

    Returns:
        The page.

    Raises:
        DataError: the table holds no records of posts.
        ConfigError: ``folder`` is a file.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"report={folder} is a file; expected a folder.")
    frames = flatten_records(read_records(table))
    answers = answered(frames)
    folder.mkdir(parents=True, exist_ok=True)
    for name, own in answers.items():
        tables.write_csv(own, folder / f"{name}.csv")
    kinds = ("voices", "sentiment", "emotions", "smiles", "over_time", "scenes")
    found = figures.panels(**{name: answers[name] for name in kinds})
    figures.overview(found, title, folder / "overview.png")
    html = page(**_content(title, frames, answers, found))
    write_atomically(folder / "report.html", lambda file: file.write(html.encode()))
    say(f"report    {folder / 'report.html'}, overview.png and {len(answers)} tables beside it")
    return folder / "report.html"


def answered(frames: Frames) -> dict[str, pd.DataFrame]:
    """The tables of a report by their names; one is empty where nobody has listened for it."""
    voices = tables.voices(frames)
    brands = list(voices["brand"])
    return {
        "voices": voices,
        "sentiment": tables.sentiment(frames, brands),
        "emotions": tables.emotions(frames, brands),
        "smiles": tables.smiles(frames, brands),
        "over_time": tables.over_time(frames, brands),
        "scenes": tables.scenes(frames),
        "posts": tables.extremes(frames),
        "faults": frames.faults.drop(columns="post"),
    }


def _content(
    title: str, frames: Frames, answers: dict[str, pd.DataFrame], found: Sequence[figures.Panel]
) -> dict[str, Any]:
    """What the page says."""
    rows = {name: _plain(own) for name, own in answers.items()}
    for post in rows["posts"]:
        post["words"] = post["words"].split(", ") if post["words"] else []
    return {
        "title": title,
        "lead": _lead(frames),
        "numbers": _numbers(frames),
        "caution": CAUTION,
        "shown": SHOWN,
        "limit": LETTERS,
        "heads": _heads(answers),
        "pictures": {
            panel.key: {"title": panel.title, "data": _encoded(figures.picture(panel))}
            for panel in found
        },
        "steady": figures.STEADY,
        "over_time": [panel.key for panel in found if panel.key.startswith(figures.OVER_TIME)],
        **{name: rows[name] for name in SECTIONS},
    }


def _heads(answers: dict[str, pd.DataFrame]) -> dict[str, dict[str, str]]:
    """The columns of the page's tables and what they are called there."""
    heads = {name: dict(own) for name, own in HEADS.items()}
    for name in ("sentiment", "emotions", "smiles"):
        numbers = [key for key in answers[name].columns if key.startswith(("p_", "mean_"))]
        heads[name] |= {key: key.partition("_")[2] for key in numbers}
    if len(answers["sentiment"]) and answers["sentiment"]["tone"].notna().any():
        heads["sentiment"] |= BOUNDS
    return heads


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as rows of plain values, without NaN and NaT."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [
        {key: f"{v:%Y-%m-%d %H:%M}" if isinstance(v, pd.Timestamp) else v for key, v in row.items()}
        for row in rows
    ]


def _lead(frames: Frames) -> str:
    """When the posts were written, as far as that is known."""
    times = frames.posts["time"].dropna()
    if times.empty:
        return f"{len(frames.posts):,} posts; when they were written is not known."
    span = f"{len(frames.posts):,} posts from {times.min():%d %B %Y} to {times.max():%d %B %Y}."
    missing = len(frames.posts) - len(times)
    return span + (f" The time of {missing:,} of them is not known." if missing else "")


def _numbers(frames: Frames) -> dict[str, str]:
    """The figures at the top of the page."""
    posts, tone = frames.posts, frames.posts["tone"].mean()
    counts = {
        "photos": int(posts["photo"].sum()),
        "captions": int(posts["text"].notna().sum()),
        "posts with a brand": frames.brands["post"].nunique(),
        "brands": frames.brands["brand"].nunique(),
        "faces": int(posts["faces"].sum()),
        "posts with a fault": frames.faults["post"].nunique(),
    }
    shown = {name: f"{value:,}" for name, value in counts.items()}
    return shown if math.isnan(tone) else shown | {"mean tone, −1 to 1": cell(tone, "tone")}


def _encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()
