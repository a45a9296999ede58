"""Reads photos and videos, as squares in memory or to be decoded when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.boxes.annotations import AnnotatedPhoto
from marketorch.data.boxes.dataset import (
    LetterboxDecoder,
    Size,
    disagreement,
    frame_of,
    letterboxed,
)
from marketorch.data.boxes.search import PhotosToSearch, Whole
from marketorch.data.images.dataset import as_tensor
from marketorch.data.images.decoding import THREADS, photo_files
from marketorch.data.images.videos import SUFFIXES as VIDEOS
from marketorch.data.images.videos import frames_at, read_frames, time_of
from marketorch.data.reading import FORMATS, in_memory
from marketorch.errors import DataError

TABLES = frozenset(FORMATS) - {".txt"}


class PhotoReader:
    """Base of `DetectionData`: photos of known sizes, in the form that a detector reads."""

    size: int
    memory_gib: float
    video_every: float
    on_bad: str

    def inputs(self, source: Any) -> PhotosToSearch:
        """Reads photos to predict on: one, a folder of them, or frames of a video.

        Args:
            source: a path, or several paths of photos.
        """
        suffix = Path(source).suffix.lower() if isinstance(source, (str, Path)) else ""
        if suffix in VIDEOS:
            return self._video(Path(source))
        if suffix in TABLES or in_memory(source) is not None:
            raise DataError(f"{source}: expected a photo, a folder of photos or a video.")
        files = photo_files(source)
        photos = [AnnotatedPhoto(file, str(file), []) for file in files]
        bad = self._look(photos)
        if bad and self.on_bad == "error":
            place, why = next(iter(bad.items()))
            raise DataError(f"{photos[place].name} {why}.")
        good = [i for i in range(len(photos)) if i not in bad]
        kept = [photos[i] for i in good]
        whole = partial(map, self._decoder(kept).photo)
        dataset = self._to_search(kept, [files[i].stem for i in good], whole)
        dataset.skipped = [
            {"image": photos[i].name, "label": f"unreadable: {why}"} for i, why in bad.items()
        ]
        return dataset

    def _look(self, photos: Sequence[AnnotatedPhoto]) -> dict[int, str]:
        """Finds the size of each photo, and decodes it where all fit in memory.

        Returns:
            What is wrong, by place.
        """
        fits = len(photos) * 3 * self.size**2 <= self.memory_gib * 2**30
        decoder = self._decoder(photos)

        def attempt(place: int) -> str:
            photo = photos[place]
            if photo.fault:
                return photo.fault
            try:
                photo.size, photo.image = _look_at(decoder, place, fits, self.on_bad == "skip")
            except DataError as error:
                return str(error).removeprefix(decoder.names[place]).lstrip(": ").rstrip(".")
            return ""

        with ThreadPoolExecutor(THREADS) as pool:
            faults = list(pool.map(attempt, range(len(photos))))
        return {place: fault for place, fault in enumerate(faults) if fault}

    def _decoder(self, photos: Sequence[AnnotatedPhoto]) -> LetterboxDecoder:
        sources = [photo.source for photo in photos]
        names = [str(p.source) if isinstance(p.source, Path) else p.name for p in photos]
        return LetterboxDecoder(sources, names, [photo.size for photo in photos], self.size)

    def _to_search(
        self, photos: Sequence[AnnotatedPhoto], stems: Sequence[str], whole: Whole
    ) -> PhotosToSearch:
        frames, sizes = self._frames(photos)
        ids, images = [photo.name for photo in photos], self._images(photos)
        return PhotosToSearch(images, frames, sizes, ids, stems=stems, whole=whole)

    def _frames(self, photos: Sequence[AnnotatedPhoto]) -> tuple[Tensor, Tensor]:
        """The frames ``(N, 3)`` and the sizes ``(N, 2)`` of photos of known sizes."""
        sizes = [photo.size for photo in photos if photo.size]
        frames = torch.tensor([frame_of(*size, self.size) for size in sizes]).reshape(-1, 3)
        return frames, torch.tensor(sizes, dtype=torch.float32).reshape(-1, 2)

    def _images(self, photos: Sequence[AnnotatedPhoto]) -> Tensor | LetterboxDecoder:
        """Photos as the model reads them; squares that are there move into one tensor."""
        squares = [photo.image for photo in photos if photo.image is not None]
        if len(squares) < len(photos):
            return self._decoder(photos)
        for photo in photos:
            photo.image = None
        empty = torch.zeros(0, 3, self.size, self.size, dtype=torch.uint8)
        return torch.stack(squares) if squares else empty

    def _video(self, path: Path) -> PhotosToSearch:
        """Frames of a video, named by their second: ``clip.mp4@12.5s``."""
        photos: list[AnnotatedPhoto] = []
        stems: list[str] = []
        room = int(self.memory_gib * 2**30 / (3 * self.size**2))
        try:
            for second, frame in read_frames(path, self.video_every):
                if len(photos) == room:
                    raise DataError(
                        f"{path}: more than {room:,} frames do not fit in data.memory_gib="
                        f"{self.memory_gib:g}; sample fewer with data.video_every."
                    )
                size = (frame.shape[1], frame.shape[0])
                image = as_tensor([letterboxed(frame, self.size)])[0]
                name = f"{path}@{time_of(second)}"
                photos.append(AnnotatedPhoto(path, name, [], size, image=image))
                stems.append(f"{path.stem}@{second:09.3f}s")  # in the order of time, if sorted
        except DataError as error:
            if self.on_bad == "error" or not photos or len(photos) == room:
                raise
            say(f"{error} The rest is left out (data.on_bad=skip).")
        return self._to_search(photos, stems, partial(frames_at, path, self.video_every))


def _look_at(
    decoder: LetterboxDecoder, place: int, keep: bool, whole: bool
) -> tuple[Size, Tensor | None]:
    """The size of a photo and, if it is to be kept, its square; ``whole`` decodes it in any case.

    Raises:
        DataError: the photo cannot be read, or its size is not what the annotations say.
    """
    said = decoder.sizes[place]
    if keep or whole:
        photo = decoder.photo(place)
        size = (photo.shape[1], photo.shape[0])
        return size, as_tensor([letterboxed(photo, decoder.size)])[0] if keep else None
    size = decoder.size_of(place)
    if wrong := disagreement(said, size):
        raise DataError(wrong)
    return size, None
