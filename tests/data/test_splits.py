"""Cuts of a data set, and rows evenly chosen from it."""

import pytest

from marketorch.data.splits import evenly_spaced, stratified_cut


@pytest.mark.parametrize("labels", [None, ["a"] * 100 + ["b"] * 100])
def test_neighbours_of_a_block_stay_on_one_side(labels):
    kept, cut = stratified_cut(range(200), labels, 0.25, block=5)
    assert sorted(kept + cut) == list(range(200))
    assert len(cut) == 50
    for start in range(0, 200, 5):
        assert len({row in set(cut) for row in range(start, start + 5)}) == 1


@pytest.mark.parametrize(
    ("total", "number", "expected"),
    [(0, 5, []), (4, 9, [0, 1, 2, 3]), (10, 4, [0, 3, 6, 9]), (7, 1, [0]), (8, 3, [0, 3, 7])],
)
def test_rows_are_evenly_spaced_from_first_to_last(total, number, expected):
    assert evenly_spaced(total, number).tolist() == expected
