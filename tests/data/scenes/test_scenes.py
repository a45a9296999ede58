"""Scenes: what is labelled is seen and boxed tightly; splits are what they say they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import Generator
from PIL import Image

from marketorch.data.boxes.dataset import BoxDataset, DecodedBoxes
from marketorch.data.scenes import drawing as scene_drawing
from marketorch.data.scenes import invented_marks as mark_drawings
from marketorch.data.scenes import scene as scenes
from marketorch.data.scenes.drawing import choose_view, seen
from marketorch.data.scenes.marks import draw_svg
from marketorch.data.scenes.photos import beside, read_surfaces
from marketorch.data.scenes.printing import (
    LUMA,
    Cutout,
    behind,
    choose_ink,
    choose_plate,
    contrast,
    cut_from,
    cut_out,
    inverted,
    legible,
    make_print,
    one_colour,
    tinted,
)
from marketorch.data.scenes.scene import FREE, Stage, scene
from marketorch.data.scenes.source import SceneData
from marketorch.engine.loading import epoch_keys, evaluation_keys, load
from marketorch.errors import DataError

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"num_train": 12, "num_validation": 5, "num_test": 4, "size": 96}


def cutouts(drawings: dict[str, str]) -> list[Cutout]:
    drawn = draw_svg(list(drawings.values()))
    return [cut_out(mark) for mark in drawn if not isinstance(mark, str)]


OWN = cutouts(mark_drawings.MARKS)
MARKS = [[mark] for mark in OWN]
OTHERS = cutouts(mark_drawings.DISTRACTORS)
FLAT = OWN[1]  # black, with holes


def photo(seed: int = 0, width: int = 200, height: int = 150) -> np.ndarray:
    """Blotches."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def make(seed: int, size: int = 160, backgrounds: int = 2) -> scenes.Scene:
    photos = [photo(i) for i in range(backgrounds)]
    return scene(np.random.default_rng(seed), MARKS, OTHERS, photos, size)


def box_of(mask: np.ndarray) -> list[int]:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


# -- scenes -----------------------------------------------------------------------------------


def test_a_scene_is_a_function_of_its_generator() -> None:
    for ours, again in zip(make(3), make(3), strict=True):
        assert np.array_equal(ours, again)
    assert not np.array_equal(make(3)[0], make(4)[0])


@pytest.mark.parametrize("backgrounds", [0, 2])
def test_photos_boxes_and_classes_are_what_they_should_be(backgrounds: int) -> None:
    made = [make(seed, backgrounds=backgrounds) for seed in range(150)]
    for image, boxes, labels in made:
        assert image.shape == (160, 160, 3)
        assert (image.dtype, boxes.dtype, labels.dtype) == (np.uint8, np.float32, np.int64)
        assert boxes.shape == (len(labels), 4)
        assert ((boxes >= 0) & (boxes <= 160)).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= scenes.SMALLEST).all()
    counts = np.bincount([len(labels) for _, _, labels in made], minlength=5) / len(made)
    assert counts[0] > 0.03
    assert counts[1:4].min() > 0.05
    every = np.concatenate([labels for _, _, labels in made])
    assert set(every) == set(range(12))
    sides = np.concatenate([b[:, 2:] - b[:, :2] for _, b, _ in made]) / 160
    areas = np.sqrt(sides.prod(1))
    assert np.quantile(areas, 0.1) < 0.1
    assert np.quantile(areas, 0.9) > 0.4


def test_marks_do_not_lie_on_one_another() -> None:
    for seed in range(60):
        _, boxes, _ = make(seed)
        for i, one in enumerate(boxes):
            for other in boxes[:i]:
                low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
                assert (high - low).min() <= 0, seed


# -- boxes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["none", "contour", "board", "disc"])
def test_boxes_are_tight_around_what_is_seen_of_the_mark(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark is red on green, so each of its pixels is known by its colour."""
    red, green = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)
    module = "marketorch.data.scenes.printing"
    monkeypatch.setattr(f"{module}.choose_ink", lambda *_: one_colour(red))
    monkeypatch.setattr(f"{module}._plate_colour", lambda *_: green)
    monkeypatch.setattr(f"{module}.vivid", lambda *_: green)
    monkeypatch.setattr(f"{module}.RAISED", 0)
    monkeypatch.setattr(scenes, "PLATES", {shape: 1.0})
    monkeypatch.setattr(scenes, "CUT_OFF", 1.0)
    monkeypatch.setattr(scene_drawing, "SHEER", 0)
    monkeypatch.setattr(scene_drawing, "_softened", lambda _, pixels: pixels)
    tried = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        stage = Stage(np.zeros((160, 160, 3), np.float32) + green * (shape != "contour"))
        stage.add(rng, OWN[seed % len(OWN)], 0, rng.uniform(20, 120))
        if not stage.boxes:
            continue
        r, g, b = stage.photo.transpose(2, 0, 1)
        light = (r - b) + (g - b)
        share = np.divide(r - b, light, out=np.zeros_like(light), where=light > 0.05)
        apart = np.abs(np.array(box_of(share >= scene_drawing.SEEN)) - stage.boxes[0])
        assert apart.max() <= 1, seed
        assert list(stage.boxes[0]) == box_of(stage.owner == 0)
        tried += 1
    assert tried > 90


def test_a_plate_is_no_part_of_the_mark() -> None:
    rng, white = np.random.default_rng(0), np.ones((1, 3), np.float32)
    for shape in ("contour", "board", "disc"):
        printed = None
        while printed is None:
            plate = choose_plate(rng, FLAT.aspect, shape)
            printed = make_print(rng, FLAT, 100, 100, plate, white)
        left, top, right, bottom = box_of(printed.mask > 0.5)
        assert (right - left, bottom - top) == (100, 100)
        covered = (printed.pixels[..., 3] > 0.5).sum()
        assert covered > 1.3 * (printed.mask > 0.5).sum()


def test_what_is_in_the_way_leaves_enough_of_every_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        stage = Stage(np.full((160, 160, 3), 0.5, np.float32))
        for label in range(3):
            stage.add(rng, OWN[label], label, 50)
        before, boxes = stage.photo.copy(), list(stage.boxes)
        for number in list(range(len(stage.labels))) * 3:
            stage.hide(rng, number, [])
        left = np.bincount(stage.owner[stage.owner >= 0], minlength=len(boxes))
        assert (left >= scenes.VISIBLE * np.array(stage.pixels)).all()
        assert stage.boxes == boxes
        hidden += (stage.photo != before).any()
    assert hidden > 20


def test_a_mark_of_which_too_little_is_seen_leaves_no_trace() -> None:
    rng = np.random.default_rng(0)
    printed = make_print(rng, FLAT, 60, 60, choose_plate(rng, 1, "none"), np.ones((1, 3)))
    assert printed is not None
    patch = seen(printed, choose_view(rng, *printed.mask.shape[::-1]))
    for left, kept in ((-45, False), (-5, True), (40, True), (200 - 30, False)):
        stage = Stage(np.ones((200, 200, 3), np.float32))
        moved = patch._replace(left=left, top=50)
        assert stage._labelled(moved, 0) is kept
        assert len(stage.boxes) == kept
        assert (stage.owner != FREE).any() == kept


# -- colours ----------------------------------------------------------------------------------


def backdrops() -> dict[str, np.ndarray]:
    flat = {"black": 0.0, "grey": 0.5, "white": 1.0}
    found = {name: np.full((120, 120, 3), tone, np.float32) for name, tone in flat.items()}
    half = found["black"].copy()
    half[:, 60:] = 1
    colours = {"red": (0.8, 0.1, 0.1), "yellow": (1.0, 0.85, 0.1), "navy": (0.05, 0.1, 0.3)}
    found |= {
        name: np.zeros((120, 120, 3), np.float32) + np.float32(c) for name, c in colours.items()
    }
    return found | {"half": half}


@pytest.mark.parametrize("name", backdrops())
@pytest.mark.parametrize("mark", [1, 0, 7, 10])  # black; two colours; on a disc; three
def test_whatever_is_behind_a_mark_is_seen(name: str, mark: int) -> None:
    surface, tried = backdrops()[name], 0
    for seed in range(25):
        stage = Stage(surface.copy())
        stage.add(np.random.default_rng(seed), OWN[mark], 0, 60)
        if not stage.boxes:
            continue
        inside = stage.photo[stage.owner == 0]
        left, top, right, bottom = stage.boxes[0]
        part = np.zeros((120, 120), bool)
        part[top:bottom, left:right] = True
        around = stage.photo[part & (stage.owner != 0)]
        assert len(inside) > 50
        apart = contrast(inside[::5], around[::5])
        assert (apart > 0.1).mean() > 0.5, seed
        tried += 1
    assert tried >= 20


def test_a_black_mark_is_not_printed_black_on_black() -> None:
    black, white = np.zeros((36, 3), np.float32), np.ones((36, 3), np.float32)
    assert len(FLAT.colours) == 1
    assert not legible(FLAT, np.eye(4, dtype=np.float32), black)
    assert legible(FLAT, np.eye(4, dtype=np.float32), white)
    for seed in range(50):
        ink = choose_ink(np.random.default_rng(seed), FLAT, black)
        assert ink is None or (FLAT.colours @ ink.T)[0, :3] @ LUMA > 0.1
    both = np.concatenate([black, white])
    assert not legible(FLAT, one_colour(np.ones(3, np.float32)), both)


def test_inks_are_linear_in_premultiplied_colours() -> None:
    colour = np.array([0.2, 0.6, 1.0], np.float32)
    half = np.array([[0.1, 0.3, 0.5, 0.5]], np.float32)  # that colour, half transparent
    np.testing.assert_allclose(half @ inverted().T, [[0.4, 0.2, 0, 0.5]], atol=1e-6)
    red = np.array([1, 0, 0], np.float32)
    np.testing.assert_allclose(half @ one_colour(red).T, [[0.5, 0, 0, 0.5]], atol=1e-6)
    np.testing.assert_allclose(contrast(colour[None], colour[None]), [[0]])
    np.testing.assert_allclose(contrast(np.ones((1, 3)), np.zeros((1, 3))), [[1]], atol=1e-6)
    assert (tinted(np.random.default_rng(0))[3] == [0, 0, 0, 1]).all()
    assert behind(np.full((40, 30, 3), 0.25, np.float32)).shape == (36, 3)


# -- photos -----------------------------------------------------------------------------------


def test_surfaces_are_the_parts_of_photos_that_have_no_mark() -> None:
    image = np.full((150, 200, 3), 100, np.uint8)
    image[20:60, 120:180] = (255, 0, 0)
    part = beside(image, [(120, 20, 180, 60, "a", "1")])  # type: ignore[list-item]
    assert part is not None
    assert part.shape == (150, 120, 3)
    assert (part == 100).all()
    assert beside(image, []) is image
    assert beside(image, [(50, 50, 150, 100, "a", "1")]) is None  # type: ignore[list-item]


def test_a_mark_cut_out_of_a_photo_is_pasted_with_its_box() -> None:
    image = np.full((100, 120, 3), 60, np.uint8)
    image[30:70, 40:80] = (250, 250, 0)
    crop = cut_from(image, (40, 30, 80, 70), 320)
    assert crop is not None
    assert cut_from(image, (40, 30, 45, 70), 320) is None
    reduced = cut_from(image, (40, 30, 80, 70), 24)
    assert reduced is not None
    assert max(reduced.levels[0].shape) == 24
    rng = np.random.default_rng(1)
    printed = make_print(rng, crop, 100, 100, choose_plate(rng, 1, "none"), np.ones((1, 3)))
    assert printed is not None
    yellow = printed.pixels[..., 0] - printed.pixels[..., 2] > 0.4
    assert np.abs(np.array(box_of(yellow)) - box_of(printed.mask > 0.5)).max() <= 2
    assert printed.pixels[2, 50, 3] < 0.3 < printed.pixels[50, 50, 3]
    pasted = scene(rng, [[FLAT]], [], [], 96, crops=[[crop]])
    assert pasted[0].shape == (96, 96, 3)


# -- the data source --------------------------------------------------------------------------


def annotated(folder: Path, names: list[str], number: int = 4) -> Path:
    """A COCO file of photos ``(200, 150)`` with a box each, classes in turn."""
    (folder / "images").mkdir(parents=True)
    for place in range(number):
        Image.fromarray(photo(place)).save(folder / "images" / f"{place}.png")
    size = {"width": 200, "height": 150}
    document = {
        "images": [{"id": i, "file_name": f"{i}.png", **size} for i in range(number)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": i % len(names), "bbox": [110, 20, 60, 40]}
            for i in range(number)
        ],
    }
    path = folder / "boxes.json"
    path.write_text(json.dumps(document))
    return path


def test_splits_say_what_they_are_and_batches_are_those_of_annotated_photos() -> None:
    data = SceneData(**SMALL)
    train, validation = data.split("train"), data.split("validation")
    assert data.schema["classes"] == sorted(mark_drawings.MARKS)
    assert len(set(data.schema["class_counts"])) == 1
    assert data.schema | {"channels": 3, "size": 96, "num_examples": 12} == data.schema
    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [12, 5, 4]
    assert isinstance(validation, DecodedBoxes)
    assert validation.labels is not None
    for keys, dataset in ((epoch_keys(train, 6, seed=0, epoch=0), train),
                          (evaluation_keys(validation, 5), validation)):  # fmt: skip
        for _, batch in load(dataset, keys, device=CPU):
            number, most = batch["labels"].shape
            assert batch["images"].shape == (number, 3, 96, 96)
            assert batch["images"].dtype == torch.uint8
            assert batch["boxes"].shape == (number, most, 4)
            assert batch["boxes"].dtype == torch.float32
            assert (batch["boxes"][batch["labels"] < 0] == 0).all()
            assert batch["frames"].tolist() == [[1, 0, 0]] * number
    with pytest.raises(DataError, match="no dev split"):
        data.split("dev")


def batches(data: SceneData, split: str, seed: int, epoch: int) -> list[torch.Tensor]:
    dataset = data.split(split)
    keys = epoch_keys(dataset, 4, seed=seed, epoch=epoch)
    found = [batch for _, batch in load(dataset, keys, device=CPU)]
    order = torch.cat([batch["index"] for batch in found]).argsort()
    return [torch.cat([batch["images"] for batch in found])[order]]


def test_training_changes_by_epoch_and_the_other_splits_never_do() -> None:
    data, again, other = SceneData(**SMALL), SceneData(**SMALL), SceneData(**SMALL, seed=1)
    first = batches(data, "train", 0, 0)
    assert all(map(torch.equal, first, batches(again, "train", 0, 0)))
    for seed, epoch in ((0, 1), (1, 0)):
        assert not any(map(torch.equal, first, batches(data, "train", seed, epoch)))
    assert not any(map(torch.equal, first, batches(other, "train", 0, 0)))
    for name in ("validation", "test"):
        fixed = batches(data, name, 0, 0)
        assert all(map(torch.equal, fixed, batches(again, name, 3, 7)))
        assert not any(map(torch.equal, fixed, batches(other, name, 0, 0)))
    scenes_of = [{image.numpy().tobytes() for image in batches(data, name, 0, 0)[0]}
                 for name in ("train", "validation", "test")]  # fmt: skip
    assert len(set.union(*scenes_of)) == 12 + 5 + 4


def test_no_photo_stands_behind_scenes_of_two_splits(tmp_path: Path) -> None:
    for place in range(23):
        Image.fromarray(photo(place, 80, 70)).save(tmp_path / f"{place:02d}.png")
    path = annotated(tmp_path / "real", ["Ardovel"])
    both = SceneData(**SMALL, backgrounds=str(tmp_path), validation=str(path))
    data = SceneData(**SMALL, backgrounds=str(tmp_path / "real" / ".."))
    found = [{s.tobytes() for s in data._stock(name).surfaces}
             for name in ("train", "validation", "test")]  # fmt: skip
    assert len(set.union(*found)) == sum(map(len, found)) == len(data._surfaces) == 27
    assert all(found)
    assert [len(both._stock(name).surfaces) for name in ("train", "test")] == [24, 3]
    fewer = read_surfaces(str(tmp_path), None, size=48, most=5, on_bad="error")
    assert len(fewer) <= 5
    assert max(min(s.shape[:2]) for s in fewer) <= 72


def test_marks_from_a_folder_are_measured_on_annotated_photos(tmp_path: Path) -> None:
    folder = tmp_path / "marks"
    folder.mkdir()
    for name in ("Hestrum", "Morva"):
        (folder / f"{name}.svg").write_text(mark_drawings.MARKS[name])
    path = annotated(tmp_path / "real", ["Else", "MORVA.", "Hestrum"], 6)
    data = SceneData(**SMALL, marks=str(folder), validation=str(path), backgrounds=str(path),
                     class_names={"MORVA.": "Morva"})  # fmt: skip
    assert data.schema["classes"] == ["Hestrum", "Morva"]
    real = data.split("validation")
    assert isinstance(real, BoxDataset)
    assert real.labels is not None
    assert [labels.tolist() for labels in real.labels] == [[], [1], [0], [], [1], [0]]
    assert [len(boxes) for boxes in real.boxes] == [0, 1, 1, 0, 1, 1]
    np.testing.assert_allclose(real.boxes[1][0], [52.8, 21.6, 81.6, 40.8], atol=0.6)
    assert data._stock("train").surfaces[0].shape == (89, 200, 3)
    misspelt = SceneData(**SMALL, marks=str(folder), test=str(path))
    with pytest.raises(DataError, match=r"no class 'Morva'.*Did you mean 'MORVA\.'"):
        misspelt.split("test")
    other = annotated(tmp_path / "other", ["Else", "Thing"])
    nothing = SceneData(**SMALL, marks=str(folder), test=str(other))
    with pytest.raises(DataError, match=r"no class 'Hestrum'.*Found: Else, Thing"):
        nothing.split("test")


def test_classes_are_those_of_the_marks_and_of_the_crops(tmp_path: Path) -> None:
    folder = tmp_path / "marks"
    folder.mkdir()
    for name in ("Hestrum", "Morva"):
        (folder / f"{name}.svg").write_text(mark_drawings.MARKS[name])
    path = annotated(tmp_path / "real", ["Else", "MORVA."], 6)
    data = SceneData(**SMALL, marks=str(folder), crops=str(path), class_names={"MORVA.": "Morva"})
    assert data.schema["classes"] == ["Else", "Hestrum", "Morva"]
    stock = data._stock("train")
    assert stock.crops is not None
    assert [len(crops) for crops in stock.crops] == [3, 0, 3]
    assert [len(marks) for marks in stock.marks] == [0, 1, 1]
    drawn = torch.cat([stock.draw(seed)[2] for seed in range(40)])
    assert set(drawn.tolist()) == {0, 1, 2}
    unseen = data._stock("validation")  # crops are for training alone
    assert unseen.crops is None
    assert set(torch.cat([unseen.draw(seed)[2] for seed in range(20)]).tolist()) == {1, 2}


def test_annotated_photos_are_trained_on_beside_the_scenes(tmp_path: Path) -> None:
    path = annotated(tmp_path / "real", ["Morva", "Else"], 4)
    plain, mixed = SceneData(**SMALL), SceneData(**SMALL, photos=str(path))
    number, train = len(plain.split("train")), mixed.split("train")
    assert len(train) == mixed.schema["num_examples"] == number + 4
    one = train[number + 2]
    assert one["index"] == number + 2
    assert one["labels"].tolist() == [mixed.classes.index("Morva")]
    np.testing.assert_allclose(one["boxes"][0], [52.8, 21.6, 81.6, 40.8], atol=0.6)
    assert len(train[number + 1]["labels"]) == 0  # there is no mark of the class Else
    extra = np.array(mixed.schema["class_counts"]) - plain.schema["class_counts"]
    assert extra.sum() == extra[mixed.classes.index("Morva")] == 2
    assert mixed.fingerprint() != plain.fingerprint()
    batch = train.collate([train[0], train[number]])
    assert batch["images"].shape == (2, 3, SMALL["size"], SMALL["size"])


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "marks"
    folder.mkdir()
    (folder / "Morva.svg").write_text(mark_drawings.MARKS["Morva"])
    for place in range(2):
        Image.fromarray(photo(place, 40, 40)).save(tmp_path / f"{place}.png")
    with pytest.raises(DataError, match=r"data\.on_bad"):
        SceneData(on_bad="ignore")
    with pytest.raises(DataError, match=r"data\.num_train"):
        SceneData(num_train=-1)
    clash = SceneData(**SMALL, marks=str(folder), distractors=str(folder))
    with pytest.raises(DataError, match="Morva: these are marks to find and distractors"):
        clash.split("train")
    with pytest.raises(DataError, match=r"no room for marks.*64 × 64"):
        SceneData(**SMALL, backgrounds=str(tmp_path)).split("train")
    (tmp_path / "2.png").write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"2\.png"):
        SceneData(**SMALL, backgrounds=str(tmp_path)).split("train")
    small = annotated(tmp_path / "real", ["Else"])
    small.write_text(small.read_text().replace("60, 40]", "60, 4]"))
    with pytest.raises(DataError, match=r"no mark, large enough.*data\.crops"):
        SceneData(**SMALL, crops=str(small)).split("train")


def test_the_fingerprint_follows_what_training_sees(tmp_path: Path) -> None:
    base = SceneData(**SMALL).fingerprint()
    assert base == SceneData(**SMALL | {"num_test": 9}).fingerprint()
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    changes: list[dict[str, Any]] = [
        {"num_train": 13}, {"size": 64}, {"seed": 1}, {"backgrounds": str(tmp_path)}
    ]  # fmt: skip
    prints = {SceneData(**SMALL | change).fingerprint() for change in changes}
    assert len(prints | {base}) == 5


def test_photos_to_predict_on_are_read_without_any_mark(tmp_path: Path) -> None:
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    data = SceneData(marks="nowhere", size=64)
    assert data.inputs(str(tmp_path))[0]["images"].shape == (3, 64, 64)


def test_a_generator_is_the_only_source_of_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Generator:
        raise AssertionError("a scene took a generator of its own")

    rng = np.random.default_rng(5)
    monkeypatch.setattr(np.random, "default_rng", refuse)
    scene(rng, MARKS, OTHERS, [], 96)
