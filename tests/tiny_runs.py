"""Finished runs of every kind that listening and the page ask, small and hardly trained."""

from __future__ import annotations

from pathlib import Path

from drawings import folder as pictures

from marketorch import compose, train

SHORT = ["trainer.max_steps=2", "trainer.batch_size=16", "trainer.precision=fp32"]
SHORT += ["trainer.device=cpu", "trainer.num_workers=0"]
FACES = ["experiment=emotion", "data.num_train=128", "data.num_validation=128", "data.size=24"]
FACES += ["model.width=4", "model.depth=[1,1]"]
PHOTOS = ["experiment=emotion", "name=scene", "data=image_files", "data.channels=3", "data.size=16"]
PHOTOS += ["data.find_faces=never", "model.width=4", "model.depth=[1,1]"]
RECIPES = {
    "emotion": FACES,
    "smile": [*FACES, "name=smile", "data.target=smile"],
    "scene": PHOTOS,
    "logo": [
        *("experiment=logo", "data.num_train=16", "data.num_validation=4", "data.num_test=0"),
        *("data.size=96", "model.widths=[4,8,8,8]", "model.neck=8", "trainer.ema_decay=0.0"),
    ],
    "sentiment": [
        *("experiment=sentiment", "data.num_train=300", "data.num_validation=60"),
        *("model.dim=16", "model.depth=1", "model.vocab_size=200", "data.num_test=0"),
    ],
    "recommender": [
        *("experiment=recommender", "data.num_users=60", "data.num_items=100"),
        *("model.dim=16", "model.length=20"),
    ],
}


def train_all(folder: Path) -> Path:
    """Trains a run of each of `RECIPES` in a folder of its name."""
    places = pictures(folder / "places", 16, ("beach", "street"))
    for name, recipe in RECIPES.items():
        data = [f"data.path={places}"] if name == "scene" else []
        train(compose([*recipe, *SHORT, *data, f"run_dir={folder / name}"]))
    return folder
