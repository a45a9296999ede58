"""Metrics of detections, and what else is counted in them.

Shapes: B photos, G boxes a photo (padded, label -1), D detections a photo (padded, label -1, the
surest first), K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import box_iou

KEPT = ("map", "map_50", "map_75")


class MeanAP(MeanAveragePrecision):
    """COCO's mean average precision over IoU .5 to .95, at .5, at .75, and for each class.

    NaN where there is no box to find. Of detections with equal scores, the earlier photo's counts
    first, in whatever order photos come.
    """

    index: list[Tensor]

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(backend="faster_coco_eval", class_metrics=True)
        self.names = list(classes)
        self.add_state("index", [], dist_reduce_fx=None)

    def update(  # type: ignore[override]
        self, found: Mapping[str, Tensor], true: Mapping[str, Tensor], index: Tensor
    ) -> None:
        """Takes boxes, scores and labels of detections; boxes and labels of what is there.

        Args:
            index: places of the photos ``(B,)``.
        """
        super().update(unpadded(found), unpadded(true))
        self.index.append(index)

    def compute(self) -> dict[str, Tensor]:
        """``map``, ``map_50``, ``map_75`` and ``ap/<class>`` of the classes that were there."""
        index, order = torch.cat(self.index).sort()
        for name, photos in self.metric_state.items():
            if name != "index" and photos:  # there are no masks
                setattr(self, name, [photos[place] for place in order.tolist()])
        self.index = [index]
        result = super().compute()
        values = {name: result[name].where(result[name] >= 0, torch.nan) for name in KEPT}
        numbers = result["classes"].reshape(-1).tolist()
        each = result["map_per_class"].reshape(-1)
        present = {int(n) for labels in self.groundtruth_labels for n in labels.reshape(-1)}
        return values | {
            f"ap/{self.names[n]}": value
            for n, value in zip(numbers, each, strict=True)
            if n in present
        }


class Presence(Metric):
    """How well the classes in a photo, and their shares, are predicted.

    Args:
        num_classes: K.
        threshold: score from which a detection counts.
    """

    hits: Tensor
    alarms: Tensor
    misses: Tensor
    found: Tensor
    there: Tensor

    def __init__(self, num_classes: int, threshold: float) -> None:
        super().__init__()
        self.num_classes, self.threshold = num_classes, threshold
        for name in ("hits", "alarms", "misses", "found", "there"):
            zeros = torch.zeros(num_classes, dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum")

    def update(self, found: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> None:
        """Takes what `MeanAP` takes."""
        surest = presence(found["scores"], found["labels"], self.num_classes)
        predicted = surest >= self.threshold
        there = presence((true["labels"] >= 0).float(), true["labels"], self.num_classes) > 0
        self.hits += (predicted & there).sum(0)
        self.alarms += (predicted & ~there).sum(0)
        self.misses += (~predicted & there).sum(0)
        sure = found["labels"][found["scores"] >= self.threshold]
        known = true["labels"][true["labels"] >= 0]
        self.found += torch.bincount(sure.clamp_min(0), minlength=self.num_classes)
        self.there += torch.bincount(known, minlength=self.num_classes)

    def compute(self) -> dict[str, Tensor]:
        """F1 over all pairs of photo and class, its mean over classes, and the error of shares.

        The last is half the sum of the differences between the classes' shares of all boxes found
        and of all there: the part of the voice that is given to the wrong brand.
        """
        errors = self.alarms + self.misses
        each = 2 * self.hits / (2 * self.hits + errors).clamp_min(1)
        seen = self.hits + self.misses > 0
        shares = [n / n.sum().clamp_min(1) for n in (self.found, self.there)]
        total = self.hits.sum()
        return {
            "f1_presence": (2 * total / (2 * total + errors.sum()).clamp_min(1)).float(),
            "f1_presence_macro": each[seen].mean().float(),
            "share_of_voice_error": ((shares[0] - shares[1]).abs().sum() / 2).float(),
        }


def unpadded(batch: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """One dictionary a photo, as torchmetrics reads them: ``(B, D, …)`` to B of ``(n, …)``."""
    kept = batch["labels"] >= 0
    return [
        {name: values[photo][kept[photo]] for name, values in batch.items()}
        for photo in range(len(kept))
    ]


def presence(scores: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Highest score ``(B, K)`` of each class in each photo, from ``(B, D)``."""
    surest = scores.new_zeros(len(scores), num_classes)
    return surest.scatter_reduce(1, labels.clamp_min(0), scores * (labels >= 0), "amax")


def best_threshold(surest: Tensor, there: Tensor) -> Tensor:
    """The score from which on to say a class is there for the highest F1 over all pairs.

    It is above 0, which is the score of what was not found.

    Args:
        surest: scores ``(N, K)``.
        there: whether it is, ``(N, K)``.
    """
    scores, order = surest.flatten().sort(descending=True)
    hits = there.flatten()[order].cumsum(0).double()
    predicted = torch.arange(1, len(scores) + 1)
    f1 = 2 * hits / (predicted + there.sum())
    f1[:-1][scores[:-1] == scores[1:]] = 0.0  # equal scores count together
    f1[scores == 0] = 0.0
    best = int(f1.argmax())
    below = scores[best + 1] if best + 1 < len(scores) else scores[best] / 2
    return ((scores[best] + below) / 2).clamp_min(torch.finfo(scores.dtype).tiny)


def matched(
    found: Mapping[str, Any], true: Sequence[tuple[Tensor, Tensor]], iou: float = 0.5
) -> Tensor:
    """Which detections ``(N, D)`` are right, as COCO counts: a box is found once, by the surest.

    Args:
        found: ``boxes (N, D, 4)``, ``scores`` and ``labels (N, D)``.
        true: boxes ``(G, 4)`` and labels ``(G,)`` of each photo.
        iou: overlap that a detection needs.
    """
    right = torch.zeros_like(found["labels"], dtype=torch.bool)
    for photo, (boxes, labels) in enumerate(true):
        if not len(boxes):
            continue
        same = found["labels"][photo][:, None] == labels
        overlap = box_iou(found["boxes"][photo], boxes) * same
        for number in range(len(overlap)):
            best = int(overlap[number].argmax())
            if overlap[number, best] >= iou:
                right[photo, number] = True
                overlap[:, best] = 0.0
    return right
