"""Open-set data: no brand is on two sides, and what is asked for is shown as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from marketorch.data.scenes import invented_marks as mark_drawings
from marketorch.data.scenes.marks import Mark, draw_svg
from marketorch.data.scenes.printing import cut_out
from marketorch.data.synthetic.open_set_data import (
    OpenSetData,
    each_by_itself,
    orientations,
    some_brands,
)
from marketorch.data.synthetic.specimens import PRINTS, SIDE, prints_of, sheets, specimen
from marketorch.engine.loading import epoch_keys, evaluation_keys, load
from marketorch.errors import DataError

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "num_train": 12, "num_validation": 9, "num_test": 9, "size": 96, "held_out": 0.5
}  # fmt: skip


def mark(name: str) -> Mark:
    drawn = draw_svg([mark_drawings.MARKS[name]])[0]
    assert not isinstance(drawn, str)
    return Mark(name, drawn, name)


def coloured(folder: Path, **colours: tuple[int, int, int]) -> Path:
    """Marks as PNG: a disc in a colour each."""
    folder.mkdir()
    y, x = np.mgrid[-1:1:60j, -1:1:60j]
    for name, colour in colours.items():
        pixels = np.zeros((60, 60, 4), np.uint8)
        pixels[x**2 + y**2 < 0.9] = *colour, 255
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


# -- brands -----------------------------------------------------------------------------------


def test_no_brand_is_on_two_sides() -> None:
    data = OpenSetData(**SMALL, turned=False)
    asked = {name: data.split(name).classes for name in ("validation", "test")}
    assert data.split("train").classes == []
    groups = {"train": data.classes, "way": list(data._brands["way"]), **asked}
    every = [name for names in groups.values() for name in names]
    assert len(every) == len(set(every))
    assert set(groups["test"]) == set(mark_drawings.MARKS)
    assert set(every) == {*mark_drawings.MARKS, *mark_drawings.DISTRACTORS}
    assert [len(names) for names in groups.values()] == [6, 2, 4, 12]
    assert data.schema["classes"] == data.classes


def test_scenes_show_the_brands_of_their_split_only() -> None:
    data = OpenSetData(**SMALL | {"num_validation": 40})
    validation = data.split("validation")
    assert validation.labels is not None
    assert set(torch.cat(validation.labels).tolist()) == set(range(len(validation.classes)))
    ways = {id(cutout) for own in data._brands["way"].values() for cutout in own}
    assert {id(cutout) for cutout in data._stock("validation").distractors} == ways
    stock = data._stock("train")
    assert not stock.distractors
    assert len(stock.marks) == len(data.classes) > 6  # turned and mirrored ones, too


def test_another_seed_holds_out_other_brands() -> None:
    one, again, other = (OpenSetData(**SMALL, data_seed=seed).classes for seed in (0, 0, 1))
    assert one == again != other


def test_names_that_begin_alike_are_held_out_together() -> None:
    names = [f"brand{i}{suffix}" for i in range(20) for suffix in ("", "-icon", "_wordmark")]
    out = some_brands(names, 0.3, 0)
    assert len(out) == 18
    assert len({name.partition("-")[0].partition("_")[0] for name in out}) == 6
    assert some_brands(["a", "b"], 0.01, 0) in (["a"], ["b"])


def test_marks_that_look_alike_when_turned_are_one_brand() -> None:
    assert len(list(orientations(mark("Morva")))) == 8  # letters
    assert [m.name for m in orientations(mark("Galvure"))][:2] == ["Galvure", "Galvure 1"]
    square = Mark("square", np.full((40, 40, 4), 255, np.uint8), "square")
    assert [m.name for m in orientations(square)] == ["square"]
    arrow = Mark("half", np.zeros((40, 40, 4), np.uint8), "half")
    arrow.pixels[:, :20] = 255
    assert len(list(orientations(arrow))) == 4  # its mirror images are turned ones


def test_each_training_mark_stands_for_itself() -> None:
    marks = [mark("Morva"), mark("Galvure"), mark("Morva")]
    assert [m.name for m in each_by_itself(marks)] == ["Morva", "Galvure", "Morva #2"]


# -- specimens --------------------------------------------------------------------------------


def test_specimens_are_the_marks_in_their_boxes() -> None:
    for name in ("Morva", "Hestrum"):
        for seed in range(12):
            photo, box = specimen(np.random.default_rng(seed), cut_out(mark(name).pixels), 96)
            assert photo.shape == (96, 96, 3)
            differ = np.abs(photo.astype(int) - photo[0, 0]).max(2) > 12
            rows, columns = (np.flatnonzero(differ.any(axis)) for axis in (1, 0))
            found = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            assert np.abs(np.array(found) - box).max() <= 2, (name, seed)


def test_long_and_thin_marks_are_shown_too() -> None:
    line = np.zeros((5, 320, 4), np.uint8)
    line[..., 3] = 255
    for seed in range(6):
        _, (left, top, right, bottom) = specimen(np.random.default_rng(seed), cut_out(line), SIDE)
        assert 0 < left < right < SIDE
        assert bottom - top >= 4


@pytest.mark.parametrize(("size", "room"), [(320, 9), (200, 4), (96, 1), (64, 1)])
def test_sheets_are_prints_side_by_side(size: int, room: int) -> None:
    cutout, side = cut_out(mark("Hestrum").pixels), min(SIDE, size)
    prints = [specimen(np.random.default_rng(seed), cutout, side) for seed in range(11)]
    made = sheets(prints, torch.arange(11) % 3, size)
    number = -(-11 // room)
    assert made["sheets"].shape == (number, 3, size, size)
    assert made["sheet_boxes"].shape == (number, room, 4)
    marks = made["sheet_marks"].flatten()
    assert marks[:11].tolist() == [seed % 3 for seed in range(11)]
    assert set(marks[11:].tolist()) <= {-1}
    for i, (sheet, own) in enumerate(zip(made["sheets"], made["sheet_boxes"], strict=True)):
        for j, box in enumerate(own.int().tolist()):
            if i * room + j < 11:
                x1, y1, x2, y2 = prints[i * room + j].box
                part = sheet[:, box[1] : box[3], box[0] : box[2]].permute(1, 2, 0)
                assert np.array_equal(part.numpy(), prints[i * room + j].pixels[y1:y2, x1:x2])


def test_what_is_asked_for_is_the_same_each_time() -> None:
    brands = {name: [cut_out(mark(name).pixels)] for name in ("Morva", "Hestrum")}
    brands["Hestrum"] *= 2
    made, again = prints_of(brands, 128), prints_of(brands, 128)
    assert made["mark_labels"].tolist() == [0, 1, 1]
    assert made["sheet_marks"].flatten().bincount().tolist() == [PRINTS] * 3
    assert all(value.equal(again[key]) for key, value in made.items())


def test_every_batch_holds_what_is_asked_for(tmp_path: Path) -> None:
    data = OpenSetData(**SMALL)
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "a.png")
    for dataset in (data.split("validation"), data.split("test"), data.inputs(str(tmp_path))):
        number = len(dataset.classes)
        for _, batch in load(dataset, evaluation_keys(dataset, 4), device=CPU):
            assert batch["sheet_marks"].flatten().tolist() == sorted([*range(number)] * PRINTS)
            assert batch["mark_labels"].tolist() == list(range(number))


def batches(dataset: Any, num_workers: int = 0) -> list[dict[str, torch.Tensor]]:
    keys = epoch_keys(dataset, 8, seed=0, epoch=0)
    return [batch for _, batch in load(dataset, keys, device=CPU, num_workers=num_workers)]


def test_training_batches_ask_for_what_they_show_and_more() -> None:
    more = 0
    for batch in batches(OpenSetData(**SMALL | {"num_train": 64}).split("train")):
        labels, known = batch["labels"], batch["mark_labels"]
        shown = set(labels[labels >= 0].tolist())
        assert shown <= set(known.tolist())
        assert len(known.unique()) == len(known)
        assert set(batch["sheet_marks"].unique().tolist()) - {-1} == set(range(len(known)))
        more += len(known) - len(shown)
    assert more > 10


def test_workers_draw_the_same_prints() -> None:
    train = OpenSetData(**SMALL | {"num_train": 16}).split("train")
    for one, other in zip(batches(train), batches(train, num_workers=2), strict=True):
        assert one.keys() == other.keys()
        assert all(value.equal(other[key]) for key, value in one.items())


# -- asking for marks of one's own ------------------------------------------------------------


def test_marks_to_find_are_those_of_the_folder_or_of_the_test_split(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "a.png")
    folder = coloured(tmp_path / "marks", Rot=(200, 20, 20), Blau=(20, 20, 200))
    (folder / "Blau").mkdir()
    (folder / "Blau.png").rename(folder / "Blau" / "one.png")
    (folder / "Blau" / "two.svg").write_text(mark_drawings.MARKS["Morva"])
    own = OpenSetData(**SMALL, marks="nowhere", find=str(folder)).inputs(str(tmp_path / "a.png"))
    assert own.classes == ["Blau", "Rot"]
    assert own.shared["mark_labels"].tolist() == [0, 0, 1]
    plain = OpenSetData(**SMALL, marks="nowhere").inputs(str(tmp_path / "a.png"))
    assert plain.classes == sorted(mark_drawings.MARKS)


def test_bad_marks_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "a.png")
    folder = coloured(tmp_path / "marks", Rot=(200, 20, 20))
    (folder / "Bad.svg").write_text("<svg><script/></svg>")
    with pytest.raises(DataError, match=r"Bad\.svg.*it holds a script"):
        OpenSetData(**SMALL, find=str(folder)).inputs(str(tmp_path / "a.png"))
    skipped = OpenSetData(**SMALL, find=str(folder), on_bad="skip").inputs(str(tmp_path / "a.png"))
    assert skipped.classes == ["Rot"]
    with pytest.raises(DataError, match="no folder of marks"):
        OpenSetData(**SMALL, find=str(tmp_path / "mark")).inputs(str(tmp_path / "a.png"))


def test_brands_that_are_not_unseen_are_refused(tmp_path: Path) -> None:
    folder = coloured(tmp_path / "a", **{f"Brand{i}": (20 * i, 0, 0) for i in range(9)})
    test = coloured(tmp_path / "b", brand3=(0, 200, 0), New=(0, 0, 200))
    data = OpenSetData(**SMALL, marks=str(folder), test_marks=str(test))
    with pytest.raises(DataError, match=r"brand3.*to be unseen"):
        data.split("test")
    with pytest.raises(DataError, match=r"held_out is 1"):
        OpenSetData(**SMALL | {"held_out": 1.0})
    few = coloured(tmp_path / "c", One=(1, 2, 3), Two=(200, 0, 0))
    with pytest.raises(DataError, match=r"2 brands.*too few"):
        OpenSetData(**SMALL, marks=str(few)).split("train")


def test_real_photos_are_measured_with_the_marks_of_the_test_split(tmp_path: Path) -> None:
    folder = coloured(tmp_path / "marks", Rot=(200, 20, 20), Blau=(20, 20, 200))
    Image.fromarray(np.zeros((75, 100, 3), np.uint8)).save(tmp_path / "0.png")
    document = {
        "images": [{"id": 0, "file_name": "0.png", "width": 100, "height": 75}],
        "categories": [{"id": i, "name": name} for i, name in enumerate(["Other", "Rot", "Blau"])],
        "annotations": [
            {"id": i, "image_id": 0, "category_id": i, "bbox": [10 * i, 10, 30, 20]}
            for i in range(3)
        ],
    }
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(document))
    files = {"test": str(path), "images": str(tmp_path)}
    test = OpenSetData(**SMALL, **files, test_marks=str(folder)).split("test")
    assert test.classes == ["Blau", "Rot"]
    assert test.labels is not None
    assert [label.tolist() for label in test.labels] == [[1, 0]]


def test_the_fingerprint_does_not_need_the_test(tmp_path: Path) -> None:
    base = OpenSetData(**SMALL).fingerprint()
    assert OpenSetData(**SMALL, test_marks="nowhere", find="nowhere").fingerprint() == base
    for change in ({"turned": False}, {"held_out": 0.3}, {"size": 64}):
        assert OpenSetData(**SMALL | change).fingerprint() != base
