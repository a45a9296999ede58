"""Rows of a file before their classes have numbers: joined, picked, freed of repeats."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from marketorch.engine.tracking import say


@dataclass
class LabelledTexts:
    """Texts with their labels as written and their row numbers, which count from 1."""

    texts: list[str]
    labels: list[str] | None
    rows: list[int]
    splits: list[str] | None = None

    def take(self, places: Sequence[int]) -> LabelledTexts:
        """Some of the rows, by place."""

        def pick(values: list[Any] | None) -> Any:
            return None if values is None else [values[i] for i in places]

        return LabelledTexts(
            pick(self.texts), pick(self.labels), pick(self.rows), pick(self.splits)
        )

    def without(self, forbidden: Collection[str]) -> LabelledTexts:
        """The rows whose normalised texts are not ``forbidden``."""
        return self.take([i for i, text in enumerate(self.texts) if normal(text) not in forbidden])

    def unique(self) -> LabelledTexts:
        """Drops texts that stood before, so that no text can be in two splits."""
        first: dict[str, int] = {}
        for i, text in enumerate(self.texts):
            first.setdefault(normal(text), i)
        dropped = len(self.texts) - len(first)
        if dropped:
            say(f"{dropped:,} of {len(self.texts):,} texts repeat an earlier one and were dropped.")
        return self.take(sorted(first.values()))


def concatenate(parts: list[LabelledTexts]) -> LabelledTexts:
    """The rows of several files, one after the other."""

    def join(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else list(itertools.chain.from_iterable(values))

    return LabelledTexts(join("texts"), join("labels"), join("rows"), join("splits"))


def normal(text: str) -> str:
    """A text as repeats are told by: case and white space do not count."""
    return " ".join(text.lower().split())
