"""Photos with boxes as a detector reads them, and the square that the photos are fitted into.

A photo keeps its proportions: it is scaled until its longer side fills the square, and lies in the
middle of it, on grey (a letterbox). One scale and the place of its upper left corner, its *frame*,
lead from pixels of the photo to pixels of the input and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from marketorch.data.dataset import RawDataset
from marketorch.data.images.dataset import Decoder, Pixels
from marketorch.data.images.decoding import FORMATS
from marketorch.engine.task import Batch
from marketorch.errors import DataError

GREY = 114  # what surrounds a photo, as Redmon's darknet has it
FILL = {"boxes": 0.0, "labels": -1}  # of the rows beyond a photo's own boxes
ORIENTATION = 0x0112  # EXIF; from 5 on, width and height are exchanged
Size = tuple[int, int]


class Frame(NamedTuple):
    """Where a photo lies in the input: ``x_input = x_photo * scale + left``, ``top`` for y."""

    scale: float
    left: float
    top: float


class BoxDataset(RawDataset):
    """Photos with boxes.

    Batches hold ``images (B, 3, S, S)`` uint8, ``boxes (B, G, 4)`` float32, ``frames (B, 3)``
    float32, ``index (B,)`` int64 and, where they are known, ``labels (B, G)`` int64. G is the
    largest number of boxes of a photo of the batch, maybe 0; rows beyond a photo's own boxes are 0
    and their labels -1.

    Args:
        images: all of them ``(N, 3, S, S)`` uint8, or what decodes one by its place.
        boxes: of each photo ``(n, 4)``, x1 y1 x2 y2 in pixels of the input.
        labels: of each photo ``(n,)``, numbers of the classes, if known.
        frames: ``(N, 3)``, see `Frame`; None: the photos are what the model reads.
        ids: names of the photos.
        sizes: their widths and heights ``(N, 2)``; None: those of the input.
    """

    def __init__(
        self,
        images: Tensor | Decoder,
        boxes: list[Tensor],
        labels: list[Tensor] | None = None,
        frames: Tensor | None = None,
        ids: Sequence[str] | None = None,
        sizes: Tensor | None = None,
    ) -> None:
        self.images, self.boxes, self.labels = images, boxes, labels
        side = float(images.shape[-1] if isinstance(images, Tensor) else images.size)
        self.frames = torch.tensor([[1.0, 0.0, 0.0]] * len(images)) if frames is None else frames
        self.sizes = torch.tensor([[side, side]] * len(images)) if sizes is None else sizes
        self.ids = ids

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> Batch:
        """One photo, its boxes not filled up."""
        index = torch.tensor(place)
        photo = {"images": self.images[place], "frames": self.frames[place], "index": index}
        return photo | self._annotations(place)

    def collate(self, examples: Sequence[Batch]) -> Batch:
        """A batch of examples."""
        rows: dict[str, list[Tensor]] = {name: [e[name] for e in examples] for name in examples[0]}
        return {
            name: padded(values, FILL[name]) if name in FILL else torch.stack(values)
            for name, values in rows.items()
        }

    def in_photo(self, boxes: Tensor, place: int) -> Tensor:
        """Boxes ``(n, 4)`` in pixels of the input, in pixels of a photo, cut off at its edges."""
        edges = self.sizes[place].repeat(2)
        return to_photo(boxes, self.frames[place]).clamp_min(0).minimum(edges)

    def _annotations(self, place: int) -> Batch:
        """What somebody drew on a photo."""
        known = {} if self.labels is None else {"labels": self.labels[place]}
        return {"boxes": self.boxes[place]} | known


class DecodedBoxes(BoxDataset):
    """Photos that are one tensor: a batch is one index."""

    images: Tensor

    def __getitems__(self, indices: list[int]) -> Batch:
        index = torch.as_tensor(indices, dtype=torch.int64)
        batch = {"images": self.images[index], "frames": self.frames[index], "index": index}
        return batch | self.collate([self._annotations(place) for place in indices])


def padded(values: list[Tensor], fill: float) -> Tensor:
    """Tensors ``(n, …)`` of several lengths as one ``(B, G, …)``, G being the largest."""
    return torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=fill)


class LetterboxDecoder(Decoder):
    """Decodes photos one by one, each into the square that the model reads.

    Args:
        sources: files or encoded pictures.
        names: what to call each in a message.
        sizes: width and height of each as far as its boxes know; None: as it is found.
        size: side S in pixels.
    """

    def __init__(
        self, sources: Sequence[Any], names: Sequence[str], sizes: Sequence[Size | None], size: int
    ) -> None:
        super().__init__(sources, names, size=size, channels=3, fit="letterbox")
        self.sizes = sizes

    def photo(self, place: int) -> Pixels:
        """The whole of a photo. DataError if it has not the size that its boxes were drawn in."""
        photo = super().photo(place)
        if wrong := disagreement(self.sizes[place], (photo.shape[1], photo.shape[0])):
            raise DataError(f"{self.names[place]}: {wrong}.")
        return photo

    def size_of(self, place: int) -> Size:
        """Width and height of a photo the right way up, by the beginning of its file if possible.

        DataError names what cannot be read.
        """
        source = self.sources[place]
        try:
            file = source if isinstance(source, Path) else BytesIO(source)
            with Image.open(file, formats=FORMATS) as image:
                # Of a TIFF, Pillow gives the size as it is once turned.
                turned = image.format != "TIFF" and image.getexif().get(ORIENTATION, 1) >= 5
                return image.size[::-1] if turned else image.size
        except Exception:  # what is wrong, if anything is, shows when it is decoded
            photo = super().photo(place)
            return photo.shape[1], photo.shape[0]

    def pixels(self, place: int) -> Pixels:
        """A photo in its square ``(S, S, 3)`` uint8."""
        return letterboxed(self.photo(place), self.size)


def disagreement(said: Size | None, found: Size) -> str:
    """What is wrong with the size that annotations say a photo has; empty if nothing is."""
    if said is None or said == found:
        return ""
    differ = "the annotations say {} × {} pixels, the photo has {} × {}".format(*said, *found)
    turned = " once it is turned as the camera noted (EXIF)" if said[::-1] == found else ""
    return differ + turned


def frame_of(width: int, height: int, size: int) -> Frame:
    """The frame of a photo of ``width`` by ``height`` pixels in a square of ``size`` pixels."""
    scale = size / max(width, height)
    left, top = ((size - _covered(side, scale)) // 2 for side in (width, height))
    return Frame(scale, left, top)


def letterboxed(pixels: Pixels, size: int) -> Pixels:
    """A photo ``(H, W, 3)`` in a grey square ``(S, S, 3)``, antialiased.

    The scale is the same in both directions: what would cover a part of a pixel only, at the right
    or lower edge, is left out.
    """
    height, width = pixels.shape[:2]
    scale, left, top = frame_of(width, height, size)
    columns, rows = _covered(width, scale), _covered(height, scale)
    part = (0, 0, min(width, columns / scale), min(height, rows / scale))
    image = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BILINEAR, box=part)
    square = np.full((size, size, 3), GREY, np.uint8)
    square[int(top) : int(top) + rows, int(left) : int(left) + columns] = np.asarray(image)
    return square


def to_input(boxes: Tensor, frames: Tensor) -> Tensor:
    """Boxes ``(…, 4)`` in pixels of a photo, in pixels of the input; ``frames (…, 3)``."""
    return boxes * frames[..., :1] + frames[..., [1, 2, 1, 2]]


def to_photo(boxes: Tensor, frames: Tensor) -> Tensor:
    """Boxes ``(…, 4)`` in pixels of the input, in pixels of their photo; ``frames (…, 3)``."""
    return (boxes - frames[..., [1, 2, 1, 2]]) / frames[..., :1]


def _covered(side: int, scale: float) -> int:
    """Whole pixels of the input that a side of the photo covers, at least one."""
    return max(1, int(side * scale + 1e-6))
