"""Scenes to learn from some brands how marks of any brand are found, and others to prove it with.

Brands are held out whole. Training scenes show some of those in a folder; validation scenes show
others from it, and ask for most of them, while the rest is only in the way; the test split asks for
those of another folder, in annotated photos. What is asked for is part of each batch, as sheets of
clean prints (`marketorch.data.synthetic.specimens`), and labels are places in the data set's own
``classes``. So a trained detector can be asked for any marks: ``data.find=FOLDER`` does so when it
predicts. A training batch asks for the brands that its scenes show, and for some that none shows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch

from marketorch.data.boxes.dataset import BoxDataset
from marketorch.data.reading import some
from marketorch.data.scenes import invented_marks as mark_drawings
from marketorch.data.scenes.marks import Mark
from marketorch.data.scenes.printing import Cutout, cut_out
from marketorch.data.scenes.source import SceneData, SceneDataset, Stock
from marketorch.data.synthetic.specimens import SIDE, Brands, prints_of, sheets, specimen
from marketorch.engine.task import Batch
from marketorch.errors import DataError

IN_THE_WAY = 0.25  # share of the brands held out that validation scenes show and do not ask for
ALIKE = 0.85  # correlation of pixels from which on two marks look the same
THUMB = 16  # pixels of the side at which they are compared


class AskingScenes(SceneDataset):
    """Training scenes that ask for the brands they show, and for another one each.

    Batches hold what those of `SceneDataset` hold and what `sheets` returns: a new print of each of
    these brands. Marks are numbered in a batch; ``mark_labels (M,)`` are their brands.
    """

    def __getitem__(self, place: int) -> Batch:
        """A scene, with some ``prints`` and their brands."""
        example = super().__getitem__(place)
        rng, marks = np.random.default_rng(int(torch.randint(2**62, ()))), self.stock.marks
        brands = {*example["labels"].tolist(), int(rng.integers(len(marks)))}
        side = min(SIDE, self.stock.size)
        prints = [specimen(rng, marks[brand][0], side) for brand in sorted(brands)]
        return example | {"prints": list(zip(sorted(brands), prints, strict=True))}

    def collate(self, examples: Sequence[Batch]) -> Batch:
        """A batch of scenes and the sheets that they ask for together."""
        labels, prints = zip(
            *(own for example in examples for own in example["prints"]), strict=True
        )
        known, marks = torch.tensor(labels).unique(return_inverse=True)
        scenes = [{k: v for k, v in example.items() if k != "prints"} for example in examples]
        shown = sheets(prints, marks, self.stock.size) | {"mark_labels": known}
        return super().collate(scenes) | shown


class OpenSetData(SceneData):
    """Scenes of brands to train on, and of others to measure on.

    Args:
        marks: folder of the brands to train and to validate on, see
            `marketorch.data.scenes.marks.read_marks`; None: invented ones.
        held_out: share of these brands that no training scene shows. Those whose names begin with
            the same word are held out together.
        turned: whether each training mark, turned by quarters and mirrored, is further brands.
        backgrounds: folder of photos, without marks, to put marks on; None: surfaces are drawn.
        test_marks: folder of the brands that the test split asks for; None: other invented ones.
        test: annotations of photos that show these; None: scenes of them.
        images: folder of the annotated photos, if it is not the one that the format has.
        class_names: from the annotations' classes to those of the marks.
        find: folder of the marks to find in photos to predict on; None: those of the test split.
        num_train, num_validation, num_test, size, data_seed, max_backgrounds, video_every, on_bad:
            see `SceneData`; ``data_seed`` also chooses which brands are held out.

    Raises:
        DataError: on reading, with the file, what was found and what was expected.
    """

    def __init__(
        self,
        *,
        marks: str | None = None,
        held_out: float = 0.2,
        turned: bool = True,
        backgrounds: str | None = None,
        test_marks: str | None = None,
        test: str | None = None,
        images: str | None = None,
        class_names: dict[Any, str] | None = None,
        find: str | None = None,
        num_train: int = 4_000,
        num_validation: int = 400,
        num_test: int = 400,
        size: int = 320,
        data_seed: int = 0,
        max_backgrounds: int = 1_000,
        video_every: float = 1.0,
        on_bad: str = "error",
    ) -> None:
        super().__init__(
            marks=marks,
            backgrounds=backgrounds,
            images=images,
            test=test,
            class_names=class_names,
            num_train=num_train,
            num_validation=num_validation,
            num_test=num_test,
            size=size,
            data_seed=data_seed,
            max_backgrounds=max_backgrounds,
            video_every=video_every,
            on_bad=on_bad,
        )
        if not 0 < held_out < 1:
            raise DataError(f"data.held_out is {held_out}; expected a share between 0 and 1.")
        self.folders |= {"test_marks": test_marks, "find": find}
        self.held_out, self.turned = held_out, turned

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The brands of the training scenes, and the form of the input."""
        return {
            "classes": self.classes,
            "num_examples": self.sizes["train"],
            "channels": 3,
            "size": self.size,
        }

    def inputs(self, source: str) -> BoxDataset:
        """Reads photos to predict on, and asks for the marks in ``find``."""
        return self.asking(super().inputs(source))

    def asking(self, dataset: BoxDataset) -> BoxDataset:
        """Photos to predict on, with the marks in ``find`` to look for in every batch."""
        return self._asking(dataset, self._wanted)

    # -- brands -------------------------------------------------------------------------------

    @cached_property
    def classes(self) -> list[str]:
        """The brands of the training scenes."""
        return list(self._brands["train"])

    @cached_property
    def _brands(self) -> dict[str, Brands]:
        """The brands to train on, those that validation asks for, and those in the way there."""
        pool = self._read("marks", mark_drawings.DISTRACTORS)
        names = sorted({mark.name for mark in pool})
        out = some_brands(names, self.held_out, self.data_seed)
        way = some_brands(out, IN_THE_WAY, self.data_seed)
        groups = {"train": set(names) - set(out), "validation": set(out) - set(way), "way": way}
        if not all(groups.values()):
            raise DataError(
                f"data.marks has {len(names)} brands; with data.held_out={self.held_out:g} there "
                "are too few to train on some and to validate on others."
            )
        marks = {key: [mark for mark in pool if mark.name in own] for key, own in groups.items()}
        alone = each_by_itself(marks["train"])
        if self.turned:
            alone = [turned for mark in alone for turned in orientations(mark)]
        return {key: brands_of(own) for key, own in (marks | {"train": alone}).items()}

    @cached_property
    def _wanted(self) -> Brands:
        """The brands to look for in photos to predict on."""
        key = "find" if self.folders["find"] else "test_marks"
        return brands_of(self._read(key, mark_drawings.MARKS))

    @cached_property
    def _unseen(self) -> Brands:
        """The brands that the test split asks for."""
        marks = self._read("test_marks", mark_drawings.MARKS)
        pool = {name.casefold() for key in ("train", "validation") for name in self._brands[key]}
        if both := sorted({mark.name for mark in marks if mark.name.casefold() in pool}):
            raise DataError(
                f"{some(both)}: these brands are to be unseen before the test, but are also in "
                "data.marks (data.test_marks)."
            )
        return brands_of(marks)

    def _asked(self, name: str) -> Brands:
        return self._unseen if name == "test" else self._brands[name]

    def _names(self, name: str) -> list[str]:
        return list(self._asked(name))

    def _stock(self, name: str) -> Stock:
        way = () if name == "train" else self._brands["way"].values()
        marks = [list(own) for own in self._asked(name).values()]
        others = [mark for own in way for mark in own]
        return Stock(marks, others, self._surfaces_of(name), None, self.size)

    def _split(self, name: str) -> BoxDataset:
        if name == "train":
            return AskingScenes(self._stock(name), self.sizes[name], self.data_seed)
        return self._asking(super()._split(name), self._asked(name))

    def _asking(self, dataset: BoxDataset, brands: Brands) -> BoxDataset:
        """The data set, with the marks to look for in every batch."""
        dataset.classes, dataset.shared = list(brands), prints_of(brands, self.size)
        return dataset


def brands_of(marks: Iterable[Mark]) -> Brands:
    """Marks ready to be printed, by their brands, sorted."""
    brands: dict[str, list[Cutout]] = {}
    for mark in sorted(marks, key=lambda mark: mark.name):
        brands.setdefault(mark.name, []).append(cut_out(mark.pixels))
    return brands


def each_by_itself(marks: Iterable[Mark]) -> list[Mark]:
    """The marks, those after the first of a brand as brands of their own: they look different."""
    counts, alone = Counter[str](), list[Mark]()
    for mark in marks:
        counts[mark.name] += 1
        number = counts[mark.name]
        alone.append(replace(mark, name=f"{mark.name} #{number}") if number > 1 else mark)
    return alone


def some_brands(names: Sequence[str], share: float, seed: int) -> list[str]:
    """A share of the brands, at least one; names that begin with the same word stay together."""
    first = {name: re.split(r"[\W_]", name.casefold(), maxsplit=1)[0] for name in names}
    words = sorted(set(first.values()))
    order = np.random.default_rng((seed, len(words))).permutation(len(words))
    taken = {words[place] for place in order[: max(1, round(share * len(words)))]}
    return [name for name in names if first[name] in taken]


def orientations(mark: Mark) -> Iterator[Mark]:
    """A mark turned by quarters and mirrored, as far as these look different: up to eight brands.

    As for letters (Santoro et al. 2016), this makes more of few brands, and teaches to see shape.
    """
    seen: list[np.ndarray] = []
    for turn in range(8):
        whole = mark.pixels[:, ::-1] if turn >= 4 else mark.pixels
        pixels = np.ascontiguousarray(np.rot90(whole, turn % 4))
        outline = look(pixels)
        if all((outline * other).sum() < ALIKE for other in seen):
            seen.append(outline)
            yield replace(mark, name=f"{mark.name} {turn}" if turn else mark.name, pixels=pixels)


def look(pixels: np.ndarray) -> np.ndarray:
    """A mark ``(H, W, 4)`` uint8, small, square and standardised: products are correlations."""
    colours = pixels.astype(np.float32)
    colours[..., :3] *= colours[..., 3:] / 255
    small = cv2.resize(colours, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    small = np.pad(small, ((1, 1), (1, 1), (0, 0)))
    small -= small.mean((0, 1))
    return small / max(float(np.linalg.norm(small)), 1e-6)
