"""Recipes for real data, as they are but for sizes, on drawn files: their losses are golden.

The flagships, whose data are embedded, have theirs in tests/test_experiments.py.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY_DETECTOR
from drawn_data import data_dir
from test_experiments import EXPERIMENTS, FLAGSHIPS

from marketorch import compose, train

STEPS = 8
SHORT = [f"trainer.max_steps={STEPS}", "trainer.batch_size=16", "trainer.log_every=1"]
SHORT += ["trainer.precision=fp32", "trainer.device=cpu", "trainer.num_workers=0"]
FITTED = [option for option in SHORT if "max_steps" not in option]
TEXTS = ["model.dim=16", "model.vocab_size=200"]
POLARITY = [*TEXTS, "data.block=20", *SHORT]
STAGE = [f"pretrain_overrides={POLARITY}"]
MEMBERS = ["model.members=2", "model.width=8"]
FACES = ["model.width=4", "model.depth=[1,1]", "data.size=24", "task.augment.crop=22"]
SCENES = ["data.num_train=16", "data.size=64"]
EVENTS = ["model.dim=16"]
RECIPES = {
    "sentiment_sst2": [*TEXTS, *SHORT, *STAGE],
    "sentiment_airline": [*TEXTS, *SHORT],
    "sentiment_airline_100": [*TEXTS, *FITTED, *STAGE, "data.num_labelled=60"],
    "sentiment_imdb": POLARITY,
    "polarity_imdb": POLARITY,
    "recommender_ml1m": [*EVENTS, *SHORT],
    "recommender_ml1m_ncf": [*EVENTS, *SHORT],
    "recommender_new_users": [*EVENTS, *SHORT],
    "recommender_gowalla": [*FITTED, "model.rank=16"],
    "emotion_fer2013": [*FACES, *SHORT],
    "emotion_ferplus": [*FACES, *SHORT],
    "smile": [*FACES, *SHORT, f"pretrain_overrides={[*FACES, *SHORT]}"],
    "logo_from_marks": [*SCENES, *TINY_DETECTOR, *SHORT],
    "logo_flickrlogos27": [*SCENES, *TINY_DETECTOR, *SHORT],
    "churn_telco": [*MEMBERS, *SHORT],
    "hundred_records": SHORT,
    "income_adult": [*MEMBERS, "model.bins=8", *SHORT],
    "purchase_bank": [*MEMBERS, "model.bins=8", *SHORT],
    "leads": FITTED,
    "rare_event": [*FITTED, "data.num_train=400", "data.num_validation=200", "data.prevalence=0.1"],
    "uplift_hillstrom": ["model.model.members=2", "model.model.width=8", *SHORT],
}
RECIPES["logo_flickrlogos27"] += [f"pretrain_overrides={RECIPES['logo_from_marks']}"]
TOLERANCE = {"smile": 1e-2} | {name: 1e-2 for name in RECIPES if name.startswith("logo")}
"""Where OpenCV prints scenes or finds faces, which one version does not quite as the next."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_dir(tmp_path_factory.mktemp("data"))


def test_every_experiment_has_a_golden_run() -> None:
    assert sorted([*RECIPES, *FLAGSHIPS]) == EXPERIMENTS


@pytest.mark.parametrize("experiment", RECIPES)
def test_the_losses_of_a_recipe_are_the_golden_ones(
    tmp_path: Path, golden: Any, drawn: Path, experiment: str
) -> None:
    """What is fitted takes no step: there it is what validation measures."""
    own = [*RECIPES[experiment], f"data_dir={drawn}", f"run_dir={tmp_path}/run"]
    report = train(compose([f"experiment={experiment}", *own]))
    lines = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    losses = [line["train/loss"] for line in lines if "train/loss" in line]
    if not report["step"]:
        values = {name: [v] for name, v in report["metrics"].items() if math.isfinite(v)}
        assert len(values) >= 3
        return golden(f"recipes/{experiment}", values)
    assert len(losses) == STEPS
    golden(f"recipes/{experiment}", losses, rtol=TOLERANCE.get(experiment, 1e-4))
