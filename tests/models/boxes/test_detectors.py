"""Detectors: assignment and suppression against written-out references, and what they learn."""

from __future__ import annotations

import math

import pytest
import torch
from torchvision.ops import box_iou, nms

from marketorch.errors import ConfigError
from marketorch.models.boxes.assignment import assign
from marketorch.models.boxes.compact_detector import (
    CompactDetector,
    grid_points,
    suppressed,
    varifocal_loss,
)
from marketorch.models.boxes.torchvision_detector import TorchvisionDetector

TINY = {"widths": (8, 8, 16, 16), "depth": (1, 1, 1), "neck": 16}


def boxes(number: int, side: int = 96) -> torch.Tensor:
    corner = torch.rand(number, 2) * side * 0.6
    return torch.cat([corner, corner + 8 + torch.rand(number, 2) * side * 0.4], 1)


def test_assignment_is_what_a_loop_over_boxes_gives() -> None:
    torch.manual_seed(0)
    points = grid_points(96, (8, 16, 32), torch.device("cpu"))
    scores, predicted = torch.rand(1, len(points), 3), boxes(len(points))[None]
    real, labels = boxes(4)[None], torch.tensor([[0, 2, 2, -1]])
    found = assign(scores, predicted, points, real, labels, top=5)
    overlap = box_iou(real[0], predicted[0])
    owner: dict[int, tuple[float, int]] = {}
    fits = {}
    for box in range(3):
        x1, y1, x2, y2 = real[0, box]
        x, y = points.unbind(1)
        inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)
        fit = scores[0, :, labels[0, box]] * overlap[box] ** 6 * inside
        fits[box] = fit
        for point in fit.argsort(descending=True)[:5].tolist():
            if inside[point] and float(overlap[box, point]) > owner.get(point, (-1.0, 0))[0]:
                owner[point] = (float(overlap[box, point]), box)
    assert set(found.positive[0].nonzero()[:, 0].tolist()) == set(owner)
    for point, (_, box) in owner.items():
        own = [p for p, (_, b) in owner.items() if b == box]
        peak = max(float(fits[box][p]) for p in own)
        reach = max(float(overlap[box, p]) for p in own)
        expected = float(fits[box][point]) / peak * reach
        assert float(found.scores[0, point, labels[0, box]]) == pytest.approx(expected, rel=1e-4)
        assert torch.equal(found.boxes[0, point], real[0, box])
    assert int((found.scores > 0).sum()) <= len(owner)


def test_boxes_reach_from_their_points_to_four_sides() -> None:
    torch.manual_seed(0)
    model = CompactDetector(num_classes=2, **TINY).eval()
    for head in (model.score_head, model.box_head):
        torch.nn.init.normal_(head.weight)
    raw: dict[str, list[torch.Tensor]] = {"scores": [], "reaches": []}
    model.score_head.register_forward_hook(lambda _, __, out: raw["scores"].append(out[0]))
    model.box_head.register_forward_hook(lambda _, __, out: raw["reaches"].append(out[0]))
    logits, found = model(torch.rand(1, 3, 64, 64))
    expected, scores = [], []
    for score, reach, stride in zip(raw["scores"], raw["reaches"], (8, 16, 32), strict=True):
        for row in range(64 // stride):
            for column in range(64 // stride):
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                values = reach[:, row, column].tolist()
                left, up, right, down = (2 * stride * math.log1p(math.exp(v)) for v in values)
                expected.append([x - left, y - up, x + right, y + down])
                scores.append(score[:, row, column])
    torch.testing.assert_close(found[0], torch.tensor(expected))
    assert logits[0].equal(torch.stack(scores))


def giou(one: list[float], other: list[float]) -> float:
    """Generalised IoU of two boxes (Rezatofighi et al. 2019)."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    common = max(across, 0) * max(down, 0)
    union = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other)) - common
    hull = max(one[2], other[2]) - min(one[0], other[0])
    hull *= max(one[3], other[3]) - min(one[1], other[1])
    return common / union - (hull - union) / hull


def test_the_loss_is_what_a_loop_over_points_gives() -> None:
    torch.manual_seed(0)
    model = CompactDetector(num_classes=3, **TINY, box_weight=1.5).eval()
    images, real = torch.rand(2, 3, 96, 96), torch.stack([boxes(3), boxes(3)])
    labels = torch.tensor([[0, 2, -1], [1, -1, -1]])
    loss, weight = model.losses(images, real, labels)
    logits, predicted = model(images)
    points = grid_points(96, (8, 16, 32), torch.device("cpu"))
    task = assign(logits.sigmoid(), predicted, points, real, labels)
    expected = total = 0.0
    for image in range(2):
        for point in range(len(points)):
            targets = task.scores[image, point].tolist()
            for logit, target in zip(logits[image, point].tolist(), targets, strict=True):
                share = 1 / (1 + math.exp(-logit))
                entropy = -target * math.log(share) - (1 - target) * math.log(1 - share)
                expected += (target or 0.75 * share**2) * entropy
            apart = 1 - giou(predicted[image, point].tolist(), task.boxes[image, point].tolist())
            expected += 1.5 * sum(targets) * apart if sum(targets) else 0.0
            total += sum(targets)
    assert total > 1
    assert float(weight) == pytest.approx(total, rel=1e-5)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_photos_without_boxes_teach_that_nothing_is_there() -> None:
    model = CompactDetector(num_classes=2, **TINY)
    empty = torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.long)
    padded = torch.zeros(2, 1, 4), torch.full((2, 1), -1)
    images = torch.rand(2, 3, 64, 64)
    for there in (empty, padded):
        loss, weight = model.losses(images, *there)
        loss.backward()
        assert torch.isfinite(loss)
        assert float(weight) == 1.0


def test_suppression_is_torchvisions_class_by_class() -> None:
    torch.manual_seed(1)
    candidates, scores = boxes(40)[None].repeat(2, 1, 1), torch.rand(2, 40, 2)
    found = suppressed(candidates, scores, 0.5, 100)
    for image in range(2):
        for label in range(2):
            kept = nms(candidates[image], scores[image, :, label], 0.5)
            own = found.labels[image] == label
            torch.testing.assert_close(found.scores[image][own], scores[image, kept, label])
            torch.testing.assert_close(found.boxes[image][own], candidates[image, kept])
    assert (found.scores[:, :-1] >= found.scores[:, 1:]).all()
    fewer = suppressed(candidates, scores, 0.5, 7)
    assert all(few.equal(every[:, :7]) for few, every in zip(fewer, found, strict=True))


def test_the_varifocal_loss_is_the_formula() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(5, 3), torch.rand(5, 3) * (torch.rand(5, 3) < 0.5)
    share = logits.sigmoid()
    there = -targets * (targets * share.log() + (1 - targets) * (1 - share).log())
    absent = -0.75 * share**2 * (1 - share).log()
    expected = torch.where(targets > 0, there, absent).sum()
    torch.testing.assert_close(varifocal_loss(logits, targets), expected)


def test_it_finds_what_it_was_shown() -> None:
    """A red and a blue square: learnt by heart in a few steps, place and class."""
    torch.manual_seed(0)
    images = torch.full((2, 3, 64, 64), 0.5)
    images[0, :, 8:40, 8:40] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    images[1, :, 24:56, 16:48] = torch.tensor([0.0, 0.0, 1.0])[:, None, None]
    there = torch.tensor([[[8.0, 8, 40, 40]], [[16.0, 24, 48, 56]]]), torch.tensor([[0], [1]])
    model = CompactDetector(num_classes=2, **TINY)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(120):
        loss, weight = model.losses(images, *there)
        optimizer.zero_grad()
        (loss / weight).backward()
        optimizer.step()
    found = model.eval().detections(images)
    assert found.labels[:, 0].tolist() == [0, 1]
    overlap = box_iou(found.boxes[:, 0], there[0][:, 0]).diagonal()
    assert overlap.min() > 0.8
    assert found.scores[:, 0].min() > 0.5


def test_torchvisions_detectors_speak_the_same_language() -> None:
    model = TorchvisionDetector(num_classes=3, num_detections=7)
    images = torch.rand(2, 3, 320, 320)
    there = torch.tensor([[[8.0, 8, 200, 240]], [[0.0, 0, 0, 0]]]), torch.tensor([[2], [-1]])
    nothing = torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.long)
    for known in (there, nothing):
        loss, weight = model.losses(images, *known)
        assert torch.isfinite(loss)
        assert float(weight) == 2.0
    loss.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    found = model.eval().detections(images)
    assert found.boxes.shape == (2, 7, 4)
    assert int(found.labels.max()) < 3
    with pytest.raises(ConfigError, match="Did you mean 'ssdlite320_mobilenet_v3_large'"):
        TorchvisionDetector(num_classes=3, name="ssdlite320_mobilenet_v3")
