"""Faces in photos: found where they were pasted, cut out upright, and none where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from drawings import SIDE, canvas, photos
from PIL import Image

from marketorch.data.images.face_photos import NO_FACE, FaceDecoder, FacesInPhotos, caption
from marketorch.data.images.faces import Face, FaceFinder, crop, drawn
from marketorch.data.images.source import ImageData
from marketorch.errors import ConfigError, DataError


def found(photo: np.ndarray, **options: object) -> list[Face]:
    return FaceFinder(**options).find(photo)  # type: ignore[arg-type]


def test_several_faces_are_found_at_their_places_largest_first() -> None:
    places = [(40, 50), (220, 100), (430, 20)]
    faces = found(canvas(*places))
    assert len(faces) == 3
    middles = sorted(face.middle for face in faces)
    for (x, y), (left, top) in zip(middles, places, strict=True):
        assert abs(x - left - SIDE / 2) < 12
        assert abs(y - top - SIDE / 2) < 14
    sides = [face.box[2] for face in faces]
    assert sides == sorted(sides, reverse=True)
    assert all(
        0.55 * SIDE < side < SIDE and abs(face.angle) < 8
        for side, face in zip(sides, faces, strict=True)
    )
    assert found(canvas(*places)) == faces  # deterministic


def test_colour_and_grey_photos_give_the_same() -> None:
    grey = canvas((100, 80))
    assert found(np.repeat(grey[:, :, None], 3, 2))[0].box == pytest.approx(
        found(grey)[0].box, abs=2
    )


@pytest.mark.parametrize("kind", ["blank", "noise", "stripes", "tiny"])
def test_no_face_is_an_answer(kind: str) -> None:
    rng = np.random.default_rng(0)
    photo = {
        "blank": np.full((200, 300), 128, np.uint8),
        "noise": rng.integers(0, 256, (200, 300), dtype=np.uint8),
        "stripes": np.tile(np.repeat([30, 220], 10), (200, 15)).astype(np.uint8),
        "tiny": np.zeros((1, 1), np.uint8),
    }[kind]
    assert found(photo) == []


@pytest.mark.parametrize("angle", [-40, 25])
def test_a_turned_face_is_cut_out_upright(angle: int) -> None:
    upright = canvas((120, 90), width=360)
    turned = np.array(
        Image.fromarray(upright).rotate(-angle, Image.Resampling.BICUBIC, fillcolor=150)
    )
    first, second = found(upright)[0], found(turned)[0]
    assert second.angle == pytest.approx(angle, abs=8)
    straight, again = (crop(p, f).astype(float) for p, f in ((upright, first), (turned, second)))
    assert np.corrcoef(straight.ravel(), again.ravel())[0, 1] > 0.8


def test_a_face_at_the_edge_is_cut_out_whole() -> None:
    photo = canvas((30, 20), width=300)[32:]
    faces = found(photo)
    assert len(faces) == 1
    assert crop(photo, faces[0], 64).shape == (64, 64)


@pytest.mark.parametrize("size", [24, 48, 200])
def test_a_crop_is_the_square_scaled(size: int) -> None:
    photo = np.zeros((100, 100), np.uint8)
    photo[30:70, 30:50] = 200
    image = crop(photo, Face((30, 30, 40, 40), 0.0, None, 1.0), size)
    assert image.shape == (size, size)
    edge = size // 16 + 1
    assert image[edge:-edge, edge : size // 2 - edge].min() > 190
    assert image[:, size // 2 + edge :].max() < 10


def test_drawing_leaves_the_photo_and_marks_a_copy() -> None:
    photo = canvas((40, 50))
    before = photo.copy()
    picture = drawn(photo, found(photo), ["happy 97%"])
    assert np.array_equal(photo, before)
    assert picture.shape == (*photo.shape, 3)
    assert (picture != photo[:, :, None]).any(2).mean() > 0.005


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="min_size is 0"):
        FaceFinder(min_size=0)
    with pytest.raises(ValueError, match="uint8"):
        found(np.zeros((5, 5)))


def test_photos_become_a_data_set_of_their_faces(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    data = ImageData(path="nowhere", size=48, find_faces="inputs").inputs(str(folder))
    assert isinstance(data, FacesInPhotos)
    assert data.images.shape == (2, 1, 48, 48)
    assert [row["label"] for row in data.skipped] == [NO_FACE]
    rows = [{"image": str(folder / "two.png"), "label": "sad", "probability": 0.5, **place}
            for place in data.about]  # fmt: skip
    written = data.draw([*rows, *data.skipped], tmp_path / "drawn")
    assert [path.name for path in written] == ["two.jpg"]
    (folder / "broken.png").write_bytes(b"x")
    source = {"path": "nowhere", "find_faces": "inputs"}
    with pytest.raises(DataError, match=r"broken\.png is not a photo"):
        ImageData(**source).inputs(str(folder))
    skipped = ImageData(**source, on_bad="skip").inputs(str(folder))
    assert len(skipped) == 2
    assert len(skipped.skipped) == 2


def test_training_reads_the_largest_face_or_the_middle(tmp_path: Path) -> None:
    for name in ("x", "y"):
        photos(tmp_path / name)
    data = ImageData(path=str(tmp_path), size=48, find_faces="always", duplicates="keep",
                     validation_fraction=0, test_fraction=0)  # fmt: skip
    images = data.split("train").images
    assert images.shape == (4, 1, 48, 48)
    by_name = dict(zip(data.split("train").ids, images, strict=True))
    assert by_name["x/none.png"].float().std() < 1
    assert by_name["x/two.png"].float().std() > 20


def test_a_caption_tells_the_label_scores_and_other_answers() -> None:
    row = {"image": "a.png", "face": 1, "x": 1.0, "y": 2.0, "side": 9.0, "angle": 0.0}
    row |= {"label": "happy", "probability": 0.973, "p_happy": 0.973, "valence": 0.87}
    row |= {"smile": "posed", "p_smile_posed": 0.8}
    assert caption(row) == "happy 97%, valence +0.9, posed"


def test_a_photo_is_searched_for_faces_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photos(tmp_path / "photos")
    monkeypatch.setenv("MARKETORCH_CACHE", str(tmp_path / "cache"))
    files = [folder / "two.png", folder / "none.png"]

    def decoder() -> FaceDecoder:
        return FaceDecoder(files, ["two", "none"], size=48, channels=1, fit="crop")

    before = [decoder()[0], decoder()[1]]
    monkeypatch.setattr(FaceFinder, "find", lambda *_: pytest.fail("it searched again"))
    assert all(torch.equal(decoder()[place], before[place]) for place in range(2))


def test_a_strip_is_not_searched(tmp_path: Path) -> None:
    """It would take minutes: the smallest face is a share of the shorter side."""
    strip, wall = tmp_path / "strip.png", tmp_path / "wall.png"
    Image.fromarray(np.zeros((2, 60_000), np.uint8)).save(strip)
    Image.fromarray(canvas((20, 20))).save(wall)
    wrong = r"strip\.png has 60,000 × 2 pixels; at most 10 times as long as wide is read"
    with pytest.raises(DataError, match=wrong):
        FacesInPhotos([strip], size=24, channels=1, on_bad="error")
    found = FacesInPhotos([strip, wall], size=24, channels=1, on_bad="skip")
    assert (len(found), [row["image"] for row in found.skipped]) == (1, [str(strip)])
    decoder = FaceDecoder([strip], ["strip.png"], size=24, channels=1, fit="crop")
    with pytest.raises(DataError, match=wrong):
        decoder.pixels(0)
