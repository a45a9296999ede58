"""Finished runs of every kind that is shared, small and hardly trained."""

from __future__ import annotations

from pathlib import Path

from marketorch import compose, train
from marketorch.config import tiny

SHORT = ["trainer.max_steps=2", "trainer.batch_size=8", "trainer.ema_decay=0.0"]
# Every member that a text model may have, and texts longer than the transformer reads.
TEXT_MODEL = ["model.neighbours=3", "+model.ngrams={max_order: 2}", "+model.vectors={dim: 8}"]
TEXT_MODEL += ["model.max_length=24", "model.window=12"]
RECIPES = {
    "text": tiny("sentiment", "data.num_test=30", *TEXT_MODEL),
    "image": tiny("emotion", "data.size=16", "task.views=flip", "task.balance=0.5"),
    "items": tiny("recommender", "data.num_items=120", "model.length=12", "task.mask_seen=true"),
    "boxes": tiny("logo", "data.num_test=0"),
    "rows": tiny("propensity", "data.num_test=40", "model.members=3", "task.balance=0.5"),
}


def train_small(name: str, folder: Path) -> Path:
    """Trains the run of `RECIPES` called ``name`` in a folder of that name."""
    train(compose([*RECIPES[name], *SHORT, f"run_dir={folder / name}"]))
    return folder / name
