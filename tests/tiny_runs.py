"""Finished runs of every kind that listening and the page ask, small and hardly trained."""

from __future__ import annotations

from pathlib import Path

from drawings import folder as pictures

from marketorch import compose, train
from marketorch.config import tiny

SHORT = ["trainer.max_steps=2", "data.num_test=0"]
PHOTOS = ["data=image_files", "data.channels=3", "data.size=16", "data.find_faces=never"]
RECIPES = {
    "emotion": ["emotion", "data.size=24", *SHORT],
    "smile": ["emotion", "data.size=24", "name=smile", "data.target=smile", *SHORT],
    "scene": ["emotion", "name=scene", *PHOTOS, "trainer.max_steps=2"],
    "logo": ["logo", "data.size=96", "trainer.ema_decay=0.0", *SHORT],
    "sentiment": ["sentiment", *SHORT],
    "recommender": ["recommender", "data.num_items=100", "trainer.max_steps=2"],
}
"""Each the tiny form of an experiment, and what differs."""


def train_all(folder: Path) -> Path:
    """Trains a run of each of `RECIPES` in a folder of its name."""
    places = pictures(folder / "places", 16, ("beach", "street"))
    for name, recipe in RECIPES.items():
        data = [f"data.path={places}"] if name == "scene" else []
        train(compose([*tiny(*recipe), *data, f"run_dir={folder / name}"]))
    return folder
