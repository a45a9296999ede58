"""Detection: where in a photo which brands are, how surely, and how much each is seen at all.

A detector takes photos ``(B, 3, S, S)`` between 0 and 1 and has ``losses(images, boxes, labels)``,
the sum of its losses and the weight to divide it by, and ``detections(images)``, the boxes it finds
(see `marketorch.models.boxes.compact_detector.Detections`). One that is not trained by gradient has
``fit(train)`` in place of ``losses``. Photos come as bytes, letterboxed, and are varied in batches
on the device.

Shapes: B photos, G boxes a photo (padded, label -1), D detections a photo, K classes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from marketorch.data.boxes.augmentation import BoxAugmentation
from marketorch.data.boxes.dataset import BoxDataset
from marketorch.data.boxes.search import SIDES
from marketorch.engine.task import Batch, Predictions, Row, Step, Task
from marketorch.errors import DataError
from marketorch.figures import detection as figures
from marketorch.models.boxes.compact_detector import CompactDetector
from marketorch.tasks.card import TaskCard

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from marketorch.tasks.exports import ExportedFunction

NOTHING = "nothing"  # the label of a photo in which nothing was found


CARD = TaskCard(
    "object-detection",
    "finds brands in photos and says where they are",
    "Counting how often brands are seen in photos and videos that you may process: sponsoring, "
    "shelves, placements. A person checks what matters.",
    (
        "Saying that somebody endorses, buys or works for a brand: that it is seen in a photo does "
        "not show it.",
        "Telling genuine goods from counterfeits.",
        "Watching people by what they wear or carry.",
        "Use of the marks: they belong to their owners, and a model gives no right to them.",
    ),
    "",
    '"photo.jpg"',
)


class Detection(Task):
    """The task of every detector.

    Args:
        model: builds the detector from ``num_classes``.
        schema: the data's description: ``classes``.
        augment: arguments of `marketorch.data.boxes.augmentation.BoxAugmentation`; None: none.
        calibration: choose, when training ends, the score from which a detection counts: the one
            that tells best which brands are in which photo of the validation split.
    """

    name = "detection"
    card = CARD
    summarises = True
    main_metric = "map_50"
    threshold: Tensor

    def __init__(
        self,
        *,
        model: Callable[..., Any],
        schema: dict[str, Any],
        augment: dict[str, Any] | None = None,
        calibration: bool = True,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.classes: list[str] = schema["classes"]
        self.model: Any = model(num_classes=len(self.classes))
        self.augment, self.calibration = BoxAugmentation(**(augment or {})), calibration
        self.register_buffer("threshold", torch.tensor(0.3))

    def prepare(self, train: BoxDataset) -> None:
        """Fits a detector that has `fit`."""
        if hasattr(self.model, "fit"):
            self.model.fit(train)

    def forward(self, batch: Batch) -> Step:
        """The detector's own loss on varied photos."""
        images = batch["images"].float() / 255
        varied = self.augment(images, batch["boxes"], batch["labels"])
        loss, weight = self.model.losses(*varied)
        return Step(loss, weight)

    def predict(self, batch: Batch) -> Predictions:
        """Boxes ``(B, D, 4)`` in pixels of the input, scores and labels ``(B, D)``."""
        found = self.model.detections(batch["images"].float() / 255)
        return {"index": batch["index"], **found._asdict()}

    # -- evaluation ---------------------------------------------------------------------------

    def metrics(self) -> MetricCollection:
        """COCO's mean average precision, and how well the brands in a photo are predicted."""
        from torchmetrics import MetricCollection

        from marketorch.metrics.detection import MeanAP, Presence

        return MetricCollection(
            {
                "map": MeanAP(self.classes),
                "presence": Presence(len(self.classes), float(self.threshold)),
            },
            compute_groups=False,
        )

    def update(self, metrics: MetricCollection, predictions: Predictions, batch: Batch) -> None:
        """Feeds a batch of annotated photos."""
        if "labels" not in batch:
            raise DataError("This split has no boxes to evaluate on.")
        true = {"boxes": batch["boxes"], "labels": batch["labels"]}
        found = {name: predictions[name] for name in ("boxes", "scores", "labels")}
        metrics.update(found, true, index=predictions["index"])

    @property
    def calibrates(self) -> bool:
        """Whether the score from which a detection counts is chosen."""
        return self.calibration

    def calibrate(self, predictions: Predictions, validation: BoxDataset) -> bool:
        """Chooses the score from which a detection counts."""
        if not self.calibration or validation.labels is None:
            return False
        from marketorch.metrics.detection import best_threshold, presence

        number = len(self.classes)
        surest = presence(predictions["scores"], predictions["labels"], number)
        there = torch.stack([torch.bincount(n, minlength=number) > 0 for n in validation.labels])
        self.threshold = best_threshold(surest, there).to(self.threshold)
        return True

    # -- what is shown ------------------------------------------------------------------------

    def figures(self, collected: Predictions, dataset: BoxDataset, folder: Path) -> Sequence[Path]:
        """Precision over recall, share of voice, and photos with what was found and missed."""
        from marketorch.metrics.detection import matched

        if dataset.labels is None:
            raise DataError(
                "The boxes of these photos are not known before they are drawn: evaluate "
                "split=validation or split=test."
            )
        right = matched(collected, list(zip(dataset.boxes, dataset.labels, strict=True)))
        number, scores = len(self.classes), collected["scores"]
        there = torch.bincount(torch.cat(list(dataset.labels)), minlength=number)
        found = torch.bincount(collected["labels"][scores >= self.threshold], minlength=number)
        threshold = float(self.threshold)
        return [
            figures.precision_recall(right, scores, int(there.sum()), folder),
            figures.share_of_voice(there, found, self.classes, folder),
            *figures.galleries(collected, right, threshold, dataset, folder, self.classes),
        ]

    def rows(self, predictions: Predictions, dataset: BoxDataset, *, explain: int = 0) -> list[Row]:
        """One row a detection, one row for a photo without any.

        ``x1 y1 x2 y2`` is the box in pixels of the photo, ``area`` the share of the photo that it
        fills.
        """
        parts = (predictions[name] for name in ("boxes", "scores", "labels"))
        rows: list[Row] = []
        for place, (boxes, scores, labels) in enumerate(zip(*parts, strict=True)):
            name: Row = {} if dataset.ids is None else {"image": dataset.ids[place]}
            own = dataset.in_photo(boxes, place)
            areas = (own[:, 2:] - own[:, :2]).prod(1) / dataset.sizes[place].prod()
            sure = (scores >= self.threshold) & (labels >= 0) & (areas > 0)
            columns = (values[sure].tolist() for values in (labels, scores, own, areas))
            answers = [
                {"label": self.classes[label], "score": round(score, 4), **corners(box)}
                | {"area": round(area, 6)}
                for label, score, box, area in zip(*columns, strict=True)
            ]
            rows += [name | answer for answer in answers or [{"label": NOTHING}]]
        return rows + list(dataset.skipped)

    def summary(self, rows: Sequence[Row]) -> list[Row]:
        """One row a class, the most frequent first: how much of it there is in predicted rows.

        ``boxes`` are its detections, ``photos`` those that have any, ``share_of_voice`` its share
        of all detections and ``area`` the mean share of a photo that one of them fills. What is the
        share or the mean of nothing is NaN.
        """
        found: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if "score" in row:
                found[row["label"]].append(row)
        total = sum(map(len, found.values()))
        order = sorted(self.classes, key=lambda name: -len(found[name]))
        return [{"label": name} | counted(found[name], total) for name in order]

    def answers_about(self, source: Any) -> str:
        """The brands in the photos of posts."""
        return "brands"

    def export(self, source: Any) -> ExportedFunction:
        """Photos to all boxes and their scores, of a detector of our own."""
        from marketorch.tasks.exports import BoxExport

        return (
            BoxExport(self, source)
            if isinstance(self.model, CompactDetector)
            else super().export(source)
        )


def corners(box: Sequence[float]) -> Row:
    """A box as columns of a row, in pixels."""
    return {name: round(v, 1) for name, v in zip(SIDES, box, strict=True)}


def counted(rows: Sequence[Row], total: int) -> Row:
    """The counts of one class, from the rows of its detections and the number of all."""
    return {
        "boxes": len(rows),
        "photos": len({row.get("image") for row in rows}),
        "share_of_voice": round(len(rows) / total, 4) if total else math.nan,
        "area": round(fmean(row["area"] for row in rows), 6) if rows else math.nan,
    }
