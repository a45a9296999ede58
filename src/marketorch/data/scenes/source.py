"""Scenes as a data source: a detector learns from clean marks, and is measured on what you have.

Training scenes are drawn when they are asked for, each epoch others, by worker processes if there
are any (``trainer.num_workers``). Validation and test scenes are drawn once: they depend on
``seed`` and their place alone, neither on the seed of the run nor on the epoch.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.boxes.dataset import BoxDataset, DecodedBoxes
from marketorch.data.boxes.formats import read_annotations, splits_in
from marketorch.data.boxes.search import PhotosToSearch
from marketorch.data.boxes.source import DetectionData
from marketorch.data.images.dataset import Pixels, as_tensor
from marketorch.data.reading import some
from marketorch.data.scenes import invented_marks as mark_drawings
from marketorch.data.scenes.marks import BrandMark, draw_svg, read_marks
from marketorch.data.scenes.photos import read_crops, read_surfaces
from marketorch.data.scenes.printing import Cutout, cut_out
from marketorch.data.scenes.scene import MARKS, scene
from marketorch.data.splits import SPLITS
from marketorch.engine.task import Batch
from marketorch.errors import DataError, check_choice

NEAR = 0.75  # likeness of two names that may be the same, misspelt
HELD_OUT = 10  # of so many photos, validation and test scenes have one each for themselves


@dataclass(frozen=True)
class Stock:
    """What the scenes of a split are made of, see `marketorch.data.scenes.scene.scene`."""

    marks: list[list[Cutout]]
    distractors: list[Cutout]
    surfaces: list[Pixels]
    crops: list[list[Cutout]] | None
    size: int

    def draw(self, *seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """The scene of a seed: photo ``(3, S, S)``, boxes ``(n, 4)``, labels ``(n,)``."""
        rng = np.random.default_rng(seed)
        photo, boxes, labels = scene(
            rng, self.marks, self.distractors, self.surfaces, self.size, crops=self.crops
        )
        return as_tensor([photo])[0], torch.from_numpy(boxes), torch.from_numpy(labels)


class SceneDataset(BoxDataset):
    """Scenes that are drawn when they are asked for; batches are those of `BoxDataset`.

    A scene depends on ``seed`` and on torch's generator, which the loader sets by the seed of the
    run, the epoch and the place. So its boxes are not known before: ``boxes`` is empty.

    Args:
        stock: what scenes are made of.
        number: scenes.
        seed: of the scenes.
        photos: annotated photos that follow the scenes.
    """

    def __init__(
        self, stock: Stock, number: int, seed: int, photos: BoxDataset | None = None
    ) -> None:
        super().__init__(torch.zeros(0, 3, stock.size, stock.size, dtype=torch.uint8), [])
        self.stock, self.number, self.seed, self.photos = stock, number, seed, photos

    def __len__(self) -> int:
        return self.number + (len(self.photos) if self.photos else 0)

    def __getitem__(self, place: int) -> Batch:
        """One scene or photo."""
        if self.photos and place >= self.number:
            return self.photos[place - self.number] | {"index": torch.tensor(place)}
        image, boxes, labels = self.stock.draw(self.seed, int(torch.randint(2**62, ())))
        about = {"frames": torch.tensor([1.0, 0.0, 0.0]), "index": torch.tensor(place)}
        return {"images": image, "boxes": boxes, "labels": labels} | about


@dataclass(kw_only=True, eq=False, repr=False)
class SceneData:
    """Scenes for training; for validation and test, scenes or annotated photos.

    Args:
        marks: folder of the marks to find, see `marketorch.data.scenes.marks.read_marks`; None:
            marks of invented brands.
        distractors: folder of other marks, that are seen but not looked for; None: invented ones.
        backgrounds: folder of photos to put marks on, in which no such mark is seen; or annotations
            of photos in which there are some, whose other parts are taken. None: surfaces are
            drawn. Where validation or test photos are scenes as well, they have a tenth of the
            photos for themselves.
        crops: annotations of marks that are cut out of their photos and pasted as well; their
            classes are looked for too, whether there is a clean mark of them or not.
        photos: annotations of photos that are trained on as well, as they are.
        images: folder of the annotated photos, if it is not the one that the format has.
        validation, test: annotations, in any form that `DetectionData` reads, to measure on real
            photos. Boxes of classes that are no mark's are left out, their photos stay.
        class_names: from the annotations' classes to those of the marks.
        num_train: scenes of an epoch; it has the photos besides.
        num_validation, num_test: scenes of these splits, where there are no annotations.
        size: side S of a scene in pixels.
        seed: of the scenes.
        max_backgrounds: photos that are kept in memory at most.
        video_every: seconds from one frame of a video to predict on to the next.
        on_bad: ``error`` or ``skip`` for marks and photos that cannot be used.

    Raises:
        DataError: on reading, with the file, what was found and what was expected.
    """

    marks: str | None = None
    distractors: str | None = None
    backgrounds: str | None = None
    crops: str | None = None
    photos: str | None = None
    images: str | None = None
    validation: str | None = None
    test: str | None = None
    class_names: Mapping[Any, str] | None = None
    num_train: int = 4_000
    num_validation: int = 400
    num_test: int = 400
    size: int = 320
    seed: int = 0
    max_backgrounds: int = 1_000
    video_every: float = 1.0
    on_bad: str = "error"

    def __post_init__(self) -> None:
        check_choice("data.on_bad", self.on_bad, ("error", "skip"))
        numbers = (self.num_train, self.num_validation, self.num_test)
        self.sizes = dict(zip(SPLITS, numbers, strict=True))
        if min(*numbers, self.seed) < 0 or min(self.size, self.max_backgrounds) < 1:
            raise DataError(
                "data.num_train, data.num_validation, data.num_test and data.seed must not be "
                "negative; data.size and data.max_backgrounds must be 1 or more."
            )
        self.annotated = {"train": self.photos, "validation": self.validation, "test": self.test}
        self.names = {str(key): name for key, name in (self.class_names or {}).items()}
        self._made: dict[str, BoxDataset] = {}

    # -- the DataSource protocol --------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes in order, about how many training marks each has, and the form of the input."""
        wanted = sum(number * chance for number, chance in enumerate(MARKS))
        each = round(self.sizes["train"] * wanted / len(self.classes))
        counts = torch.full([len(self.classes)], each)
        if self._photographed and self._photographed.labels:
            labels = torch.cat(self._photographed.labels)
            counts += torch.bincount(labels, minlength=len(self.classes))
        return {
            "classes": self.classes,
            "class_counts": counts.tolist(),
            "num_examples": len(self.split("train")),
            "channels": 3,
            "size": self.size,
        }

    def split(self, name: str) -> BoxDataset:
        """Returns ``train``, ``validation`` or ``test``; the latter two are made once."""
        if name not in SPLITS:
            raise DataError(f"The data have no {name} split (found: {', '.join(SPLITS)}).")
        if name not in self._made:
            self._made[name] = self._split(name)
        return self._made[name]

    def inputs(self, source: Any) -> PhotosToSearch:
        """Reads photos to predict on, see `DetectionData.inputs`."""
        return self._photos("the scenes").inputs(source)

    def fingerprint(self) -> str:
        """Hash of the marks, the surfaces and what else says what training scenes look like."""
        stock = self._stock("train")
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{self.classes} {self.sizes['train']} {self.size} {self.seed}".encode())
        groups = [*stock.marks, stock.distractors, *(stock.crops or [])]
        for pixels in (cutout.levels[0] for group in groups for cutout in group):
            digest.update(f"{pixels.shape}".encode() + pixels.tobytes())
        for photo in stock.surfaces:
            digest.update(f"{photo.shape}".encode() + photo.tobytes())
        if photos := self._photographed:
            for example in map(photos.__getitem__, range(len(photos))):
                for name in ("images", "boxes", "labels"):
                    digest.update(example[name].numpy().tobytes())
        return digest.hexdigest()

    # -- marks and photos ---------------------------------------------------------------------

    @cached_property
    def classes(self) -> list[str]:
        """The classes of the marks and of the crops, by the alphabet."""
        cropped: Sequence[str] = []
        if self.crops is not None:
            cropped = read_annotations(self.crops, "auto", self.images).classes
        named = {self.names.get(name, name) for name in cropped}
        return sorted(named | {mark.name for mark in self._marks})

    @cached_property
    def _marks(self) -> list[BrandMark]:
        return self._read(self.marks, mark_drawings.MARKS)

    def _read(self, folder: str | None, drawings: dict[str, str]) -> list[BrandMark]:
        """The marks in a folder or, if none is named, the drawings."""
        if folder is not None:
            return read_marks(folder, side=self.size, on_bad=self.on_bad)
        drawn = zip(drawings, draw_svg(list(drawings.values()), side=self.size), strict=True)
        return [BrandMark(name, found, name) for name, found in drawn if not isinstance(found, str)]

    @cached_property
    def _cutouts(self) -> tuple[list[list[Cutout]], list[Cutout]]:
        """The marks of each class, and those that are not looked for."""
        others = self._read(self.distractors, mark_drawings.DISTRACTORS)
        if both := sorted({mark.name for mark in others} & set(self.classes)):
            raise DataError(
                f"{some(both)}: these are marks to find and distractors as well "
                "(data.marks, data.distractors)."
            )
        marks = [[cut_out(m.pixels) for m in self._marks if m.name == c] for c in self.classes]
        return marks, [cut_out(mark.pixels) for mark in others]

    @cached_property
    def _surfaces(self) -> list[Pixels]:
        if self.backgrounds is None:
            return []
        limits = {"size": self.size, "most": self.max_backgrounds}
        return read_surfaces(self.backgrounds, self.images, **limits, on_bad=self.on_bad)

    @cached_property
    def _crops(self) -> list[list[Cutout]] | None:
        if self.crops is None:
            return None
        number = {name: place for place, name in enumerate(self.classes)}
        number |= {key: number[name] for key, name in self.names.items() if name in number}
        crops = read_crops(self.crops, self.images, number, size=self.size, on_bad=self.on_bad)
        own = zip(self.classes, self._cutouts[0], crops, strict=True)
        if unseen := [name for name, marks, cut in own if not marks and not cut]:
            say(
                f"{self.crops}: {some(unseen)}: no mark, and no crop large enough; scenes have "
                "none of these, and a detector will not learn them."
            )
        return crops

    def _stock(self, name: str) -> Stock:
        marks, distractors = self._cutouts
        crops = self._crops if name == "train" else None
        return Stock(marks, distractors, self._surfaces_of(name), crops, self.size)

    def _surfaces_of(self, name: str) -> list[Pixels]:
        """The photos that scenes of a split stand on; if there are few, all splits share them."""
        drawn = [split for split in SPLITS[1:] if self.annotated[split] is None]
        if len(self._surfaces) < HELD_OUT:
            return self._surfaces
        if name in drawn:
            return self._surfaces[drawn.index(name) :: HELD_OUT]
        return [s for i, s in enumerate(self._surfaces) if i % HELD_OUT >= len(drawn)]

    # -- splits -------------------------------------------------------------------------------

    def _split(self, name: str) -> BoxDataset:
        if name == "train":
            stock, number = self._stock(name), self.sizes[name]
            return SceneDataset(stock, number, self.seed, self._photographed)
        path = self.annotated[name]
        return self._scenes(name) if path is None else self._real(name, path)

    @cached_property
    def _photographed(self) -> BoxDataset | None:
        """The annotated photos to train on."""
        path = self.annotated["train"]
        return None if path is None else self._real("train", path)

    def _scenes(self, name: str) -> DecodedBoxes:
        """Scenes that depend on ``seed``, the split and their places alone."""
        stock, split = self._stock(name), SPLITS.index(name)
        scenes = [stock.draw(self.seed, split, place) for place in range(self.sizes[name])]
        images, boxes, labels = map(list, zip(*scenes, strict=True)) if scenes else ([], [], [])
        empty = torch.zeros(0, 3, self.size, self.size, dtype=torch.uint8)
        ids = [f"{name} scene {place + 1}" for place in range(len(scenes))]
        return DecodedBoxes(torch.stack(images) if images else empty, boxes, labels, ids=ids)

    def _real(self, name: str, path: str) -> BoxDataset:
        """Annotated photos with the boxes of those classes that there are marks of."""
        data = self._photos(splits_in(path, "auto").get(name, path))
        dataset, found, classes = data.split("train"), data.schema["classes"], self.classes
        assert dataset.labels is not None
        _check_names(classes, found, path)
        if extra := [name for name in found if name not in classes]:
            say(f"{path}: boxes of {some(extra)} are left out; there is no mark of these.")
        number = {name: place for place, name in enumerate(classes)}
        table = torch.tensor([number.get(name, -1) for name in found])
        for place, labels in enumerate(dataset.labels):
            own = table[labels]
            dataset.labels[place] = own[own >= 0]
            dataset.boxes[place] = dataset.boxes[place][own >= 0]
        return dataset

    def _photos(self, path: str) -> DetectionData:
        """All photos of some annotations, as one split."""
        return DetectionData(
            path=path,
            images=self.images,
            validation_fraction=0.0,
            test_fraction=0.0,
            class_names=self.class_names,
            size=self.size,
            min_box=0.0,
            video_every=self.video_every,
            on_bad=self.on_bad,
        )


def _check_names(classes: Sequence[str], found: Sequence[str], path: str) -> None:
    """Refuses annotations without any of the classes, and names that look misspelt."""
    missing = [name for name in classes if name not in found]
    rest = [name for name in found if name not in classes]
    folded = [name.casefold() for name in rest]
    for name in missing:
        near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=NEAR)
        if near or len(missing) == len(classes):
            like = f" Did you mean '{rest[folded.index(near[0])]}'?" if near else ""
            raise DataError(
                f"{path} has no class '{name}', of which there is a mark.{like} data.class_names "
                f"leads from the annotations' classes to the marks'. Found: {some(found, 30)}."
            )
    if missing:
        say(f"{path}: no photo is annotated with {some(missing)}; these are not measured.")
