"""What many records say together, as tables: voices, sentiment, faces, time, scenes, posts.

A brand is spoken of by the posts in whose photo it is seen. What these posts say in their captions
is its sentiment, and how the faces look that stand near it is its emotion. They are the answers of
the runs that are called ``sentiment``, ``emotion``, ``smile`` and ``scene``. Shares are means of
probabilities, which keep what a count of the likeliest labels throws away. All text is made safe to
print here: control characters are replaced.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from scipy.special import stdtrit

from marketorch.listening.record import Record, face_answers
from marketorch.runs.rows import spelled
from marketorch.tasks.detection import counted

ALL = "(all)"  # the row of all posts, or of all faces, below those of the brands
GOOD, BAD = ("positive", "pos"), ("negative", "neg")  # labels by which a tone is known
SMILING = ("happy", "happiness", "joy")  # emotions of faces that smile
YEARS = (1970, 2200)  # of times that are taken for such; "-2" is one in ISO 8601 as well
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a cell that is run by spreadsheets begins with
EXTREMES = 5  # best and worst posts that are shown
PERIODS = {"D": 21, "W-SUN": 210, "M": math.inf}  # days that a table may span, by its periods


class Frames(NamedTuple):
    """Records laid flat. ``post`` is a post's place.

    Args:
        posts: id, time, author, image, text, tone, sentiment, words and scene of each.
        brands: each box of a brand: post, brand, area.
        sentiments, emotions, smiles: post, of a face that too, and label and probability.
        scores: post, face, name and value, such as the valence of an emotion.
        near: post, face and brand, once each.
        faults: post, id, image, part and reason.
    """

    posts: pd.DataFrame
    brands: pd.DataFrame
    sentiments: pd.DataFrame
    emotions: pd.DataFrame
    smiles: pd.DataFrame
    scores: pd.DataFrame
    near: pd.DataFrame
    faults: pd.DataFrame


COLUMNS: dict[str, list[str]] = {
    "posts": [
        *("post", "id", "time", "author", "image", "text"),
        *("photo", "faces", "tone", "sentiment", "words", "scene"),
    ],
    "brands": ["post", "brand", "area"],
    "sentiments": ["post", "label", "probability"],
    "emotions": ["post", "face", "label", "probability"],
    "smiles": ["post", "face", "label", "probability"],
    "scores": ["post", "face", "name", "value"],
    "near": ["post", "face", "brand"],
    "faults": ["post", "id", "image", "part", "reason"],
}


def flatten_records(batches: Iterable[list[Record]]) -> Frames:
    """The flat tables of records."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    for records in batches:
        for record in records:
            _add(rows, record, len(rows["posts"]))
    frames = {name: pd.DataFrame(rows[name], columns=COLUMNS[name]) for name in COLUMNS}
    times = pd.to_datetime(frames["posts"]["time"], format="ISO8601", errors="coerce", utc=True)
    times = times.where(times.dt.year.between(*YEARS))
    frames["posts"]["time"] = times.dt.tz_localize(None)
    frames["posts"]["tone"] = frames["posts"]["tone"].astype(float)
    frames["near"] = frames["near"].drop_duplicates()
    return Frames(**frames)


def _add(rows: dict[str, list[dict[str, Any]]], record: Record, post: int) -> None:
    """Adds one record to the rows of all tables."""
    own = {"post": post}
    said, seen = (record["text"] or {}).get("sentiment"), (record["photo"] or {}).get("scene")
    faces = record["faces"] or []
    rows["posts"].append(
        own
        | {name: clean(record[name]) for name in ("id", "time", "author", "image")}
        | {"text": clean(record["caption"])}
        | {"photo": record["width"] is not None, "faces": len(faces)}
        | {"tone": tone(said), "sentiment": clean(said["label"]) if said else None}
        | {"words": _words(said), "scene": clean(seen["label"]) if seen else None}
    )
    for box in record["brands"] or []:
        rows["brands"].append(own | {"brand": clean(box["brand"]), "area": box["area"]})
    rows["sentiments"] += [own | share for share in shares(said)]
    for number in range(len(faces)):
        whose, answers = own | {"face": number}, face_answers(record, number)
        rows["emotions"] += [whose | share for share in shares(answers.get("emotion"))]
        rows["smiles"] += [whose | share for share in shares(answers.get("smile"))]
        rows["scores"] += [whose | score for score in scores(answers.get("emotion"))]
    for pair in record["near"] or []:
        rows["near"].append(own | {"face": pair["face"], "brand": clean(pair["name"])})
    for fault in record["faults"] or []:
        about = {name: clean(record[name]) for name in ("id", "image")}
        rows["faults"].append(own | about | {name: clean(value) for name, value in fault.items()})


def clean(text: str | None) -> str | None:
    """The text with a replacement character for each control character but line ends and tabs."""
    return None if text is None else CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def shares(said: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The labels of an answer and their probabilities; none, if there is no answer."""
    given = said["probabilities"] if said else None
    return [
        {"label": clean(own["label"]), "probability": own["probability"]} for own in given or []
    ]


def scores(said: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The scores of an answer; none, if there is no answer."""
    given = said["scores"] if said else None
    return [{"name": clean(own["name"]), "value": own["value"]} for own in given or []]


def tone(said: Mapping[str, Any] | None) -> float:
    """The probability of a positive text less that of a negative one; NaN if these are unknown."""
    known = {str(own["label"]).casefold(): own["probability"] for own in shares(said)}
    good = next((known[name] for name in GOOD if name in known), math.nan)
    bad = next((known[name] for name in BAD if name in known), math.nan)
    return good - bad


def _words(said: Mapping[str, Any] | None) -> str:
    """The words that moved the answer most; the sign says for or against the sentiment."""
    words = said["words"] if said else None
    return spelled([own | {"word": clean(own["word"])} for own in words or []])


# -- what the report shows --------------------------------------------------------------------


def voices(frames: Frames) -> pd.DataFrame:
    """How much of each brand there is, the most frequent first.

    ``posts`` are those it is seen in, ``boxes`` how often it is seen, ``share_of_voice`` its share
    of all boxes, ``area`` the mean share of a photo that one fills, ``share_of_area`` its share of
    all that brands fill.
    """
    total, filled = len(frames.brands), float(frames.brands["area"].sum()) or math.nan
    rows = []
    for brand, own in frames.brands.groupby("brand"):
        pairs = zip(own["post"], own["area"], strict=True)
        counts = counted([{"image": post, "area": area} for post, area in pairs], total)
        rows.append(
            {"brand": brand, "posts": counts.pop("photos"), **counts}
            | {"share_of_area": round(float(own["area"].sum()) / filled, 4)}
        )
    names = ["brand", "posts", "boxes", "share_of_voice", "area", "share_of_area"]
    table = pd.DataFrame(rows, columns=names)
    return table.sort_values(["boxes", "brand"], ascending=[False, True], ignore_index=True)


def brands_in_posts(frames: Frames) -> pd.DataFrame:
    """Each post with each brand that is seen in it, once: post and brand."""
    return frames.brands[["post", "brand"]].drop_duplicates()


def sentiment(frames: Frames, brands: Iterable[str]) -> pd.DataFrame:
    """Mean probabilities of the sentiments, and the mean tone, of each brand's posts and of all.

    ``low`` and ``high`` bound the mean tone with 95 % confidence, where there are two captions.
    """
    toned = frames.posts.loc[frames.posts["sentiment"].notna(), ["post", "tone"]]
    spoken = brands_in_posts(frames).merge(toned, on="post")
    groups = [(name, spoken.loc[spoken["brand"] == name, "post"]) for name in brands]
    rows = []
    for name, posts in [*groups, (ALL, toned["post"])]:
        if not len(posts):
            continue
        tones = toned.loc[toned["post"].isin(posts), "tone"]
        means = _means(frames.sentiments[frames.sentiments["post"].isin(posts)])
        rows.append({"brand": name, "captions": len(posts), **means, **_bounded(tones)})
    return pd.DataFrame(rows, columns=None if rows else ["brand", "captions", "tone"])


def _means(rows: pd.DataFrame) -> dict[str, float]:
    means = rows.groupby("label", sort=False)["probability"].mean().round(4)
    return {f"p_{label}": float(value) for label, value in means.items()}


def _bounded(values: pd.Series) -> dict[str, float]:
    """The mean tone and its bounds, by Student's t."""
    number = len(values)
    reach = stdtrit(number - 1, 0.975) if number > 1 else math.nan
    mean, half = values.mean(), reach * values.std() / math.sqrt(number)
    bounds = {"tone": mean, "low": max(mean - half, -1.0), "high": min(mean + half, 1.0)}
    return {name: round(float(value), 4) for name, value in bounds.items()}


def emotions(frames: Frames, brands: Iterable[str]) -> pd.DataFrame:
    """What the faces near each brand show, and all faces.

    ``p_…`` are mean probabilities of the emotions, ``mean_…`` mean scores, such as the valence.
    """
    table = _of_faces(frames, frames.emotions, brands)
    groups = [(name, _around(frames, frames.scores, name)) for name in table["brand"]]
    means = [own.groupby("name", sort=False)["value"].mean() for _, own in groups]
    averages = pd.DataFrame(means, index=table.index).add_prefix("mean_").round(4)
    return table.join(averages) if len(table) else table


def smiles(frames: Frames, brands: Iterable[str]) -> pd.DataFrame:
    """Mean probabilities of the kinds of smiles near each brand, and of all.

    A classifier of smiles answers for every face. Where emotions are known and one of them is a
    smile's, only the faces that show it above all count.
    """
    asked, looks = frames.smiles, frames.emotions
    if looks["label"].str.casefold().isin(SMILING).any():
        above = looks.sort_values("probability", kind="stable").groupby(["post", "face"]).tail(1)
        smiling = above.loc[above["label"].str.casefold().isin(SMILING), ["post", "face"]]
        asked = asked.merge(smiling, on=["post", "face"])
    return _of_faces(frames, asked, brands)


def _of_faces(frames: Frames, said: pd.DataFrame, brands: Iterable[str]) -> pd.DataFrame:
    """Mean probabilities of what is ``said`` of the faces near each brand, and of all faces."""
    rows = []
    for name in [*brands, ALL]:
        own = _around(frames, said, name)
        if len(own):
            faces = len(own[["post", "face"]].drop_duplicates())
            rows.append({"brand": name, "faces": faces, **_means(own)})
    return pd.DataFrame(rows, columns=None if rows else ["brand", "faces"])


def _around(frames: Frames, said: pd.DataFrame, brand: str) -> pd.DataFrame:
    """What is said of the faces near a brand, or of all."""
    near = frames.near.loc[frames.near["brand"] == brand, ["post", "face"]]
    return said if brand == ALL else near.merge(said, on=["post", "face"])


def over_time(frames: Frames, brands: Iterable[str]) -> pd.DataFrame:
    """Each brand by day, week or month; nothing without times.

    ``posts`` are those it is seen in, ``share_of_voice`` is its share of all boxes of the period,
    ``tone`` the mean of the captions, ``faces`` how many are near it, ``p_…`` the mean
    probabilities of their emotions and ``mean_…`` their mean scores.
    """
    times = frames.posts["time"].dropna()
    if times.empty:
        return pd.DataFrame(columns=["period", "brand", "posts", "share_of_voice", "tone", "faces"])
    span = (times.max() - times.min()).days
    period = next(name for name, days in PERIODS.items() if span <= days)
    posts = frames.posts[["post", "time", "tone"]].dropna(subset="time")
    posts = posts.assign(period=posts["time"].dt.to_period(period).dt.start_time)
    key = ["period", "brand"]
    rows = brands_in_posts(frames).merge(posts, on="post")
    table = rows.groupby(key).agg(posts=("post", "size"), tone=("tone", "mean"))
    boxes = frames.brands.merge(posts, on="post").groupby(key).size()
    table.insert(1, "share_of_voice", boxes / boxes.groupby("period").transform("sum"))
    around = frames.near.merge(posts, on="post")
    said = around.merge(frames.emotions, on=["post", "face"])
    faces = said.drop_duplicates([*key, "post", "face"]).groupby(key).size()
    table["faces"] = faces.reindex(table.index, fill_value=0)
    looks = said.groupby([*key, "label"], sort=False)["probability"].mean().unstack()
    scored = around.merge(frames.scores, on=["post", "face"])
    means = scored.groupby([*key, "name"], sort=False)["value"].mean().unstack()
    table = table.join(looks.add_prefix("p_")).join(means.add_prefix("mean_"))
    table = table.round(4).reset_index()
    return table[table["brand"].isin(list(brands))].reset_index(drop=True)


def scenes(frames: Frames) -> pd.DataFrame:
    """In how many posts each brand is seen in each scene, and which share of its posts that is."""
    known = frames.posts.loc[frames.posts["scene"].notna(), ["post", "scene"]]
    rows = brands_in_posts(frames).merge(known, on="post")
    table = rows.groupby(["brand", "scene"], as_index=False).agg(posts=("post", "size"))
    totals = table.groupby("brand")["posts"].transform("sum")
    table["share"] = (table["posts"] / totals).round(4)
    return table.sort_values(["brand", "posts"], ascending=[True, False], ignore_index=True)


def extremes(frames: Frames, number: int = EXTREMES) -> pd.DataFrame:
    """The posts of the best and of the worst tone, those about a brand before all others."""
    named = brands_in_posts(frames).groupby("post")["brand"].agg(", ".join)
    posts = frames.posts.assign(brands=frames.posts["post"].map(named)).dropna(subset="tone")
    about = posts[posts["brands"].notna()]
    posts = (about if len(about) else posts).fillna({"brands": ""})
    best = posts[posts["tone"] > 0].nlargest(number, "tone").assign(kind="best")
    worst = posts[posts["tone"] < 0].nsmallest(number, "tone").assign(kind="worst")
    names = ("kind", *COLUMNS["posts"][1:6], "brands", "tone", "sentiment", "words")
    return pd.concat([best, worst])[list(names)].round({"tone": 4}).reset_index(drop=True)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Writes a table; text that a spreadsheet would run as a formula gets an apostrophe before."""
    safe = table.map(lambda v: f"'{v}" if isinstance(v, str) and v.startswith(FORMULA) else v)
    safe.to_csv(path, index=False, encoding="utf-8")
