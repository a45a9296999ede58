"""Open-set detection: asked for marks that it never saw, it names these, and says how surely."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY_DETECTOR
from PIL import Image, ImageDraw
from toy import fit

from marketorch import compose, evaluate, load_run, train
from marketorch.data.boxes.dataset import BoxDataset, DecodedBoxes
from marketorch.data.synthetic.open_set_data import OpenSetData
from marketorch.engine.evaluation import predict_all
from marketorch.errors import DataError
from marketorch.metrics.detection import Matching
from marketorch.models.boxes.compact_detector import Found
from marketorch.models.open_set_detector import OpenSetDetector
from marketorch.tasks.open_set_detection import OpenSetDetection, by_brand, certainty, hits

CPU = torch.device("cpu")
MODEL = partial(OpenSetDetector, widths=(8, 16, 16, 32), depth=(1, 1, 1), neck=16, embedding=16)
SCHEMA = {"classes": ["of no", "account"]}
EMBEDDED = ["marks", "backgrounds", "test_marks", "test", "images"]
OVERRIDES = [
    "experiment=logo_open_set", *(f"data.{key}=null" for key in EMBEDDED), *TINY_DETECTOR,
    "data.size=64", "data.num_train=64", "data.num_validation=6", "data.num_test=6",
    "data.held_out=0.5", "trainer.device=cpu", "trainer.precision=fp32", "trainer.num_workers=0",
    "trainer.log_every=5", "trainer.epochs=6", "trainer.ema_decay=0.0",
]  # fmt: skip
SHAPES = {
    "Cross": [(40, 0, 60, 100), (0, 40, 100, 60)],
    "Frame": [(0, 0, 100, 20), (0, 80, 100, 100), (0, 0, 20, 100), (80, 0, 100, 100)],
    "Hook": [(0, 0, 100, 25), (75, 0, 100, 100)],
    "Stairs": [(0, 0, 30, 100), (30, 40, 65, 100), (65, 70, 100, 100)],
}


def shape(name: str, colour: tuple[int, int, int] = (20, 20, 20)) -> Image.Image:
    """A mark of some rectangles, on nothing."""
    picture = Image.new("RGBA", (101, 101))
    for box in SHAPES[name]:
        ImageDraw.Draw(picture).rectangle(box, (*colour, 255))
    return picture


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("marks")
    for name in SHAPES:
        shape(name).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("runs") / "run"
    train(compose([*OVERRIDES, f"run_dir={folder}"]))
    return folder


def photo(path: Path, *names: str) -> Path:
    """A pale photo with large shapes side by side, in another colour than their marks'."""
    picture = Image.new("RGB", (250 * len(names), 250), (235, 235, 230))
    for place, name in enumerate(names):
        mark = shape(name, (30, 60, 160))
        picture.paste(mark, (75 + 250 * place, 75), mark)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


# -- a run ------------------------------------------------------------------------------------


def test_training_on_some_brands_is_measured_on_others(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["train/loss"] for line in lines if "train/loss" in line]
    assert all(map(math.isfinite, losses))
    assert losses[-1] < 0.9 * losses[0]
    report = json.loads((run / "report.json").read_text())
    measured = {key.partition("/ap/")[2] for key in report["metrics"] if "/ap/" in key}
    assert measured
    assert not measured & set(report["data"]["classes"])
    assert {"val/map_50", "val/recall_any_class", "val/class_accuracy"} <= set(report["metrics"])


def test_a_run_is_loaded_and_measured_as_it_was(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())["metrics"]
    again = evaluate(run, "validation")["metrics"]
    assert {f"val/{key}": value for key, value in again.items()} == pytest.approx(report, nan_ok=1)
    loaded = load_run(run).task
    assert isinstance(loaded, OpenSetDetection)
    assert (float(loaded.scale), float(loaded.none)) != (16.0, 0.5)  # they were calibrated
    test = evaluate(run, "test")
    assert test["num_examples"] == 6
    assert (run / "evaluation" / "share_of_voice.png").exists()


def test_it_can_be_asked_for_any_marks(run: Path, marks: Path, tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.png", "Hook", "Frame")
    photo(tmp_path / "photos" / "b.png", "Cross")
    asked = load_run(run, [f"data.find={marks}"])
    assert isinstance(asked.task, OpenSetDetection)
    asked.task.threshold.fill_(0.0)
    rows = asked.predict(str(tmp_path / "photos"))
    assert {row["label"] for row in rows} <= set(SHAPES)
    assert {Path(row["image"]).name for row in rows} == {"a.png", "b.png"}
    assert all({"score", "x1", "y1", "x2", "y2"} <= set(row) for row in rows)
    assert {row["label"] for row in asked.task.counts(rows)} == set(SHAPES)
    with pytest.raises(DataError, match="no folder of marks"):
        load_run(run, [f"data.find={tmp_path / 'nowhere'}"]).predict(str(tmp_path / "photos"))


# -- names ------------------------------------------------------------------------------------


class Sheets(DecodedBoxes):
    """The sheets that a data set asks for, as photos to be trained on that ask for them."""

    def __init__(self, asking: BoxDataset) -> None:
        shown = asking.shared
        super().__init__(shown["sheets"], list(shown["sheet_boxes"]), list(shown["sheet_marks"]))
        self.classes, self.shared = asking.classes, shown


def told_where(model: Any, box: Sequence[float]) -> Callable[[torch.Tensor], Any]:
    """What finds nothing but the mark in a box."""

    def found(images: torch.Tensor) -> tuple[Found, torch.Tensor]:
        boxes = torch.tensor(box).expand(len(images), 1, 4)
        sure, first = torch.full(boxes.shape[:2], 0.9), torch.zeros(boxes.shape[:2]).long()
        return Found(boxes, sure, first), model.embedded(model.pyramid(images), boxes)

    return found


def test_clean_marks_are_given_their_own_names(marks: Path, tmp_path: Path) -> None:
    """Also when they are asked for in another order, and one of them is not asked for."""
    data = OpenSetData(find=str(marks), size=192)
    seen = Sheets(data.inputs(str(photo(tmp_path / "all.png", *SHAPES))))
    options: dict[str, Any] = {"augment": {"zoom": [0.6, 1.1]}, "calibration": False}
    trainer = fit(
        tmp_path / "run", task=partial(OpenSetDetection, model=MODEL, schema=SCHEMA, **options),
        train=seen, validation=seen, epochs=80, eval_every=1000, batch_size=6, monitor="last",
    )  # fmt: skip
    task = trainer.task
    task.model.found = told_where(task.model, [58.0, 58, 135, 135])
    for names in (list(SHAPES), ["Stairs", "Cross", "Hook"]):
        folder = tmp_path / f"marks of {len(names)}"
        folder.mkdir()
        for place, name in enumerate(names):
            shape(name).save(folder / f"{9 - place} {name}.png")
        for name in names:
            source = str(photo(tmp_path / f"{name}.png", name))
            asking = task.encode(OpenSetData(find=str(folder), size=192).inputs(source))
            found = predict_all(task, asking, batch_size=1, device=CPU)
            assert asking.classes[int(found["labels"][0, 0])].partition(" ")[2] == name
            assert task.rows(found, asking)[0]["label"].partition(" ")[2] == name


def test_marks_are_looked_at_once_and_forgotten_with_the_weights(marks: Path) -> None:
    data = OpenSetData(find=str(marks), size=64)
    task = OpenSetDetection(model=MODEL, schema=SCHEMA).eval()
    batch = Sheets(data.inputs(str(marks / "Cross.png"))).__getitems__([0, 1])
    looked, known = [], task.model.known

    def look(*arguments: Any) -> torch.Tensor:
        looked.append(arguments)
        found: torch.Tensor = known(*arguments)
        return found

    task.model.known = look
    with torch.no_grad():
        for _ in range(3):
            task.predict(batch)
        assert len(looked) == 1
        first = task.predict(batch)["nearest"]
        task.model.embedding[-1].weight.neg_()
        task.eval()
        assert not task.predict(batch)["nearest"].equal(first)
        assert len(looked) == 2
        task.predict(batch | {"sheets": batch["sheets"].flip(3)})
        assert len(looked) == 3


# -- scores -----------------------------------------------------------------------------------


def test_certainty_is_a_softmax_with_a_place_for_none() -> None:
    near, scale, none = torch.rand(2, 3, 4).sort(descending=True).values, 9.0, 0.4
    logits = torch.cat([near, torch.full((2, 3, 1), none)], 2) * scale
    share = certainty(near, torch.tensor(scale), torch.tensor(none)).sigmoid()
    torch.testing.assert_close(share, logits.softmax(2)[..., 0])
    alone = certainty(near[..., :1], torch.tensor(scale), torch.tensor(none))
    torch.testing.assert_close(alone, scale * (near[..., 0] - none))


def test_the_nearest_of_a_brands_marks_counts() -> None:
    cosines = torch.tensor([[[0.1, 0.9, 0.3, -0.5]]])
    found = by_brand(cosines, torch.tensor([0, 0, 1, 2]))
    torch.testing.assert_close(found, torch.tensor([[[0.9, 0.3, -0.5]]]))


def found_and_there(number: int = 40) -> tuple[dict[str, torch.Tensor], DecodedBoxes]:
    """Detections of two brands that are right where the cosine is above .6."""
    generator = torch.Generator().manual_seed(0)
    box = torch.tensor([[10.0, 10, 30, 30]])
    near = torch.rand(number, 1, 2, generator=generator).sort(dim=2, descending=True).values
    near[..., 1] = -1.0
    labels = torch.arange(number)[:, None] % 2
    right = near[:, 0, 0] > 0.6
    real = [label if hit else 1 - label for label, hit in zip(labels, right, strict=True)]
    photos = torch.zeros(number, 3, 32, 32, dtype=torch.uint8)
    found = {"boxes": box.expand(number, 1, 4), "labels": labels, "nearest": near}
    found |= {"scores": torch.rand(number, 1), "sureness": torch.full((number, 1), 0.9)}
    return found, DecodedBoxes(photos, [box] * number, real)


def test_calibration_finds_the_cosine_of_none_whatever_was_found_before() -> None:
    found, photos = found_and_there()
    assert hits(found, photos)[:, 0].equal(found["nearest"][:, 0, 0] > 0.6)
    task = OpenSetDetection(model=MODEL, schema=SCHEMA)
    results = []
    for _ in range(2):
        assert task.calibrate(found, photos)
        results.append((float(task.scale), float(task.none), float(task.threshold)))
    assert results[0] == results[1]
    scale, none, threshold = results[0]
    assert scale == 40.0  # as steep as it may be
    assert none == pytest.approx(0.6, abs=0.05)
    assert 0.2 < threshold < 0.8


def test_matching_tells_finding_from_naming() -> None:
    metric = Matching()
    square, far = [0.0, 0, 10, 10], [50.0, 50, 60, 60]
    found = {
        "boxes": torch.tensor([[square, [0, 0, 10, 9], far], [square] * 3]),
        "labels": torch.tensor([[1, 0, 0], [-1, -1, -1]]),
    }
    true = {
        "boxes": torch.tensor([[square, [20, 20, 30, 30]], [far, [0, 0, 0, 0]]]),
        "labels": torch.tensor([[1, 0], [0, -1]]),
    }
    metric.update(found, true)
    found["labels"][0] = torch.tensor([0, 1, 0])
    metric.update({k: v[:1] for k, v in found.items()}, {k: v[:1] for k, v in true.items()})
    result = metric.compute()
    assert float(result["recall_any_class"]) == pytest.approx(2 / 5)
    assert float(result["class_accuracy"]) == pytest.approx(1 / 2)
