"""A folder like ``data_dir``, with a small drawn file in the place and form of each real one.

What an experiment reads is written where its config says, with the columns and classes that the
config names, so that a recipe runs as it does on real data. What is drawn is easy to learn.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from drawings import SIDE, face, pixels, png, squares
from PIL import Image

from marketorch.data.scenes.invented_marks import DISTRACTORS, MARKS

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
VOTED = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
WORDS = {
    "negative": ("awful", "poor", "sad", "dull"),
    "neutral": ("plain", "usual", "late", "even"),
    "positive": ("fine", "great", "lovely", "warm"),
}
NOUNS = ("film", "flight", "crew", "story", "seat", "music")


def write(path: Path, rows: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_parquet(path)


# -- customers --------------------------------------------------------------------------------


def customers(number: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Four columns of customers, and who of them is positive ``(number,)``."""
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "months": draw.integers(0, 70, number),
            "bill": draw.gamma(2.0, 30.0, number).round(2),
            "plan": draw.choice(["monthly", "yearly", "none"], number),
            "Last Visit": draw.integers(0, 9, number),
        }
    )
    score = rows["bill"] / 60 - rows["months"] / 35 + (rows["plan"] == "monthly")
    return rows, (score + draw.normal(0, 0.5, number) > 0.6).to_numpy()


def tabular(root: Path, number: int = 320) -> None:
    rows, positive = customers(number)
    ids = [f"C{i:04d}" for i in range(number)]
    after = rows["bill"] + 100 * positive  # a leak, in the columns that the configs leave out
    write(
        root / "telco_churn.csv", rows.assign(customerID=ids, Churn=np.where(positive, "Yes", "No"))
    )
    write(
        root / "bank_marketing.csv", rows.assign(duration=after, y=np.where(positive, "yes", "no"))
    )
    leads = {"Prospect ID": ids, "Tags": after, "Lead Quality": after, "Converted": positive * 1}
    write(
        root / "lead_scoring.csv",
        rows.assign(**leads, **{"Asymmetrique Score": after}).replace({"none": "Select"}),
    )
    offer = np.where(np.arange(number) % 3, "Womens E-Mail", "No E-Mail")
    visit = positive * (np.arange(number) % 3 > 0)
    given = {"segment": offer, "visit": visit, "conversion": visit, "spend": after}
    write(root / "hillstrom.csv", rows.assign(**given))
    for name, seed in (("train", 0), ("test", 1)):
        rows, positive = customers(number, seed)
        income = np.where(positive, ">50K", "<=50K")
        write(root / f"adult_{name}.csv", rows.assign(income=income))


# -- texts ------------------------------------------------------------------------------------


def texts(number: int, tones: tuple[str, ...], seed: int = 0) -> pd.DataFrame:
    """Texts of some tones in turn; a label is the place of its tone."""
    draw = np.random.default_rng(seed)
    labels = np.arange(number) % len(tones)
    rows = [
        f"{draw.choice(NOUNS)} {i} of {seed} was {' and '.join(draw.choice(WORDS[tone], 2))}"
        for i, tone in enumerate(np.array(tones)[labels])
    ]
    return pd.DataFrame({"text": rows, "label": labels})


def sentiment(root: Path) -> None:
    two, three = ("negative", "positive"), tuple(WORDS)
    posts = texts(240, three)
    tones = np.array(three)[posts.pop("label")]
    write(root / "airline_tweets" / "Tweets.csv", posts.assign(airline_sentiment=tones))
    for seed, split in enumerate(("train", "test")):
        write(root / "imdb" / f"{split}.parquet", texts(320, two, seed))
    for seed, split in enumerate(("train", "train_phrases", "validation", "test"), start=2):
        write(root / "sst2" / f"{split}.parquet", texts(120, two, seed))


# -- events -----------------------------------------------------------------------------------


def events(users: int, items: int, each: int) -> pd.DataFrame:
    """Each user takes items in turn, from a place of their own, most of them two apart."""
    draw = np.random.default_rng(0)
    steps = draw.choice([1, 2, 2, 2], (users, each)).cumsum(1)
    taken = (draw.integers(0, items, users)[:, None] + steps) % items
    rows = {"user": np.repeat(np.arange(users), each), "item": taken.flatten()}
    return pd.DataFrame(rows).drop_duplicates(ignore_index=True)


def recommender(root: Path, users: int = 160, items: int = 60) -> None:
    log = events(users, items, 12)
    place = log.groupby("user").cumcount()
    write(root / "ml-1m" / "interactions.parquet", log.assign(t=place))
    nobody = json.dumps([3, 5])
    (root / "ml-1m" / "users_without_validation_item.json").write_text(nobody)
    genres = np.where(np.arange(items) % 3, "Drama", "Comedy|War")
    films = {"item": range(items), "title": [f"Film {i}" for i in range(items)], "genres": genres}
    write(root / "ml-1m" / "items.csv", pd.DataFrame(films))
    who = np.arange(users)
    people = {"user": who, "gender": np.where(who % 2, "M", "F"), "age": 18 + 7 * (who % 5)}
    write(root / "ml-1m" / "users.csv", pd.DataFrame(people).assign(occupation=who % 4))
    last = place == log.groupby("user")["item"].transform("size") - 1
    test, train = log[last], log[~last]
    others = [[(row.item + 20 + i) % items for i in range(9)] for row in test.itertuples()]
    write(root / "ml-1m-ncf" / "train.parquet", train)
    write(root / "ml-1m-ncf" / "test.parquet", test.assign(negatives=others))
    write(root / "gowalla" / "train.parquet", train)
    write(root / "gowalla" / "test.parquet", test)


# -- images -----------------------------------------------------------------------------------


def emotion(root: Path, number: int = 70) -> None:
    """Noise that is lighter from one emotion to the next, with ten votes each; smiles on walls."""
    for seed, split in enumerate(("train", "validation", "test")):
        rows = []
        for i in range(number):
            label = i % len(EMOTIONS)
            picture = png(pixels(1000 * seed + i, 24) // 2 + np.uint8(18 * label))
            votes = dict.fromkeys(VOTED, 0) | {VOTED[label]: 7, VOTED[-1 - label % 2]: 3}
            votes |= {"unknown": 0, "NF": 0}
            named = {f"ferplus_{name}": count for name, count in votes.items()}
            rows.append({"image": picture, "label": EMOTIONS[label], **named})
        write(root / "fer2013" / f"{split}.parquet", pd.DataFrame(rows))
    for place, name in enumerate(("genuine", "posed")):
        folder = root / "smiles" / "train" / name
        folder.mkdir(parents=True)
        for i in range(12):
            wall = np.full((SIDE + 40, SIDE + 40), 150, np.uint8)
            wall[20:-20, 20:-20] = face(12 * place + i)
            Image.fromarray(wall).save(folder / f"{i}.png")
    shutil.copytree(root / "smiles" / "train", root / "smiles" / "test")


def logo(root: Path) -> None:
    """Four marks to look for, eight others, and photos in which squares bear their names."""
    stocks = {"brand_marks": list(MARKS.items())[:4]}
    stocks["distractor_marks"] = list(DISTRACTORS.items())[:8]
    for name, marks in stocks.items():
        (root / name).mkdir(parents=True)
        for title, drawing in marks:
            (root / name / f"{title}.svg").write_text(drawing)
    brands, own = [title for title, _ in stocks["brand_marks"]], root / "flickrlogos27"
    for seed, split in enumerate(("train", "validation", "test")):
        path = squares(own / "images" / f"instances_{split}.json", 16, seed, (brands[0], brands[1]))
        path.rename(own / path.name)


def data_dir(root: Path) -> Path:
    """Writes all of it to a folder."""
    for write_part in (tabular, sentiment, recommender, emotion, logo):
        write_part(root / write_part.__name__)
    return root
