"""Customers as tensors: scaled numbers with what is missing, and codes of categories.

Numbers of any scale and skew are mapped, by their quantiles in the training rows, to a standard
normal distribution. A missing number is 0, the median, and one more column says that it is missing.
A date is the numbers of its parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor, nn

from marketorch.console import say
from marketorch.data.reading import some
from marketorch.data.tables.columns import Column, parse
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.data.tables.dates import date_part
from marketorch.errors import DataError, closest

NUM_KNOTS = 512
SAMPLE = 500_000  # rows that quantiles are taken from
EDGE = 1e-4  # quantiles beyond which all are alike: ±3.7 standard deviations


@dataclass
class EncodedCustomers:
    """Customers as tensors; a batch is one index.

    Args:
        numbers: ``(N, F)`` float32, scaled, or raw with NaN.
        categories: ``(N, C)`` int32: places in the levels from 1; 0 is missing or unseen.
        labels, treatment: ``(N,)`` int64, where known.
        targets: ``(N, T)`` float32, where known.
    """

    numbers: Tensor
    categories: Tensor
    labels: Tensor | None = None
    treatment: Tensor | None = None
    targets: Tensor | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch: ``numbers``, ``categories`` (int64), ``index`` and what else is known."""
        # As an array first: torch reads a list of a thousand six times as slowly.
        index = torch.from_numpy(np.asarray(indices, np.int64))
        batch = {
            "numbers": self.numbers.index_select(0, index),
            "categories": self.categories.index_select(0, index).long(),
        }
        for name in ("labels", "treatment", "targets"):
            values = getattr(self, name)
            if values is not None:
                batch[name] = values.index_select(0, index)
        return batch | {"index": index}

    def select(self, places: Sequence[int] | Tensor) -> EncodedCustomers:
        """Some of the customers."""
        index = torch.as_tensor(places)
        known = (self.labels, self.treatment, self.targets)
        rest = [None if values is None else values[index] for values in known]
        return EncodedCustomers(self.numbers[index], self.categories[index], *rest)


class TableEncoder(nn.Module):
    """Turns tables into tensors, as the training rows taught it.

    Args:
        columns: of the schema.
        raw: numbers as they are, with NaN, by default; for trees.
        ignored: columns that the schema left out; others that a table has besides are reported.
    """

    knots: Tensor
    heights: Tensor
    lengths: Tensor
    middles: Tensor
    absent: Tensor
    commonest: Tensor

    def __init__(
        self,
        columns: Sequence[Mapping[str, Any]],
        *,
        raw: bool = False,
        ignored: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.columns = [Column(**column) for column in columns]
        self.raw, self.ignored = raw, set(ignored)
        self._numeric = [c for c in self.columns if c.kind in ("number", "date")]
        self._leveled = [c for c in self.columns if c.kind not in ("number", "date")]
        self._parts = [(c, part) for c in self._numeric for part in c.parts or [""]]
        self._indicated = [c for c in self._numeric if c.missing]
        number = len(self._parts)
        self.register_buffer("knots", torch.zeros(number, NUM_KNOTS, dtype=torch.float64))
        self.register_buffer("heights", torch.zeros(number, NUM_KNOTS))
        self.register_buffer("lengths", torch.zeros(number, dtype=torch.int64))
        self.register_buffer("middles", torch.zeros(number, dtype=torch.float64))
        self.register_buffer("absent", torch.zeros(number, dtype=torch.bool))
        self.register_buffer("commonest", torch.zeros(len(self._leveled), dtype=torch.int64))

    # -- what comes out -----------------------------------------------------------------------

    @property
    def number_names(self) -> list[str]:
        """Names of the encoded numbers ``(F,)``."""
        names = [f"{c.name} ({part})" if part else c.name for c, part in self._parts]
        missing = [] if self.raw else [f"{c.name} is missing" for c in self._indicated]
        return names + missing

    @property
    def category_names(self) -> list[str]:
        """Names of the encoded categories ``(C,)``."""
        return [column.name for column in self._leveled]

    @property
    def num_numbers(self) -> int:
        """How many numbers a customer has, what is missing among them unless ``raw``."""
        return len(self.number_names)

    @property
    def level_counts(self) -> list[int]:
        """How many codes each category has; code 0 is missing or unseen."""
        return [len(column.levels) + 1 for column in self._leveled]

    @property
    def sources(self) -> list[str]:
        """The table's column behind each number and then each category ``(F + C,)``."""
        numbers = [column.name for column, _ in self._parts]
        missing = [] if self.raw else [column.name for column in self._indicated]
        return numbers + missing + self.category_names

    # -- fitting and encoding -----------------------------------------------------------------

    def fit(self, train: CustomerDataset) -> None:
        """Finds the quantiles of the training rows, or of `SAMPLE` of them, and what most have."""
        if len(train) > SAMPLE:
            train = train.select(np.linspace(0, len(train) - 1, SAMPLE).astype(np.int64))
        for place, (values, _, _) in enumerate(self._read_numbers(train)):
            knots, heights = quantiles(values)
            size = self.lengths[place] = len(knots)
            self.knots[place, :size] = torch.from_numpy(knots)
            self.heights[place, :size] = torch.from_numpy(heights)
            nothing = np.isnan(values)
            self.middles[place] = 0.0 if nothing.all() else float(np.nanmedian(values))
            self.absent[place] = bool(2 * nothing.sum() > len(values))
        for place, column in enumerate(self._leveled):
            codes = parse(train.cells(column.name), column)
            self.commonest[place] = int(np.bincount(codes).argmax())

    def typical(self) -> tuple[Tensor, Tensor]:
        """What most training rows have: numbers ``(F,)`` and codes ``(C,)``, as encoded."""
        absent = self.absent.cpu()
        middles = self.middles.cpu().masked_fill(absent, torch.nan)
        codes = self.commonest.cpu()
        if self.raw:
            return middles.float(), codes
        scores = [self._scaled(np.array([v]), i)[0] for i, v in enumerate(middles.tolist())]
        owners = [column for column, _ in self._parts]
        missing = absent[[owners.index(column) for column in self._indicated]]
        return torch.cat([torch.tensor(scores), missing]).float(), codes

    def encode(self, dataset: CustomerDataset, raw: bool | None = None) -> EncodedCustomers:
        """Encodes a table, column by column.

        Args:
            raw: numbers as they are, with NaN, and none that say what is missing; None: as the
                encoder was built.

        Raises:
            DataError: columns are missing or hold something else than in training.
        """
        raw = self.raw if raw is None else raw
        self._check(dataset)
        number = len(self._parts)
        numbers = torch.empty(len(dataset), number + (0 if raw else len(self._indicated)))
        for place, (values, column, first) in enumerate(self._read_numbers(dataset)):
            own = values if raw else self._scaled(values, place)
            numbers.numpy()[:, place] = own
            if first and column.missing and not raw:
                numbers.numpy()[:, number + self._indicated.index(column)] = np.isnan(values)
        categories = torch.empty(len(dataset), len(self._leveled), dtype=torch.int32)
        for place, column in enumerate(self._leveled):
            categories.numpy()[:, place] = parse(dataset.cells(column.name), column)
        return EncodedCustomers(
            numbers, categories, dataset.labels, dataset.treatment, dataset.targets
        )

    def _read_numbers(self, dataset: CustomerDataset) -> Iterator[tuple[np.ndarray, Column, bool]]:
        """Each number's values ``(N,)``, its column and whether it is the first of it."""
        for column in self._numeric:
            values = parse(dataset.cells(column.name), column)
            for part in column.parts or [""]:
                own = date_part(values, part) if part else values
                yield own, column, part == (column.parts or [""])[0]

    def _scaled(self, values: np.ndarray, place: int) -> np.ndarray:
        """Standard normal scores ``(N,)``, 0 where a value is missing."""
        size = int(self.lengths[place])
        knots, heights = self.knots[place, :size].cpu(), self.heights[place, :size].cpu()
        scores = np.interp(values, knots.numpy(), heights.numpy())
        return np.nan_to_num(scores, copy=False, nan=0.0)

    def _check(self, dataset: CustomerDataset) -> None:
        """Names columns that are missing, and says which ones are ignored."""
        found, used = dataset.table.column_names, [column.name for column in self.columns]
        missing = [name for name in used if name not in found]
        unused = [name for name in found if name not in used]
        if missing:
            raise DataError(
                f"{dataset.files[0][0]} lacks {len(missing)} of {len(used)} columns that the model "
                f"reads: {some(missing, 10)}.{closest(missing[0], unused)} Columns found: "
                f"{some(found, 30)}."
            )
        extra = [n for n in unused if n not in self.ignored and n not in dataset.known]
        if extra:
            say(f"{dataset.files[0][0]}: {some(extra, 10)} not known in training: ignored.")


def quantiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different values ``(K,)`` and the normal scores ``(K,)`` of their places among all.

    A value that many rows share has the score of their middle.
    """
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return np.zeros(1), np.zeros(1)
    shares = np.linspace(0, 1, NUM_KNOTS)
    knots = np.unique(known[np.round(shares * (len(known) - 1)).astype(np.int64)])
    below = np.searchsorted(known, knots, "left")
    above = np.searchsorted(known, knots, "right")
    middle = (below + above) / (2 * len(known))
    return knots, ndtri(middle.clip(EDGE, 1 - EDGE))
