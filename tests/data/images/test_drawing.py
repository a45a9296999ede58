"""Boxes in photos: where lines and captions lie, at any size, and what the pictures are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marketorch.data.images.drawing import (
    COLOURS,
    JPEG_SIDE,
    Caption,
    boxed,
    free_name,
    write_pictures,
)

GREY = 128


def wall(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def of_colour(picture: np.ndarray, colour: tuple[int, int, int] = COLOURS[0]) -> np.ndarray:
    return (picture == colour).all(2)


@pytest.mark.parametrize("scale", [1, 2, 10])
def test_a_frame_lies_around_its_box_and_grows_with_the_photo(scale: int) -> None:
    photo = wall(320 * scale, 320 * scale)
    box = [v * scale for v in (100, 120, 200, 180)]
    picture = boxed(photo, [Caption(box, "", COLOURS[0])])
    assert (photo == GREY).all()
    frame = of_colour(picture)
    frame[: 110 * scale] = False  # the empty caption
    left, top, right, bottom = box
    line = 2 * scale
    assert frame[150 * scale].nonzero()[0].tolist() == [
        *range(left - line, left),
        *range(right, right + line),
    ]
    assert frame[:, 150 * scale].nonzero()[0].tolist() == [
        *range(top - line, top),
        *range(bottom, bottom + line),
    ]
    white = max(1, line // 3)
    assert (picture[top + white : bottom - white, left + white : right - white] == GREY).all()


def test_a_box_that_fills_the_photo_is_framed_inside() -> None:
    picture = boxed(wall(320, 200), [Caption((-5, -5, 400, 400), "x", COLOURS[1])])
    frame = of_colour(picture, COLOURS[1])
    for edge in (frame[:, 0], frame[:, -1], frame[-1]):
        assert edge.all()
    assert (picture[40:-10, 40:-10] == GREY).all()


def test_captions_lie_above_below_or_within_and_not_on_each_other() -> None:
    boxes = [(100, 100, 180, 160), (110, 104, 190, 164), (90, 0, 180, 60), (0, 0, 320, 320)]
    captions = ["Nestlé 87%", "Škoda 55%", "Top 50%", "All 50%"]
    marks = [
        Caption(*pair, colour) for *pair, colour in zip(boxes, captions, COLOURS, strict=False)
    ]
    picture = boxed(wall(320, 320), marks)
    first, second, third, fourth = (of_colour(picture, colour) for *_, colour in marks)
    assert first[82:95, 99:140].mean() > 0.3  # above its box
    assert second[168:180, 110:150].mean() > 0.3  # below its box: above, there is the first
    assert third[64:76, 90:130].mean() > 0.3  # below its box: above, there is no room
    assert fourth[1:13, 1:40].mean() > 0.3  # within: neither above nor below is room


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 200), (200, 3), (24, 16), (60, 40)])
def test_the_smallest_photos_can_be_drawn(width: int, height: int) -> None:
    mark = Caption((0, 0, width, height), "A brand with a very long name 87%", COLOURS[0])
    picture = boxed(wall(width, height), [mark])
    assert picture.shape == (height, width, 3)
    assert (picture != GREY).any()


def test_a_caption_is_made_smaller_until_it_fits() -> None:
    caption = "A brand with a long name 87%"
    wide, narrow = (
        boxed(wall(width, 240), [Caption((50, 120, 90, 160), caption, COLOURS[0])])[:116]
        for width in (400, 200)
    )
    heights = [int(of_colour(picture).any(1).sum()) for picture in (wide, narrow)]
    assert heights[0] > heights[1] >= 10
    assert of_colour(narrow)[:, -12:].any()
    assert not (narrow[:, -2:] == 255).all(2).any()  # no letter is cut off


def test_letters_beyond_ascii_are_written() -> None:
    """Each looks like itself, not like a question mark or an empty box."""
    pictures = [
        boxed(wall(200, 100), [Caption((20, 50, 60, 90), letter, COLOURS[0])]).tobytes()
        for letter in ("é", "e", "Š", "S", "Я", "ß", "?", "\uffff")
    ]
    assert len(set(pictures)) == len(pictures)


def test_names_never_clash(tmp_path: Path) -> None:
    stems = ["a", "A", "a_2", "a", "b.c@1.5s"]
    pictures = [wall(4 + i, 3) for i in range(len(stems))]
    written = write_pictures(zip(stems, pictures, strict=True), tmp_path / "new" / "folder")
    names = [path.name for path in written]
    assert names == ["a.jpg", "A_2.jpg", "a_2_2.jpg", "a_3.jpg", "b.c@1.5s.jpg"]
    assert [Image.open(path).size for path in written] == [(4 + i, 3) for i in range(5)]
    assert write_pictures(zip(stems, pictures, strict=True), tmp_path / "new" / "folder") == written
    assert free_name("ß", {"ss"}) == "ß_2"


def test_what_is_too_long_for_a_jpeg_becomes_a_png(tmp_path: Path) -> None:
    pictures = [("fits", wall(JPEG_SIDE, 1)), ("long", wall(JPEG_SIDE + 100, 1))]
    written = write_pictures(pictures, tmp_path)
    assert [path.name for path in written] == ["fits.jpg", "long.png"]
    assert [Image.open(path).width for path in written] == [JPEG_SIDE, JPEG_SIDE + 100]
