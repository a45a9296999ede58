"""Cuts of a data set, and rows evenly chosen from it."""

import pytest

from marketorch.data.splits import evenly_spaced


@pytest.mark.parametrize(
    ("total", "number", "expected"),
    [(0, 5, []), (4, 9, [0, 1, 2, 3]), (10, 4, [0, 3, 6, 9]), (7, 1, [0]), (8, 3, [0, 3, 7])],
)
def test_rows_are_evenly_spaced_from_first_to_last(total, number, expected):
    assert evenly_spaced(total, number).tolist() == expected
