"""Detection end to end on drawn squares: learnt, measured, resumed in photo pixels, drawn."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from drawings import squares
from toy import fit

from marketorch.data.boxes.source import DetectionData
from marketorch.engine.evaluation import evaluate, predict_all
from marketorch.metrics.detection import MeanAP, Presence, best_threshold, matched
from marketorch.models.boxes.compact_detector import CompactDetector
from marketorch.tasks.detection import NOTHING, Detection

MODEL = partial(CompactDetector, widths=(8, 8, 16, 16), depth=(1, 1, 1), neck=16)


@pytest.fixture
def data(tmp_path: Path) -> DetectionData:
    file = str(squares(tmp_path / "photos.json"))
    return DetectionData(path=file, validation=file, test_fraction=0.0, size=64)


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
    first = next(row for row in rows if row["image"].endswith("/6.png"))
    assert first["label"] == "red"
    assert [first[k] for k in ("x1", "y1", "x2", "y2")] == pytest.approx([8, 12, 56, 60], abs=8)
    drawn = trainer.task.figures(predictions, train, tmp_path)
    assert {path.name for path in drawn} >= {
        "precision_recall.png",
        "share_of_voice.png",
        "found.png",
    }


@pytest.mark.parametrize(
    ("bias", "annotated"),  # of the scores: as before training, and so that nothing is found
    [(-4.6, True), (-1e9, True), (-1e9, False)],
)
def test_where_nothing_counts_metrics_are_zero_and_pictures_are_drawn(
    tmp_path: Path, data: DetectionData, bias: float, annotated: bool
) -> None:
    train = data.split("train")
    if not annotated:
        train.boxes = [torch.zeros(0, 4) for _ in train.boxes]
        train.labels = [torch.zeros(0, dtype=torch.int64) for _ in train.boxes]
    task = Detection(model=partial(MODEL, num_detections=9), schema=data.schema).eval()
    torch.nn.init.constant_(task.model.score_head.bias, bias)
    task.threshold.fill_(1.0)
    loop = {"batch_size": 3, "device": torch.device("cpu")}
    metrics = evaluate(task, train, **loop)
    assert metrics["f1_presence"] == 0
    assert metrics["share_of_voice_error"] == pytest.approx(0.5 if annotated else 0)
    if bias == -1e9:
        precisions = [metrics["map"], metrics["map_50"], metrics["map_75"]]
        assert precisions == pytest.approx([0 if annotated else math.nan] * 3, nan_ok=True)
    predictions = predict_all(task, train, **loop)
    names = {"precision_recall.png", "share_of_voice.png"} | (
        {"missed.png"} if annotated else set()
    )
    assert {path.name for path in task.figures(predictions, train, tmp_path)} == names
    assert {row["label"] for row in task.rows(predictions, train)} == {NOTHING}
    assert task.calibrate(predictions, train)
    assert task.threshold > 0


@pytest.mark.parametrize("number", [0, 2])
def test_a_batch_without_any_box_is_trained_on(number: int) -> None:
    """Also where boxes are padding."""
    torch.manual_seed(0)
    augment = {"mosaic": 0.5, "zoom": [0.5, 1.5], "rotate": 5, "contrast": 0.2}
    task = Detection(model=MODEL, schema={"classes": ["red", "blue"]}, augment=augment)
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    boxes, labels = torch.zeros(4, number, 4), torch.full((4, number), -1)
    step = task({"images": images, "boxes": boxes, "labels": labels})
    (step.loss_sum / step.weight).backward()
    assert torch.isfinite(step.loss_sum)
    assert step.loss_sum > 0
    for name, parameter in task.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_a_photo_without_a_detection_is_an_answer(data: DetectionData) -> None:
    train = data.split("train")
    task = Detection(model=MODEL, schema=data.schema).eval()
    task.threshold.fill_(2.0)
    predictions = predict_all(task, train, batch_size=4, device=torch.device("cpu"))
    assert {row["label"] for row in task.rows(predictions, train)} == {NOTHING}


def test_a_threshold_has_the_best_f1_of_all() -> None:
    torch.manual_seed(0)
    surest, there = torch.rand(30, 3), torch.rand(30, 3) > 0.6

    def f1(threshold: float) -> float:
        told = surest >= threshold
        return float(2 * (told & there).sum() / (told.sum() + there.sum()))

    best = f1(float(best_threshold(surest, there)))
    assert best == pytest.approx(max(f1(float(t)) for t in surest.flatten()), abs=1e-9)


def test_what_was_not_found_is_not_told() -> None:
    """A score of 0 says that there is no detection, whatever F1 telling it would give."""
    there = torch.tensor([[False, True], [False, True]])
    assert 0 < best_threshold(torch.tensor([[0.2, 0.0], [0.1, 0.0]]), there) <= 0.2
    assert best_threshold(torch.zeros(2, 2), there) > 0
    assert 0 < best_threshold(torch.tensor([[0.0, 0.3], [0.0, 0.2]]), there) <= 0.2


def test_precision_is_averaged_as_by_hand() -> None:
    """Two photos; a is found, found elsewhere, and found with an IoU of .62; b never; c is not."""
    metric, none = MeanAP(["a", "b", "c"]), [0.0, 0, 0, 0]
    square, elsewhere, part = [0.0, 0, 10, 10], [20.0, 20, 30, 30], [0.0, 0, 10, 6.2]
    for photo, (boxes, scores, labels, true, classes) in enumerate(
        (
            ([square, none], [0.9, 0.0], [0, -1], [square, none], [0, -1]),
            ([elsewhere, part, square], [0.8, 0.7, 0.6], [0, 0, 2], [square, elsewhere], [0, 1]),
        )
    ):
        found = {"boxes": [boxes], "scores": [scores], "labels": [labels]}
        metric.update(
            {name: torch.tensor(values) for name, values in found.items()},
            {"boxes": torch.tensor([true]), "labels": torch.tensor([classes])},
            torch.tensor([photo]),
        )
    # Recall 1/2 at precision 1, then, up to an IoU of .6, recall 1 at precision 2/3: COCO's 101
    # points of recall, 0 to .5 and .51 to 1.
    half, whole = 51 / 101, (51 + 50 * 2 / 3) / 101
    mean = (3 * whole + 7 * half) / 10
    expected = {"map": mean / 2, "map_50": whole / 2, "map_75": half / 2, "ap/a": mean, "ap/b": 0}
    assert {k: float(v) for k, v in metric.compute().items()} == pytest.approx(expected, abs=1e-6)


def test_precision_does_not_depend_on_the_order_of_photos() -> None:
    """Where many scores are equal, as those of a detector that has learnt nothing."""
    torch.manual_seed(0)
    boxes = torch.rand(12, 3, 2, 2).sort(2).values.flatten(2) * 64
    labels = torch.zeros(12, 3, dtype=torch.int64)
    found = {"boxes": boxes, "scores": torch.full((12, 3), 0.5), "labels": labels}
    true = {"boxes": boxes[:, :1], "labels": (torch.arange(12) % 2 - 1)[:, None]}
    measured = []
    order = torch.arange(12)
    for parts in ([order], [order[::2], order[1::2]], order.flip(0).split(1)):
        metric = MeanAP(["a"])
        for part in parts:
            own = ({name: v[part] for name, v in values.items()} for values in (found, true))
            metric.update(*own, part)
        measured.append(metric.compute())
    assert 0 < measured[0]["map"] < 1
    assert measured[0] == measured[1] == measured[2]


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
