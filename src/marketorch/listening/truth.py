"""How right a listener is about drawn posts, of which the truth is known.

See `marketorch.data.synthetic.posts`.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from marketorch.listening.record import face_answers, read_records
from marketorch.listening.report.tables import brands_in_posts, flatten_records


def compare_with_truth(table: Any, truth: str | Path) -> dict[str, float]:
    """Compares records with the truth of their posts; NaN where nobody listened.

    Args:
        table: what `analyse_folder` has written of the posts.
        truth: ``truth.jsonl`` of `write_posts`.

    Returns:
        ``brands``: F1 of which brands are in which photos. ``captions`` and ``settings``: the share
        that is predicted right. ``faces``: the share of people whose face is found; ``emotions``:
        the share of these whose expression is predicted right.
    """
    known = [json.loads(line) for line in Path(truth).read_text(encoding="utf-8").splitlines()]
    records = [record for batch in read_records(table) for record in batch]
    pairs = list(zip(records, known, strict=True))
    people = [
        (_face(record["faces"], person["box"]), person["emotion"], record)
        for record, post in pairs
        if record["faces"] is not None
        for person in post["people"]
    ]
    return {
        "brands": _presence([(r["brands"], post["brands"]) for r, post in pairs]),
        "captions": _right((_label(r["text"], "sentiment"), own["sentiment"]) for r, own in pairs),
        "faces": _right((number is not None, True) for number, *_ in people),
        "emotions": _right(
            (_label(face_answers(record, number), "emotion"), true)
            for number, true, record in people
            if number is not None
        ),
        "settings": _right((_label(r["photo"], "scene"), own["setting"]) for r, own in pairs),
    }


def tone_around(table: Any, turn: datetime.datetime) -> pd.DataFrame:
    """The mean tone of each brand before a time and after it, the one that fell most first.

    Returns:
        A row a brand that was spoken of both before and after: ``before``, ``after``, ``fall``.
    """
    frames = flatten_records(read_records(table))
    posts = frames.posts[["post", "time", "tone"]]
    toned = brands_in_posts(frames).merge(posts, on="post").dropna()
    when = pd.Timestamp(turn).tz_convert("UTC").tz_localize(None)
    late = (toned["time"] >= when).map({False: "before", True: "after"})
    means = toned.groupby(["brand", late])["tone"].mean().unstack()
    means = means.reindex(columns=["before", "after"]).rename_axis(columns=None).dropna()
    return means.assign(fall=means["before"] - means["after"]).sort_values("fall", ascending=False)


def _label(answers: dict[str, Any] | None, name: str) -> str | None:
    """The label of the answer of a run; None if it was not asked."""
    return None if not answers or name not in answers else answers[name]["label"]


def _face(faces: list[dict[str, Any]], box: list[float]) -> int | None:
    """The place of the largest face whose middle is within a person's box; None: there is none."""
    left, top, right, bottom = box
    for number, face in enumerate(faces):
        x, y = (face["x1"] + face["x2"]) / 2, (face["y1"] + face["y2"]) / 2
        if left < x < right and top < y < bottom:
            return number
    return None


def _right(pairs: Iterable[tuple[Any, Any]]) -> float:
    """The share of pairs of an answer and the truth that agree, of those with an answer."""
    agree = [said == true for said, true in pairs if said is not None]
    return sum(agree) / len(agree) if agree else math.nan


def _presence(pairs: Iterable[tuple[list[dict[str, Any]] | None, list[str]]]) -> float:
    """F1 of the brands that are found in each photo."""
    known = [(brands, true) for brands, true in pairs if brands is not None]
    sets = [({brand["brand"] for brand in brands}, set(true)) for brands, true in known]
    both = sum(len(predicted & true) for predicted, true in sets)
    each = sum(len(predicted) + len(true) for predicted, true in sets)
    return 2 * both / each if each else math.nan
