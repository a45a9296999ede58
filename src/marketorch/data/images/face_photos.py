"""Faces of photos as a data set: to train on the largest of each, to predict on them all."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marketorch.data.cache import cached
from marketorch.data.images.dataset import MODES, DecodedImages, Decoder, Pixels, as_tensor, fitted
from marketorch.data.images.decoding import read_photo
from marketorch.data.images.drawing import write_pictures
from marketorch.data.images.faces import VERSION, Face, FaceFinder, check_not_a_strip, crop, drawn
from marketorch.engine.task import Row
from marketorch.errors import DataError

NO_FACE = "no face"
TOLD = {"image", "face", "x", "y", "side", "angle", "label", "probability"}  # columns of any face


class FaceDecoder(Decoder):
    """Decodes photos to their largest face; where none is found, to what `Decoder` gives.

    Finding takes a good part of a second a photo, so where a face was found is kept on disk.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.own = threading.local()  # a finder a thread

    def pixels(self, place: int) -> Pixels:
        """``(S, S)`` or ``(S, S, 3)`` uint8. DataError names what cannot be decoded."""
        photo = self.photo(place)
        check_not_a_strip(photo, self.names[place])
        parts: list[str | bytes] = [VERSION, str(photo.shape), photo.tobytes()]
        found = cached("faces", parts, lambda: {"places": self._largest(photo)})["places"]
        if not len(found):
            return fitted(photo, self.size, self.fit)
        x, y, side, angle = found[0].tolist()
        return crop(photo, Face((x, y, side, side), angle, None, 1.0), self.size)

    def _largest(self, photo: Pixels) -> Tensor:
        """The square and the angle of the largest face ``(1, 4)``, or ``(0, 4)``."""
        if not hasattr(self.own, "finder"):
            self.own.finder = FaceFinder()
        faces = self.own.finder.find(photo)[:1]
        places = [(*face.box[:3], face.angle) for face in faces]
        return torch.tensor(places, dtype=torch.float64).reshape(-1, 4)


class FacesInPhotos(DecodedImages):
    """Every face found in some photos, largest first in each; `skipped` are photos without any.

    Args:
        photos: files.
        size, channels: of what the model reads.
        on_bad: ``error`` or ``skip`` for files that cannot be read.
    """

    drawable = True

    def __init__(self, photos: Sequence[Path], *, size: int, channels: int, on_bad: str) -> None:
        finder = FaceFinder()
        self.photos, self.mode = list(photos), MODES[channels]
        self.faces: list[Face] = []
        crops: list[Pixels] = []
        ids: list[str] = []
        about: list[Row] = []
        skipped: list[Row] = []
        for path in self.photos:
            try:
                photo = read_photo(path, self.mode)
                check_not_a_strip(photo, str(path))
            except DataError as error:
                if on_bad == "error":
                    raise
                skipped.append({"image": str(path), "label": f"unreadable: {error}"})
                continue
            found = finder.find(photo)
            if not found:
                skipped.append({"image": str(path), "label": NO_FACE})
            for number, face in enumerate(found, start=1):
                crops.append(crop(photo, face, size))
                ids.append(str(path))
                about.append({"face": number, **place(face)})
                self.faces.append(face)
        empty = torch.zeros(0, channels, size, size, dtype=torch.uint8)
        super().__init__(as_tensor(crops) if crops else empty, ids=ids, about=about)
        self.skipped = skipped

    def draw(self, rows: Sequence[Row], folder: Path) -> list[Path]:
        """Writes each photo that has faces with their frames and what ``rows`` say of them."""
        return write_pictures(self._pictures(rows), folder)

    def _pictures(self, rows: Sequence[Row]) -> Iterator[tuple[str, Pixels]]:
        for path in self.photos:
            own = [row for row in rows if row["image"] == str(path) and "face" in row]
            if own:
                faces = [face_of(row) for row in own]
                captions = [caption(row) for row in own]
                yield path.stem, drawn(read_photo(path, "RGB"), faces, captions)


def place(face: Face) -> Row:
    """Where a face is, as columns of a row: its square in pixels and its angle in degrees."""
    x, y, side, _ = (round(value, 1) for value in face.box)
    return {"x": x, "y": y, "side": side, "angle": round(face.angle, 1)}


def face_of(row: Row) -> Face:
    """The face that a row tells the place of."""
    side = row["side"]
    return Face((row["x"], row["y"], side, side), row["angle"], None, 1.0)


def caption(row: Row) -> str:
    """What is written at a face: its label, then scores such as its valence and other answers."""
    words = [f"{row['label']} {row['probability']:.0%}"]
    for name, value in row.items():
        if name in TOLD or name.startswith("p_"):
            continue
        words.append(value if isinstance(value, str) else f"{name} {value:+.1f}")
    return ", ".join(words)
