"""What a column of a customer table is: numbers, categories, dates or truths; and how it is read.

The kind, the levels and the way of writing are found in the training rows once (`infer`) and stand
in the schema, so every other row is read the same way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marketorch.data.tables.cells import Cells, Distinct, distinct, is_text
from marketorch.data.tables.dates import ORDERS, PARTS, date_order, date_part, dates_of, parse_dates
from marketorch.data.tables.numbers import decimal_mark, parse_numbers, quick_numbers
from marketorch.errors import DataError

KINDS = ("number", "category", "date", "boolean")
OTHER = "other"
MOSTLY = 0.9  # where so many of the different texts are numbers, the others are bad
FEW, UNLIKE = 10, 0.9  # a column of as many texts, of which so many are unlike, holds ids
ENOUGH = 100  # rows before whole numbers that never repeat are taken for ids
ID_NAME = re.compile(r"(?i:(^|[\s_.-])(id|uuid|guid|key|number|no|nr)$)|[a-z]I[Dd]$")
TRUTHS = {
    word: truth
    for pair in ("no yes", "n y", "false true", "f t", "off on", "0 1", "0.0 1.0")
    for truth, word in enumerate(pair.split())
}


@dataclass(frozen=True)
class Column:
    """A column that models read.

    Attributes:
        name: in the file.
        kind: of `KINDS`.
        levels: of a category or boolean, the frequent ones first; rare ones are `OTHER`.
        missing: whether a training row had no value.
        parts: of a date (`marketorch.data.tables.dates.PARTS`).
        decimal: decimal mark of a number.
        order: of a date.
        words: further words for missing.
    """

    name: str
    kind: str
    levels: list[str] = field(default_factory=list)
    missing: bool = False
    parts: list[str] = field(default_factory=list)
    decimal: str = "."
    order: str = "ymd"
    words: list[str] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """As JSON, without what is as usual."""
        usual = asdict(Column(self.name, self.kind))
        always = {"name", "kind", "missing"}
        return {k: v for k, v in asdict(self).items() if k in always or v != usual[k]}


@dataclass(frozen=True)
class Reading:
    """How columns are told apart.

    Args:
        kinds: kinds by name, where the user says so; for dates an order (`ORDERS`) does, too.
        min_count: levels with fewer rows are taken together as `OTHER`.
        max_levels: so many levels are kept, the most frequent.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    min_count: int = 1
    max_levels: int = 1000

    def __post_init__(self) -> None:
        allowed = (*KINDS, "id", *ORDERS)
        for name, kind in self.kinds.items():
            if kind not in allowed:
                raise DataError(
                    f"data.columns: '{name}' is to be '{kind}'; expected one of "
                    f"{', '.join(allowed)}."
                )


def infer(cells: Cells, reading: Reading) -> Column | str:
    """What a column is, by its training rows; a text says why it is left out.

    Raises:
        DataError: a cell does not fit the others, with its row and value, or nothing decides
            between day and month.
    """
    kind, wanted = cells.values.type, reading.kinds.get(cells.name)
    if wanted == "id":
        return "id (data.columns)"
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return f"holds {kind}"
    if cells.values.null_count == len(cells):
        return "blank"
    if (
        wanted in ORDERS
        or wanted == "date"
        or pa.types.is_timestamp(kind)
        or pa.types.is_date(kind)
    ):
        return _dates(cells, wanted or "date")
    plain = quick_numbers(cells.values) if wanted in (None, "number") else None
    if plain is not None and not _written_as_codes(cells, wanted):
        return _numbers(cells, plain, ".", wanted)
    found = distinct(cells)
    if not len(found.texts):
        return "blank"
    if wanted in (None, "number"):
        mark, share = decimal_mark(_some(found.texts))
        if wanted or (share >= MOSTLY and not _written_as_codes(cells, wanted)):
            values = parse_numbers(cells, mark)
            return _numbers(cells, values, mark, wanted)
    if wanted is None:
        order, share = date_order(_some(found.texts))
        if share >= MOSTLY:
            return _dates(cells, order)
    return _levels(cells, found, reading)


def _some(texts: pa.Array, number: int = 2000) -> pa.Array:
    """Texts from all over a column: enough to tell what it is."""
    if len(texts) <= number:
        return texts
    return texts.take(pa.array(np.linspace(0, len(texts) - 1, number).astype(np.int64)))


def _written_as_codes(cells: Cells, wanted: str | None) -> bool:
    """Whether digits are names: postcodes keep their leading zeros."""
    if wanted or not is_text(cells.values.type) or pa.types.is_null(cells.values.type):
        return False
    coded = pc.match_substring_regex(cells.values, r"^\s*0\d+\s*$")
    return bool(pc.any(coded).as_py())


def _numbers(cells: Cells, values: np.ndarray, decimal: str, wanted: str | None) -> Column | str:
    """A column of numbers, of truths written as 0 and 1, of one value or of ids."""
    known = values[~np.isnan(values)]
    missing = len(known) < len(values)
    if not len(known):
        return "blank"
    if not missing and (known == known[0]).all():
        return "constant"
    if wanted is None and _counts_rows(known, cells.name):
        return "id"
    if wanted is None and ((known == 0) | (known == 1)).all() and known.any() and not known.all():
        levels = ["0", "1"] if known.mean() <= 0.5 else ["1", "0"]
        return Column(cells.name, "boolean", levels, missing, words=list(cells.words))
    if np.isinf(known).any():
        parse_numbers(cells, decimal)  # names the cell, unless it is to be skipped
    return Column(cells.name, "number", missing=missing, decimal=decimal, words=list(cells.words))


def _counts_rows(known: np.ndarray, name: str) -> bool:
    """Whether whole numbers never repeat and are called ids or lie close together."""
    if len(known) < ENOUGH or not (known == np.trunc(known)).all():
        return False
    close = np.ptp(known) < 2 * len(known)
    if not (close or ID_NAME.search(name)):
        return False
    return len(np.unique(known)) == len(known)


def _dates(cells: Cells, order: str) -> Column | str:
    """A column of dates with the parts that vary."""
    if order == "date":
        order = "ymd"
        if not (pa.types.is_timestamp(cells.values.type) or pa.types.is_date(cells.values.type)):
            texts = _some(distinct(cells).texts)
            compact = (~np.isnat(dates_of(texts, "compact"))).mean() if len(texts) else 0.0
            order, share = date_order(texts)
            order = "compact" if compact > share else order
    if not order:
        raise DataError(
            f"{cells.where(0)}: column '{cells.name}' has dates such as "
            f"{cells.values.drop_null()[0].as_py()!r}, and no value above 12 tells day from month. "
            f"Say which: data.columns={{{cells.name}: dmy}} or {{{cells.name}: mdy}}."
        )
    moments = parse_dates(cells, order)
    missing = bool(np.isnat(moments).any())
    if np.isnat(moments).all():
        return "blank"
    parts = [part for part in PARTS if _varies(date_part(moments, part))]
    if not parts and not missing:
        return "constant"
    parts = parts or ["days"]
    return Column(
        cells.name, "date", missing=missing, parts=parts, order=order, words=list(cells.words)
    )


def _varies(values: np.ndarray) -> bool:
    known = values[~np.isnan(values)]
    return bool((known != known[0]).any())


def _levels(cells: Cells, found: Distinct, reading: Reading) -> Column | str:
    """A column of categories or of truths, of one value or of ids."""
    counts, wanted = found.counts, reading.kinds.get(cells.name)
    missing = bool((found.codes < 0).any())
    if len(counts) == 1 and not missing:
        return "constant"
    if wanted is None and len(counts) >= max(FEW, UNLIKE * counts.sum()):
        return "id"
    truths = truths_of(found.texts) if len(counts) <= 2 * len(TRUTHS) else None
    if wanted in (None, "boolean") and truths is not None and set(truths) == {0, 1}:
        shares = [counts[truths == truth] for truth in (0, 1)]
        spelt = [
            found.texts.filter(pa.array(truths == t))[int(s.argmax())] for t, s in enumerate(shares)
        ]
        levels = [str(text) for text in spelt]
        levels = levels if shares[0].sum() >= shares[1].sum() else levels[::-1]
        return Column(cells.name, "boolean", levels, missing, words=list(cells.words))
    if wanted == "boolean":
        raise DataError(
            f"{cells.where(0)}: column '{cells.name}' (data.columns: boolean) has "
            f"{', '.join(map(str, found.texts[:5]))}; expected two of yes and no, true and false, "
            "1 and 0."
        )
    order = np.lexsort((np.arange(len(counts)), -counts))
    kept = order[counts[order] >= reading.min_count][: reading.max_levels]
    levels = found.texts.take(pa.array(kept)).to_pylist()
    if not levels:
        return f"every value is rare (fewer than data.min_count={reading.min_count} rows)"
    if len(kept) < len(counts) and OTHER not in levels:
        levels.append(OTHER)
    return Column(cells.name, "category", levels, missing, words=list(cells.words))


def truths_of(texts: pa.Array) -> np.ndarray | None:
    """0 or 1 for each text ``(D,)``; None if one is no word for no or yes."""
    words = [str(text).lower() for text in texts]
    if not all(word in TRUTHS for word in words):
        return None
    return np.array([TRUTHS[word] for word in words], np.int64)


# -- reading what has been inferred -----------------------------------------------------------


def parse(cells: Cells, column: Column) -> np.ndarray:
    """A column's cells, read as the training rows were.

    Returns:
        Numbers ``(N,)`` float64 with NaN, moments ``(N,)`` with NaT, or codes ``(N,)`` int32 of
        levels from 1; 0 is a missing value, or one unseen in training that had no rare ones.

    Raises:
        DataError: a cell is of another kind, with its row and value.
    """
    cells = replace(cells, words=column.words)
    if pa.types.is_nested(cells.values.type):
        raise DataError(
            f"{cells.where(0)}: column '{cells.name}' holds {cells.values.type}; training had "
            f"a {column.kind}."
        )
    if column.kind == "number":
        return parse_numbers(cells, column.decimal)
    if column.kind == "date":
        return parse_dates(cells, column.order)
    found = distinct(cells)
    if column.kind == "boolean":
        return found.expand(_truth_codes(cells, found, column.levels), 0)
    return found.expand(_level_codes(found.texts, column.levels), 0)


def _level_codes(texts: pa.Array, levels: Sequence[str]) -> np.ndarray:
    """Codes ``(D,)`` of texts; what is no level is `OTHER` where there is such a level."""
    known = pc.index_in(texts, value_set=pa.array(levels, pa.string()))
    rest = levels.index(OTHER) if OTHER in levels else -1
    return known.fill_null(rest).to_numpy(zero_copy_only=False).astype(np.int32) + 1


def _truth_codes(cells: Cells, found: Distinct, levels: Sequence[str]) -> np.ndarray:
    first = TRUTHS[levels[0].lower()]
    words = [TRUTHS.get(str(text).lower(), -1) for text in found.texts]
    truths = np.array(words, np.int64)
    bad = found.expand(truths < 0, False)
    cells.refuse(bad, "is neither yes nor no", f"Training had {levels[0]} and {levels[1]}.")
    return np.where(truths < 0, 0, np.where(truths == first, 1, 2)).astype(np.int32)


def times_of(cells: Cells, order: str = "date") -> np.ndarray:
    """When each cell is ``(N,)``: its number, or days.

    Args:
        order: of day and month (`ORDERS`); ``date``: found.

    Raises:
        DataError: the cells are no times, or all the same.
    """
    numbers = quick_numbers(cells.values)
    if numbers is not None and order == "date":
        return numbers
    own = infer(cells, Reading({cells.name: order}))
    if isinstance(own, str):
        raise DataError(f"column '{cells.name}' (data.time) is {own}; expected several times.")
    return date_part(parse(cells, own), "days")
