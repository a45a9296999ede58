"""How logos were found before networks: keypoints that look alike and agree on a box.

The matcher keeps the keypoints (SIFT, see `keypoints`) of the training boxes, and how its box lies
as seen from each. A point of a photo that is clearly more like one class than like any other, or
than what is around the boxes (the ratio test of Lowe 2004), votes for the boxes that its likes saw.
A detection is a box that several points agree on, whatever training photos their votes come from:
Hough voting, by which Lowe, too, verifies matches. The more points agree, the surer it is.

Shapes: B images of side S, K classes, V votes. Points are complex numbers, see `keypoints`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou, nms

from marketorch.data.boxes.dataset import BoxDataset
from marketorch.models.blocks.sized_by_data import SizedByData
from marketorch.models.boxes.average_box import examples
from marketorch.models.boxes.compact_detector import Detections
from marketorch.models.boxes.keypoints import (
    WIDTH,
    Keypoints,
    apart,
    keypoints,
    rooted,
    select_keypoints,
)

HALF_SURE = 8  # points that agree on a box of score .5; of .3, the task's threshold: 4
LEAST = 2  # points that a detection needs
SMALLEST = 8  # pixels of a side of a box that is voted for
MOST_VOTES = 2_000  # for one class in a photo


class KeypointMatcher(SizedByData):
    """Detects K classes in images ``(B, 3, S, S)`` between 0 and 1 by what training boxes show.

    Args:
        num_classes: K.
        num_photos: training photos to learn from, at most; scenes have to be drawn for it.
        per_box: keypoints that are kept of a training box, at most.
        per_background: the same of what is around the boxes of a photo.
        scale: photos are enlarged so many times first; small marks have more keypoints then.
        ratio: of the distances to the nearest class and to the next one; below it a point votes.
        iou: overlap of votes for the same box; of two detections of a class the weaker is dropped.
        num_detections: D, so many an image, padded.
    """

    sized_by_data = ("descriptors", "outlines")
    descriptors: Tensor
    outlines: Tensor
    counts: Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        num_photos: int = 1_500,
        per_box: int = 100,
        per_background: int = 50,
        scale: float = 1.0,
        ratio: float = 0.85,
        iou: float = 0.5,
        num_detections: int = 100,
    ) -> None:
        super().__init__()
        self.num_photos, self.per_box, self.per_background = num_photos, per_box, per_background
        self.scale, self.ratio, self.iou = scale, ratio, iou
        self.num_detections = num_detections
        # Class after class, the surroundings last; `counts` says how many there are of each.
        self.register_buffer("descriptors", torch.zeros(0, WIDTH, dtype=torch.uint8))
        self.register_buffer("outlines", torch.zeros(0, 4, 2))
        self.register_buffer("counts", torch.zeros(num_classes + 1, dtype=torch.int64))

    # -- fitting ------------------------------------------------------------------------------

    def fit(self, train: BoxDataset) -> None:
        """Keeps the keypoints of training boxes and of their surroundings.

        With each goes an outline, the corners of its box ``(4, 2)`` as seen from the keypoint: its
        place is the origin, and its arrow leads to (1, 0).
        """
        descriptors, outlines, labels = [self.descriptors[:0]], [self.outlines[:0]], []
        for batch in examples(train, self.num_photos):
            for photo in zip(batch["images"], batch["boxes"], batch["labels"], strict=True):
                for label, box, found in self._parts(*photo):
                    seen = (corners(box) - found.places[:, None]) / found.arrows[:, None]
                    outlines.append(torch.view_as_real(seen))
                    descriptors.append(found.descriptors)
                    labels += [label] * len(seen)
        numbers = torch.tensor(labels, dtype=torch.int64)
        order = numbers.argsort(stable=True)
        self.descriptors, self.outlines = torch.cat(descriptors)[order], torch.cat(outlines)[order]
        self.counts = torch.bincount(numbers, minlength=len(self.counts))

    def _parts(
        self, image: Tensor, boxes: Tensor, labels: Tensor
    ) -> Iterator[tuple[int, Tensor, Keypoints]]:
        """Label, box and keypoints of each box of a photo, and of what is around them."""
        found = keypoints(image, self.scale)
        x, y = found.places.real, found.places.imag
        free = torch.ones(len(x), dtype=torch.bool)
        for box, label in zip(boxes[labels >= 0], labels[labels >= 0].tolist(), strict=True):
            inside = (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])
            free &= ~inside
            yield label, box, select_keypoints(found, inside, self.per_box)
        yield (
            len(self.counts) - 1,
            torch.zeros(4),
            select_keypoints(found, free, self.per_background),
        )

    # -- prediction ---------------------------------------------------------------------------

    def detections(self, images: Tensor) -> Detections:
        """What is found in images ``(B, 3, S, S)``."""
        counts = self.counts.tolist()
        # Each part ends with zeros, as far from all descriptors as can be, so that none is empty.
        known = [F.pad(rooted(part), (0, 0, 0, 1)) for part in self.descriptors.split(counts)]
        outlines = torch.view_as_complex(self.outlines).split(counts)
        found = []
        with torch.autocast(images.device.type, enabled=False):  # ratios hang on small differences
            for image in (images.float() * 255).round().byte().cpu():
                seen = keypoints(image, self.scale)
                seen = Keypoints(*(values.to(self.counts.device) for values in seen))
                votes = self._votes(seen, known, outlines)
                found.append(self._ranked(votes, float(images.shape[-1])))
        return Detections(*map(torch.stack, zip(*found, strict=True)))

    def _votes(
        self, seen: Keypoints, known: Sequence[Tensor], outlines: Sequence[Tensor]
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Of each class that has any votes: label, outlines ``(V, 4)`` and voters ``(V,)``.

        Args:
            seen: keypoints of a photo.
            known: descriptors of each class and of the surroundings.
            outlines: theirs, as complex numbers ``(n, 4)``.
        """
        own = rooted(seen.descriptors)
        nearest = torch.stack([apart(own, part).amin(1) for part in known], 1)
        (first, second), closest = nearest.sort(1).values[:, :2].unbind(1), nearest.argmin(1)
        limits = self.ratio**2 * second
        for label, kept in enumerate(outlines[:-1]):
            voters = ((first < limits) & (closest == label)).nonzero()[:, 0]
            near = apart(own[voters], known[label]) < limits[voters, None]
            rows, places = near.nonzero()[:MOST_VOTES].unbind(1)
            if len(rows):
                voters = voters[rows]
                turned = kept[places] * seen.arrows[voters, None]
                yield label, seen.places[voters, None] + turned, voters

    def _ranked(self, votes: Iterable[tuple[int, Tensor, Tensor]], side: float) -> Detections:
        """What the votes in one photo agree on, the surest first, padded."""
        device, size = self.counts.device, self.num_detections
        boxes, numbers = [torch.zeros(0, 4, device=device)], [torch.zeros(0, device=device)]
        labels: list[int] = []
        for label, outlines, voters in votes:
            agreed, weights = agreement(hull(outlines).clamp(0, side), voters, self.iou)
            kept = nms(agreed, weights, self.iou)
            boxes.append(agreed[kept])
            numbers.append(weights[kept])
            labels += [label] * len(kept)
        points, order = torch.cat(numbers).sort(descending=True, stable=True)
        missing = (0, max(0, size - len(order)))
        return Detections(
            F.pad(torch.cat(boxes)[order[:size]], (0, 0, *missing)),
            F.pad((points / (points + HALF_SURE))[:size], missing),
            F.pad(torch.tensor(labels, device=device).long()[order[:size]], missing, value=-1),
        )


def corners(box: Tensor) -> Tensor:
    """The four corners of a box ``(4,)``, as complex numbers."""
    x1, y1, x2, y2 = box
    return torch.complex(torch.stack([x1, x2, x2, x1]), torch.stack([y1, y1, y2, y2]))


def hull(corners: Tensor) -> Tensor:
    """The upright boxes ``(V, 4)`` around corners ``(V, 4)`` that are complex numbers."""
    x, y = corners.real, corners.imag
    return torch.stack([x.amin(1), y.amin(1), x.amax(1), y.amax(1)], 1)


def agreement(boxes: Tensor, voters: Tensor, iou: float) -> tuple[Tensor, Tensor]:
    """For each vote the mean of those that overlap it, and of how many voters these are.

    Args:
        boxes: ``(V, 4)`` in pixels; those that are too small for a mark count nothing.
        voters: who gave them ``(V,)``.
        iou: overlap that counts.

    Returns:
        Boxes ``(n, 4)`` and numbers ``(n,)`` of those with enough voters.
    """
    large = (boxes[:, 2:] - boxes[:, :2]).amin(1) >= SMALLEST
    boxes, voters = boxes[large], voters[large]
    near = (box_iou(boxes, boxes) >= iou).float()
    given = (voters[:, None] == voters.unique()).float()
    numbers = (near @ given > 0).sum(1).float()
    means = near @ boxes / near.sum(1, keepdim=True)
    return means[numbers >= LEAST], numbers[numbers >= LEAST]
