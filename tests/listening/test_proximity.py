"""A face stands near a brand, or it does not, whatever the size of the photo."""

from __future__ import annotations

from typing import Any

import pytest

from marketorch.listening.proximity import REACH, gap, near


def box(left: float, top: float, right: float, bottom: float, **more: Any) -> dict[str, Any]:
    return {"x1": left, "y1": top, "x2": right, "y2": bottom, **more}


FACE = box(100, 100, 140, 140)


@pytest.mark.parametrize(
    ("brand", "distance"),
    [
        (box(110, 110, 120, 120), 0.0),  # on the face
        (box(90, 130, 110, 300), 0.0),  # overlapping
        (box(140, 100, 180, 140), 0.0),  # touching
        (box(160, 90, 200, 150), 20.0),  # to the right
        (box(0, 0, 60, 500), 40.0),  # to the left
        (box(170, 180, 200, 200), 50.0),  # across the corner: 30 and 40
    ],
)
def test_the_gap_is_the_shortest_line_between_two_boxes(
    brand: dict[str, Any], distance: float
) -> None:
    assert gap(FACE, brand) == gap(brand, FACE) == distance


def test_what_is_near_is_measured_in_sides_of_the_face() -> None:
    side, reach = 40, REACH * 40
    inside = box(140 + reach, 100, 400, 140, brand="near")
    outside = box(140 + reach + 1, 100, 400, 140, brand="far")
    assert near([FACE], [outside, inside]) == [
        {"face": 0, "brand": 1, "name": "near", "distance": REACH}
    ]
    assert len(near([FACE], [outside, inside], reach=REACH + 1 / side)) == 2
    assert near([FACE], [inside], reach=1.0) == []


def test_the_rule_does_not_depend_on_the_scale() -> None:
    faces = [FACE, box(300, 80, 390, 170)]
    brands = [box(150, 260, 190, 280, brand="a"), box(420, 10, 600, 60, brand="b")]
    pairs = near(faces, brands)
    assert [(pair["face"], pair["brand"]) for pair in pairs] == [(1, 1), (1, 0)]
    for scale in (0.1, 7.0):
        scaled = [
            [{k: v if k == "brand" else v * scale for k, v in own.items()} for own in boxes]
            for boxes in (faces, brands)
        ]
        assert near(*scaled) == pairs


def test_the_nearest_come_first_and_none_is_an_answer() -> None:
    brands = [box(220, 100, 240, 140, brand="a"), box(150, 100, 160, 140, brand="b")]
    assert [pair["name"] for pair in near([FACE], brands)] == ["b", "a"]
    assert near([], brands) == near([FACE], []) == []
