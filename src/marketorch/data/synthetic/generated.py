"""Splits of what is generated: ranges, one after the other, of a sequence that goes on for ever."""

from __future__ import annotations

from typing import Any

from marketorch.data.reading import some
from marketorch.errors import DataError


class GeneratedSplits:
    """Base of data sources that generate their examples, each split once and when it is asked for.

    A source sets ``sizes`` and ``seed`` and says how a range of its sequence is made.

    Attributes:
        sizes: examples of each split, in the order in which they lie in the sequence.
        seed: of the sequence.
    """

    sizes: dict[str, int]
    seed: int

    def generate(self, places: range) -> Any:
        """The examples at some places of the sequence, with what is known of them."""
        raise NotImplementedError

    def places(self, name: str) -> range:
        """Where a split lies. DataError if there is none of this name."""
        if name not in self.sizes:
            raise DataError(f"The data have no {name} split (found: {some(self.sizes)}).")
        names = list(self.sizes)
        start = sum(self.sizes[other] for other in names[: names.index(name)])
        return range(start, start + self.sizes[name])

    def generated(self, name: str) -> Any:
        """What `generate` makes of a split."""
        kept: dict[str, Any] = vars(self).setdefault("_generated", {})
        if name not in kept:
            kept[name] = self.generate(self.places(name))
        return kept[name]
