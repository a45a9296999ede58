"""The sceptic of detection: it never looks at a photo and says where things usually are.

Of each class there is one box in every photo, the mean of its training boxes, as sure as the class
is frequent. What a detector finds more than this one, it has seen.

Shapes: B images of side S, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from marketorch.data.boxes.dataset import BoxDataset
from marketorch.data.cuts import evenly_spaced
from marketorch.engine.loading import Fetcher, Key
from marketorch.engine.task import Batch
from marketorch.models.boxes.compact_detector import Detections

AT_ONCE = 16  # photos in memory


class AverageBox(nn.Module):
    """The mean box of each of K classes, in every image ``(B, 3, S, S)``.

    Args:
        num_classes: K.
        num_photos: training photos to measure, at most; scenes have to be drawn for it.
    """

    boxes: Tensor
    shares: Tensor

    def __init__(self, *, num_classes: int, num_photos: int = 1_500) -> None:
        super().__init__()
        self.num_photos = num_photos
        self.register_buffer("boxes", torch.zeros(num_classes, 4))  # in shares of S
        self.register_buffer("shares", torch.zeros(num_classes))  # of the photos with the class

    def fit(self, train: BoxDataset) -> None:
        """Measures the boxes of training photos, and counts the photos that hold each class."""
        number = len(self.shares)
        sums, boxes, photos = torch.zeros(number, 4), torch.zeros(number), torch.zeros(number)
        seen = 0
        for batch in examples(train, self.num_photos):
            labels, own = batch["labels"], batch["boxes"] / batch["images"].shape[-1]
            real, seen = labels >= 0, seen + len(labels)
            sums.index_add_(0, labels[real], own[real])
            boxes += torch.bincount(labels[real], minlength=number)
            photos += torch.stack([(labels == n).any(1).sum() for n in range(number)])
        self.boxes, self.shares = sums / boxes.clamp_min(1)[:, None], photos / seen

    def detections(self, images: Tensor) -> Detections:
        """The same for all images ``(B, 3, S, S)``: K boxes, the most frequent class first."""
        scores, labels = self.shares.sort(descending=True, stable=True)
        boxes, labels = self.boxes[labels] * images.shape[-1], labels.masked_fill(scores == 0, -1)
        number = len(images)
        return Detections(
            boxes.expand(number, -1, -1), scores.expand(number, -1), labels.expand(number, -1)
        )


def examples(train: BoxDataset, number: int) -> Iterator[Batch]:
    """Batches with up to ``number`` training photos in all, evenly chosen.

    What is drawn when it is asked for is drawn as in a first epoch, the same each time.
    """
    places = evenly_spaced(len(train), number).tolist()
    fetcher = Fetcher(train)
    for start in range(0, len(places), AT_ONCE):
        yield fetcher[Key(0, 0, start // AT_ONCE, places[start : start + AT_ONCE])]
