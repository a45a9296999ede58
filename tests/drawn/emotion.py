"""Faces as noise, lighter from one emotion to the next; smiles on walls."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from drawings import SIDE, face, pixels, png
from PIL import Image

from drawn import write

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
VOTED = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


def draw(root: Path, number: int = 70) -> None:
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
