"""Classes and treatments: columns of a few words, which training knows and others share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from marketorch.console import say
from marketorch.data.cuts import UNLABELLED
from marketorch.data.reading import label_name, numerically, some
from marketorch.data.tables.cells import Distinct, distinct
from marketorch.data.tables.columns import TRUTHS, Column, Reading, infer, parse
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.errors import DataError, closest

MOST = 100  # classes
UNSEEN = -2
NOTHING = ("", "?")  # what has no class; ``None`` and ``NA`` may well be classes


@dataclass
class LabelColumn:
    """The different words of a column in order.

    Attributes:
        role: the argument that names the column, e.g. ``target``.
        column: its name.
        names: the words; a word's number is its place.
        counts: training rows of each.
    """

    role: str
    column: str
    names: list[str]
    counts: list[int]

    def described(self, printed: Mapping[str, str]) -> dict[str, Any]:
        """As JSON, by the names to print."""
        return {
            "name": self.column,
            "classes": [printed.get(name, name) for name in self.names],
            "class_counts": self.counts,
        }

    def amounts(self, part: CustomerDataset, split: str) -> Tensor:
        """As `numbers`, in float32 and NaN where there is no word."""
        numbers = self.numbers(part, split)
        return numbers.float().masked_fill(numbers == UNLABELLED, torch.nan)

    def numbers(self, part: CustomerDataset, split: str) -> Tensor:
        """Numbers ``(N,)`` of a split's words. DataError if training never saw one."""
        found = words(part, self.role, self.column)
        number = {name: i for i, name in enumerate(self.names)}
        own = [number.get(name, UNSEEN) for name in found.texts.to_pylist()]
        numbers = found.expand(np.array(own, np.int64), UNLABELLED)
        unseen = numbers == UNSEEN
        if unseen.any():
            place = int(unseen.argmax())
            word = found.texts[int(found.codes[place])].as_py()
            raise DataError(
                f"{part.where(place)}: column '{self.column}' (data.{self.role}) is '{word}', as "
                f"in {int(unseen.sum()):,} rows of the {split} split; training never saw it."
                f"{closest(word, self.names)} Training has: {', '.join(self.names)}."
            )
        return torch.from_numpy(numbers)


@dataclass
class NumberColumn:
    """Numbers to predict.

    Attributes:
        column: how they are written.
        count: training rows that have one.
        mean, std, smallest, largest: of these.
    """

    column: Column
    count: int
    mean: float
    std: float
    smallest: float
    largest: float

    def described(self, printed: Mapping[str, str]) -> dict[str, Any]:
        """As JSON."""
        numbers = asdict(self) | {"name": self.column.name}
        return {"name": numbers.pop("name"), "kind": "number"} | {
            key: value for key, value in numbers.items() if key != "column"
        }

    def amounts(self, part: CustomerDataset, split: str) -> Tensor:
        """The numbers ``(N,)`` of a split in float32, NaN where there is none."""
        values = parse(part.cells(self.column.name, "data.target"), self.column)
        return torch.from_numpy(values.astype(np.float32))


def numbers_of(train: CustomerDataset, column: str) -> NumberColumn:
    """A target of numbers. DataError if it holds no numbers, or one only."""
    cells = train.cells(column, "data.target")
    own = infer(cells, Reading({column: "number"}))
    if isinstance(own, str):
        raise DataError(
            f"{train.files[0][0]}: column '{column}' (data.target) is {own}; expected several "
            "numbers."
        )
    values = parse(cells, own)
    known = values[~np.isnan(values)]
    return NumberColumn(
        own,
        count=len(known),
        mean=float(known.mean()),
        std=float(known.std()),
        smallest=float(known.min()),
        largest=float(known.max()),
    )


def words(part: CustomerDataset, role: str, column: str) -> Distinct:
    """The words of a column that is no input."""
    return distinct(part.cells(column, f"data.{role}", blanks=NOTHING))


def classes(train: CustomerDataset, column: str, positive: Any) -> LabelColumn:
    """The classes of a target; of two the positive one is the second.

    Args:
        positive: the positive class; None: the one that means yes, or the rarer one.

    Raises:
        DataError: ``positive`` is no class, or there are more than two.
    """
    counts = _counted(train, "target", column)
    names = sorted(counts, key=numerically)
    if len(names) == 2:
        second = (
            _second_class(counts, names)
            if positive is None
            else _find_word(positive, names, "positive", column)
        )
        names = sorted(names, key=lambda name: name == second)
    elif positive is not None:
        raise DataError(f"data.positive is for two classes; column '{column}' has {some(names)}.")
    return LabelColumn("target", column, names, [counts[name] for name in names])


def treatments(train: CustomerDataset, column: str, control: Any) -> LabelColumn:
    """What was done with customers; the word that means nothing is the first.

    Args:
        control: that word; None will do where the words are no and yes.

    Raises:
        DataError: ``control`` is missing or none of the words.
    """
    counts = _counted(train, "treatment", column)
    names = sorted(counts, key=numerically)
    if control is None and _no_and_yes(names):
        control = next(name for name in names if not TRUTHS[name.lower()])
    if control is None:
        raise DataError(
            f"data.control is missing: which value of column '{column}' (data.treatment) means "
            f"that nothing was done? Found: {some(names)}."
        )
    nothing = _find_word(control, names, "control", column)
    names = sorted(names, key=lambda name: name != nothing)
    return LabelColumn("treatment", column, names, [counts[name] for name in names])


def groups_of(treatments: Sequence[Any] | None) -> dict[str, str]:
    """From the words to the names of treatments that are told apart, see `CustomerData`."""
    lists = [own if isinstance(own, (list, tuple)) else [own] for own in treatments or ()]
    return {str(word): " or ".join(map(str, own)) for own in lists for word in own}


def regrouped(
    whole: CustomerDataset, column: str, names: Mapping[str, str], control: Any
) -> CustomerDataset:
    """The rows of some treatments, under their new names, and those where nothing was done.

    Args:
        names: from the column's words to the names. DataError if it has not one of them.
        control: the word that means nothing; it stays as it is.
    """
    found = words(whole, "treatment", column)
    texts = found.texts.to_pylist()
    known = {_find_word(word, texts, "treatments", column): name for word, name in names.items()}
    nothing = _find_word(control, texts, "control", column)
    known[nothing] = nothing
    new = found.expand(np.array([known.get(text) for text in texts], object), "")
    kept = np.array([name is not None for name in new]).nonzero()[0]
    if len(kept) < len(whole):
        others = [text for text in texts if text not in known]
        say(f"{len(whole) - len(kept):,} rows are left out: '{column}' is {some(others)}.")
    place = whole.table.column_names.index(column)
    table = whole.table.set_column(place, column, pa.array(new, pa.string()))
    return replace(whole, table=table).select(kept)


def _counted(train: CustomerDataset, role: str, column: str) -> dict[str, int]:
    """How many training rows have each word. DataError unless they are a few, but several."""
    found = words(train, role, column)
    names, place = found.texts.to_pylist(), train.files[0][0]
    if len(names) > MOST:
        raise DataError(
            f"{place}: column '{column}' (data.{role}) has {len(names):,} different values "
            f"({some(names, 3)}); expected a few, at most {MOST}. To predict a number: "
            f"data.columns={{{column}: number}}."
        )
    if len(names) < 2:
        raise DataError(
            f"{place}: column '{column}' (data.{role}) has one value only ({some(names)}) in "
            f"{len(train):,} training rows; expected two or more."
        )
    return dict(zip(names, found.counts.tolist(), strict=True))


def _no_and_yes(names: Sequence[str]) -> bool:
    return sorted(TRUTHS.get(name.lower(), 2) for name in names) == [0, 1]


def _second_class(counts: dict[str, int], names: Sequence[str]) -> str:
    if _no_and_yes(names):
        return next(name for name in names if TRUTHS[name.lower()])
    return min(names, key=lambda name: counts[name])


def _find_word(value: Any, names: Sequence[str], key: str, column: str) -> str:
    """One of the words, as a config has it. DataError names the closest."""
    spelt = {label_name(value), str(value), str(value).lower()} | (
        {"yes", "Yes"} if value is True else {"no", "No"} if value is False else set()
    )
    found = [name for name in names if name in spelt]
    if not found:
        raise DataError(
            f"data.{key} is '{value}', which column '{column}' has not."
            f"{closest(str(value), names)} Found: {some(names, 10)}."
        )
    return found[0]


PLURALS = {"number": "numbers", "category": "categories", "date": "dates", "boolean": "booleans"}


def announce(
    columns: Sequence[Column],
    dropped: dict[str, str],
    targets: Sequence[LabelColumn | NumberColumn],
) -> None:
    """Says what the columns were taken for, what is left out and what is predicted."""
    for kind, plural in PLURALS.items():
        names = [column.name for column in columns if column.kind == kind]
        if names:
            say(f"{len(names)} {kind if len(names) == 1 else plural}: {some(names, 12)}.")
    others = {name: why for name, why in dropped.items() if why != "data.target"}
    if others:
        say(f"Left out: {some((f'{name} ({why})' for name, why in others.items()), 12)}.")
    for target in targets:
        if isinstance(target, NumberColumn):
            span = f"{target.smallest:g} to {target.largest:g}, mean {target.mean:g}"
            say(f"{target.column.name} is a number: {span}, in {target.count:,} training rows.")
        elif len(target.names) == 2:
            _announce_positive(target, alone=len(targets) == 1)


def _announce_positive(target: LabelColumn, *, alone: bool) -> None:
    names, counts = target.names, target.counts
    other = f"; data.positive={names[0]} makes it the other" if alone else ""
    say(
        f"{target.column}={names[1]} is the positive class: {counts[1]:,} of {sum(counts):,} "
        f"training rows ({counts[1] / sum(counts):.2%}){other}."
    )
