"""Changes of photos with boxes: what is painted into a box is where the changed box says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from marketorch.data.boxes.augmentation import SMALLEST, BoxAugmentation

SIDE = 128
SHADES = torch.tensor([0.55, 0.7, 0.85, 1.0])  # of the classes; what is around a photo is .45


def painted(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Black photos with a box of a class each, in the shade of the class."""
    corner = 8 + 50 * torch.rand(number, 1, 2)
    boxes = torch.cat([corner, corner + 20 + 40 * torch.rand(number, 1, 2)], 2).round()
    labels, images = torch.arange(number)[:, None] % 4, torch.zeros(number, 3, SIDE, SIDE)
    for place, (x1, y1, x2, y2) in enumerate(boxes[:, 0].long().tolist()):
        images[place, :, y1:y2, x1:x2] = SHADES[labels[place, 0]]
    return images, boxes, labels


def extent(mask: Tensor) -> list[int]:
    """The box around what is set."""
    rows, columns = (mask.any(axis).nonzero()[:, 0] for axis in (1, 0))
    return [int(n) for n in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]


CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "smaller": {"zoom": (0.5, 0.8)},
    "larger": {"zoom": (1.3, 2.5), "visible": 0.0},
    "stretched": {"stretch": 0.5, "zoom": (0.7, 1.4), "visible": 0.0},
    "mirrored": {"flip": 1.0, "zoom": (0.7, 1.4), "visible": 0.0},
    "turned": {"rotate": 20, "flip": 0.5, "zoom": (0.6, 1.0), "stretch": 0.3, "visible": 0.999},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_box_is_around_what_is_left_of_the_painted_one(change: str) -> None:
    torch.manual_seed(0)
    images, boxes, labels = painted(40)
    varied, moved, kept = BoxAugmentation(**CHANGES[change])(images, boxes, labels)
    assert varied.shape == images.shape
    assert moved.shape == boxes.shape
    there = kept[:, 0] >= 0
    assert there.sum() > 20
    assert kept[there].equal(labels[there])
    assert not moved[~there].any()
    for place in there.nonzero()[:, 0]:
        # The edge is blurred: half of the shade, but more than what is around the photo.
        found = extent(varied[place, 0] > max(float(SHADES[labels[place]]) / 2, 0.5))
        assert found == pytest.approx(moved[place, 0].tolist(), abs=1.6)


def test_what_leaves_the_photo_loses_its_box() -> None:
    """Kept are the boxes of which enough is left: as much as is painted."""
    torch.manual_seed(0)
    images, boxes, labels = painted(200)
    change = BoxAugmentation(zoom=(2.0, 2.0), visible=0.4)
    varied, _, kept = change(images, boxes, labels)
    area = (boxes[:, 0, 2:] - boxes[:, 0, :2]).prod(1) * 4
    left = (varied[:, 0] > 0.5 * SHADES[labels[:, 0]][:, None, None]).sum((1, 2)) / area
    clear = (left - 0.4).abs() > 0.05  # edges are blurred
    assert (kept[:, 0] >= 0)[clear].equal((left > 0.4)[clear])
    assert 20 < int((kept >= 0).sum()) < 180
    sliver = torch.tensor([[[0.0, 0, SMALLEST - 1, 100]]])
    _, _, none = change(images[:1], sliver, labels[:1])
    assert none.tolist() == [[-1]]


def test_a_mosaic_has_the_boxes_of_its_four_photos() -> None:
    torch.manual_seed(0)
    images, boxes, labels = painted(12)
    change = BoxAugmentation(mosaic=0.5, mosaic_zoom=(0.5, 0.9), visible=0.0)
    varied, moved, kept = change(images, boxes, labels)
    assert varied.shape == images.shape
    assert kept.shape == (12, 4)
    assert (kept[:6] >= 0).sum() > 12
    for place in range(6):
        image, own = varied[place, 0], kept[place] >= 0
        for (x1, y1, x2, y2), label in zip(
            moved[place, own].round().long().tolist(), kept[place, own], strict=True
        ):
            inside = image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
            torch.testing.assert_close(inside, SHADES[label].expand_as(inside), atol=0.02, rtol=0)
            image[max(y1 - 2, 0) : y2 + 2, max(x1 - 2, 0) : x2 + 2] = 0
        # Nothing is painted where no box is, but for slivers at the edge.
        assert image[4:-4, 4:-4].max() < 0.1
    assert varied[6:].equal(images[6:])  # the other half is as it was
    assert moved[6:, :1].equal(boxes[6:])
    assert kept[6:].tolist() == [[i % 4, -1, -1, -1] for i in range(6, 12)]


def test_photos_without_boxes_are_changed_all_the_same() -> None:
    images = torch.rand(3, 3, 32, 32)
    nothing = torch.zeros(3, 0, 4), torch.zeros(3, 0, dtype=torch.long)
    change = BoxAugmentation(mosaic=0.5, zoom=(0.5, 2.0), rotate=5, flip=0.5, brightness=0.2)
    varied, boxes, labels = change(images, *nothing)
    assert varied.isfinite().all()
    assert not varied.equal(images)
    assert (boxes.shape, labels.shape) == ((3, 0, 4), (3, 0))
