"""The cells of a column, and what is common to all ways of reading them: texts, blanks, complaints.

Nothing here runs once a row in Python: a column's distinct texts are read, and its rows are looked
up among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marketorch.console import say
from marketorch.errors import DataError

BLANKS = ("", "?", "-", "--", "na", "n/a", "#n/a", "nan", "<na>", "null", "none", "nil", "nat")
"""Words that mean that a cell has no value, in lower case."""


@dataclass
class Cells:
    """A column of a table and what messages about it need.

    Args:
        values: the cells.
        name: of the column.
        where: the file and row of a cell, by its place.
        on_bad: ``error``, or ``skip`` to take what cannot be read as missing.
        words: further words for missing.
        blanks: words for missing; fewer for classes, of which one may well be called none.
        said: what has been said already, so that nothing is said twice.
    """

    values: pa.ChunkedArray
    name: str
    where: Callable[[int], str]
    on_bad: str = "error"
    words: Sequence[str] = ()
    blanks: Sequence[str] = BLANKS
    said: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.values)

    def refuse(self, bad: np.ndarray, fault: str, advice: str) -> None:
        """Refuses cells ``bad (N,)``, or says that they are taken as missing.

        Args:
            fault: what is wrong with a cell, e.g. ``is no number``.
            advice: what to write instead.

        Raises:
            DataError: where ``on_bad`` is ``error``; it names the first such cell.
        """
        number = int(bad.sum())
        if not number:
            return
        place = int(bad.argmax())
        value = plain(self.values[place])
        found = f"{self.where(place)}: column '{self.name}' {fault}: {value!r:.60}"
        others = f" (and {number - 1:,} cells more)" if number > 1 else ""
        if self.on_bad == "error":
            raise DataError(
                f"{found}{others}. {advice} data.on_bad=skip takes such cells as missing."
            )
        message = f"{found}{others}. Taken as missing (data.on_bad=skip)."
        if message not in self.said:
            self.said.add(message)
            say(message)


@dataclass
class Distinct:
    """The different texts of a column, stripped of white space and without those that mean missing.

    Attributes:
        texts: ``(D,)`` without nulls.
        codes: place of each cell's text ``(N,)``, -1 where it is missing.
    """

    texts: pa.Array
    codes: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """How many cells have each text ``(D,)``."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))

    def expand(self, values: np.ndarray, missing: object) -> np.ndarray:
        """What ``values (D,)`` are in each cell ``(N,)``."""
        return np.append(values, np.array([missing], values.dtype))[self.codes]


def distinct(cells: Cells) -> Distinct:
    """Finds a column's different texts; numbers and truths are written out.

    Raises:
        DataError: the column holds what has no text, such as lists or bytes.
    """
    try:
        encoded = as_texts(cells.values).unify_dictionaries()
    except pa.ArrowException as error:
        kind = cells.values.type
        raise DataError(
            f"{cells.where(0)}: column '{cells.name}' holds {kind}, which has no plain text."
        ) from error
    if not encoded.num_chunks:
        return Distinct(pa.array([], pa.string()), np.zeros(0, np.int64))
    places = np.concatenate(
        [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    )
    trimmed = pc.utf8_trim_whitespace(encoded.chunk(0).dictionary.cast(pa.string()))
    again = pc.if_else(
        is_blank(trimmed, [*cells.blanks, *cells.words]), None, trimmed
    ).dictionary_encode()
    codes = np.append(again.indices.fill_null(-1).to_numpy(zero_copy_only=False), -1)[places]
    return _that_occur(Distinct(again.dictionary, codes))


def _that_occur(found: Distinct) -> Distinct:
    """Without the texts of a shared dictionary that only other rows have."""
    there = found.counts > 0
    if there.all():
        return found
    numbers = np.append(np.where(there, np.cumsum(there) - 1, -1), -1)
    return Distinct(found.texts.filter(pa.array(there)), numbers[found.codes])


def is_blank(trimmed: pa.Array, words: Sequence[str]) -> pa.Array:
    """Which texts mean that there is no value."""
    # Half a character, which a command line may have, is in no file: "?" stands for it.
    spelt = [word.strip().lower().encode(errors="replace").decode() for word in words]
    known = pa.array(spelt, pa.string())
    return pc.is_in(pc.utf8_lower(trimmed), value_set=known)


def as_texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of any simple type as a dictionary of texts; whole numbers have no ``.0``."""
    if pa.types.is_dictionary(values.type):
        if is_text(values.type.value_type):
            return values
        values = values.cast(values.type.value_type)
    if pa.types.is_boolean(values.type):
        values = pc.if_else(values, "true", "false")
    elif pa.types.is_floating(values.type):
        numbers = values.cast(pa.float64())
        values = pc.if_else(pc.is_nan(numbers), None, numbers)
        rest = values.drop_null()
        if pc.all(pc.and_(pc.equal(pc.trunc(rest), rest), pc.less(pc.abs(rest), 1e15))).as_py():
            values = values.cast(pa.int64())
    if not is_text(values.type):
        values = values.cast(pa.string())
    return values.dictionary_encode()


def is_text(kind: pa.DataType) -> bool:
    """Whether a type of Arrow holds texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)


def plain(cell: pa.Scalar) -> Any:
    """A cell as Python has it; a date that Python has not as Arrow counts it."""
    try:
        return cell.as_py()
    except (OverflowError, ValueError):
        return str(cell.value)
