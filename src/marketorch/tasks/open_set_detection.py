"""Open-set detection: where in a photo which of the marks are that somebody brings along.

The detector (`marketorch.models.open_set_detector`) finds marks of any brand. Each batch holds the
marks to look for as well, as sheets of prints that the same network sees: a detection is of the
brand whose marks point most nearly where it points. A score is how surely there is a mark, times
how surely it is of this brand rather than of a similar one or of none that is asked for. The two
numbers that turn cosines into the latter are found by `calibrate`, on brands held out.

Shapes: B photos, D detections a photo, M marks to look for, C their brands.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from marketorch.data.boxes.dataset import BoxDataset
from marketorch.engine.task import Batch, Predictions, Step
from marketorch.models.open_set_detector import Asked, cosine
from marketorch.tasks.detection import Detection

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

RIVALS = 5  # brands whose cosines count, the nearest ones
SCALES = [float(scale) for scale in range(4, 42, 2)]  # that `calibrate` tries
NONES = [n / 40 for n in range(61)]  # cosines of no brand that it tries


class OpenSetDetection(Detection):
    """The task of detectors that are asked for marks.

    Args:
        model: builds the detector; it has one class, whatever brands there are.
        schema: the data's description: ``classes``, the training brands.
        augment, calibration: see `Detection`.
    """

    name = "open_set_detection"
    scale: Tensor
    none: Tensor

    def __init__(
        self,
        *,
        model: Callable[..., Any],
        schema: dict[str, Any],
        augment: dict[str, Any] | None = None,
        calibration: bool = True,
    ) -> None:
        super().__init__(
            model=lambda num_classes: model(),
            schema=schema,
            augment=augment,
            calibration=calibration,
        )
        self.register_buffer("scale", torch.tensor(16.0))
        self.register_buffer("none", torch.tensor(0.5))
        self._known: tuple[Tensor, Tensor] | None = None

    def encode(self, dataset: BoxDataset) -> BoxDataset:
        """Takes over the brands that the data set asks for: from here on labels mean these."""
        self.classes = dataset.classes or self.classes
        return dataset

    def train(self, mode: bool = True) -> OpenSetDetection:
        """Forgets what marks look like: the weights may be others from here on."""
        self._known = None
        return super().train(mode)

    def forward(self, batch: Batch) -> Step:
        """The detector's own loss on varied photos and on the prints of what they show."""
        images = batch["images"].float() / 255
        varied = self.augment(images, batch["boxes"], batch["labels"])
        return Step(*self.model.losses(*varied, asked(batch)))

    def predict(self, batch: Batch) -> Predictions:
        """Boxes ``(B, D, 4)`` in pixels of the input, scores and labels ``(B, D)``.

        With these come ``sureness (B, D)``, that there is a mark of any brand, and ``nearest
        (B, D, R)``, the cosines to the nearest brands.
        """
        found, own = self.model.found(batch["images"].float() / 255)
        near = by_brand(cosine(own, self._directions(batch)), batch["mark_labels"])
        near, labels = near.topk(min(RIVALS, near.shape[2]), dim=2)
        scores = found.scores * certainty(near, self.scale, self.none).sigmoid()
        values = {
            "boxes": found.boxes,
            "scores": scores,
            "labels": labels[..., 0].masked_fill(found.labels < 0, -1),
            "sureness": found.scores,
            "nearest": near,
        }
        order = scores.argsort(1, descending=True)
        return {"index": batch["index"]} | {k: rearranged(v, order) for k, v in values.items()}

    def _directions(self, batch: Batch) -> Tensor:
        """Where the marks of a batch point ``(M, E)``; the same sheets are seen only once."""
        if self._known is None or not torch.equal(self._known[0], batch["sheets"]):
            self._known = batch["sheets"], self.model.known(asked(batch))
        return self._known[1]

    # -- evaluation ---------------------------------------------------------------------------

    def metrics(self) -> MetricCollection:
        """Those of `Detection`, and how many boxes are found and how many brands are told."""
        from marketorch.metrics.detection import Matching

        metrics = super().metrics()
        metrics.add_metrics({"matching": Matching()})
        return metrics

    def calibrate(self, predictions: Predictions, validation: BoxDataset) -> bool:
        """Finds what turns cosines into certainty, and the score from which a detection counts."""
        if not self.calibration or validation.labels is None:
            return False
        near, sure = predictions["nearest"].float(), predictions["sureness"]
        right = hits(predictions, validation).float()

        def loss(pair: tuple[float, float]) -> float:
            logits = certainty(near, *map(torch.tensor, pair))
            return float(F.binary_cross_entropy_with_logits(logits, right, weight=sure))

        scale, none = min(product(SCALES, NONES), key=loss)
        self.scale.fill_(scale)
        self.none.fill_(none)
        scores = sure * certainty(near, self.scale.cpu(), self.none.cpu()).sigmoid()
        return super().calibrate(dict(predictions) | {"scores": scores}, validation)


def asked(batch: Batch) -> Asked:
    """The marks that a batch asks for."""
    sheets = batch["sheets"].float() / 255
    return Asked(sheets, batch["sheet_boxes"], batch["sheet_marks"], batch["mark_labels"])


def certainty(near: Tensor, scale: Tensor, none: Tensor) -> Tensor:
    """Logits ``(…,)`` that the nearest brand is meant and not another or none.

    Args:
        near: cosines to the nearest brands ``(…, R)``, the largest first.
        scale: of the cosines, as logits.
        none: the cosine to no brand at all.
    """
    others = torch.cat([none.expand_as(near[..., :1]), near[..., 1:]], -1)
    return scale * near[..., 0] - (scale * others).logsumexp(-1)


def by_brand(cosines: Tensor, labels: Tensor) -> Tensor:
    """The largest cosine ``(B, D, C)`` to a mark of each brand, from ``(B, D, M)``."""
    brands = cosines.new_full((*cosines.shape[:2], int(labels.max()) + 1), -1.0)
    return brands.scatter_reduce(2, labels.expand_as(cosines), cosines, "amax")


def rearranged(values: Tensor, order: Tensor) -> Tensor:
    """Rows of ``(B, D, …)`` in an order ``(B, D)``."""
    return torch.take_along_dim(values, order.view(*order.shape, *[1] * (values.ndim - 2)), 1)


def hits(found: Predictions, dataset: BoxDataset) -> Tensor:
    """Which detections ``(N, D)`` overlap a box of their label by half, whether first or not."""
    assert dataset.labels is not None
    right = torch.zeros_like(found["labels"], dtype=torch.bool)
    for photo, (boxes, labels) in enumerate(zip(dataset.boxes, dataset.labels, strict=True)):
        same = found["labels"][photo][:, None] == labels
        right[photo] = ((box_iou(found["boxes"][photo], boxes) >= 0.5) & same).any(1)
    return right
