"""Photos to find boxes in, and how they are drawn, at full size, with what was found."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from marketorch.data.boxes.dataset import BoxDataset, DecodedBoxes, Size, frame_of
from marketorch.data.images.dataset import Decoder, Pixels, as_tensor
from marketorch.data.images.drawing import COLOURS, Caption, boxed, write_pictures
from marketorch.engine.task import Row

Whole = Callable[[Sequence[int]], Iterable[Pixels]]
SIDES = ("x1", "y1", "x2", "y2")  # columns of a row that tell a box


class PhotosToSearch(BoxDataset):
    """Photos, or frames of a video, in which nobody has drawn boxes.

    Args:
        images, frames, sizes, ids: see `BoxDataset`.
        stems: what to call their pictures.
        whole: reads those at some places, in ascending order, at their own sizes ``(H, W, 3)``.
    """

    ids: Sequence[str]
    drawable = True

    def __init__(
        self,
        images: Tensor | Decoder,
        frames: Tensor,
        sizes: Tensor,
        ids: Sequence[str],
        *,
        stems: Sequence[str],
        whole: Whole,
    ) -> None:
        boxes = [torch.zeros(0, 4) for _ in ids]
        super().__init__(images, boxes, None, frames, ids, sizes)
        self.stems, self.whole = stems, whole

    def draw(self, rows: Sequence[Row], folder: Path) -> list[Path]:
        """Writes each photo in which ``rows`` have a box, at its own size, with boxes and captions.

        A class has one colour in all of them, as long as there are no more than `COLOURS`.
        """
        return write_pictures(self._pictures([row for row in rows if "x1" in row]), folder)

    def _pictures(self, found: Sequence[Row]) -> Iterator[tuple[str, Pixels]]:
        labels = sorted({row["label"] for row in found})
        colours = dict(zip(labels, itertools.cycle(COLOURS), strict=False))
        marks: dict[str, list[Caption]] = {}
        for row in found:
            mark = Caption([row[name] for name in SIDES], caption(row), colours[row["label"]])
            marks.setdefault(row["image"], []).append(mark)
        places = [place for place, name in enumerate(self.ids) if name in marks]
        for place, photo in zip(places, self.whole(places), strict=False):
            yield self.stems[place], boxed(photo, marks[self.ids[place]])


def squares_to_search(
    squares: Sequence[Pixels], sizes: Sequence[Size], ids: Sequence[str]
) -> DecodedBoxes:
    """Photos that are decoded already, as a data set to find boxes in.

    Args:
        squares: the photos as `letterboxed` puts them into squares of one side.
        sizes: their own widths and heights.
        ids: names of the photos.
    """
    frames = torch.tensor([frame_of(*size, len(squares[0])) for size in sizes])
    boxes = [torch.zeros(0, 4) for _ in squares]
    extents = torch.tensor(sizes, dtype=torch.float32)
    return DecodedBoxes(as_tensor(squares), boxes, None, frames, ids, extents)


def caption(row: Row) -> str:
    """What is written at a box: ``Brand 87%``."""
    return f"{row['label']} {row['score']:.0%}"
