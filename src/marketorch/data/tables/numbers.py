"""Numbers as people write them: currencies, thousands, percent, negatives in parentheses.

``1,234.50``, ``1.234,50``, ``1 234,50`` and ``1'234.50`` are one number; which mark is the decimal
one is decided by the whole column, once, on the training rows.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marketorch.data.tables.cells import BLANKS, Cells, distinct, is_text
from marketorch.errors import DataError

DECIMALS = (".", ",")
LARGEST = 3e38  # a float32 ends there
ADVICE = (
    "Expected a number; data.missing=[…] names further words for missing, and data.columns={…: "
    "category} takes all cells for words."
)
SYMBOL = r"(?:[A-Z]{0,2}[$]|[€£¥₹₩₽₺]|zł|kr\.?|Rs\.?|Fr\.?|[A-Z]{3})"
CODES = frozenset(
    re.findall("...", "USDEURGBPJPYCHFCADAUDNZDCNYINRBRLMXNSEKNOKDKKPLNCZKHUFZARTRYSGDHKD")
)


def quick_numbers(values: pa.ChunkedArray) -> np.ndarray | None:
    """Plain numbers ``(N,)``, NaN where one is missing; None if any cell is something else.

    Lengths of time are seconds.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return None
    if pa.types.is_null(kind):
        values = values.cast(pa.float64())
    elif is_text(kind):
        spellings = [w for blank in BLANKS for w in {blank, blank.upper(), blank.capitalize()}]
        known = pa.array([*spellings, " ", "NaN"], kind)
        try:
            values = pc.if_else(pc.is_in(values, value_set=known), None, values).cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
    elif pa.types.is_duration(kind):
        values = pc.divide(values.cast(pa.duration("us")).cast(pa.int64()).cast(pa.float64()), 1e6)
    elif not is_number(kind):
        return None
    return values.cast(pa.float64(), safe=False).to_numpy()


def is_number(kind: pa.DataType) -> bool:
    """Whether a type of Arrow holds numbers or truths."""
    return (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def numbers_of(texts: pa.Array, decimal: str) -> np.ndarray:
    """Reads texts ``(D,)`` as numbers ``(D,)``, NaN where one is none.

    Args:
        decimal: the decimal mark; the other one, blanks and apostrophes part thousands.
    """
    found = pc.extract_regex(texts, pattern=PATTERNS[decimal])
    part = {name: pc.struct_field(found, name) for name in ("open", "sign", "after", "body")}
    part |= {name: pc.struct_field(found, name) for name in ("percent", "last", "before", "behind")}
    other = "," if decimal == "." else r"\."
    body = pc.replace_substring_regex(part["body"], rf"[{other}'’\s\x{{a0}}\x{{202f}}]", "")
    numbers = pc.replace_substring(body, decimal, ".").cast(pa.float64())
    values = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    values = np.where(_is(part["percent"], "%"), values / 100, values)
    minus = [_is(part[name], "-") | _is(part[name], "−") for name in ("sign", "after", "last")]
    negative = np.logical_or.reduce([*minus, _is(part["open"], "(")])
    values = np.where(negative, -values, values)
    return np.where(_known(part["before"]) & _known(part["behind"]), values, np.nan)


def _is(values: pa.Array, text: str) -> np.ndarray:
    return pc.equal(values, text).fill_null(False).to_numpy(zero_copy_only=False)


def _known(marks: pa.Array) -> np.ndarray:
    """Whether marks that look like codes of a currency are some."""
    code = pc.match_substring_regex(marks, r"^[A-Z]{3}$").fill_null(False)
    bad = pc.and_(code, pc.invert(pc.is_in(marks, value_set=pa.array(sorted(CODES)))))
    return ~bad.to_numpy(zero_copy_only=False)


def _pattern(decimal: str) -> str:
    mark, other = (r"\.", ",") if decimal == "." else (",", r"\.")
    thousands = rf"\d{{1,3}}(?:[{other}'’ \x{{a0}}\x{{202f}}]\d{{3}})+"
    body = rf"(?:{thousands}|\d+)(?:{mark}\d*)?(?:[eE][-+]?\d+)?|{mark}\d+"
    return (
        rf"^(?P<open>\(?)\s*(?P<sign>[-+−]?)\s*(?P<before>{SYMBOL}?)\s*(?P<after>[-+−]?)\s*"
        rf"(?P<body>{body})\s*(?P<behind>{SYMBOL}?)\s*(?P<percent>%?)\s*(?P<last>-?)\)?$"
    )


PATTERNS = {decimal: _pattern(decimal) for decimal in DECIMALS}


def decimal_mark(texts: pa.Array) -> tuple[str, float]:
    """The decimal mark that reads most of the texts, and the share that it reads.

    A point wins where both would do.
    """
    if not len(texts):
        return ".", 0.0
    shares = {mark: float(np.isfinite(numbers_of(texts, mark)).mean()) for mark in DECIMALS}
    best = max(DECIMALS, key=lambda mark: shares[mark])
    return best, shares[best]


def parse_numbers(cells: Cells, decimal: str = ".") -> np.ndarray:
    """A column's numbers ``(N,)`` in float64, NaN where one is missing.

    Raises:
        DataError: a cell is no number or infinite, with its row and value, unless ``on_bad`` is
            ``skip``; or the column holds another type.
    """
    kind = cells.values.type
    values = quick_numbers(cells.values) if decimal == "." else None
    if values is None:
        if not (is_text(kind) or is_number(kind) or pa.types.is_dictionary(kind)):
            raise DataError(
                f"{cells.where(0)}: column '{cells.name}' holds {kind}; training had numbers."
            )
        found = distinct(cells)
        own = numbers_of(found.texts, "." if is_number(kind) else decimal)
        values = found.expand(own, np.nan)
        infinite = pc.match_substring_regex(found.texts, r"(?i)^[-+]?inf(inity)?$")
        values[found.expand(infinite.to_numpy(zero_copy_only=False), False)] = np.inf
        cells.refuse(np.isnan(values) & (found.codes >= 0), "is no number", ADVICE)
    endless = np.abs(values) > LARGEST
    if endless.any():
        cells.refuse(endless, "is infinite", "Expected a finite number or an empty cell.")
        values = np.where(endless, np.nan, values)
    return values
