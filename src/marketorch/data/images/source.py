"""Labelled images from folders, tables of pixels or encoded pictures, or the hub.

`ImageData` is lazy: constructing it reads nothing, so prediction needs no training data. Pictures
that fit in memory at the size the model reads are decoded once and live as one tensor, and a batch
is one index; larger collections are decoded by worker processes (``trainer.num_workers``) as they
are needed. What a class is may be said by a folder, a column, or the votes of several annotators.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.cuts import split_name
from marketorch.data.images.dataset import DecodedImages, Decoder, ImageDataset, Pixels, as_tensor
from marketorch.data.images.decoding import THREADS, content_of, photo_files, pictures
from marketorch.data.images.face_photos import FaceDecoder, FacesInPhotos
from marketorch.data.images.votes import Votes
from marketorch.data.labelled import Examples, LabelledData
from marketorch.data.reading import FORMATS, in_memory, label_name, listed, read_table, usable_rows
from marketorch.data.splits import SPLITS
from marketorch.errors import DataError, check_choice


@dataclass(kw_only=True, eq=False, repr=False)
class ImageData(LabelledData):
    """Labelled images from a folder, CSV, Parquet, JSON lines or a hub id.

    A folder holds one folder a class, or first ``train``, ``validation`` and ``test``. In a table,
    ``image`` is a column of file names (relative to the table), of encoded pictures as `datasets`
    stores them, or of pixels in a row as Kaggle has them ("70 80 82 …", a square).

        >>> train = ImageData(path="photos", size=64, channels=3).split("train")
        >>> train[0]["images"].shape  # (3, 64, 64)

    Args:
        image: column of the images.
        votes: columns with the number of annotators who voted for each class. Without ``label``
            they are the classes: the label is the majority, and training sees the shares.
        rejects: those of ``votes`` that are no class (unknown, not a face); an image that most
            gave to them is dropped.
        min_votes: a class with fewer votes is counted as having none (an outlier).
        majority: a test or validation image needs a class with more than this share of the votes;
            others are dropped there. Training keeps them.
        scores: numbers of the classes whose expected value belongs in a prediction, by name, e.g.
            ``{valence: {happy: 1, sad: -1}}``.
        size: side in pixels of what the model reads.
        channels: 1 (grey) or 3.
        fit: ``crop`` cuts the middle square out, ``squash`` does not keep the proportions.
        find_faces: ``inputs`` predicts on the faces in photos, for data that are faces themselves;
            ``always`` also trains on the largest face of each photo (its middle, where there is
            none), and predicts on that of each photo in a table.
        memory_gib: largest size of a file or folder that is kept decoded. The first one that is
            read decides for all, so that repeats are found across them.

    The other arguments are those of `marketorch.data.splits.Splits`,
    `marketorch.data.labelled.ExampleData` and `marketorch.data.labelled.LabelledData`.

    Raises:
        DataError: on reading, with the file, the row or the column, what was found and expected.
    """

    image: str = "image"
    votes: Sequence[str] = ()
    rejects: Sequence[str] = ()
    min_votes: int = 1
    majority: float = 0.0
    scores: Mapping[str, Mapping[str, float]] | None = None
    size: int = 48
    channels: int = 1
    fit: str = "crop"
    find_faces: str = "never"
    memory_gib: float = 2.0

    noun = "images"

    def _prepare(self) -> None:
        super()._prepare()
        if self.channels not in (1, 3):
            raise DataError(f"data.channels is {self.channels}; expected 1 (grey) or 3 (colour).")
        check_choice("data.fit", self.fit, ("crop", "squash"))
        check_choice("data.find_faces", self.find_faces, ("never", "inputs", "always"))
        for name, values in (self.scores or {}).items():
            if not isinstance(values, dict):
                raise DataError(f"data.scores.{name} is {values!r:.40}; expected numbers by class.")
        self._votes = Votes(self.votes, self.rejects, self.min_votes) if self.votes else None
        self._small: bool | None = None  # whether images live decoded in memory

    # -- the DataSource protocol --------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes and their counts, the images' form, and the names of the votes, if any."""
        form = {"channels": self.channels, "size": self.size}
        votes = {"votes": self._vote_names} if self._votes else {}
        scores = {"scores": dict(self.scores)} if self.scores else {}
        return super().schema | form | votes | scores

    def split(self, name: str) -> ImageDataset:
        """Reads ``train``, ``validation`` or ``test``."""
        part = self.part(name)
        if name != "train":
            part = self._agreed(part, name)
        votes = None if part.votes is None else torch.tensor(np.stack(part.votes))
        return self._dataset(part, self._numbers(part, name), votes)

    def inputs(self, source: Any) -> ImageDataset:
        """Reads images to predict on: a picture, a folder of them, or a table.

        Args:
            source: a path, several paths, or a table in memory, see
                `marketorch.data.reading.in_memory`.
        """
        table, shown = in_memory(source), "the input"
        if isinstance(source, (str, Path)) and Path(source).suffix.lower() in FORMATS:
            table, shown = self._table(str(source)), str(source)
        if table is not None:
            part = self._pictures(table, shown)
            pairs = zip(part.values, part.rows, strict=True)
            part.rows = [str(own) if isinstance(own, Path) else row for own, row in pairs]
            return self._dataset(self._decoded(part, shown))
        files = photo_files(source)
        if self.find_faces != "never":
            form = {"size": self.size, "channels": self.channels}
            return FacesInPhotos(files, **form, on_bad=self.on_bad)
        return self._dataset(self._decoded(Examples(files, None, [*map(str, files)]), str(source)))

    def fingerprint(self) -> str:
        """Hash of the training images and labels."""
        part = self.part("train")
        digest = hashlib.blake2b(digest_size=16)
        for value, label in zip(part.values, part.labels or [""] * len(part.values), strict=True):
            digest.update(f"{label}\t{self.key(value)}\n".encode())
        return digest.hexdigest()

    def key(self, value: Any) -> str:
        """Hash of a picture's pixels, or of the file that has not been decoded yet."""
        if isinstance(value, Path):
            content = content_of(value)
        elif isinstance(value, (bytes, np.ndarray)):
            content = bytes(value)
        else:
            content = str(value).encode(errors="surrogatepass")
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    # -- labels -------------------------------------------------------------------------------

    @property
    def _voted(self) -> bool:
        """Whether the votes are the labels."""
        return self._votes is not None and self.label is None

    @property
    def _vote_names(self) -> list[str]:
        assert self._votes is not None
        return self._votes.classes if self._voted else self._votes.columns

    @property
    def _labels_from(self) -> str:
        if self._voted:
            return "data.votes"
        return "the folder" if Path(self.paths[0]).is_dir() else super()._labels_from

    def _order(self, counts: Counter[str]) -> list[str]:
        return self._votes.classes if self._votes and self._voted else super()._order(counts)

    def _agreed(self, part: Examples, name: str) -> Examples:
        """The images of which one class has the majority of the votes."""
        if not self._voted or not self.majority:
            return part
        assert part.votes is not None
        kept = [i for i, shares in enumerate(part.votes) if max(shares) > self.majority]
        if dropped := len(part.votes) - len(kept):
            say(f"{dropped:,} images of the {name} split have no majority and were dropped.")
        if not kept:
            raise DataError(
                f"No image of the {name} split has more than {self.majority:g} of the votes for "
                "one class (data.majority)."
            )
        return part.select(kept)

    def _with_votes(self, part: Examples, table: Any, path: str) -> Examples:
        """The votes of a table's rows; if they are the labels, without the rows they reject."""
        assert self._votes is not None
        shares = self._votes.read(table, path)
        part.votes = list(shares)
        if not self._voted:
            return part
        part.labels = self._votes.majority(shares)
        classes = set(self._votes.classes)
        kept = [i for i, label in enumerate(part.labels) if label in classes]
        if len(kept) < len(part.labels):
            others = Counter(label or "no votes" for label in part.labels if label not in classes)
            number = sum(others.values())
            say(f"{path}: {number:,} images are dropped by their votes: {dict(others)}.")
        part.votes = [row[: len(classes)] for row in part.votes]
        return part.select(kept)

    # -- reading ------------------------------------------------------------------------------

    def _read(self, path: str, *, labelled: bool = True) -> Examples:
        if Path(path).is_dir():
            return self._decoded(self._in_folders(Path(path)), path)
        table = self._table(path)
        part = self._pictures(table, path)
        if labelled:
            part.roles = self._roles(table, path)
            if self.label:
                part.labels = listed(table, self.label, "data.label", path)
            if self._votes:
                part = self._with_votes(part, table, path)
        return self._decoded(part, path)

    def _table(self, path: str) -> pa.Table:
        return read_table(path, encoding=self.encoding, hub_config=self.hub_config)

    def _pictures(self, table: pa.Table, path: str) -> Examples:
        sources = pictures(listed(table, self.image, "data.image", path), path)
        return Examples(sources, None, [i + 1 for i in range(len(sources))])

    def _in_folders(self, folder: Path) -> Examples:
        """Pictures in ``<class>/`` or ``<split>/<class>/``."""
        inner = (path for path in folder.iterdir() if path.is_dir())
        names = sorted(path.name for path in inner if not path.name.startswith("."))
        if names and {split_name(name) for name in names} <= set(SPLITS):
            parts = [self._in_folders(folder / name) for name in names]
            for name, part in zip(names, parts, strict=True):
                part.roles = {"split": [name] * len(part)}
            return Examples.joined(parts)
        if not names:
            raise DataError(f"{folder} holds no folders; expected one a class with its pictures.")
        files = {name: photo_files(folder / name) for name in names}
        flat = [(file, name) for name, found in files.items() for file in found]
        paths = [file for file, _ in flat]
        labels: list[str | None] = [name for _, name in flat]
        return Examples(paths, labels, [str(file.relative_to(folder)) for file in paths])

    def _decoded(self, part: Examples, path: str) -> Examples:
        """Usable rows, with pixels instead of sources where these fit in memory."""
        if self._small is None:
            needed = len(part.values) * self.channels * self.size**2
            self._small = needed <= self.memory_gib * 2**30
        small = self._small
        decoder = self._decoder(part)

        def attempt(place: int) -> Pixels | str:
            try:
                return decoder.pixels(place)
            except DataError as error:
                return str(error).removeprefix(decoder.names[place]).lstrip(": ").rstrip(".")

        places: Sequence[int] = range(len(part.values))
        if not small and self.on_bad == "error":  # decoded later, but for what cannot ever be
            kinds = (Path, bytes, str)
            places = [i for i in places if not isinstance(part.values[i], kinds)]
        with ThreadPoolExecutor(THREADS) as pool:
            tried = dict(zip(places, pool.map(attempt, places), strict=True))
        bad = {i: result for i, result in tried.items() if isinstance(result, str)}
        found: list[Any] = [*tried.values()] if small else part.values
        labels = part.labels or []
        bad |= {i: "label is null" for i, label in enumerate(labels) if label is None}
        bad = dict(sorted((bad | self._blank(part.roles)).items()))
        good = usable_rows(bad, len(found), path, self.on_bad, decoder.names)
        names: list[str | None] | None = None
        if part.labels is not None:
            names = [label_name(label) for label in labels]
        return Examples(found, names, part.rows, part.votes, part.roles).select(good)

    def _decoder(self, part: Examples) -> Decoder:
        names = [
            str(s) if isinstance(s, Path) else f"row {r}"
            for s, r in zip(part.values, part.rows, strict=True)
        ]
        kind = FaceDecoder if self.find_faces == "always" else Decoder
        return kind(part.values, names, size=self.size, channels=self.channels, fit=self.fit)

    def _dataset(
        self, part: Examples, labels: Tensor | None = None, votes: Tensor | None = None
    ) -> ImageDataset:
        if part.values and isinstance(part.values[0], np.ndarray):
            return DecodedImages(as_tensor(part.values), labels, votes, part.rows)
        return ImageDataset(self._decoder(part), labels, votes, part.rows)
