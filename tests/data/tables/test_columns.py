"""Columns: what they are taken for, how their cells are read, and what is said of bad ones."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from marketorch.data.tables.cells import Cells, distinct
from marketorch.data.tables.columns import Column, Reading, infer, parse
from marketorch.data.tables.dates import date_part
from marketorch.errors import DataError

ROWS = 120


def cells(values: Sequence[Any], name: str = "x", kind: Any = None, **options: Any) -> Cells:
    array = pa.chunked_array([pa.array(values, kind)])
    return Cells(array, name, lambda place: f"t.csv, row {place + 1}", **options)


def column(values: Sequence[Any], wanted: str | None = None, **options: Any) -> Column:
    """What the values are taken for."""
    reading = Reading({"x": wanted} if wanted else {}, **options)
    found = infer(cells(values), reading)
    assert isinstance(found, Column), found
    return found


def read(values: Sequence[Any], wanted: str | None = None) -> list[Any]:
    return parse(cells(values), column(values, wanted)).tolist()


def many(values: Sequence[Any], number: int = ROWS) -> list[Any]:
    """The values again and again."""
    return [values[i % len(values)] for i in range(number)]


# -- kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "-3"], "number"),
        ([1, 2, 5], "number"),
        ([1.5, None, 2.5], "number"),
        ([decimal.Decimal("1.50"), decimal.Decimal("2.25")], "number"),
        ([datetime.timedelta(hours=1), datetime.timedelta(hours=2), None], "number"),
        ([datetime.time(12), datetime.time(13)], "category"),
        (["€ 12", "$3", "7 EUR"], "number"),
        (["yes", "no"], "boolean"),
        (["Y", "N", ""], "boolean"),
        (["TRUE", "false"], "boolean"),
        ([0, 1], "boolean"),
        (["0", "1"], "boolean"),
        ([True, False, None], "boolean"),
        (["red", "green"], "category"),
        (["01234", "99999"], "category"),  # postcodes, which begin with 0
        (["yes", "no", "perhaps"], "category"),
        (["yes", None], "category"),  # one word: missing or not is what it tells
        (["2024-05-31", "2023-01-02"], "date"),
        (["31.05.2024", "1.2.2023"], "date"),
        ([datetime.date(2024, 5, 31), datetime.date(2023, 1, 2)], "date"),
        ([datetime.datetime(2024, 5, 31, 18), None], "date"),
    ],
)
def test_kinds(values: list[Any], kind: str) -> None:
    assert column(many(values)).kind == kind


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["", " ", None, "NA", "?"], "blank"),
        (pa.nulls(5).to_pylist(), "blank"),
        (["same"] * 5, "constant"),
        ([7, 7, 7], "constant"),
        ([f"C{i}" for i in range(ROWS)], "id"),
        (list(range(1000, 1000 + ROWS)), "id"),  # counts rows
        ([[1, 2], [3]], "holds list<item: int64>"),
        ([b"a", b"b"], "holds binary"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_columns_that_tell_nothing_are_left_out(values: list[Any], reason: str) -> None:
    assert infer(cells(values), Reading()) == reason


def test_unlike_whole_numbers_are_ids_only_by_name_or_closeness() -> None:
    """Incomes, too, may all differ."""
    incomes = [1000 + 37 * i for i in range(ROWS)]
    assert isinstance(infer(cells(incomes, "income"), Reading()), Column)
    assert infer(cells(incomes, "Lead Number"), Reading()) == "id"
    assert infer(cells(incomes, "customerID"), Reading()) == "id"
    assert isinstance(infer(cells(incomes, "paid"), Reading()), Column)  # ends in id, is none


def test_the_user_says_what_a_column_is() -> None:
    numbers = many([1, 2, 3])
    assert column(numbers, "category").levels == ["1", "2", "3"]
    assert infer(cells(numbers), Reading({"x": "id"})) == "id (data.columns)"
    assert column(many([20240531, 20230102]), "date").order == "compact"
    assert column(many(["1", "0"]), "number").kind == "number"
    with pytest.raises(DataError, match=r"data.columns: 'x' is to be 'nmber'; expected one of num"):
        Reading({"x": "nmber"})


@pytest.mark.parametrize("values", [["Yes", "no", "Yes"], ["No", "yes", "No"], ["1", "0", "1"]])
def test_of_two_truths_the_frequent_one_is_first(values: list[str]) -> None:
    assert column(many(values)).levels == values[:2]


def test_levels_are_ordered_and_rare_ones_are_one() -> None:
    values = ["b"] * 6 + ["a"] * 9 + ["c", "d", " a "]
    assert column(values).levels == ["a", "b", "c", "d"]
    assert column(values, min_count=2).levels == ["a", "b", "other"]
    assert column(values, max_levels=1).levels == ["a", "other"]
    assert infer(cells(values), Reading(min_count=50)) == (
        "every value is rare (fewer than data.min_count=50 rows)"
    )


def test_a_hundred_thousand_categories() -> None:
    names = np.char.add("city ", (np.arange(300_000) % 100_000).astype(str))
    found = infer(cells(names), Reading(max_levels=1000))
    assert isinstance(found, Column)
    assert len(found.levels) == 1001
    assert found.levels[-1] == "other"
    codes = parse(cells(names), found)
    assert codes.max() == 1001
    assert (codes == 1001).sum() == 3 * 99_000


# -- cells ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["1,234.50", "1,000", ".5", "2"], [1234.5, 1000, 0.5, 2]),
        (["1.234,50", "1.000", "0,5", "2"], [1234.5, 1000, 0.5, 2]),
        (["1 234,50", "1\u00a0000", "0,5", "2"], [1234.5, 1000, 0.5, 2]),
        (["1'234.50", "1’000", "0.5", "2"], [1234.5, 1000, 0.5, 2]),
        (["$1,200", "$-3", "-$4.50", "US$ 5"], [1200, -3, -4.5, 5]),
        (["12 €", "€12", "1.000,5 EUR", "CHF 7"], [12, 12, 1000.5, 7]),
        (["12%", "150 %", "3.5%", "0%"], [0.12, 1.5, 0.035, 0]),
        (["(1,200)", "($5)", "7-", "−8"], [-1200, -5, -7, -8]),
        ([" 1 ", "+2", "3e2", "1E-1"], [1, 2, 300, 0.1]),
    ],
)
def test_numbers_as_people_write_them(values: list[str], numbers: list[float]) -> None:
    assert read(values) == pytest.approx(numbers)


def test_cells_without_a_value() -> None:
    blanks = ["", " ", "?", "NA", "n/a", "N/A", "#N/A", "null", "NULL", "None", "-", "NaN", None]
    found = column(["1.5", "2.5", *blanks])
    assert (found.kind, found.missing) == ("number", True)
    assert np.isnan(parse(cells(["1.5", "2.5", *blanks]), found)).sum() == len(blanks)
    words = column(["red", "green", "red", *blanks])
    assert (words.levels, words.missing) == (["red", "green"], True)
    assert column(many(["red", "green", "unknown"])).levels == ["red", "green", "unknown"]


def test_lengths_of_time_are_seconds() -> None:
    assert read([datetime.timedelta(minutes=1), datetime.timedelta(milliseconds=5)]) == [60, 0.005]


def test_further_words_for_missing() -> None:
    found = infer(cells(many(["a", "b", "Select"]), words=["select"]), Reading())
    assert isinstance(found, Column)
    assert (found.levels, found.missing, found.words) == (["a", "b"], True, ["select"])
    assert parse(cells(["a", " SELECT "]), Column(**found.described())).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "days"),
    [
        (["2024-05-31", "1969-12-31", "2000-02-29T12:00:00Z"], [19874, -1, 11016.5]),
        (["2024-05-31 06:00", "2024-05-31T08:00+02:00", ""], [19874.25, 19874.25, None]),
        (["31.5.2024", "1.2.70", "29/02/2000"], [19874, 31, 11016]),
        (["5/31/2024", "2/1/1970", "2/29/2000 6:00 PM"], [19874, 31, 11016.75]),
        (["2024/05/31", "1970.1.2", "NA"], [19874, 1, None]),
    ],
)
def test_dates_as_people_write_them(values: list[str], days: list[float | None]) -> None:
    found = column(values)
    own = date_part(parse(cells(values), found), "days")
    assert [None if np.isnan(day) else day for day in own] == days


def test_parts_of_a_date_that_vary() -> None:
    assert column(["2024-05-31", "2024-05-30"]).parts == ["days", "weekday"]
    assert column(["2024-05-31", "2023-01-01"]).parts == ["days", "month", "weekday"]
    assert column(["2024-05-31 10:00", "2024-05-31 11:00"]).parts == ["days", "hour"]
    moments = np.array(["2024-05-31T18:30", "1969-07-20T20:17", "NaT"], "M8[us]")
    assert date_part(moments, "month")[:2].tolist() == [5, 7]
    assert date_part(moments, "weekday")[:2].tolist() == [4, 6]  # a Friday, a Sunday
    assert date_part(moments, "hour")[:2].tolist() == [18, 20]
    assert np.isnan(date_part(moments, "days")[2])


@pytest.mark.parametrize("order", [["Y", "n", "N"], ["no", "YES"], ["0", "1", "1", "1"], [1, 0]])
def test_truths_are_the_same_however_they_are_written(order: list[Any]) -> None:
    found = column(many(order))
    codes = [found.levels[code - 1].lower() for code in parse(cells(["yes", "0", "TRUE"]), found)]
    yes = {"y", "yes", "1", "true"}
    assert [code in yes for code in codes] == [True, False, True]


def test_levels_are_the_same_whatever_type_a_table_has() -> None:
    found = column(many(["1", "2", "3"]), "category")
    for values in ([1, 2, 4], [1.0, 2.0, 4.0], ["1", " 2", "4"]):
        assert parse(cells(values), found).tolist() == [1, 2, 0]
    dictionary = pa.chunked_array([pa.array(["2", None, "1"]).dictionary_encode()])
    assert parse(Cells(dictionary, "x", str), found).tolist() == [2, 0, 1]


def test_an_unseen_level_is_other_where_there_were_rare_ones() -> None:
    rare = column(["a"] * 5 + ["b"] * 5 + ["c"], min_count=2)
    assert parse(cells(["a", "c", "zebra", None]), rare).tolist() == [1, 3, 3, 0]


def test_chunks_do_not_matter() -> None:
    values = ["b", "a", None, "c", "a"]
    chunked = pa.chunked_array([pa.array(values[:2]), pa.array(values[2:]), pa.array([], "string")])
    found = distinct(Cells(chunked, "x", str))
    assert [None if c < 0 else found.texts[int(c)].as_py() for c in found.codes] == values


def test_a_column_comes_back_from_json() -> None:
    dates = ["31.05.2024", "01.02.2023"]
    for values in (["1,5", "2,75"], dates, ["a", "b", "a"], ["yes", "no", ""]):
        found = column(many(values))
        assert Column(**found.described()) == found


# -- what is wrong with a cell ----------------------------------------------------------------


def refused(values: Sequence[Any], found: Column | None = None, **options: Any) -> str:
    own = cells(values, **options)
    with pytest.raises(DataError) as caught:
        (parse(own, found) if found else infer(own, Reading()))
    return str(caught.value)


def test_words_among_numbers() -> None:
    message = refused([*map(str, range(41)), "twelve", "2", "many"])
    assert "t.csv, row 42: column 'x' is no number: 'twelve' (and 1 cells more)." in message
    assert "data.missing=[…]" in message
    assert "data.on_bad=skip" in message


def test_a_column_with_few_numbers_is_one_of_categories() -> None:
    assert column(many(["1", "2", "twelve", "many"])).kind == "category"


def test_bad_cells_are_missing_where_they_are_to_be_skipped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = cells([*map(str, range(41)), "twelve"], on_bad="skip")
    found = infer(values, Reading())
    assert isinstance(found, Column)
    assert (found.kind, found.missing) == ("number", True)
    assert np.isnan(parse(values, found)).sum() == 1
    said = capsys.readouterr().out
    assert said.count("row 42: column 'x' is no number: 'twelve'. Taken as missing") == 1


@pytest.mark.parametrize("values", [["1", "inf", "2"], [1.5, float("-inf"), 2.0], ["3", "1e400"]])
def test_infinite_numbers(values: list[Any]) -> None:
    message = refused(values)
    assert "row 2: column 'x' is infinite" in message
    skipped = infer(cells(values, on_bad="skip"), Reading())
    assert isinstance(skipped, Column | str)


@pytest.mark.parametrize("bad", ["31.02.2024", "2024-13-01", "yesterday"])
def test_dates_that_are_none(bad: str) -> None:
    day = "{:02d}.05.2024" if "." in bad else "2024-05-{:02d}"
    message = refused([*(day.format(i) for i in range(1, 32)), bad])
    example = "31.5.2024" if "." in bad else "2024-05-31 or 2024-05-31 18:00"
    assert f"t.csv, row 32: column 'x' is no date ({example}): {bad!r}" in message


def test_nothing_tells_day_from_month() -> None:
    message = refused(["01.02.2024", "03.04.2024"])
    assert "no value above 12 tells day from month" in message
    assert "data.columns={x: dmy} or {x: mdy}" in message
    told = column(["01.02.2024", "03.04.2024"], "mdy")
    assert date_part(parse(cells(["01.02.2024"]), told), "month").tolist() == [1]


NUMBER = Column("x", "number")
DATE = Column("x", "date", parts=["days"])
TRUTH = Column("x", "boolean", ["no", "yes"])


@pytest.mark.parametrize(
    ("values", "found", "message"),
    [
        (["1", "two"], NUMBER, "row 2: column 'x' is no number: 'two'"),
        ([datetime.date(2024, 1, 1)], NUMBER, "column 'x' holds date32[day]; training had numbers"),
        ([[1]], NUMBER, "column 'x' holds list<item: int64>; training had a number"),
        ([1, 2], DATE, "column 'x' holds int64; expected dates"),
        (["2024-01-01", "5"], DATE, "row 2: column 'x' is no date"),
        (["yes", "maybe"], TRUTH, "row 2: column 'x' is neither yes nor no: 'maybe'"),
        ([0, 7], TRUTH, "row 2: column 'x' is neither yes nor no: 7"),
    ],
)
def test_a_table_of_another_type(values: list[Any], found: Column, message: str) -> None:
    assert message in refused(values, found)
