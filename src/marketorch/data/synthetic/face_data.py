"""The embedded faces as a data source: no files, no network, best reachable accuracy known."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch

from marketorch.data.images.dataset import DecodedImages
from marketorch.data.images.source import ImageData
from marketorch.data.synthetic.faces import CLASSES, Faces, generate_faces
from marketorch.data.synthetic.generated import GeneratedSplits
from marketorch.errors import check_choice

SMILES = ["posed", "genuine"]


class SyntheticFaces(GeneratedSplits, ImageData):
    """Splits of `generate_faces`; each is a range of its own of one endless sequence.

    Args:
        target: ``emotion``, one of seven, or ``smile``, posed or genuine, of those who smile.
        num_train, num_validation, num_test: faces drawn for each split.
        label_noise: share of emotions that are mislabelled, in every split.
        seed: of the sequence.
        size: side of a face in pixels.
        scores: see `marketorch.data.images.source.ImageData`.
        on_bad: the same, of photos to predict on.
    """

    def __init__(
        self,
        *,
        target: str = "emotion",
        num_train: int = 12_000,
        num_validation: int = 2_000,
        num_test: int = 2_000,
        label_noise: float = 0.04,
        seed: int = 0,
        size: int = 48,
        scores: dict[str, dict[str, float]] | None = None,
        on_bad: str = "error",
    ) -> None:
        check_choice("data.target", target, ("emotion", "smile"))
        super().__init__(
            path="the synthetic faces",
            size=size,
            channels=1,
            scores=scores,
            find_faces="inputs",
            on_bad=on_bad,
        )
        self.sizes = {"train": num_train, "validation": num_validation, "test": num_test}
        self.target, self.label_noise, self.seed = target, label_noise, seed

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes, their counts, the images' form, and what label noise leaves reachable."""
        classes = list(CLASSES) if self.target == "emotion" else SMILES
        labels = self.split("train").labels
        assert labels is not None
        counts = torch.bincount(labels, minlength=len(classes)).tolist()
        schema: dict[str, Any] = {
            "classes": classes,
            "raw_classes": classes,
            "class_counts": counts,
            "num_examples": len(labels),
            "channels": 1,
            "size": self.size,
        }
        if self.scores:
            schema["scores"] = self.scores
        if self.target == "emotion":
            best = self.generated("train").best_accuracy
            schema["best_reachable"] = {name: {"accuracy": best} for name in self.sizes}
        return schema

    def split(self, name: str) -> DecodedImages:
        """Draws ``train``, ``validation`` or ``test``."""
        faces = self.generated(name)
        ids = self.places(name)
        if self.target == "emotion":
            return DecodedImages(faces.images, faces.labels, ids=ids)
        smiling = (faces.smiles >= 0).nonzero()[:, 0]
        own = [ids[i] for i in smiling.tolist()]
        return DecodedImages(faces.images[smiling], faces.smiles[smiling], ids=own)

    def generate(self, places: range) -> Faces:
        """Faces with their emotions and smiles."""
        return generate_faces(
            len(places),
            seed=self.seed,
            start=places.start,
            size=self.size,
            label_noise=self.label_noise,
        )

    def fingerprint(self) -> str:
        """The generator's arguments say it all."""
        noise, train = self.label_noise, self.sizes["train"]
        return f"synthetic_faces-{self.target}-{self.seed}-{noise}-{train}-{self.size}"
