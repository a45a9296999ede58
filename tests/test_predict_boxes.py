"""predict.py on photos and videos of brands: rows, counts, pictures, and what cannot be read.

An untrained detector finds no brand. So the tests put one in its place that takes red for the first
brand and blue for the second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from drawings import bomb
from PIL import Image

from marketorch import compose, load_run, train
from marketorch.data.images.drawing import COLOURS
from marketorch.tasks.detection import NOTHING, Detection

TINY = ["experiment=logo", "data.num_train=16", "data.num_validation=4", "data.num_test=0"]
TINY += ["data.size=96", "model.widths=[4,8,8,8]", "model.neck=8", "trainer.max_steps=2"]
TINY += ["trainer.batch_size=8", "trainer.num_workers=0", "trainer.precision=fp32"]
TINY += ["trainer.device=cpu", "trainer.ema_decay=0.0"]
RED, BLUE, GREY = (230, 20, 20), (20, 20, 230), (128, 128, 128)
Spot = tuple[tuple[int, int, int], tuple[int, int, int, int]]  # colour; left, top, right, bottom
FIRST: Spot = (RED, (30, 20, 90, 60))
SECOND: Spot = (BLUE, (100, 60, 180, 100))


def photo(path: Path, *spots: Spot, size: tuple[int, int] = (192, 120)) -> Path:
    """A grey photo with coloured spots."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, GREY)
    for colour, box in spots:
        picture.paste(colour, box)
    picture.save(path)
    return path


def colours(task: Detection, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Finds one box of red, of class 0, and one of blue, of class 1; scores are .9 and .8."""
    warm = batch["images"][:, 0].int() - batch["images"][:, 2].int()
    masks = torch.stack([warm > 100, warm < -100], 1)  # (B, 2, S, S)
    boxes = torch.zeros(len(warm), 2, 4)
    there = masks.flatten(2).any(2)
    for image, label in there.nonzero().tolist():
        rows, columns = (masks[image, label].any(axis).nonzero()[:, 0] for axis in (1, 0))
        edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        boxes[image, label] = torch.tensor([float(edge) for edge in edges])
    scores = torch.where(there, torch.tensor([0.9, 0.8]), 0.0)
    labels = torch.where(there, torch.tensor([0, 1]), -1)
    return {"index": batch["index"], "boxes": boxes, "scores": scores, "labels": labels}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the embedded brands."""
    folder = tmp_path_factory.mktemp("runs") / "logo"
    train(compose([*TINY, f"run_dir={folder}"]))
    return folder


@pytest.fixture
def brands(run: Path) -> list[str]:
    return load_run(run).task.schema["classes"]


@pytest.fixture
def call(run: Path, call_script: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``call("input=…")`` is the finished process of predict.py, with the detector of colours."""
    monkeypatch.setattr(Detection, "predict", colours)
    return lambda *arguments: call_script("predict", f"run={run}", *arguments)


@pytest.fixture
def predict(call: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``predict("input=…")`` gives the rows, or what the script says is wrong."""

    def ask(*arguments: str) -> Any:
        done = call(*arguments, "output=out.jsonl")
        if done.returncode:
            return done.stderr
        return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]

    return ask


def pixels(path: Path) -> np.ndarray:
    return np.array(Image.open(path)).astype(int)


def assert_framed(picture: np.ndarray, box: Sequence[int], colour: Sequence[int]) -> None:
    """Left, right and lower edge of a box have the colour on them or a few pixels beside them."""
    left, top, right, bottom = box
    reach = max(4, round(math.sqrt(picture.shape[0] * picture.shape[1]) / 30))
    found = (np.abs(picture - colour) < 25).all(2)
    middle = (top + bottom) // 2, (left + right) // 2
    for edge in (left, right):
        assert found[middle[0], edge - reach : edge + reach].any()
    assert found[bottom - reach : bottom + reach, middle[1]].any()
    inner = (slice(top + 2 * reach, bottom - 2 * reach), slice(left + 2 * reach, right - 2 * reach))
    assert not found[inner].any()


def test_rows_tell_brands_and_places_in_the_photo(
    predict: Any, brands: list[str], tmp_path: Path
) -> None:
    photo(tmp_path / "in" / "both.png", FIRST, SECOND)
    photo(tmp_path / "in" / "none.png")
    first, second, none = predict("input=in", "draw=.")  # beside the folder, not in it
    assert (tmp_path / "both.jpg").exists()
    assert none == {"image": "in/none.png", "label": NOTHING}
    assert (first["label"], first["score"]) == (brands[0], 0.9)
    assert (second["label"], second["score"]) == (brands[1], 0.8)
    assert [first[k] for k in ("x1", "y1", "x2", "y2")] == pytest.approx(FIRST[1], abs=2)
    assert [second[k] for k in ("x1", "y1", "x2", "y2")] == pytest.approx(SECOND[1], abs=2)
    assert first["area"] == pytest.approx(60 * 40 / (192 * 120), abs=0.01)


def test_photos_are_drawn_at_their_own_size(predict: Any, tmp_path: Path) -> None:
    """Those in which something is found, each under a name of its own; twice writes them over."""
    large: Spot = (RED, (300, 200, 900, 600))
    paths = [
        photo(tmp_path / "in" / "a" / "Shelf.png", FIRST, SECOND),
        photo(tmp_path / "in" / "b" / "shelf.jpg", large, size=(1920, 1200)),
        photo(tmp_path / "in" / "b" / "shelf_2.png", FIRST, size=(192, 300)),
    ]
    photo(tmp_path / "in" / "c" / "wall.png")
    before = [path.read_bytes() for path in paths]
    for _ in range(2):
        predict("input=in", "draw=out")
    assert [path.read_bytes() for path in paths] == before
    names = ["Shelf.jpg", "shelf_2.jpg", "shelf_2_2.jpg"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    drawn = [pixels(tmp_path / "out" / name) for name in names]
    assert [picture.shape for picture in drawn] == [pixels(path).shape for path in paths]
    for picture, box in zip(drawn, (FIRST[1], large[1], FIRST[1]), strict=True):
        assert_framed(picture, box, COLOURS[0])
    assert_framed(drawn[0], SECOND[1], COLOURS[1])
    assert (drawn[1][-300:, -300:] == GREY).all()


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_brands_are_counted(call: Any, brands: list[str], tmp_path: Path, suffix: str) -> None:
    photo(tmp_path / "in" / "1.png", FIRST, SECOND)
    photo(tmp_path / "in" / "2.png", (RED, (0, 0, 96, 120)))
    photo(tmp_path / "in" / "3.png")
    done = call("input=in", f"counts=counts/all.{suffix}", "rank=" + brands[1], "top=1")
    assert done.returncode == 0, done.stderr
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}.get(
        suffix, lambda path: pd.read_json(path, lines=True)
    )
    table = read(tmp_path / "counts" / f"all.{suffix}")
    assert list(table) == ["label", "boxes", "photos", "share_of_voice", "area"]
    assert sorted(table["label"]) == sorted(brands)  # those that are not seen are counted as well
    assert table["label"].tolist()[:2] == brands[:2]
    assert table["boxes"].tolist() == [2, 1] + [0] * (len(brands) - 2)
    assert table["photos"].tolist()[:3] == [2, 1, 0]
    assert table["share_of_voice"].tolist()[:3] == pytest.approx([0.6667, 0.3333, 0])
    small, half = 60 * 40 / (192 * 120), 0.5
    assert table["area"][0] == pytest.approx((small + half) / 2, abs=0.01)
    assert table["area"][2:].isna().all()
    assert "share_of_voice" in done.stdout
    assert ".6667" in done.stdout
    assert f"→ counts/all.{suffix}" in done.stdout


def test_a_brand_that_is_seen_twice_in_a_photo_counts_as_one_photo(run: Path) -> None:
    task = load_run(run).task
    name, other = task.schema["classes"][2:0:-1]
    rows = [{"image": "a", "label": name, "score": 0.5, "area": area} for area in (0.1, 0.3)]
    rows += [{"image": "b", "label": other, "score": 0.5, "area": 0.5}]
    rows += [{"image": "c", "label": NOTHING}, {"image": "d", "label": "unreadable: is empty"}]
    first, second, *rest = task.summary(rows)
    assert first == {
        "label": name, "boxes": 2, "photos": 1, "share_of_voice": 0.6667, "area": 0.2
    }  # fmt: skip
    assert (second["label"], second["boxes"], second["share_of_voice"]) == (other, 1, 0.3333)
    assert {row["boxes"] for row in rest} == {0}


@pytest.mark.parametrize("arguments", [[], ["output=out.csv", "counts=counts.csv"]])
def test_nothing_at_all_is_an_answer(call: Any, tmp_path: Path, arguments: list[str]) -> None:
    for name in ("1", "2"):
        photo(tmp_path / "in" / f"{name}.png")
    done = call("input=in", "draw=drawn", *arguments)
    assert done.returncode == 0, done.stderr
    assert "0 photos in drawn" in done.stdout
    assert list((tmp_path / "drawn").iterdir()) == []
    if arguments:
        assert pd.read_csv(tmp_path / "out.csv")["label"].tolist() == [NOTHING] * 2
        table = pd.read_csv(tmp_path / "counts.csv")
        assert table["boxes"].sum() == 0
        assert table["share_of_voice"].isna().all()
    else:
        assert NOTHING in done.stdout
        assert "share_of_voice" not in done.stdout


def clip(path: Path) -> Path:
    """Five seconds, ten frames each: grey, and from second 2 to 4 with the first brand."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (192, 120))
    for number in range(50):
        frame = np.full((120, 192, 3), 128, np.uint8)
        if 20 <= number < 40:
            frame[20:60, 30:90] = RED[::-1]
        writer.write(frame)
    writer.release()
    return path


def test_frames_of_a_video_are_answered_and_drawn(
    predict: Any, brands: list[str], tmp_path: Path
) -> None:
    clip(tmp_path / "clip.avi")
    rows = predict("input=clip.avi", "draw=out", "counts=counts.jsonl")
    assert [row["image"] for row in rows] == [f"clip.avi@{second}s" for second in range(5)]
    assert [row["label"] for row in rows] == [NOTHING] * 2 + brands[:1] * 2 + [NOTHING]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clip@00002.000s.jpg",
        "clip@00003.000s.jpg",
    ]
    drawn = pixels(tmp_path / "out" / "clip@00002.000s.jpg")
    assert drawn.shape == (120, 192, 3)
    assert_framed(drawn, FIRST[1], COLOURS[0])
    assert json.loads((tmp_path / "counts.jsonl").read_text().splitlines()[0])["photos"] == 2
    rows = predict("input=clip.avi", "data.video_every=0.5")
    assert [row["image"] for row in rows if row["label"] != NOTHING] == [
        f"clip.avi@{second}s" for second in ("2", "2.5", "3", "3.5")
    ]


def test_detections_are_ranked_by_one_brand(
    predict: Any, brands: list[str], tmp_path: Path
) -> None:
    photo(tmp_path / "in" / "1.png", FIRST, SECOND)
    photo(tmp_path / "in" / "2.png")
    photo(tmp_path / "in" / "3.png", SECOND)
    rows = predict("input=in", f"rank={brands[1]}")
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert [row["label"] for row in rows] == [brands[1], brands[1], brands[0], NOTHING]
    assert predict("input=in", f"rank={brands[1]}", "top=2") == rows[:2]
    assert len(predict("input=in", "top=3", "explain=2")) == 3
    wrong = predict("input=in", f"rank={brands[1][:-1]}")
    assert f"there is no such class. Did you mean '{brands[1]}'?" in wrong


def test_what_cannot_be_read_is_named_or_a_row(predict: Any, tmp_path: Path) -> None:
    whole = photo(tmp_path / "in" / "a.png", FIRST).read_bytes()
    (tmp_path / "in" / "b.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "c.jpg").write_text("no photo at all")
    (tmp_path / "in" / "d.png").write_bytes(bomb())
    assert predict("input=in").startswith("error: in/b.png is damaged or cut short")
    rows = predict("input=in", "data.on_bad=skip", "draw=out", "counts=counts.csv")
    assert [row["image"] for row in rows] == [
        f"in/{name}" for name in ("a.png", "b.png", "c.jpg", "d.png")
    ]
    reasons = ("is damaged or cut short", "is not a photo", "says that it has more than 179 mega")
    for row, reason in zip(rows[1:], reasons, strict=True):
        assert row["label"].startswith(f"unreadable: {reason}")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.jpg"]
    assert pd.read_csv(tmp_path / "counts.csv")["boxes"].sum() == 1
    (row,) = predict("input=in/c.jpg", "data.on_bad=skip", "draw=out", "counts=counts.csv")
    assert row["label"].startswith("unreadable")


def test_a_video_that_is_cut_short_is_named_or_used_as_far_as_it_goes(
    predict: Any, tmp_path: Path
) -> None:
    content = clip(tmp_path / "clip.avi").read_bytes()
    (tmp_path / "clip.avi").write_bytes(content[: len(content) * 3 // 4])
    assert "clip.avi is damaged or cut short" in predict("input=clip.avi", "draw=out")
    rows = predict("input=clip.avi", "data.on_bad=skip", "draw=out")
    assert [row["image"] for row in rows] == [f"clip.avi@{second}s" for second in range(4)]
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (20_000, 40)])
def test_photos_of_odd_sizes(predict: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    photo(tmp_path / "odd.png", (RED, (0, 0, max(1, size[0] // 2), size[1])), size=size)
    (row,) = predict("input=odd.png", "draw=out")
    width, height = size
    assert 0 <= row["x1"] < row["x2"] <= width
    assert 0 <= row["y1"] < row["y2"] <= height
    assert 0 < row["area"] <= 1
    assert Image.open(tmp_path / "out" / "odd.jpg").size == size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["input=empty"], "empty holds no photo"),
        (["input=notes.txt"], "notes.txt is not a photo that Pillow can read"),
        (["input=in/b.png"], "in/b.png does not exist. Did you mean 'a.png'?"),
        (["input=gone.mp4"], "gone.mp4 does not exist"),
        (["input=fake.mp4"], "fake.mp4 is not a video that OpenCV can read"),
        (["contains=Nike"], "contains=…: this run has no such option"),
        (["exclude=Nike"], "exclude=…: this run has no such option"),
        (["also={run}"], "two classifiers of one kind can answer side by side; found Detection"),
        (["rank=Nobody"], "rank=Nobody: there is no such class."),
        (["counts=counts.xlsx"], "counts=counts.xlsx: expected one of .jsonl, .csv, .parquet"),
        (["draw=in"], "draw=in: pictures are not written among the photos"),
        (["draw=in/drawn"], "draw=in/drawn: pictures are not written among the photos"),
        (["input=in/a.png", "draw=in"], "draw=in: pictures are not written among the photos"),
        (["draw=notes.txt"], "draw=notes.txt is a file; expected a folder"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes_are_explained(
    run: Path, predict: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    photo(tmp_path / "in" / "a.png", FIRST)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("remember the milk")
    (tmp_path / "fake.mp4").write_text("no video at all" * 9)
    error = predict("input=in", *(argument.format(run=run) for argument in arguments))
    assert isinstance(error, str)
    assert error.startswith("error: ")
    assert message in error
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["a.png"]


def test_the_detector_itself_finds_boxes_inside_the_photo(run: Path, tmp_path: Path) -> None:
    """Untrained, with no score too low, it sees something everywhere, even beside the photo."""
    photo(tmp_path / "in" / "wide.png", FIRST, size=(300, 60))
    loaded = load_run(run)
    loaded.task.threshold.fill_(0.0)
    dataset = loaded.data.inputs(str(tmp_path / "in"))
    rows = loaded.predict(dataset)
    assert len(rows) > 10
    for row in rows:
        assert 0 <= row["x1"] <= row["x2"] <= 300
        assert 0 <= row["y1"] <= row["y2"] <= 60
        assert 0 < row["area"] <= 1
    (path,) = dataset.draw(rows, tmp_path / "out")
    assert Image.open(path).size == (300, 60)
    counts = loaded.task.summary(rows)
    assert sum(row["boxes"] for row in counts) == len(rows)
    assert math.fsum(row["share_of_voice"] for row in counts) == pytest.approx(1, abs=1e-3)
