"""Finished runs of every kind that is shared, small and hardly trained."""

from __future__ import annotations

from pathlib import Path

from marketorch import compose, train

SHORT = ["trainer.max_steps=2", "trainer.batch_size=8", "trainer.precision=fp32"]
SHORT += ["trainer.device=cpu", "trainer.num_workers=0", "trainer.ema_decay=0.0"]
# Every member that a text model may have, and texts longer than the transformer reads.
TEXT_MODEL = ["model.dim=16", "model.depth=1", "model.vocab_size=200", "model.neighbours=3"]
TEXT_MODEL += ["+model.ngrams={max_order: 2}", "+model.vectors={dim: 8}"]
TEXT_MODEL += ["model.max_length=24", "model.window=12"]
RECIPES = {
    "text": [
        *("experiment=sentiment", "data.num_train=100", "data.num_validation=30"),
        *("data.num_test=30", *TEXT_MODEL),
    ],
    "image": [
        *("experiment=emotion", "data.num_train=32", "data.num_validation=16", "data.num_test=16"),
        *("data.size=16", "model.width=4", "model.depth=[1,1]"),
        *("task.views=flip", "task.balance=0.5"),
    ],
    "items": [
        *("experiment=recommender", "data.num_users=40", "data.num_items=120", "model.dim=8"),
        *("model.length=12", "task.mask_seen=true"),
    ],
    "boxes": [
        *("experiment=logo", "data.num_train=8", "data.num_validation=4", "data.num_test=0"),
        *("data.size=64", "model.widths=[4,8,8,8]", "model.depth=[1,1,1]", "model.neck=8"),
    ],
    "rows": [
        *("experiment=propensity", "data.num_train=300", "data.num_validation=60"),
        *("data.num_test=40", "model.members=3", "model.width=8", "model.bins=8"),
        "task.balance=0.5",
    ],
}


def train_small(name: str, folder: Path) -> Path:
    """Trains the run of `RECIPES` called ``name`` in a folder of that name."""
    train(compose([*RECIPES[name], *SHORT, f"run_dir={folder / name}"]))
    return folder / name
