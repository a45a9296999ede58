"""predict.py on photos of faces: one run or two, drawn or not, and photos that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from drawings import canvas, photos, pixels
from PIL import Image

from marketorch import compose, load_run, train

TINY = ["experiment=emotion", "data.num_train=128", "data.num_validation=128", "data.size=24"]
TINY += ["model.width=4", "model.depth=[1,1]", "trainer.max_steps=2", "trainer.batch_size=16"]
TINY += ["trainer.precision=fp32", "trainer.device=cpu"]
RUNS = {
    "emotion": [],
    "smile": ["name=smile", "data.target=smile"],
    "coarse": ["name=coarse", "data.size=16"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of finished runs."""
    folder = tmp_path_factory.mktemp("runs")
    for name, overrides in RUNS.items():
        train(compose([*TINY, *overrides, f"run_dir={folder / name}"]))
    return folder


@pytest.fixture
def predict(runs: Path, call_script: Any, tmp_path: Path) -> Any:
    """``predict("input=…", run="emotion")`` gives the rows, or what the script says is wrong."""

    def ask(*arguments: str, run: str = "emotion") -> Any:
        done = call_script("predict", f"run={runs / run}", *arguments, "output=out.jsonl")
        if done.returncode:
            return done.stderr
        return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]

    return ask


def broken(folder: Path) -> Path:
    """Three photos, the first of them cut short and the last empty."""
    photos(folder)
    whole = (folder / "two.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "none.png").rename(folder / "void.png").write_bytes(b"")
    return folder


def test_two_runs_answer_for_the_same_faces(runs: Path, predict: Any, tmp_path: Path) -> None:
    photos(tmp_path / "in")
    rows = predict("input=in", f"also={runs / 'smile'}")
    assert [row["image"] for row in rows] == ["in/two.png", "in/two.png", "in/none.png"]
    assert rows[2] == {"image": "in/none.png", "label": "no face"}
    alone = predict("input=in", run="emotion"), predict("input=in", run="smile")
    for row, emotion, smile in zip(rows[:2], *(part[:2] for part in alone), strict=True):
        assert (row["smile"], row["p_smile_posed"]) == (smile["label"], smile["p_posed"])
        assert row["p_smile_posed"] + row["p_smile_genuine"] == pytest.approx(1, abs=1e-5)
        assert emotion.items() <= row.items()
    assert [row["face"] for row in rows[:2]] == [1, 2]
    assert rows[0]["p_happy"] != rows[1]["p_happy"]


def test_photos_are_drawn_with_what_was_found(predict: Any, tmp_path: Path) -> None:
    """Each photo that has a face, under a name of its own; the photos stay as they are."""
    for place in ("a", "b"):
        photos(tmp_path / "in" / place)
    photo = (tmp_path / "in" / "a" / "two.png").read_bytes()
    for _ in range(2):  # a second time over the first
        predict("input=in", "draw=out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["two.jpg", "two_2.jpg"]
    drawn = np.array(Image.open(tmp_path / "out" / "two.jpg")).astype(int)
    assert (np.abs(drawn - canvas((40, 50), (300, 80))[:, :, None]) > 40).any(2).mean() > 0.005
    assert (tmp_path / "in" / "a" / "two.png").read_bytes() == photo


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_no_face_is_an_answer(runs: Path, call_script: Any, tmp_path: Path, suffix: str) -> None:
    texture = np.kron(pixels(0, 20), np.ones((8, 8), np.uint8))
    Image.fromarray(texture).save(tmp_path / "wall.png")
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}.get(
        suffix, lambda path: pd.read_json(path, lines=True)
    )
    arguments = [f"run={runs / 'emotion'}", "input=wall.png", "draw=drawn"]
    done = call_script("predict", *arguments, f"output=out.{suffix}")
    assert done.returncode == 0, done.stderr
    rows = read(tmp_path / f"out.{suffix}").to_dict("records")
    assert rows == [{"image": "wall.png", "label": "no face"}]
    assert list((tmp_path / "drawn").iterdir()) == []
    assert "no face" in call_script("predict", *arguments).stdout


def test_a_photo_that_cannot_be_read_is_named_or_skipped(predict: Any, tmp_path: Path) -> None:
    broken(tmp_path / "in")
    assert (
        predict("input=in")
        == "error: in/cut.png is damaged or cut short: image file is truncated.\n"
    )
    assert predict("input=in/void.png") == "error: in/void.png is empty (0 bytes).\n"
    rows = predict("input=in", "data.on_bad=skip", "draw=drawn")
    assert [(row["image"], row.get("face")) for row in rows] == [
        *(("in/two.png", 1), ("in/two.png", 2)),
        *(("in/cut.png", None), ("in/void.png", None)),
    ]
    assert rows[2]["label"].startswith("unreadable: in/cut.png is damaged")
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["two.jpg"]


def test_faces_are_ranked_and_photos_without_one_come_last(predict: Any, tmp_path: Path) -> None:
    photos(tmp_path / "in")
    rows = predict("input=in", "rank=happy")
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert rows[0]["p_happy"] > rows[1]["p_happy"]
    assert rows[2]["label"] == "no face"
    assert predict("input=in", "rank=happy", "top=1") == rows[:1]
    assert "there is no such class. Did you mean 'happy'?" in predict("input=in", "rank=hapy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["also={runs}/coarse"], r"coarse: it reads images of [1, 16, 16], not of [1, 24, 24]"),
        (["also={runs}/none"], "none: there is no such folder"),
        (["contains=smile"], "contains=…: this run has no such option"),
        (["input=in/tow.png"], "in/tow.png does not exist. Did you mean 'two.png'?"),
        (["input=faces.csv", "draw=out"], "draw=out: only photos can be drawn"),
        (["input=empty"], "empty holds no photo"),
    ],
    ids=lambda value: value[0].partition("=")[0] if isinstance(value, list) else "",
)
def test_mistakes_are_explained(
    runs: Path, predict: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    photos(tmp_path / "in")
    (tmp_path / "empty").mkdir()
    (tmp_path / "faces.csv").write_text("image\n0 1 2 3\n")
    error = predict("input=in", *(argument.format(runs=runs) for argument in arguments))
    assert isinstance(error, str)
    assert message in error


def test_a_run_in_python_answers_as_the_script_does(
    runs: Path, predict: Any, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "in")
    rows = load_run(runs / "emotion").predict(str(folder))
    for row, other in zip(rows, predict(f"input={folder}"), strict=True):
        assert row == pytest.approx(other) if "face" in row else row == other
