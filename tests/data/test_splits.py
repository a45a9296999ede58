"""Cuts of a data set, and rows evenly chosen from it."""

import numpy as np
import pytest

from marketorch.data.cuts import TEST, TRAIN, VALIDATION, blocks_of, evenly_spaced, random_parts

SHARES = {"test": 0.25, "validation": 0.2}


@pytest.mark.parametrize("strata", [np.zeros(200, np.int64), np.arange(200) // 100])
def test_neighbours_of_a_block_stay_together_in_every_cut(strata):
    parts = random_parts(strata, SHARES, 0, groups=blocks_of(strata, 5))
    assert (parts.reshape(-1, 5) == parts[::5, None]).all()
    assert [int((parts == part).sum()) for part in (TEST, VALIDATION, TRAIN)] == [50, 30, 120]


def test_blocks_are_of_one_class():
    assert blocks_of(np.array([1, 1, 1, 0, 0, 1]), 2).tolist() == [0, 0, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("total", "number", "expected"),
    [(0, 5, []), (4, 9, [0, 1, 2, 3]), (10, 4, [0, 3, 6, 9]), (7, 1, [0]), (8, 3, [0, 3, 7])],
)
def test_rows_are_evenly_spaced_from_first_to_last(total, number, expected):
    assert evenly_spaced(total, number).tolist() == expected
