"""Detection end to end on drawn squares: learnt, measured, resumed in photo pixels, drawn."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from toy import fit

from marketorch.data.box_augmentation import BoxAugmentation
from marketorch.data.detection import DetectionData
from marketorch.engine.evaluation import evaluate, predict_all
from marketorch.models.compact_detector import CompactDetector
from marketorch.tasks.detection import NOTHING, Detection
from marketorch.tasks.detection_metrics import Presence, best_threshold, matched

MODEL = partial(CompactDetector, widths=(8, 8, 16, 16), depth=(1, 1, 1), neck=16)
COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220)}


def photos(folder: Path, number: int = 8) -> Path:
    """Grey photos of 128 × 96 with a coloured square each, and their COCO file."""
    folder.mkdir()
    images, annotations = [], []
    for i in range(number):
        name = ["red", "blue"][i % 2]
        left, top, side = 8 * (i % 5), 6 * (i % 4), 48
        picture = Image.new("RGB", (128, 96), (128, 128, 128))
        picture.paste(COLOURS[name], (left, top, left + side, top + side))
        picture.save(folder / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 128, "height": 96})
        box = {"bbox": [left, top, side, side], "area": side**2, "iscrowd": 0}
        annotations.append({"id": i, "image_id": i, "category_id": i % 2 + 1} | box)
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(["red", "blue"])]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(whole))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> DetectionData:
    file = str(photos(tmp_path / "photos") / "instances.json")
    options = {"images": str(tmp_path / "photos"), "validation": file, "test_fraction": 0.0}
    return DetectionData(path=file, size=64, **options)  # type: ignore[arg-type]


def test_eight_photos_are_learnt_measured_and_answered(tmp_path: Path, data: DetectionData) -> None:
    train = data.split("train")
    task = partial(Detection, model=MODEL, schema=data.schema)
    trainer = fit(
        tmp_path / "run", task=task, train=train, validation=train, epochs=120, eval_every=120,
        batch_size=8, ema_decay=0.0,
    )  # fmt: skip
    loop = {"batch_size": 3, "device": torch.device("cpu")}
    metrics = evaluate(trainer.task, train, **loop)
    assert metrics["map_50"] > 0.9
    assert metrics["f1_presence"] == 1.0
    assert metrics["share_of_voice_error"] == pytest.approx(0, abs=0.2)
    predictions = predict_all(trainer.task, train, **loop)
    rows = trainer.task.rows(predictions, train)
    first = next(row for row in rows if row["image"].endswith("6.png"))
    assert first["label"] == "red"
    assert [first[k] for k in ("x1", "y1", "x2", "y2")] == pytest.approx([8, 12, 56, 60], abs=8)
    drawn = trainer.task.figures(predictions, train, tmp_path)
    assert {path.name for path in drawn} >= {
        "precision_recall.png",
        "share_of_voice.png",
        "found.png",
    }


def test_a_photo_without_a_detection_is_an_answer(data: DetectionData) -> None:
    train = data.split("train")
    task = Detection(model=MODEL, schema=data.schema).eval()
    task.threshold.fill_(2.0)
    predictions = predict_all(task, train, batch_size=4, device=torch.device("cpu"))
    assert {row["label"] for row in task.rows(predictions, train)} == {NOTHING}


def test_boxes_follow_the_photo() -> None:
    """A white square on black is where its box says after every change."""
    torch.manual_seed(0)
    images = torch.zeros(16, 3, 96, 96)
    images[:, :, 30:60, 20:70] = 1.0
    boxes = torch.tensor([[[20.0, 30, 70, 60]]]).repeat(16, 1, 1)
    change = BoxAugmentation(flip=0.5, zoom=(0.5, 1.5), stretch=0.2, mosaic=0.5, visible=0.99)
    varied, moved, labels = change(images, boxes, torch.zeros(16, 1, dtype=torch.long))
    seen = 0
    for image, own, kept in zip(varied, moved, labels >= 0, strict=True):
        for x1, y1, x2, y2 in own[kept].round().long().tolist():
            seen += 1
            assert image[0, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].min() > 0.9
            around = image[0, max(y1 - 3, 0) : y1 - 2, x1:x2], image[0, y2 + 2 : y2 + 3, x1:x2]
            assert all(edge.max() < 0.6 for edge in around if edge.numel())
    assert seen > 16


def test_a_threshold_has_the_best_f1_of_all() -> None:
    torch.manual_seed(0)
    surest, there = torch.rand(30, 3), torch.rand(30, 3) > 0.6

    def f1(threshold: float) -> float:
        told = surest >= threshold
        return float(2 * (told & there).sum() / (told.sum() + there.sum()))

    best = f1(float(best_threshold(surest, there)))
    assert best == pytest.approx(max(f1(float(t)) for t in surest.flatten()), abs=1e-9)


def test_a_box_is_found_once_by_the_surest() -> None:
    square = torch.tensor([[0.0, 0, 10, 10]])
    found = {
        "boxes": square.repeat(3, 1)[None],
        "scores": torch.tensor([[0.9, 0.8, 0.7]]),
        "labels": torch.tensor([[1, 0, 0]]),
    }
    right = matched(found, [(square, torch.tensor([0]))])
    assert right.tolist() == [[False, True, False]]


def test_presence_counts_photos_and_shares_count_boxes() -> None:
    metric = Presence(2, 0.5)
    found = {
        "scores": torch.tensor([[0.9, 0.8], [0.4, 0.0]]),
        "labels": torch.tensor([[0, 0], [1, -1]]),
    }
    metric.update(found, {"labels": torch.tensor([[0, -1], [1, 1]])})
    result = metric.compute()
    assert float(result["f1_presence"]) == pytest.approx(2 / 3)
    assert float(result["f1_presence_macro"]) == pytest.approx(0.5)
    assert float(result["share_of_voice_error"]) == pytest.approx(2 / 3)
