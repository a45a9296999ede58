"""Dates as people write them: ISO 8601, and days and months in the order that a column shows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marketorch.data.tables.cells import Cells, distinct, is_text
from marketorch.errors import DataError

TIME = (
    r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?"
    r"\s*(?P<half>[AaPp][Mm])?\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?)?$"
)
PATTERNS = {
    "ymd": r"^(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})" + TIME,
    "dmy": r"^(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4}|\d{2})" + TIME,
    "mdy": r"^(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})[-/.](?P<y>\d{4}|\d{2})" + TIME,
    "compact": r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})" + TIME,
}
ORDERS = tuple(PATTERNS)
PARTS = ("days", "month", "weekday", "hour")
MICROSECONDS = 86_400_000_000
PIVOT = 69  # two-digit years from here on are of the last century, as in POSIX


def dates_of(texts: pa.Array, order: str) -> np.ndarray:
    """Reads texts ``(D,)`` as ``datetime64[us]`` in UTC, NaT where one is no date.

    Args:
        order: a key of `PATTERNS`.
    """
    found = pc.extract_regex(texts, pattern=PATTERNS[order])
    matched = found.is_valid().to_numpy(zero_copy_only=False)

    def number(name: str) -> np.ndarray:
        part = pc.struct_field(found, name)
        part = pc.if_else(pc.equal(part, ""), "0", part).fill_null("0")
        return part.cast(pa.float64()).to_numpy(zero_copy_only=False)

    year, month, day = (number(name).astype(np.int64) for name in ("y", "m", "d"))
    short = pc.equal(pc.utf8_length(pc.struct_field(found, "y")), 2).fill_null(False)
    century = np.where(year >= PIVOT, 1900, 2000)
    year = np.where(short.to_numpy(zero_copy_only=False), year + century, year)
    start = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    length = ((start + 1).astype("M8[D]") - start.astype("M8[D]")).astype(np.int64)
    hour, minute, second = number("hour"), number("minute"), number("second")
    half = pc.utf8_lower(pc.struct_field(found, "half"))
    clock = np.where(_is(half, "pm"), hour % 12 + 12, np.where(_is(half, "am"), hour % 12, hour))
    sound = matched & (year > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    sound &= (clock < 24) & (minute < 60) & (second < 61)
    seconds = clock * 3600 + minute * 60 + second - _offset(pc.struct_field(found, "zone"))
    whole = start.astype("M8[D]").astype("M8[us]") + (day - 1).astype("m8[D]")
    moments = whole + np.round(seconds * 1e6).astype("m8[us]")
    return np.where(sound, moments, np.datetime64("NaT", "us"))


def _is(values: pa.Array, text: str) -> np.ndarray:
    return pc.equal(values, text).fill_null(False).to_numpy(zero_copy_only=False)


def _offset(zones: pa.Array) -> np.ndarray:
    """Seconds that clocks of a zone are ahead of UTC."""
    parts = pc.extract_regex(zones, pattern=r"^(?P<sign>[+-])(?P<hour>\d{2}):?(?P<minute>\d{2})$")
    hour, minute = (
        pc.struct_field(parts, name).fill_null("0").cast(pa.float64())
        for name in ("hour", "minute")
    )
    seconds = pc.add(pc.multiply(hour, 3600.0), pc.multiply(minute, 60.0))
    sign = np.where(_is(pc.struct_field(parts, "sign"), "-"), -1, 1)
    return seconds.to_numpy(zero_copy_only=False) * sign


def date_order(texts: pa.Array) -> tuple[str, float]:
    """The order that reads most of the texts, and the share that it reads; ``""`` if two do."""
    if not len(texts):
        return "ymd", 0.0
    shares = {
        order: float((~np.isnat(dates_of(texts, order))).mean()) for order in ("ymd", "dmy", "mdy")
    }
    best = max(shares, key=lambda order: shares[order])
    tie = best != "ymd" and shares["dmy"] == shares["mdy"]
    return ("" if tie else best), shares[best]


def parse_dates(cells: Cells, order: str = "ymd") -> np.ndarray:
    """A column's moments ``(N,)`` as ``datetime64[us]``, NaT where one is missing.

    Raises:
        DataError: a cell is no date, with its row and value, unless ``on_bad`` is ``skip``; or the
            column holds another type.
    """
    values, kind = cells.values, cells.values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        try:
            return values.cast(pa.timestamp("us")).to_numpy().astype("M8[us]")
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{cells.where(0)}: column '{cells.name}' has a date beyond all calendars: {error}."
            ) from error
    texts = is_text(kind) or pa.types.is_dictionary(kind)
    if not texts and not (order == "compact" and pa.types.is_integer(kind)):
        raise DataError(f"{cells.where(0)}: column '{cells.name}' holds {kind}; expected dates.")
    found = distinct(cells)
    moments = found.expand(dates_of(found.texts, order), "NaT")
    bad = np.isnat(moments) & (found.codes >= 0)
    cells.refuse(bad, f"is no date ({EXAMPLES[order]})", "Expected a date written so.")
    return moments


EXAMPLES = {
    "ymd": "2024-05-31 or 2024-05-31 18:00",
    "dmy": "31.5.2024",
    "mdy": "5/31/2024",
    "compact": "20240531",
}


def date_part(moments: np.ndarray, part: str) -> np.ndarray:
    """A part of moments ``(N,)`` as float64, NaN where there is none.

    Args:
        part: ``days`` since 1970, ``month`` 1–12, ``weekday`` 0–6 from Monday, or ``hour`` 0–23.
    """
    nothing = np.isnat(moments)
    time = np.where(nothing, np.datetime64(0, "us"), moments)
    ticks = time.astype(np.int64)
    values: np.ndarray
    if part == "days":
        values = ticks / MICROSECONDS
    elif part == "month":
        values = time.astype("M8[M]").astype(np.int64) % 12 + 1.0
    elif part == "weekday":
        values = (ticks // MICROSECONDS + 3.0) % 7
    else:
        values = (ticks % MICROSECONDS // 3_600_000_000).astype(np.float64)
    return np.where(nothing, np.nan, values)
