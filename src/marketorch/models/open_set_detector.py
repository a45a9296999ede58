"""Finds marks that it was never trained on, by pictures of them.

It is the compact detector with one class, *a mark, whoever's it is*. What is inside each box is cut
out of the pyramid as a grid of cells (RoIAlign, He et al. 2017), so a small and a large print of a
mark give about the same cells, and a mark is what is where in it. A small head turns the cells into
an embedding, a direction. Marks that are asked for are seen by the same network, and point where
their own prints do on average; a box shows the one that points most nearly where it does.

Training is what is done afterwards (prototypical networks, Snell et al. 2017): each batch brings
prints of its marks along, and each box is classified by its cosines to all of them, short of a
margin at the right one (CosFace, Wang et al. 2018). There is no vector a brand to be learnt, so a
brand that is seen some few times teaches as much as one that is seen often.

Shapes: B images of side S, N boxes an image (padded), M marks that are asked for, E dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import MultiScaleRoIAlign

from marketorch.models.boxes.compact_detector import CompactDetector, Found

CELLS = 7  # of a side of what is cut out of the pyramid
FINE = 56  # pixels of a box that has as many cells on the finest of the grids, 8 pixels apart
AT_ONCE = 16  # sheets of prints
JITTER = 0.1  # of a box's sides, by which its edges are moved: found boxes are not exact either


class Asked(NamedTuple):
    """Marks to look for.

    Args:
        images: with prints of them ``(N, 3, S, S)`` between 0 and 1.
        boxes: of the prints ``(N, T, 4)`` in pixels.
        marks: which mark each one shows ``(N, T)``; -1 is padding.
        labels: of the marks ``(M,)``.
    """

    images: Tensor
    boxes: Tensor
    marks: Tensor
    labels: Tensor


class OpenSetDetector(CompactDetector):
    """Detects marks of any brand in images ``(B, 3, S, S)`` and tells where each one points.

    Args:
        widths, depth, neck, tower: of the network, see `CompactDetector`.
        box_weight, top, iou, num_detections: see `CompactDetector`.
        embedding: E.
        scale: of the cosines, as logits.
        margin: what the cosine to the right mark has to be larger.
        match_weight: of the loss on what marks are, against that on scores.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 48, 96, 160),
        depth: Sequence[int] = (2, 2, 2),
        neck: int = 48,
        tower: int = 2,
        box_weight: float = 2.0,
        top: int = 10,
        iou: float = 0.6,
        num_detections: int = 100,
        embedding: int = 64,
        scale: float = 16.0,
        margin: float = 0.1,
        match_weight: float = 1.0,
    ) -> None:
        super().__init__(
            num_classes=1,
            widths=widths,
            depth=depth,
            neck=neck,
            tower=tower,
            box_weight=box_weight,
            top=top,
            iou=iou,
            num_detections=num_detections,
        )
        self.scale, self.margin, self.match_weight = scale, margin, match_weight
        names = [str(stride) for stride in self.strides]
        self.cut = MultiScaleRoIAlign(names, CELLS, 2, canonical_scale=FINE, canonical_level=3)
        self.embedding = nn.Sequential(
            nn.Conv2d(neck, neck, 3, padding=1),
            nn.InstanceNorm2d(neck),  # where in the box, not how much: prints differ in contrast
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(neck * CELLS**2, embedding),
        )

    def embedded(self, maps: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Embeddings ``(B, N, E)``, of length 1, of boxes ``(B, N, 4)`` in pixels.

        Args:
            maps: of the pyramid.
        """
        side = maps[0].shape[-1] * self.strides[0]
        named = {str(n): x.float() for n, x in zip(self.strides, maps, strict=True)}
        cells = self.cut(named, list(boxes), [(side, side)] * len(boxes))
        embeddings = self.embedding(cells).float().unflatten(0, boxes.shape[:2])
        return F.normalize(embeddings, dim=2)

    # -- training -----------------------------------------------------------------------------

    def losses(  # type: ignore[override]
        self, images: Tensor, boxes: Tensor, labels: Tensor, asked: Asked
    ) -> tuple[Tensor, Tensor]:
        """Sum of the losses, and the weight to divide it by: that of what is to be found.

        Args:
            boxes, labels: ``(B, G, 4)`` in pixels and ``(B, G)``; label -1 is padding.
            asked: marks, among which are all that have a box.
        """
        # One batch, so that photos and prints are normalised alike.
        maps = self.pyramid(torch.cat([images, asked.images]))
        own, shown = [x[: len(images)] for x in maps], [x[len(images) :] for x in maps]
        known = directions(self.embedded(shown, asked.boxes), asked.marks, len(asked.labels))
        loss, weight = self.losses_of(own, boxes, labels.clamp_max(0))
        matches = self.match_loss(own, boxes, labels, known, asked.labels)
        return loss + self.match_weight * matches, weight

    def match_loss(
        self, maps: Sequence[Tensor], boxes: Tensor, labels: Tensor, known: Tensor, names: Tensor
    ) -> Tensor:
        """Sum of the log-losses of boxes, classified as one of the marks ``known (M, E)``.

        Args:
            names: labels of these ``(M,)``; each box has one of them.
        """
        sides = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 2)
        moved = boxes + JITTER * sides * (2 * torch.rand_like(boxes) - 1)
        real = labels >= 0
        wanted = (labels[real][:, None] == names).float().argmax(1)
        cosines = cosine(self.embedded(maps, moved)[real], known)
        short = self.margin * F.one_hot(wanted, len(known))
        return F.cross_entropy(self.scale * (cosines - short), wanted, reduction="sum")

    # -- prediction ---------------------------------------------------------------------------

    def found(self, images: Tensor) -> tuple[Found, Tensor]:
        """What is found in images ``(B, 3, S, S)``, all of one class, and its embeddings."""
        maps = self.pyramid(images)
        found = self.detections_of(maps)
        return found, self.embedded(maps, found.boxes)

    def known(self, asked: Asked) -> Tensor:
        """Where marks point ``(M, E)``; images are seen a few at a time."""
        parts = zip(asked.images.split(AT_ONCE), asked.boxes.split(AT_ONCE), strict=True)
        seen = [self.embedded(self.pyramid(images), boxes) for images, boxes in parts]
        return directions(torch.cat(seen), asked.marks, len(asked.labels))


def directions(embeddings: Tensor, marks: Tensor, number: int) -> Tensor:
    """Mean direction ``(M, E)`` of each mark's prints, from ``(N, T, E)`` and ``(N, T)``."""
    real = marks >= 0
    sums = embeddings.new_zeros(number, embeddings.shape[-1])
    return F.normalize(sums.index_add(0, marks[real], embeddings[real]), dim=1)


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """Cosines ``(…, M)`` of vectors ``(…, E)`` and ``(M, E)`` of length 1, in fp32."""
    with torch.autocast(one.device.type, enabled=False):
        return one @ other.T
