"""Reading photos with boxes: four formats, what is wrong in them, the letterbox, splits, videos."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from drawings import bomb, png
from PIL import Image

from marketorch.data.boxes.dataset import (
    BoxDataset,
    DecodedBoxes,
    LetterboxDecoder,
    frame_of,
    letterboxed,
    to_input,
    to_photo,
)
from marketorch.data.boxes.source import DetectionData
from marketorch.engine.loading import Fetcher, Key, load
from marketorch.errors import DataError

WIDTH, HEIGHT = 40, 20
ALL = {"validation_fraction": 0, "test_fraction": 0}  # nothing is cut
Boxes = list[tuple[str, list[float]]]
DRAWN: list[Boxes] = [  # class, x, y, width and height in pixels
    [("cat", [4, 2, 10, 8]), ("dog", [20, 5, 20, 15])],
    [],
    [("dog", [0, 0, 40, 20])],
]


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT), **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, **how)
    return path


def photos(folder: Path, number: int) -> list[Path]:
    return [photo(folder / f"{i}.png", i) for i in range(number)]


def coco(root: Path, drawn: list[Boxes], name: str = "boxes.json", **changes: Any) -> Path:
    """A COCO file and its photos; ``changes`` are extra entries by list."""
    names = [path.name for path in photos(root, len(drawn))]
    size = {"width": WIDTH, "height": HEIGHT}
    classes = {"dog": 7, "cat": 3, "fish": 5}
    document: dict[str, list[Any]] = {
        "images": [{"id": i, "file_name": file, **size} for i, file in enumerate(names)],
        "categories": [{"id": i, "name": name} for name, i in classes.items()],
        "annotations": [
            {"image_id": i, "category_id": classes[name], "bbox": box}
            for i, boxes in enumerate(drawn)
            for name, box in boxes
        ],
    }
    for number, entry in enumerate(document["annotations"]):
        entry["id"] = 100 + number
    for part, entries in changes.items():
        document[part] += entries
    path = root / name
    path.write_text(json.dumps(document))
    return path


def voc(root: Path, drawn: list[Boxes], extra: str = "") -> Path:
    for path, boxes in zip(photos(root / "JPEGImages", len(drawn)), drawn, strict=True):
        objects = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
            f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
            for name, (x, y, w, h) in boxes
        )
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
        text = f"<annotation><filename>{path.name}</filename>{size}{objects}{extra}</annotation>"
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{path.stem}.xml").write_text(text)
    return root


def yolo(root: Path, drawn: list[Boxes], names: str | None = "cat\ndog\n") -> Path:
    (root / "labels").mkdir(parents=True)
    for path, boxes in zip(photos(root / "images", len(drawn)), drawn, strict=True):
        lines = [
            f"{['cat', 'dog'].index(name)} {(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT} "
            f"{w / WIDTH} {h / HEIGHT}\n"
            for name, (x, y, w, h) in boxes
        ]
        if lines:
            (root / "labels" / f"{path.stem}.txt").write_text("".join(lines))
    if names:
        (root / "classes.txt").write_text(names)
    return root


def listed(root: Path, drawn: list[Boxes]) -> Path:
    """A folder of photos as `datasets` writes it."""
    rows = []
    for path, boxes in zip(photos(root, len(drawn)), drawn, strict=True):
        pairs = {"bbox": [box for _, box in boxes], "categories": [name for name, _ in boxes]}
        rows.append({"file_name": path.name, "objects": pairs})
    (root / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return root


def parquet(root: Path, drawn: list[Boxes]) -> Path:
    import datasets

    names = datasets.ClassLabel(names=["cat", "dog"])
    box = datasets.List(datasets.Value("float32"))
    form = {
        "image": datasets.Image(),
        "objects": {"bbox": datasets.List(box), "category": datasets.List(names)},
    }
    rows = {
        "image": [{"bytes": path.read_bytes(), "path": None} for path in photos(root, len(drawn))],
        "objects": [
            {"bbox": [box for _, box in boxes], "category": [name for name, _ in boxes]}
            for boxes in drawn
        ],
    }
    path = root / "boxes.parquet"
    datasets.Dataset.from_dict(rows, features=datasets.Features(form)).to_parquet(path)
    return path


def data(path: Path | str, **options: Any) -> DetectionData:
    return DetectionData(path=str(path), **{"size": 80, "on_bad": "error"} | options)


def whole(path: Path | str, **options: Any) -> BoxDataset:
    """All photos of a file, as training data."""
    return data(path, **ALL | options).split("train")


def in_photo(dataset: BoxDataset) -> list[list[list[float]]]:
    pairs = zip(dataset.boxes, dataset.frames, strict=True)
    return [[[round(v, 3) for v in b] for b in to_photo(*pair).tolist()] for pair in pairs]


# -- formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("memory_gib", [0.0, 2.0])
@pytest.mark.parametrize("write", [coco, voc, yolo, listed, parquet])
def test_formats_say_the_same(
    tmp_path: Path, write: Callable[[Path, list[Boxes]], Path], memory_gib: float
) -> None:
    source = data(write(tmp_path, DRAWN), memory_gib=memory_gib, **ALL)
    train = source.split("train")
    assert type(train) is (DecodedBoxes if memory_gib else BoxDataset)
    assert in_photo(train) == [[[4, 2, 14, 10], [20, 5, 40, 20]], [], [[0, 0, 40, 20]]]
    assert train.boxes[0].tolist() == [[8, 24, 28, 40], [40, 30, 80, 60]]  # 80 × 40, 20 down
    classes = source.schema["classes"]
    assert train.labels is not None
    named = [[classes[i] for i in labels.tolist()] for labels in train.labels]
    assert named == [["cat", "dog"], [], ["dog"]]
    counts = dict(zip(classes, source.schema["class_counts"], strict=True))
    assert {name: count for name, count in counts.items() if count} == {"cat": 1, "dog": 2}
    assert (source.schema["num_examples"], source.schema["size"]) == (3, 80)
    noise = np.array(Image.open(next(tmp_path.rglob("2.png"))))
    assert torch.equal(train.images[2], torch.from_numpy(letterboxed(noise, 80)).permute(2, 0, 1))


def test_a_batch_is_filled_up_and_the_same_however_it_is_made(tmp_path: Path) -> None:
    path = coco(tmp_path, DRAWN)
    decoded, lazy = whole(path), whole(path, memory_gib=0)
    cpu, keys = torch.device("cpu"), [Key(0, 0, 0, [1, 0, 2]), Key(0, 0, 1, [1])]
    by_workers = [batch for _, batch in load(lazy, keys, device=cpu, num_workers=1)]
    for key, other in zip(keys, by_workers, strict=True):
        batch = Fetcher(decoded)[key]
        assert batch.keys() == other.keys()
        assert all(torch.equal(batch[name], other[name]) for name in batch)
    batch = Fetcher(decoded)[keys[0]]
    assert batch["images"].shape == (3, 3, 80, 80)
    assert batch["boxes"].shape == (3, 2, 4)
    assert batch["labels"].tolist() == [[-1, -1], [0, 2], [2, -1]]  # cat, fish, dog by their ids
    assert batch["boxes"][0].abs().sum() == batch["boxes"][2, 1].abs().sum() == 0
    assert (batch["labels"].dtype, batch["boxes"].dtype) == (torch.int64, torch.float32)
    assert batch["frames"].tolist() == [[2, 0, 20]] * 3
    assert batch["index"].tolist() == [1, 0, 2]
    nothing = Fetcher(decoded)[keys[1]]
    assert (nothing["boxes"].shape, nothing["labels"].shape) == ((1, 0, 4), (1, 0))


def test_classes_without_boxes_and_photos_without_boxes_are_kept_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = data(coco(tmp_path, DRAWN), **ALL)
    assert source.schema["classes"] == ["cat", "fish", "dog"]
    assert source.schema["class_counts"] == [1, 0, 2]
    said = capsys.readouterr().out
    assert "1 of 3 photos have no box; they are kept." in said
    assert "1 of 3 classes have no box in the training split: fish. They stay classes." in said


def test_some_classes_in_an_order_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = coco(tmp_path, DRAWN)
    source = data(path, classes=["hound"], class_names={"dog": "hound"}, **ALL)
    assert source.schema["classes"] == ["hound"]
    assert [len(boxes) for boxes in source.split("train").boxes] == [1, 0, 1]
    assert "1 boxes of 1 other classes are left out (data.classes): cat." in capsys.readouterr().out
    assert data(path, classes=["dog", "cat"], **ALL).schema["class_counts"] == [2, 1]
    with pytest.raises(DataError, match=r"no class 'dgo' \(data.classes\). Did you mean 'dog'\?"):
        data(path, classes=["dgo"], **ALL).split("train")


def test_crowds_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crowd = {"id": 1, "image_id": 0, "category_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": 1}
    train = whole(coco(tmp_path, DRAWN, annotations=[crowd]))
    assert [len(boxes) for boxes in train.boxes] == [2, 0, 1]
    assert "1 boxes around crowds (iscrowd) are left out." in capsys.readouterr().out


def test_objects_may_be_written_by_row(tmp_path: Path) -> None:
    rows = [[{"bbox": box, "category": name} for name, box in boxes] for boxes in DRAWN]
    table = [
        {"file_name": path.name, "objects": row, "width": WIDTH, "height": HEIGHT}
        for path, row in zip(photos(tmp_path, 3), rows, strict=True)
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in table))
    assert [len(boxes) for boxes in whole(path).boxes] == [2, 0, 1]


def test_a_voc_photo_is_found_by_the_name_of_its_file_or_in_it(tmp_path: Path) -> None:
    root = voc(tmp_path, DRAWN)
    file = root / "Annotations" / "0.xml"
    content = file.read_text()
    for stale in ("1.png", r"C:\desk\before.jpg", ""):  # the photo and its file were renamed
        file.write_text(content.replace("0.png", stale))
        assert whole(root).ids == [str(root / "JPEGImages" / f"{i}.png") for i in range(3)]
    file.write_text(content)
    file.rename(root / "Annotations" / "first.xml")
    assert len(whole(root)) == 3
    file.write_text(content)
    with pytest.raises(DataError, match=r"0\.png \(this photo is listed twice\)"):
        whole(root)
    (root / "JPEGImages" / "1.png").unlink()
    with pytest.raises(DataError, match=r"JPEGImages/1\.png \(does not exist"):
        whole(root)


def test_without_names_classes_are_their_numbers(tmp_path: Path) -> None:
    assert data(yolo(tmp_path, DRAWN, names=None), **ALL).schema["classes"] == ["0", "1"]


def test_photos_may_lie_elsewhere(tmp_path: Path) -> None:
    for write, inner in ((coco, ""), (voc, "JPEGImages"), (yolo, "images")):
        root = tmp_path / write.__name__
        path = write(root, DRAWN)
        away = tmp_path / "away" / write.__name__
        away.mkdir(parents=True)
        for picture in (root / inner).glob("*.png"):
            picture.rename(away / picture.name)
        texts = root / "labels" if write is yolo else path
        assert len(whole(texts, images=str(away))) == 3
    with pytest.raises(DataError, match=r"data.images: .*awya does not exist. Did you mean 'away'"):
        whole(path, images=str(tmp_path / "awya"))


def test_a_list_of_files_is_read_as_one(tmp_path: Path) -> None:
    paths = [str(coco(tmp_path / "1", DRAWN)), str(voc(tmp_path / "2", DRAWN))]
    source = DetectionData(path=paths, size=80, **ALL)
    assert source.schema["num_examples"] == 6
    assert source.schema["class_counts"] == [2, 0, 4]


def test_pandas_writes_tables_too(tmp_path: Path) -> None:
    rows = {
        "image": [png(np.full((HEIGHT, WIDTH), 9, np.uint8))],
        "objects": [{"bbox": [[1.0, 2, 3, 4]], "category": [5]}],
    }
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    source = data(tmp_path / "t.parquet", **ALL)
    assert (source.schema["classes"], source.split("train").ids) == (["5"], ["row 1"])


# -- the letterbox ----------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(500, 333), (37, 211), (96, 96), (1, 1), (3000, 2)])
def test_the_letterbox_and_boxes_agree_to_a_part_of_a_pixel(width: int, height: int) -> None:
    scale, left, top = frame = frame_of(width, height, 96)
    assert scale * max(width, height) == pytest.approx(96)
    square = letterboxed(np.full((height, width, 3), 255, np.uint8), 96)
    light = np.argwhere(square[..., 0] == 255)
    first, last = light.min(0), light.max(0) + 1
    assert first.tolist() == [top, left]
    assert (square == 114).sum() + (square == 255).sum() == square.size
    for side, length in zip(last - first, (height, width), strict=True):
        assert side <= max(1, length * scale + 1e-4) < side + 1 + 1e-4
    boxes = torch.tensor([[0.0, 0, width, height], [0.25, 0.5, 0.75, 1]])
    frames = torch.tensor([frame] * 2)
    torch.testing.assert_close(to_photo(to_input(boxes, frames), frames), boxes, rtol=0, atol=1e-3)


def test_what_is_drawn_in_the_photo_is_where_its_box_is_in_the_input() -> None:
    """The centre of gravity of a light spot, in a photo whose short side does not fit evenly."""
    picture = np.zeros((333, 500, 3), np.uint8)
    picture[200:280, 400:480] = 255
    square = letterboxed(picture, 96)[..., 0].astype(float)
    scale, left, top = frame_of(500, 333, 96)
    inner = square[int(top) : 96 - int(top) - 1]
    rows, columns = np.indices(inner.shape) + 0.5
    middle = [(rows * inner).sum() / inner.sum() + top, (columns * inner).sum() / inner.sum()]
    assert middle == pytest.approx([240 * scale + top, 440 * scale + left], abs=0.02)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_is_known_from_the_beginning_of_the_file(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = photo(tmp_path / f"a.{kind}", exif=exif)
    decoder = LetterboxDecoder([path], ["a"], [None], 16)
    assert decoder.size_of(0) == decoder.photo(0).shape[1::-1]
    assert decoder.size_of(0) == ((20, 40) if orientation > 4 else (40, 20))


@pytest.mark.parametrize("memory_gib", [0.0, 2.0])
def test_boxes_lie_in_the_photo_as_it_is_seen(tmp_path: Path, memory_gib: float) -> None:
    """A phone notes how it was held; annotations of the pixels as they are stored are refused."""
    path = coco(tmp_path, DRAWN)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "0.png", size=(HEIGHT, WIDTH), exif=exif)
    assert len(whole(path, memory_gib=memory_gib)) == 3
    photo(tmp_path / "0.png", exif=exif)
    message = (
        r"1 of 3 rows are bad: 0.png \(the annotations say 40 × 20 pixels, the photo has 20 × 40 "
        r"once it is turned"
    )
    with pytest.raises(DataError, match=message):
        whole(path, memory_gib=memory_gib)
    assert len(whole(path, memory_gib=memory_gib, on_bad="skip")) == 2


def test_a_photo_that_changed_since_it_was_looked_at_is_named(tmp_path: Path) -> None:
    train = whole(coco(tmp_path, DRAWN), memory_gib=0)
    photo(tmp_path / "1.png", size=(9, 9))
    with pytest.raises(DataError, match=r"1\.png: the annotations say 40 × 20 .* has 9 × 9\."):
        train[1]


# -- what is wrong with boxes -----------------------------------------------------------------

BAD = {
    "outside": [40, 0, 5, 5],
    "inverted": [30, 5, -10, 5],
    "without area": [5, 5, 0, 5],
    "not finite": [float("nan"), 0, 5, 5],
    "unreadable": [1, 2, 3],
}


@pytest.mark.parametrize("kind", list(BAD))
def test_a_bad_box_is_named_or_dropped_and_its_photo_stays(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = coco(tmp_path, [*DRAWN, [("cat", BAD[kind])]])  # type: ignore[list-item]
    message = rf"1 of 4 boxes are bad \(1 {kind}\): annotation 103 of 3\.png \({kind}: "
    with pytest.raises(DataError, match=message):
        whole(path)
    assert [len(boxes) for boxes in whole(path, on_bad="skip").boxes] == [2, 0, 1, 0]
    assert "Skipped (data.on_bad=skip); their photos stay." in capsys.readouterr().out


def test_all_kinds_of_bad_boxes_are_counted(tmp_path: Path) -> None:
    drawn: list[Boxes] = [[("cat", box) for box in BAD.values()] * 2, [("cat", [1, 1, 2, 2])]]
    with pytest.raises(DataError, match="10 of 11 boxes are bad") as error:
        whole(coco(tmp_path, drawn))
    assert all(f"2 {kind}" in str(error.value) for kind in BAD)
    with pytest.raises(DataError, match="None is left"):
        whole(coco(tmp_path, drawn[:1]), on_bad="skip")


def test_a_box_that_is_partly_inside_is_clipped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beyond: list[Boxes] = [[("cat", [-5, 10, 20, 30])], [("dog", [0, 0, 40.2, 20])]]
    assert in_photo(whole(coco(tmp_path, beyond))) == [[[0, 10, 15, 20]], [[0, 0, 40, 20]]]
    assert "1 of 2 boxes reach beyond their photo and were clipped." in capsys.readouterr().out


def test_tiny_boxes_are_not_trained_on_but_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[Boxes] = [[("cat", [0, 0, 0.4, 9]), ("dog", [0, 0, 0.6, 9])]]
    path = coco(tmp_path, drawn)
    source = data(path, validation=str(path), test_fraction=0)
    before = source.fingerprint()
    assert source.schema["class_counts"] == [0, 0, 1]
    assert [len(source.split(name).boxes[0]) for name in ("train", "validation")] == [1, 2]
    assert "1 boxes below 1 pixels of the input (data.min_box)" in capsys.readouterr().out
    assert source.fingerprint() == before


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"image_id": 99, "category_id": 3}, "annotation 5 .of an unknown image: image_id is 99"),
        (
            {"image_id": 0, "category_id": 4},
            r"annotation 5 of 0\.png .of an unknown category: category_id is 4",
        ),
        ({"image_id": [0], "category_id": 3}, r"of an unknown image: image_id is \[0\]"),
        (
            {"image_id": 0, "category_id": 3, "bbox": "1234"},
            r"unreadable: bbox is '1234'; expected \[x, y, width, height\]",
        ),
    ],
)
def test_annotations_of_what_is_not_there(
    tmp_path: Path, entry: dict[str, Any], message: str
) -> None:
    path = coco(tmp_path, DRAWN, annotations=[{"id": 5, "bbox": [0, 0, 5, 5]} | entry])
    with pytest.raises(DataError, match=message):
        whole(path)
    assert [len(boxes) for boxes in whole(path, on_bad="skip").boxes] == [2, 0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": [{"id": 0, "file_name": "x.png"}]},
            "two entries of 'images' have the id 0: '0.png' and 'x.png'",
        ),
        (
            {"categories": [{"id": 7, "name": "bird"}]},
            "two entries of 'categories' have the id 7: 'dog' and 'bird'",
        ),
        (
            {"images": [{"id": 9, "file_name": "0.png"}]},
            "'images', 0 and 9, are the same file '0.png'",
        ),
        ({"images": [{"id": 9}]}, "entry 4 of 'images' has no usable 'file_name'"),
        ({"categories": [{"ID": 9, "name": "a"}]}, "no usable 'id'"),
        ({"annotations": [3]}, "annotation 4 is 3; expected an object"),
    ],
)
@pytest.mark.parametrize("on_bad", ["error", "skip"])
def test_ids_that_clash_or_lack_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str, on_bad: str
) -> None:
    with pytest.raises(DataError, match=message):
        whole(coco(tmp_path, DRAWN, **changes), on_bad=on_bad)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b'{"images": [\n{"id": 1,}]}', "line 2, column .*: this is no JSON"),
        (b"\xff\xfe{}", "byte 0xff at position 0 is not valid utf-8"),
        (b"[1, 2]", "holds a list; expected an object with images, annotations, categories"),
        (b'{"image": []}', "has no list 'images'. Did you mean 'image'"),
        (b"[" * 100_000, "nested too deeply|this is no JSON"),
    ],
)
def test_a_broken_json_is_named_with_the_place(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.json.*{message}"):
        whole(path)


ENTITIES = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"is empty \(0 bytes\)"),
        (
            "<annotation>\n<object></annotation>",
            "line 2, column 11: this is no XML: mismatched tag",
        ),
        (ENTITIES, "it declares a document type; such XML is refused"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "it declares a document type"),
    ],
)
def test_a_broken_xml_is_named_with_the_place(tmp_path: Path, content: str, message: str) -> None:
    root = voc(tmp_path, DRAWN)
    (root / "Annotations" / "1.xml").write_text(content)
    with pytest.raises(DataError, match=rf"1 of 3 rows are bad: .*1\.xml \({message}"):
        whole(root)
    assert len(whole(root, on_bad="skip")) == 2


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("<object><name>cat</name></object>", "unreadable: its <bndbox> has xmin None"),
        (
            "<object><name>cat</name><bndbox><xmin>one</xmin></bndbox></object>",
            "unreadable: its <bndbox> has xmin one",
        ),
        ("<object><bndbox/></object>", "without a name: its <name> is empty"),
    ],
)
def test_an_object_of_an_xml_that_is_no_box(tmp_path: Path, extra: str, message: str) -> None:
    root = voc(tmp_path, DRAWN, extra)
    with pytest.raises(DataError, match=rf"0\.xml, object 3 \({message}"):
        whole(root)
    assert [len(boxes) for boxes in whole(root, on_bad="skip").boxes] == [2, 0, 1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 .5 .5 .1", "unreadable: 4 fields; expected class, x, y, width, height"),
        ("1 .5 .5 .1 .1 .9", "unreadable: 6 fields"),
        ("1 .5 .5 .1 wide", "unreadable: '1 .5 .5 .1 wide'; expected .* as numbers"),
        ("2 .5 .5 .1 .1", "of an unknown class: class '2'; 0 to 1 have names"),
        ("-1 .5 .5 .1 .1", "of an unknown class: class '-1'; 0 to 1 have names"),
        ("cat .5 .5 .1 .1", "of an unknown class: class 'cat'"),
        ("1 120 80 10 10", "outside: .*; the photo has 40 × 20 pixels"),
        ("1 nan .5 .1 .1", "not finite"),
    ],
)
def test_a_bad_line_is_named_with_its_file(tmp_path: Path, line: str, message: str) -> None:
    root = yolo(tmp_path, DRAWN)
    with (root / "labels" / "0.txt").open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(DataError, match=rf"labels/0\.txt, line 4 \({message}"):
        whole(root)
    assert [len(boxes) for boxes in whole(root, on_bad="skip").boxes] == [2, 0, 1]


def test_a_text_file_without_a_photo_is_named(tmp_path: Path) -> None:
    root = yolo(tmp_path, DRAWN)
    (root / "labels" / "gone.txt").write_text("0 .5 .5 .1 .1")
    with pytest.raises(DataError, match=r"gone\.txt \(there is no photo of this name\)"):
        whole(root)
    assert len(whole(root, on_bad="skip")) == 3


def test_bad_rows_of_a_table_are_named(tmp_path: Path) -> None:
    root = listed(tmp_path, DRAWN)
    ragged = {"file_name": "0.png", "objects": {"bbox": [[0, 0, 1, 1]], "categories": []}}
    null = {"file_name": None, "objects": {"bbox": [], "categories": []}}
    with (root / "metadata.jsonl").open("a") as file:
        file.write(f"{json.dumps(ragged)}\n{json.dumps(null)}\n")
    message = r"0\.png \(its lists differ in length: .*row 5 \(its photo is None; expected"
    with pytest.raises(DataError, match=message):
        whole(root)
    assert len(whole(root, on_bad="skip")) == 3


# -- what is wrong with photos ----------------------------------------------------------------


@pytest.mark.parametrize("memory_gib", [0.0, 2.0])
def test_photos_that_are_missing_broken_or_too_large_are_named_or_skipped(
    tmp_path: Path, memory_gib: float
) -> None:
    path = coco(tmp_path, DRAWN * 2)
    (tmp_path / "0.png").unlink()
    (tmp_path / "1.png").write_bytes(b"hello")
    (tmp_path / "2.png").write_bytes(bomb())
    with pytest.raises(DataError, match=r"3 of 6 rows are bad: 0\.png \(does not exist") as error:
        whole(path, memory_gib=memory_gib)
    assert "1.png (is not a photo that Pillow can read" in str(error.value)
    assert "2.png (says that it has more than 179 megapixels" in str(error.value)
    train = whole(path, memory_gib=memory_gib, on_bad="skip")
    assert train.ids == ["3.png", "4.png", "5.png"]
    assert [len(boxes) for boxes in train.boxes] == [2, 0, 1]
    cut = tmp_path / "4.png"
    cut.write_bytes(cut.read_bytes()[:-400])
    assert len(whole(path, memory_gib=memory_gib, on_bad="skip")) == 2


def test_a_photo_of_one_pixel(tmp_path: Path) -> None:
    path = yolo(tmp_path, [[("cat", [0, 0, WIDTH, HEIGHT])]])
    photo(tmp_path / "images" / "0.png", size=(1, 1))
    train = whole(path)
    assert train.frames.tolist() == [[80, 0, 0]]
    assert train.boxes[0].tolist() == [[0, 0, 80, 80]]


def test_what_holds_no_box_or_no_annotations(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no box to train on"):
        whole(coco(tmp_path / "none", [[], []]))
    photos(tmp_path / "photos", 2)
    with pytest.raises(DataError, match=r"photos holds no annotations; looked for metadata\.jsonl"):
        whole(tmp_path / "photos")
    with pytest.raises(DataError, match="photos holds no XML file"):
        whole(tmp_path / "photos", format="voc")
    with pytest.raises(DataError, match="expected one JSON file of annotations; found none"):
        whole(tmp_path / "photos", format="coco")
    with pytest.raises(DataError, match=r"has no metadata\.jsonl"):
        whole(tmp_path / "photos", format="hub")
    with pytest.raises(DataError, match=r"boxs\.json does not exist. Did you mean 'boxes.json'"):
        whole(tmp_path / "none" / "boxs.json")
    with pytest.raises(DataError, match=r"has no column 'objcts' \(data.objects\). Did you mean"):
        whole(listed(tmp_path / "listed", DRAWN), objects="objcts")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "coca"}, "data.format is 'coca'; expected auto, coco, voc, yolo or hub"),
        ({"on_bad": "ignore"}, "data.on_bad is 'ignore'"),
        ({"duplicates": "twice"}, "data.duplicates"),
        ({"size": 0}, "data.size is 0; expected more than 0"),
        ({"video_every": -1.0}, "data.video_every is -1.0"),
        ({"classes": ["a", "a"]}, "data.classes names a class twice"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        data("nowhere", **options)


# -- splits -----------------------------------------------------------------------------------

MANY: list[Boxes] = [
    [("cat" if i % 5 == 0 else "dog", [1, 1, 9, 9])] if i % 4 else [] for i in range(60)
]


def test_one_file_is_cut_by_class(tmp_path: Path) -> None:
    source = data(coco(tmp_path, MANY))
    parts = {name: source.split(name) for name in ("train", "validation", "test")}
    assert [len(part) for part in parts.values()] == [43, 5, 12]
    ids = [name for part in parts.values() for name in part.ids or []]
    assert len(set(ids)) == 60
    test = parts["test"]
    assert test.labels is not None
    counts = Counter(source.schema["classes"][int(n)] for labels in test.labels for n in labels)
    assert counts == {"dog": 7, "cat": 2}  # of 36 and 9, and 15 photos without a box
    again, other = data(tmp_path / "boxes.json"), data(tmp_path / "boxes.json", seed=1)
    assert again.split("test").ids == test.ids != other.split("test").ids


def test_too_few_photos_are_cut_at_random(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = data(coco(tmp_path, [[("cat", [0, 0, 5, 5])], [("dog", [0, 0, 5, 5])]] * 2))
    assert len(source.split("train")) == 2
    assert (
        "4 rows are too few to be cut by class: 1 are drawn at random." in capsys.readouterr().out
    )
    with pytest.raises(DataError, match="cannot cut a stratified test split from 1 rows"):
        data(coco(tmp_path / "one", DRAWN[:1])).split("train")


def test_repeats_are_dropped_before_a_cut_and_counted_between_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = coco(tmp_path, MANY)
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes())
    source = data(path)
    assert sum(len(source.split(name)) for name in ("train", "validation", "test")) == 59
    assert "1 of 60 photos repeat an earlier one and were dropped." in capsys.readouterr().out
    assert data(path, **ALL).schema["num_examples"] == 60  # given whole, taken as it is
    other = coco(tmp_path / "other", DRAWN)
    data(path, validation=str(other), test_fraction=0).split("validation")
    assert "2 photos of the validation split are in the training split too" in (
        capsys.readouterr().out
    )
    left = data(path, exclude=[str(other)], **ALL)
    assert left.schema["num_examples"] == 57  # with the repeat of one of them


def test_a_given_split_is_read_when_asked_for_and_may_have_no_new_class(tmp_path: Path) -> None:
    train = coco(tmp_path, DRAWN)
    missing = data(train, test=str(tmp_path / "nowhere.json"), validation_fraction=0)
    assert len(missing.split("train")) == 3
    with pytest.raises(DataError, match=r"nowhere\.json does not exist"):
        missing.split("test")
    new = voc(tmp_path / "voc", [[("dgo", [0, 0, 5, 5])]])
    source = data(train, test=str(new), validation_fraction=0)
    message = r"The test split has classes that training never saw: \{'dgo': 1\} .*mean 'dog'"
    with pytest.raises(DataError, match=message):
        source.split("test")
    with pytest.raises(DataError, match=r"The data have no validation split"):
        source.split("validation")


def sizes(source: DetectionData) -> list[int]:
    return [len(source.split(name)) for name in ("train", "validation", "test")]


def test_splits_that_lie_in_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    for number, name in enumerate(("train2017", "val2017", "test"), start=1):
        coco(root, DRAWN * number, f"instances_{name}.json")
    assert sizes(data(root)) == [3, 6, 9]
    own = data(root, validation=str(root / "instances_train2017.json"))
    assert sizes(own) == [3, 3, 9]  # what is given is not looked for
    for write in (coco, voc, listed):
        root = tmp_path / f"folders_{write.__name__}"
        for number, name in enumerate(("train", "valid", "test"), start=1):
            write(root / name, DRAWN * number)
        assert sizes(data(root)) == [3, 6, 9]


def test_splits_of_yolo(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for kind in ("images", "labels"):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            made = yolo(tmp_path / "made" / part / kind, DRAWN)
            (made / kind).rename(tmp_path / "data" / kind / part)
    root = tmp_path / "data"
    (root / "classes.txt").write_text("cat\ndog")
    assert sizes(data(root)) == [3, 3, 3]
    (root / "classes.txt").unlink()
    sheet = root / "brands.yaml"
    sheet.write_text("train: ../images/train\nval: [images/val]\nnames: {0: puss, 1: hound}\n")
    source = data(sheet, test_fraction=0)
    assert source.schema["classes"] == ["puss", "hound"]
    assert (len(source.split("train")), len(source.split("validation"))) == (3, 3)
    assert [len(boxes) for boxes in source.split("validation").boxes] == [2, 0, 1]
    (root / "some.txt").write_text("images/train/0.png\nimages/train/2.png\n")
    sheet.write_text("train: some.txt\nnames: [a, b]\n")
    assert len(whole(sheet)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("val: images\nnames: [a]", "names no 'train' photos. .*Found: val, names"),
        (
            "train: images\nnames: {0: a, 2: b}",
            "'names' is .*; expected a list of names, or names by number",
        ),
        ("train: [images", "this is no YAML"),
        ("words", "holds 'words'; expected keys: train, val, names"),
        ("train: elsewhere\nnames: [a]", "elsewhere does not exist"),
    ],
)
def test_a_broken_sheet_is_named(tmp_path: Path, content: str, message: str) -> None:
    (yolo(tmp_path, DRAWN) / "x.yaml").write_text(content)
    with pytest.raises(DataError, match=message):
        whole(tmp_path / "x.yaml")


def test_lists_of_voc(tmp_path: Path) -> None:
    root = voc(tmp_path, DRAWN)
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, content in {"train": "0\n1\n", "val": "2\n", "dog_train": "0 1\n1 -1\n"}.items():
        (lists / f"{name}.txt").write_text(content)
    source = data(root, test_fraction=0)
    assert (len(source.split("train")), len(source.split("validation"))) == (2, 1)
    assert len(whole(lists / "dog_train.txt")) == 2
    (lists / "train.txt").write_text("0\n9\n")
    with pytest.raises(DataError, match=r"9\.xml \(does not exist"):
        whole(lists / "train.txt")


def test_the_fingerprint_is_of_what_is_trained_on(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in "123")
    changed = [*DRAWN[:2], [("cat", [0.0, 0, 40, 20])]]
    prints = [
        data(path, **ALL).fingerprint()
        for path in (coco(one, DRAWN), coco(same, DRAWN), coco(other, changed))
    ]
    assert prints[0] == prints[1] != prints[2]
    assert data(one / "boxes.json", memory_gib=0, **ALL).fingerprint() == prints[0]


# -- inputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("memory_gib", [0.0, 2.0])
def test_inputs_are_a_photo_or_a_folder(tmp_path: Path, memory_gib: float) -> None:
    folder = tmp_path / "photos"
    paths = photos(folder, 3)
    source = data("nowhere", memory_gib=memory_gib)
    found = source.inputs(str(folder))
    assert found.ids == [str(path) for path in paths]
    batch = Fetcher(found)[Key(0, 0, 0, [0, 2])]
    assert batch["images"].shape == (2, 3, 80, 80)
    assert batch["boxes"].shape == (2, 0, 4)
    assert batch["frames"].tolist() == [[2, 0, 20]] * 2
    assert "labels" not in batch
    assert source.inputs(str(paths[1])).ids == [str(paths[1])]
    paths[1].write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"1\.png is not a photo that Pillow can read"):
        source.inputs(str(folder))
    skipping = data("nowhere", memory_gib=memory_gib, on_bad="skip")
    assert len(skipping.inputs(str(folder))) == 2
    (row,) = skipping.inputs(str(folder)).skipped
    assert row["label"].startswith("unreadable: is not a photo")
    alone = skipping.inputs(str(paths[1]))
    assert (len(alone), len(alone.skipped)) == (0, 1)
    with pytest.raises(DataError, match="does not exist"):
        source.inputs(str(tmp_path / "photo"))


def clip(path: Path, frames: int = 50) -> Path:
    """Ten frames a second, each lighter than the one before."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for shade in range(frames):
        writer.write(np.full((48, 64, 3), (0, 0, 5 * shade), np.uint8))  # red: the last in OpenCV
    writer.release()
    return path


def test_frames_of_a_video(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.avi")
    found = data("nowhere", video_every=1.5).inputs(str(path))
    assert found.ids == [f"{path}@{second}s" for second in ("0", "1.5", "3", "4.5")]
    assert found.frames.tolist() == [[1.25, 0, 10]] * 4
    middle = found.images[:, :, 40, 40].float()
    assert (middle[:, 0] - torch.tensor([0, 75, 150, 225])).abs().max() < 8
    assert middle[:, 1:].max() < 8
    assert len(data("nowhere", video_every=0.1).inputs(str(path))) == 50
    assert len(data("nowhere", video_every=0.01).inputs(str(path))) == 50
    assert len(data("nowhere", video_every=60).inputs(str(path))) == 1
    with pytest.raises(DataError, match=r"do not fit in data.memory_gib=0.*data.video_every"):
        data("nowhere", memory_gib=0.0).inputs(str(path))


def test_a_broken_video_is_named(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.avi")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    source, skipping = data("nowhere"), data("nowhere", on_bad="skip")
    with pytest.raises(DataError, match=r"clip\.avi is damaged or cut short: \d+ of 50 frames"):
        source.inputs(str(path))
    assert 0 < len(skipping.inputs(str(path))) < 5
    for content in (b"", b"no video at all" * 9):
        (tmp_path / "x.mp4").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.mp4 is"):
            skipping.inputs(str(tmp_path / "x.mp4"))
    with pytest.raises(DataError, match=r"gone\.mp4 does not exist"):
        source.inputs(str(tmp_path / "gone.mp4"))


# -- damage -----------------------------------------------------------------------------------

LONG = "x" * 300 + ".png"


@pytest.mark.parametrize("name", [LONG, "\ud800.png"], ids=["long", "half"])
def test_photos_whose_names_no_file_can_have_are_named(
    tmp_path: Path, name: str, capsys: Any
) -> None:
    path = coco(tmp_path, DRAWN, images=[{"id": 9, "file_name": name}])
    with pytest.raises(DataError, match=r"1 of 4 rows are bad: .*png \((could not be|is no name)"):
        _ = DetectionData(path=str(path), **ALL).schema
    assert DetectionData(path=str(path), on_bad="skip", **ALL).schema["num_examples"] == 3
    assert "Skipped (data.on_bad=skip)" in capsys.readouterr().out


def test_a_number_too_long_to_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(f'{{"images": [{"9" * 5000}]}}')
    with pytest.raises(DataError, match=r"boxes\.json: a number in it is too long"):
        _ = DetectionData(path=str(path)).schema
    root = yolo(tmp_path / "yolo", DRAWN)
    text = root / "labels" / "0.txt"
    text.write_text(f"{'9' * 5000} 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match=r"1 of 2 boxes are bad \(1 of an unknown class\)"):
        _ = DetectionData(path=str(root)).schema


@pytest.mark.parametrize("content", ["[" * 3000, "train: 2024-02-30", f"train: {'x' * 300}"])
def test_yaml_that_cannot_be_read_is_refused(tmp_path: Path, content: str) -> None:
    path = yolo(tmp_path, DRAWN) / "data.yaml"
    path.write_text(f"{content}\nnames: [cat, dog]\n" if content[0] != "[" else content)
    with pytest.raises(DataError, match=r"(data\.yaml: this is no YAML|does not exist)"):
        _ = DetectionData(path=str(path)).schema
