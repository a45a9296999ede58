"""The recipe of settings on photos of one's own: learnt from a folder, answered at any size."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from marketorch import compose, train
from marketorch.data.synthetic.settings import draw

SIZES = {"tall": (40, 90), "wide": (160, 60), "small": (20, 20)}
TINY = ["experiment=scene", "data=image_files", "data.size=32", "model.width=4"]
TINY += ["model.depth=[1,1]", "trainer.max_steps=2", "trainer.batch_size=8"]
TINY += ["trainer.precision=fp32", "trainer.device=cpu"]


def photograph(path: Path, setting: str, seed: int, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw(setting, Random(seed), 48)).resize(size).save(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for setting in ("beach", "street"):
        for seed in range(15):
            path = folder / "photos" / setting / f"{seed}.jpg"
            photograph(path, setting, seed, list(SIZES.values())[seed % 3])
    train(compose([*TINY, f"data.path={folder / 'photos'}", f"run_dir={folder / 'scene'}"]))
    return folder / "scene"


def test_a_photo_of_any_size_has_one_answer(run: Path, call_script: Any, tmp_path: Path) -> None:
    for name, size in SIZES.items():
        photograph(tmp_path / "new" / f"{name}.png", "beach", 99, size)
    answers = []
    for fit in ("crop", "squash"):  # a part of a photo, or all of it out of proportion
        options = [f"run={run}", "input=new", f"data.fit={fit}", "output=out.jsonl"]
        done = call_script("predict", *options)
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [row["image"] for row in rows] == [f"new/{name}.png" for name in sorted(SIZES)]
        for row in rows:
            assert set(row) == {"image", "label", "probability", "p_beach", "p_street"}
            assert row["p_beach"] + row["p_street"] == pytest.approx(1, abs=1e-5)
        answers.append([row["p_beach"] for row in rows])
    small, tall, wide = zip(*answers, strict=True)
    assert small[0] == small[1]  # a square
    assert tall[0] != tall[1]
    assert wide[0] != wide[1]
