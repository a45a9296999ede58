"""The embedded reviews as a data source: no files, no network, best reachable accuracy known."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any

import torch

from marketorch.data.synthetic.generated import GeneratedSplits
from marketorch.data.synthetic.reviews import Reviews, generate_reviews
from marketorch.data.texts.source import TextDataset, mentioning, read_inputs


class SyntheticReviews(GeneratedSplits):
    """Splits of `generate_reviews`; each is a range of its own of one endless sequence.

    Args:
        num_train, num_validation, num_test: sizes of the splits.
        label_noise: share of labels that are flipped, in every split.
        seed: of the sequence.
    """

    def __init__(
        self,
        *,
        num_train: int = 20_000,
        num_validation: int = 2_000,
        num_test: int = 2_000,
        label_noise: float = 0.04,
        seed: int = 0,
    ) -> None:
        self.sizes = {"train": num_train, "validation": num_validation, "test": num_test}
        self.label_noise, self.seed = label_noise, seed

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes, their counts, and the accuracy that label noise leaves reachable."""
        reviews = self.generated("train")
        counts = Counter(reviews.labels)
        return {
            "classes": list(reviews.class_names),
            "class_counts": [counts[i] for i in range(len(reviews.class_names))],
            "num_examples": len(reviews.labels),
            "best_reachable": {name: {"accuracy": reviews.best_accuracy} for name in self.sizes},
        }

    def split(self, name: str) -> TextDataset:
        """Generates ``train``, ``validation`` or ``test``."""
        reviews = self.generated(name)
        return TextDataset(reviews.texts, torch.tensor(reviews.labels), self.places(name))

    def generate(self, places: range) -> Reviews:
        """Reviews with their labels, some of which are flipped."""
        return generate_reviews(
            len(places), seed=self.seed, label_noise=self.label_noise, start=places.start
        )

    def inputs(self, source: Any, *, contains: str | None = None) -> TextDataset:
        """Reads a file with a ``text`` column, or takes a text itself.

        Args:
            contains: keep those alone that mention this, whatever its case.
        """
        texts = read_inputs(source)
        return mentioning(texts, contains) if contains else texts

    def fingerprint(self) -> str:
        """The generator's arguments say it all."""
        return f"synthetic_reviews-{self.seed}-{self.label_noise}-{self.sizes['train']}"
