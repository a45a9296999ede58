"""The sceptics of detection: counted boxes, and keypoints of planted marks, also from a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from marketorch.data.boxes.dataset import DecodedBoxes
from marketorch.data.scenes.source import SceneData
from marketorch.engine import checkpoint
from marketorch.engine.task import prepare
from marketorch.models.boxes.average_box import AverageBox, examples
from marketorch.models.boxes.keypoint_matcher import KeypointMatcher
from marketorch.tasks.detection import Detection

SIDE, MARK = 192, 72  # pixels


def texture(seed: int, side: int, cells: int) -> np.ndarray:
    """Blobs of random shades ``(side, side)`` uint8."""
    noise = np.random.default_rng(seed).integers(0, 256, (cells, cells), dtype=np.uint8)
    return cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)


def planted(
    seed: int, background: int, *, left: float, top: float, degrees: float = 0, scale: float = 1
) -> tuple[Tensor, Tensor]:
    """A photo ``(3, S, S)`` uint8 with the mark of a seed, and the box around it."""
    turn = cv2.getRotationMatrix2D((MARK / 2, MARK / 2), degrees, scale)
    turn[:, 2] += left, top
    size, mark = (SIDE, SIDE), texture(seed, MARK, 14)
    mask = cv2.warpAffine(np.ones_like(mark), turn, size)
    photo = np.where(mask, cv2.warpAffine(mark, turn, size), texture(background, SIDE, 24) // 4)
    ends = np.array([[0, 0, 1], [MARK, 0, 1], [MARK, MARK, 1], [0, MARK, 1]]) @ turn.T
    box = np.concatenate([ends.min(0), ends.max(0)]).astype(np.float32)
    return torch.from_numpy(photo.astype(np.uint8)).expand(3, -1, -1), torch.from_numpy(box)


@pytest.fixture(scope="module")
def train() -> DecodedBoxes:
    """Two marks twice each, one photo without any, and a box on bare grey."""
    places = {"left": 20, "top": 40}, {"left": 90, "top": 80}
    found = [planted(i % 2, 100 + i, **places[i // 2]) for i in range(4)]
    grey = torch.full((2, 3, SIDE, SIDE), 128, dtype=torch.uint8)
    images = torch.cat([torch.stack([image for image, _ in found]), grey])
    boxes = [box[None] for _, box in found]
    boxes += [torch.zeros(0, 4), torch.tensor([[10.0, 10, 60, 50]])]
    labels = [torch.tensor([i % 2]) for i in range(4)]
    labels += [torch.zeros(0, dtype=torch.int64), torch.tensor([2])]
    return DecodedBoxes(images, boxes, labels)


@pytest.fixture(scope="module")
def matcher(train: DecodedBoxes) -> KeypointMatcher:
    model = KeypointMatcher(num_classes=3, num_detections=7)
    model.fit(train)
    return model


def test_average_boxes_are_means_and_shares() -> None:
    boxes = [[[0, 0, 10, 20], [20, 20, 40, 30]], [[10, 10, 30, 40]], [[40, 0, 50, 50]], []]
    labels = [[1, 1], [1], [2], []]
    train = DecodedBoxes(
        torch.zeros(4, 3, 100, 100, dtype=torch.uint8),
        [torch.tensor(own).float().reshape(-1, 4) for own in boxes],
        [torch.tensor(own, dtype=torch.int64) for own in labels],
    )
    model = AverageBox(num_classes=3)
    model.fit(train)
    found = model.detections(torch.rand(2, 3, 50, 50))
    expected = torch.tensor([[5.0, 5, 40 / 3, 15], [20.0, 0, 25, 25], [0, 0, 0, 0]])
    for image in range(2):
        torch.testing.assert_close(found.boxes[image], expected)
        assert found.scores[image].tolist() == [0.5, 0.25, 0.0]  # of four photos
        assert found.labels[image].tolist() == [1, 2, -1]


def test_scenes_are_drawn_the_same_each_time() -> None:
    train = SceneData(num_train=40, num_validation=0, num_test=0, size=64).split("train")
    one, other = (list(examples(train, 20)) for _ in range(2))
    assert [len(batch["images"]) for batch in one] == [16, 4]
    assert all(torch.equal(a["images"], b["images"]) for a, b in zip(one, other, strict=True))
    assert len(torch.cat([batch["index"] for batch in one]).unique()) == 20


@pytest.mark.parametrize("mark", [0, 1])
@pytest.mark.parametrize(("degrees", "scale"), [(0, 1), (0, 1.3), (40, 1), (-100, 0.8)])
def test_a_mark_is_found_moved_turned_and_scaled(
    matcher: KeypointMatcher, mark: int, degrees: float, scale: float
) -> None:
    photo, box = planted(mark, 7, left=55, top=60, degrees=degrees, scale=scale)
    found = matcher.detections(photo[None] / 255)
    assert found.labels[0, 0] == mark
    assert box_iou(found.boxes[0, :1], box[None]) > 0.7
    assert found.scores[0, 0] > 0.5
    assert (found.labels[0, 1:] == -1).all() or found.scores[0, 1] < 0.5


def test_two_of_a_class_are_two_detections(matcher: KeypointMatcher) -> None:
    one, first = planted(0, 7, left=5, top=5)
    other, second = planted(0, 7, left=110, top=100)
    photo = torch.where(torch.arange(SIDE)[:, None] < 90, one, other)
    found = matcher.detections(photo[None] / 255)
    assert found.labels[0, :2].tolist() == [0, 0]
    assert box_iou(found.boxes[0, :2], torch.stack([first, second])).amax(0).min() > 0.8


def test_nothing_is_found_in_noise_or_on_a_flat_wall(matcher: KeypointMatcher) -> None:
    noise = torch.from_numpy(texture(50, SIDE, 60)).expand(3, -1, -1) / 255
    found = matcher.detections(torch.stack([noise, torch.full_like(noise, 0.5)]))
    assert found.scores.max() < 0.3
    assert found.boxes.shape == (2, 7, 4)
    assert (found.labels[1] == -1).all()


def test_without_any_keypoints_nothing_is_found() -> None:
    grey = torch.full((2, 3, 64, 64), 128, dtype=torch.uint8)
    boxes, labels = [torch.tensor([[8.0, 8, 40, 40]])] * 2, [torch.tensor([0])] * 2
    model = KeypointMatcher(num_classes=2)
    photo = planted(0, 7, left=55, top=60)[0][None] / 255
    assert (model.detections(photo).labels == -1).all()  # nor before it is fitted
    model.fit(DecodedBoxes(grey, boxes, labels))
    assert (model.detections(photo).labels == -1).all()


def test_larger_photos_have_their_boxes_in_the_same_pixels(train: DecodedBoxes) -> None:
    model = KeypointMatcher(num_classes=3, scale=2, per_box=50, per_background=20)
    model.fit(train)
    photo, box = planted(1, 7, left=30, top=60, degrees=20)
    found = model.detections(photo[None] / 255)
    assert found.labels[0, 0] == 1
    assert box_iou(found.boxes[0, :1], box[None]) > 0.8
    assert int(model.counts[:3].max()) == 100
    assert int(model.counts[3]) <= 6 * 20


@pytest.mark.parametrize("model", [AverageBox, partial(KeypointMatcher, num_detections=5)])
def test_a_checkpoint_finds_the_same(tmp_path: Path, train: DecodedBoxes, model: type) -> None:
    schema = {"classes": ["a", "b", "c"]}
    task = Detection(model=model, schema=schema)
    prepare(task, train)
    checkpoint.save_best(tmp_path, task, {"schema": schema})
    state, _ = checkpoint.load_best(tmp_path / checkpoint.BEST)
    again = Detection(model=model, schema=schema)
    again.load_state_dict(state)
    batch = {"images": train.images, "index": torch.arange(len(train))}
    with torch.autocast("cpu", torch.bfloat16):
        one, other = task.predict(batch), again.predict(batch)
    assert (one["labels"][:4, 0] >= 0).all()
    for name, values in one.items():
        assert torch.equal(values, other[name]), name
