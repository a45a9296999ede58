"""Texts whose tone is in two words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from drawn import write

WORDS = {
    "negative": ("awful", "poor", "sad", "dull"),
    "neutral": ("plain", "usual", "late", "even"),
    "positive": ("fine", "great", "lovely", "warm"),
}
NOUNS = ("film", "flight", "crew", "story", "seat", "music")


def texts(number: int, tones: tuple[str, ...], seed: int = 0) -> pd.DataFrame:
    """Texts of some tones in turn; a label is the place of its tone."""
    draw = np.random.default_rng(seed)
    labels = np.arange(number) % len(tones)
    rows = [
        f"{draw.choice(NOUNS)} {i} of {seed} was {' and '.join(draw.choice(WORDS[tone], 2))}"
        for i, tone in enumerate(np.array(tones)[labels])
    ]
    return pd.DataFrame({"text": rows, "label": labels})


def draw(root: Path) -> None:
    two, three = ("negative", "positive"), tuple(WORDS)
    posts = texts(240, three)
    tones = np.array(three)[posts.pop("label")]
    write(root / "airline_tweets" / "Tweets.csv", posts.assign(airline_sentiment=tones))
    for seed, split in enumerate(("train", "test")):
        write(root / "imdb" / f"{split}.parquet", texts(320, two, seed))
    for seed, split in enumerate(("train", "train_phrases", "validation", "test"), start=2):
        write(root / "sst2" / f"{split}.parquet", texts(120, two, seed))
