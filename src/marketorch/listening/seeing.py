"""What is kept of a photo once it has been seen: its size, what each model reads, and its faces.

A photo is decoded once and searched for faces once, whichever models ask, and then let go: what the
models read is small, so a batch of large photos takes little memory. Photos are seen by a few
threads at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from marketorch.data.boxes.dataset import letterboxed
from marketorch.data.images.dataset import MODES, Pixels, fitted
from marketorch.data.images.decoding import Mode, decode, in_mode
from marketorch.data.images.faces import Face, FaceFinder, check_not_a_strip, crop
from marketorch.errors import DataError
from marketorch.runs import Run

MAX_PIXELS = 50_000_000  # of a photo; in memory a pixel has three bytes
MAX_BYTES = 2**27  # of a file
THREADS = 2
MIN_FACE = 0.08  # of a photo's shorter side: 40 pixels of 500; smaller ones show little
THE_PHOTO = "the photo"  # its name in messages; whose it is, the record says


class Form(NamedTuple):
    """How a model reads a photo: the side in pixels, the mode, and how it is fitted."""

    size: int
    mode: Mode
    fit: str


@dataclass(frozen=True)
class Seen:
    """A photo that was seen.

    Args:
        width, height: of the photo.
        square: what a detector reads ``(S, S, 3)``, if there is one.
        whole: the photo as each of the classifiers of whole photos reads it.
        faces: found in the photo, the largest first; None: not looked for.
        crops: the faces as each of the classifiers of faces reads them.
    """

    width: int
    height: int
    square: Pixels | None = None
    whole: dict[str, Pixels] = field(default_factory=dict)
    faces: list[Face] | None = None
    crops: dict[str, list[Pixels]] = field(default_factory=dict)


class Viewer:
    """Sees photos for some runs.

    Args:
        brands: the detector, if there is one.
        photos, faces: classifiers of whole photos and of faces, by name.
        min_face: side of the smallest face to be found, as a share of the photo's shorter side.
        max_pixels: of the largest photo that is decoded.
    """

    def __init__(
        self,
        brands: Run | None,
        photos: Mapping[str, Run],
        faces: Mapping[str, Run],
        *,
        min_face: float,
        max_pixels: int,
    ) -> None:
        self.side = form_of(brands).size if brands else None
        self.of_photos = {name: form_of(run) for name, run in photos.items()}
        self.of_faces = {name: form_of(run) for name, run in faces.items()}
        self.min_face, self.max_pixels = min_face, max_pixels
        self.own = threading.local()  # a finder a thread
        FaceFinder(min_size=min_face)  # says what is wrong with it

    def see_all(self, photos: Sequence[Any]) -> list[Seen | str]:
        """Each photo as it is seen, or what is wrong with it."""
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(self._attempt, photos))

    def _attempt(self, photo: Any) -> Seen | str:
        try:
            return self.see(photo)
        except DataError as error:
            return str(error)

    def see(self, source: Any) -> Seen:
        """A photo as it is seen; DataError says what is wrong with it.

        Args:
            source: a file, its content, or pixels ``(H, W, 3)`` or ``(H, W)`` uint8.
        """
        photo = pixels_of(source, self.max_pixels)
        height, width = photo.shape[:2]
        square = letterboxed(photo, self.side) if self.side else None
        whole = {
            name: fitted(in_mode(photo, form.mode), form.size, form.fit)
            for name, form in self.of_photos.items()
        }
        if not self.of_faces:
            return Seen(width, height, square, whole)
        grey = in_mode(photo, "L")
        faces = self._finder.find(grey)
        crops = {}
        for name, form in self.of_faces.items():
            plain = grey if form.mode == "L" else photo
            crops[name] = [crop(plain, face, form.size) for face in faces]
        return Seen(width, height, square, whole, faces, crops)

    @property
    def _finder(self) -> FaceFinder:
        if not hasattr(self.own, "finder"):
            self.own.finder = FaceFinder(min_size=self.min_face)
        finder: FaceFinder = self.own.finder
        return finder


def form_of(run: Run) -> Form:
    """How a run's model reads a photo."""
    schema = run.task.schema
    mode = MODES[schema.get("channels", 3)]
    return Form(schema["size"], mode, getattr(run.data, "fit", "crop"))


def pixels_of(source: Any, max_pixels: int) -> Pixels:
    """A photo ``(H, W, 3)`` uint8. DataError says why it is none that can be used."""
    photo = _as_colour(source) if isinstance(source, np.ndarray) else _decoded(source, max_pixels)
    check_not_a_strip(photo, THE_PHOTO)
    return photo


def _decoded(source: Any, max_pixels: int) -> Pixels:
    if isinstance(source, (str, Path)):
        source = _content(Path(source))
    if not isinstance(source, bytes):
        kind = type(source).__name__
        raise DataError(f"{THE_PHOTO} is a {kind}; expected a file, its content, or pixels.")
    return decode(source, THE_PHOTO, max_pixels=max_pixels)


def _content(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise DataError(
                f"{THE_PHOTO} has {size / 2**20:,.0f} MiB; at most {MAX_BYTES / 2**20:.0f} are."
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{THE_PHOTO} could not be read: {reason}.") from error


def _as_colour(pixels: Pixels) -> Pixels:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        found = f"{pixels.dtype} {pixels.shape}"
        raise DataError(f"{THE_PHOTO} is {found}; expected uint8 (H, W, 3) or (H, W).")
    if 0 in pixels.shape:
        raise DataError(f"{THE_PHOTO} has no pixels.")
    colour = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, 2)
    return np.ascontiguousarray(colour)
