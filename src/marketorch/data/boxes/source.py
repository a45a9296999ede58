"""Photos with boxes from COCO, Pascal VOC, YOLO or the hub, and what to find boxes in.

`DetectionData` is lazy: constructing it reads nothing, so prediction needs no training data. Photos
that fit in memory at the size the model reads are decoded once; larger collections are decoded by
worker processes (``trainer.num_workers``) as they are needed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

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
from marketorch.data.images.decoding import content_of
from marketorch.data.labelled import Examples, LabelledData, usable_rows
from marketorch.data.reading import some
from marketorch.data.splits import stratified_cut
from marketorch.errors import DataError, closest


class DetectionData(PhotoReader, LabelledData):
    """Photos with boxes.

    Args:
        path: file(s), folder or hub id with the annotations to train on, or with all of them. A
            folder or a YAML file that holds splits gives those that have no path of their own.
        images: folder with the photos, where it is not the one that the format has.
        format: ``coco``, ``voc``, ``yolo`` or ``hub``; ``auto`` tells them by the files.
        image, objects: columns of a table, see `marketorch.data.boxes.hub`.
        validation, test: annotations of their own for these splits, if there are any.
        exclude: annotations whose photos must not be trained on.
        validation_fraction, test_fraction, seed: of the cut where nothing gives the split;
            a photo counts as one of its rarest class.
        duplicates: ``drop`` or ``keep`` repeated photos before that cut.
        classes: the classes to find, by the names to print, in this order; None: all that there
            are. Boxes of others are left out, their photos stay.
        class_names: from the annotations' classes to the names to print.
        size: side S in pixels of the square that the model reads, see
            `marketorch.data.boxes.dataset`.
        min_box: boxes with a shorter side, in pixels of the input, are not trained on.
        memory_gib: largest size of a split that is kept decoded.
        video_every: seconds from one frame of a video to predict on to the next.
        on_bad: ``error`` or ``skip`` for photos that cannot be read and boxes that cannot be.
        encoding: of tables that are text.
        hub_config: configuration name of a hub data set.

    Raises:
        DataError: on reading, with the file and the box, what was found and expected.
    """

    noun = "photos"

    def __init__(
        self,
        *,
        path: str | Sequence[str],
        images: str | None = None,
        format: str = "auto",
        image: str = "image",
        objects: str = "objects",
        validation: str | None = None,
        test: str | None = None,
        exclude: Sequence[str] = (),
        validation_fraction: float = 0.1,
        test_fraction: float = 0.2,
        seed: int = 0,
        duplicates: str = "drop",
        classes: Sequence[str] | None = None,
        class_names: dict[Any, str] | None = None,
        size: int = 320,
        min_box: float = 1.0,
        memory_gib: float = 2.0,
        video_every: float = 1.0,
        on_bad: str = "error",
        encoding: str = "utf-8",
        hub_config: str | None = None,
    ) -> None:
        super().__init__(
            path=path,
            validation=validation,
            test=test,
            exclude=exclude,
            label=objects,
            split=None,
            validation_fraction=validation_fraction,
            test_fraction=test_fraction,
            seed=seed,
            block=1,
            duplicates=duplicates,
            num_labelled=None,
            class_names=class_names,
            on_bad=on_bad,
        )
        if format not in KINDS:
            expected = ", ".join(KINDS)
            raise DataError(f"data.format is '{format}'; expected one of {expected}.")
        for key, value in {"size": size, "video_every": video_every}.items():
            if not value > 0:
                raise DataError(f"data.{key} is {value}; expected more than 0.")
        if classes and len(set(classes)) < len(classes):
            raise DataError(f"data.classes names a class twice: {', '.join(classes)}.")
        self.images, self.format = images, format
        self.table: dict[str, Any] = {"image": image, "objects": objects}
        self.table |= {"encoding": encoding, "hub_config": hub_config}
        self.wanted = list(classes) if classes else None
        self.size, self.min_box, self.memory_gib = size, min_box, memory_gib
        self.video_every = video_every
        self._declared: dict[str, None] = {}  # classes of data.path, in order
        self._made: dict[str, BoxDataset] = {}

    # -- the DataSource protocol --------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes in order, how many training boxes each has, and the form of the input."""
        photos = self._part("train").values
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
            self._made[name] = self._labelled(self._part(name), name)
        return self._made[name]

    def fingerprint(self) -> str:
        """Hash of the training photos and their boxes."""
        digest = hashlib.blake2b(digest_size=16)
        for photo in self._part("train").values:
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
        return self.class_names.get(name, name)

    def _large(self, photo: AnnotatedPhoto) -> list[Box]:
        """The boxes that are large enough to train on."""
        assert photo.size is not None
        least = self.min_box / frame_of(*photo.size, self.size).scale
        return [b for b in photo.boxes if min(b.x2 - b.x1, b.y2 - b.y1) >= least]

    # -- reading ------------------------------------------------------------------------------

    def _part(self, name: str) -> Examples:
        self._find_splits()
        return super()._part(name)

    def _find_splits(self) -> None:
        """Takes the splits that lie under data.path where none is given."""
        if "_parts" in vars(self) or len(self.paths) != 1:
            return
        inner = splits_in(self.paths[0], self.format)
        if "train" in inner:
            self.paths = [inner["train"]]
            given = {name: path for name, path in self.files.items() if path}
            self.files |= inner | given

    def _read(self, path: str, label: str | None) -> Examples:
        found = read_annotations(path, self.format, self.images, **self.table)
        if path in self.paths:
            self._declared |= dict.fromkeys(map(self._printed, found.classes))
        bad = self._look(found.photos)
        names = [photo.name for photo in found.photos]
        good = usable_rows(bad, len(names), path, self.on_bad, names)
        photos = [found.photos[i] for i in good]
        if label:
            usable_boxes(photos, found.bad, path, self.on_bad)
            self._named(photos, path)
            self._report(photos, found.crowds, path)
        return Examples(photos, None, [photo.name for photo in photos])

    def _report(self, photos: Sequence[AnnotatedPhoto], crowds: int, path: str) -> None:
        empty = sum(not photo.boxes for photo in photos)
        if empty:
            say(f"{path}: {empty:,} of {len(photos):,} photos have no box; they are kept.")
        if crowds:
            say(f"{path}: {crowds:,} boxes around crowds (iscrowd) are left out.")

    # -- splits -------------------------------------------------------------------------------

    @property
    def _to_cut(self) -> list[str]:
        """The splits to cut from data.path, in turn."""
        return [
            name for name in ("test", "validation") if not self.files[name] and self.fractions[name]
        ]

    def _unique(self, whole: Examples) -> Examples:
        """Without repeats, if splits are cut; files that give them all are taken as they are."""
        return super()._unique(whole) if self._to_cut else whole

    def _cut(self, whole: Examples) -> dict[str, Examples]:
        """Cuts for the splits that have no file, by class as far as there are enough photos."""
        rest, parts = list(range(len(whole.values))), {}
        for name in self._to_cut:
            rest, taken = self._cut_one(rest, whole, name)
            parts[name] = whole.take(sorted(taken))
        return parts | {"train": whole.take(sorted(rest))}

    def _cut_one(self, rows: list[int], whole: Examples, name: str) -> tuple[list[int], list[int]]:
        share, seed = self.fractions[name], self.seed
        try:
            return stratified_cut(rows, strata([whole.values[i] for i in rows]), share, seed=seed)
        except ValueError:
            say(f"{self.paths[0]}: too few photos to cut a {name} split by class; it is random.")
        try:
            return stratified_cut(rows, None, share, seed=seed)
        except ValueError as error:
            raise DataError(
                f"{self.paths[0]}: cannot cut a {name} split from {len(rows):,} photos: {error}"
            ) from error

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


def strata(photos: Sequence[AnnotatedPhoto]) -> list[str]:
    """What each photo counts as in a stratified cut: its rarest class, or none.

    Those that would stand alone count as the most frequent.
    """
    present = [{box.label for box in photo.boxes} for photo in photos]
    frequency = Counter(label for labels in present for label in labels)
    own = [
        min(labels, key=lambda label: (frequency[label], label), default="") for labels in present
    ]
    counts = Counter(own)
    common = counts.most_common(1)[0][0] if counts else ""
    return [label if counts[label] > 1 else common for label in own]
