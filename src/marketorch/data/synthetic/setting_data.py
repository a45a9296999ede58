"""The drawn settings as a data source: no files, no network, best reachable accuracy known."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch

from marketorch.data.images.dataset import DecodedImages
from marketorch.data.images.source import ImageData
from marketorch.data.synthetic.generated import GeneratedSplits
from marketorch.data.synthetic.settings import CLASSES, Settings, generate_settings


class SyntheticSettings(GeneratedSplits, ImageData):
    """Splits of `generate_settings`; each is a range of its own of one endless sequence.

    Args:
        num_train, num_validation, num_test: pictures drawn for each split.
        label_noise: share of pictures that are mislabelled, in every split.
        seed: of the sequence.
        size: side of a picture in pixels.
        fit: of photos to predict on, see `marketorch.data.images.source.ImageData`.
        on_bad: the same.
    """

    def __init__(
        self,
        *,
        num_train: int = 12_000,
        num_validation: int = 2_000,
        num_test: int = 2_000,
        label_noise: float = 0.03,
        seed: int = 0,
        size: int = 64,
        fit: str = "crop",
        on_bad: str = "error",
    ) -> None:
        super().__init__(
            path="the synthetic settings", size=size, channels=3, fit=fit, on_bad=on_bad
        )
        self.sizes = {"train": num_train, "validation": num_validation, "test": num_test}
        self.label_noise, self.seed = label_noise, seed

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes, their counts, the images' form, and what label noise leaves reachable."""
        train = self.generated("train")
        best = {"accuracy": train.best_accuracy}
        return {
            "classes": list(CLASSES),
            "raw_classes": list(CLASSES),
            "class_counts": torch.bincount(train.labels, minlength=len(CLASSES)).tolist(),
            "num_examples": len(train.labels),
            "channels": 3,
            "size": self.size,
            "best_reachable": {name: best for name in self.sizes},
        }

    def split(self, name: str) -> DecodedImages:
        """Draws ``train``, ``validation`` or ``test``, once."""
        settings = self.generated(name)
        return DecodedImages(settings.images, settings.labels, ids=self.places(name))

    def generate(self, places: range) -> Settings:
        """Pictures with their settings."""
        return generate_settings(
            len(places),
            seed=self.seed,
            start=places.start,
            size=self.size,
            label_noise=self.label_noise,
        )

    def fingerprint(self) -> str:
        """The generator's arguments say it all."""
        noise, train = self.label_noise, self.sizes["train"]
        return f"synthetic_settings-{self.seed}-{noise}-{train}-{self.size}"
