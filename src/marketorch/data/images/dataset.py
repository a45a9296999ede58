"""Images as a model reads them: small collections as one tensor, large ones decoded when needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from marketorch.data.dataset import RawDataset
from marketorch.data.images.decoding import Mode, decode, read_photo
from marketorch.engine.task import Batch
from marketorch.errors import DataError

Pixels = np.ndarray
MODES: dict[int, Mode] = {1: "L", 3: "RGB"}


class ImageDataset(RawDataset):
    """Images with or without labels.

    Batches hold ``images (B, C, S, S)`` uint8, ``index (B,)`` and, where there are any,
    ``labels (B,)`` (-1: unknown) and ``votes (B, V)``, shares of the annotators' votes.

    Args:
        images: all of them ``(N, C, S, S)`` uint8, or what decodes one by its place.
        labels, votes: of each, if known.
        ids: names of the rows or files.
        about: further columns of the predicted rows, e.g. where in a photo a face was found.
    """

    def __init__(
        self,
        images: Tensor | Decoder,
        labels: Tensor | None = None,
        votes: Tensor | None = None,
        ids: Sequence[object] | None = None,
        about: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        self.images, self.labels, self.votes = images, labels, votes
        self.ids, self.about = ids, about

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> Batch:
        example = {"images": self.images[place], "index": torch.tensor(place)}
        extra = {"labels": self.labels, "votes": self.votes}
        return example | {name: v[place] for name, v in extra.items() if v is not None}


class DecodedImages(ImageDataset):
    """Images that are one tensor: a batch is one index."""

    images: Tensor

    def __getitems__(self, indices: list[int]) -> Batch:
        index = torch.as_tensor(indices, dtype=torch.int64)
        batch = {"images": self.images[index], "index": index}
        extra = {"labels": self.labels, "votes": self.votes}
        return batch | {name: v[index] for name, v in extra.items() if v is not None}


class Decoder:
    """Decodes images one by one, at the size the model reads.

    Args:
        sources: files, encoded pictures, or pixels as text or arrays.
        names: what to call each in a message.
        size: side S in pixels.
        channels: C, 1 or 3.
        fit: ``crop`` or ``squash``, see `fitted`.
    """

    def __init__(
        self, sources: Sequence[Any], names: Sequence[str], *, size: int, channels: int, fit: str
    ) -> None:
        self.sources, self.names = sources, names
        self.size, self.channels, self.fit = size, channels, fit

    def __len__(self) -> int:
        return len(self.sources)

    def photo(self, place: int) -> Pixels:
        """The whole of an image. DataError names what cannot be decoded."""
        source, name, mode = self.sources[place], self.names[place], MODES[self.channels]
        if isinstance(source, Path):
            return read_photo(source, mode)
        if source is None:
            raise DataError(f"{name} is null.")
        if isinstance(source, bytes):
            return decode(source, name, mode)
        if not isinstance(source, str):
            kind = type(source).__name__
            raise DataError(f"{name} holds {kind}, neither a picture nor a file nor pixels.")
        grey = square(source, name)
        return grey if self.channels == 1 else np.repeat(grey[:, :, None], 3, 2)

    def pixels(self, place: int) -> Pixels:
        """An image at the size the model reads, ``(S, S)`` or ``(S, S, 3)`` uint8."""
        return fitted(self.photo(place), self.size, self.fit)

    def __getitem__(self, place: int) -> Tensor:
        """``(C, S, S)`` uint8."""
        return as_tensor([self.pixels(place)])[0]


def as_tensor(images: Sequence[Pixels]) -> Tensor:
    """Images ``(S, S)`` or ``(S, S, 3)`` as a batch ``(N, C, S, S)``."""
    stacked = torch.from_numpy(np.stack(images))
    return stacked[:, None] if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2).contiguous()


def fitted(pixels: Pixels, size: int, fit: str = "crop") -> Pixels:
    """An image resized to a square of ``size`` pixels, antialiased.

    Args:
        fit: ``crop`` keeps the middle square; ``squash`` keeps everything, but no proportions.
    """
    height, width = pixels.shape[:2]
    if (height, width) == (size, size):
        return pixels
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side) if fit == "crop" else (0, 0, width, height)
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.array(image)


def square(text: str, name: str) -> Pixels:
    """Pixels written in a row as text, a grey square. DataError if they are not."""
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{name}: pixels are whole numbers; found {text[:40]!r}.") from error
    side = math.isqrt(len(values))
    if not len(values) or side * side != len(values):
        raise DataError(f"{name}: {len(values):,} pixels make no square (48 × 48 has 2,304).")
    if values.min() < 0 or values.max() > 255:
        raise DataError(
            f"{name}: pixels lie between 0 and 255; found {values.min()} to {values.max()}."
        )
    return values.astype(np.uint8).reshape(side, side)
