"""Photos with boxes from COCO, Pascal VOC, YOLO or the hub, and what to find boxes in.

`DetectionData` is lazy: constructing it reads nothing, so prediction needs no training data. Photos
that fit in memory at the size the model reads are decoded once; larger collections are decoded by
worker processes (``trainer.num_workers``) as they are needed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.boxes.annotations import AnnotatedPhoto, Box, usable_boxes
from marketorch.data.boxes.dataset import (
    BoxDataset,
    DecodedBoxes,
    frame_of,
    to_input,
)
from marketorch.data.boxes.formats import KINDS, read_annotations, splits_in
from marketorch.data.boxes.reader import PhotoReader
from marketorch.data.cuts import Words
from marketorch.data.images.decoding import content_of
from marketorch.data.labelled import ExampleData, Examples
from marketorch.data.reading import some, usable_rows
from marketorch.errors import DataError, check_choice, closest


@dataclass(kw_only=True, eq=False, repr=False)
class DetectionData(PhotoReader, ExampleData):
    """Photos with boxes.

    A folder or a YAML file that holds splits gives those that have no path of their own. In a cut
    a photo counts as one of its rarest class. Columns (``split``, ``group``, ``time``) are those of
    a table, or the entries of COCO's images, e.g. ``date_captured``.

        >>> train = DetectionData(path="instances.json", images="photos", size=320).split("train")
        >>> train[0]["images"].shape, train[0]["boxes"].shape  # (3, 320, 320), (n, 4)

    Args:
        images: folder with the photos, where it is not the one that the format has.
        format: ``coco``, ``voc``, ``yolo`` or ``hub``; ``auto`` finds it by the files.
        image, objects: columns of a table, see `marketorch.data.boxes.hub`.
        classes: the classes to find, by the names to print, in this order; None: all that there
            are. Boxes of others are left out, their photos stay.
        size: side S in pixels of the square that the model reads, see
            `marketorch.data.boxes.dataset`.
        min_box: boxes with a shorter side, in pixels of the input, are not trained on.
        memory_gib: largest size of a split that is kept decoded.
        video_every: seconds from one frame of a video to predict on to the next.

    The other arguments are those of `marketorch.data.splits.Splits` and
    `marketorch.data.labelled.ExampleData`.

    Raises:
        DataError: on reading, with the file and the box, what was found and expected.
    """

    images: str | None = None
    format: str = "auto"
    image: str = "image"
    objects: str = "objects"
    classes: Sequence[str] | None = None
    size: int = 320
    min_box: float = 1.0
    memory_gib: float = 2.0
    video_every: float = 1.0

    noun = "photos"
    lenient = True

    def _prepare(self) -> None:
        super()._prepare()
        check_choice("data.format", self.format, KINDS)
        for key, value in {"size": self.size, "video_every": self.video_every}.items():
            if not value > 0:
                raise DataError(f"data.{key} is {value}; expected more than 0.")
        self.wanted = list(self.classes) if self.classes else None
        if self.wanted and len(set(self.wanted)) < len(self.wanted):
            raise DataError(f"data.classes names a class twice: {', '.join(self.wanted)}.")
        self._declared: dict[str, None] = {}  # classes of data.path, in order
        self._made: dict[str, BoxDataset] = {}

    # -- the DataSource protocol --------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes in order, how many training boxes each has, and the form of the input."""
        photos = self.part("train").values
        classes = self._classes
        counts = Counter(box.label for photo in photos for box in self._large(photo))
        if not counts:
            raise DataError(f"{self.paths[0]} has no box to train on; a detector needs some.")
        if empty := [name for name in classes if name not in counts]:
            say(
                f"{self.paths[0]}: {len(empty):,} of {len(classes):,} classes have no box in the "
                f"training split: {some(empty)}. They stay classes."
            )
        return {
            "classes": classes,
            "class_counts": [counts[name] for name in classes],
            "num_examples": len(photos),
            "channels": 3,
            "size": self.size,
        }

    def split(self, name: str) -> BoxDataset:
        """Reads ``train``, ``validation`` or ``test``, once."""
        if name not in self._made:
            self._made[name] = self._labelled(self.part(name), name)
        return self._made[name]

    def fingerprint(self) -> str:
        """Hash of the training photos and their boxes."""
        digest = hashlib.blake2b(digest_size=16)
        for photo in self.part("train").values:
            boxes = [(box.label, *box[:4]) for box in self._large(photo)]
            digest.update(f"{self.key(photo)}\t{boxes}\n".encode())
        return digest.hexdigest()

    def key(self, value: AnnotatedPhoto) -> str:
        """Hash of a photo's file."""
        source = value.source
        content = content_of(source) if isinstance(source, Path) else source
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    # -- classes ------------------------------------------------------------------------------

    @property
    def _classes(self) -> list[str]:
        """The classes to find. DataError if data.classes names one that there is not."""
        if self.wanted is None:
            return list(self._declared)
        for name in self.wanted:
            if name not in self._declared:
                known = f"Found: {some(self._declared, 30) or 'none'}."
                raise DataError(
                    f"{self.paths[0]} has no class '{name}' (data.classes)."
                    f"{closest(name, self._declared)} {known}"
                )
        return self.wanted

    def _named(self, photos: Sequence[AnnotatedPhoto], path: str) -> None:
        """Gives boxes the names to print, and leaves out those of classes not to find."""
        left_out: Counter[str] = Counter()
        for photo in photos:
            boxes = [box._replace(label=self._printed(box.label)) for box in photo.boxes]
            photo.boxes = [b for b in boxes if self.wanted is None or b.label in self.wanted]
            left_out.update(b.label for b in boxes if b not in photo.boxes)
        if left_out:
            number = f"{left_out.total():,} boxes of {len(left_out):,} other classes"
            say(f"{path}: {number} are left out (data.classes): {some(left_out)}.")

    def _printed(self, name: str) -> str:
        return self.names.get(name, name)

    def _large(self, photo: AnnotatedPhoto) -> list[Box]:
        """The boxes that are large enough to train on."""
        assert photo.size is not None
        least = self.min_box / frame_of(*photo.size, self.size).scale
        return [b for b in photo.boxes if min(b.x2 - b.x1, b.y2 - b.y1) >= least]

    # -- reading ------------------------------------------------------------------------------

    def part(self, name: str) -> Examples:
        """The photos of a split, as `marketorch.data.splits.Splits.part`."""
        self._find_splits()
        return super().part(name)

    def _find_splits(self) -> None:
        """Takes the splits that lie under data.path where none is given."""
        if "_parts" in vars(self) or len(self.paths) != 1:
            return
        inner = splits_in(self.paths[0], self.format)
        if "train" in inner:
            self.paths = [inner["train"]]
            given = {name: path for name, path in self.files.items() if path}
            self.files |= inner | given

    def _read(self, path: str, *, labelled: bool = True) -> Examples:
        columns = self.cut_columns if path in self.paths else {}
        table: dict[str, Any] = {"image": self.image, "objects": self.objects}
        table |= {"encoding": self.encoding, "hub_config": self.hub_config}
        table["columns"] = [*columns.values()]
        found = read_annotations(path, self.format, self.images, **table)
        if path in self.paths:
            self._declared |= dict.fromkeys(map(self._printed, found.classes))
        roles = {role: _said(found.photos, name, role, path) for role, name in columns.items()}
        bad = dict(sorted((self._look(found.photos) | self._blank(roles)).items()))
        names = [photo.name for photo in found.photos]
        good = usable_rows(bad, len(names), path, self.on_bad, names)
        part = Examples(found.photos, None, names, roles=roles).select(good)
        if labelled:
            usable_boxes(part.values, found.bad, path, self.on_bad)
            self._named(part.values, path)
            self._report(part.values, found.crowds, path)
        return part

    def _report(self, photos: Sequence[AnnotatedPhoto], crowds: int, path: str) -> None:
        empty = sum(not photo.boxes for photo in photos)
        if empty:
            say(f"{path}: {empty:,} of {len(photos):,} photos have no box; they are kept.")
        if crowds:
            say(f"{path}: {crowds:,} boxes around crowds (iscrowd) are left out.")

    # -- splits -------------------------------------------------------------------------------

    def _unique(self, whole: Examples) -> Examples:
        """Without repeats, if splits are cut; files that give them all are taken as they are."""
        return super()._unique(whole) if any(self._shares.values()) else whole

    def _strata(self, rows: Examples) -> Words:
        """The rarest class of each photo, or none."""
        present = [{box.label for box in photo.boxes} for photo in rows.values]
        frequency = Counter(label for labels in present for label in labels)
        rarest = [
            min(labels, key=lambda label: (frequency[label], label), default="")
            for labels in present
        ]
        names, codes = np.unique(rarest, return_inverse=True)
        return names.tolist(), codes

    # -- data sets ----------------------------------------------------------------------------

    def _labelled(self, part: Examples, name: str) -> BoxDataset:
        photos, number = part.values, {c: i for i, c in enumerate(self.schema["classes"])}
        self._refuse_unseen(photos, number, name)
        if name == "train":
            total = sum(len(photo.boxes) for photo in photos)
            for photo in photos:
                photo.boxes = self._large(photo)
            if small := total - sum(len(photo.boxes) for photo in photos):
                least = f"{self.min_box:g} pixels of the input (data.min_box)"
                say(f"{self.paths[0]}: {small:,} boxes below {least} are not trained on.")
        return self._dataset(photos, number)

    def _refuse_unseen(
        self, photos: Sequence[AnnotatedPhoto], number: dict[str, int], name: str
    ) -> None:
        unseen = [box for photo in photos for box in photo.boxes if box.label not in number]
        if unseen:
            counts, first = dict(Counter(box.label for box in unseen)), unseen[0]
            raise DataError(
                f"The {name} split has classes that training never saw: {counts} (first: "
                f"{first.place}).{closest(first.label, number)} Training has: {', '.join(number)}."
            )

    def _dataset(self, photos: Sequence[AnnotatedPhoto], number: dict[str, int]) -> BoxDataset:
        """Photos of known sizes and their boxes as a data set."""
        frames, sizes = self._frames(photos)
        corners = [torch.tensor([box[:4] for box in p.boxes]).reshape(-1, 4) for p in photos]
        boxes = [to_input(own, frame) for own, frame in zip(corners, frames, strict=True)]
        every = [[number[box.label] for box in photo.boxes] for photo in photos]
        labels = [torch.tensor(own, dtype=torch.int64) for own in every]
        ids, images = [photo.name for photo in photos], self._images(photos)
        if isinstance(images, Tensor):
            return DecodedBoxes(images, boxes, labels, frames, ids, sizes)
        return BoxDataset(images, boxes, labels, frames, ids, sizes)


def _said(photos: Sequence[AnnotatedPhoto], column: str, role: str, path: str) -> list[Any]:
    """What a column says of each photo. DataError if there is none."""
    names = {name: None for photo in photos for name in photo.about}
    if column not in names:
        raise DataError(
            f"{path}: photos have no '{column}' (data.{role}).{closest(column, names)} "
            f"They have: {some(names) or 'their boxes alone'}."
        )
    return [photo.about.get(column) for photo in photos]
