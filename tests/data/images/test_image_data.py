"""Reading images: every form they come in, what is wrong with them, and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from drawings import bomb, folder, pixels, png
from PIL import Image

from marketorch.data.images.dataset import DecodedImages, ImageDataset, fitted
from marketorch.data.images.source import ImageData
from marketorch.engine.loading import Fetcher, Key
from marketorch.errors import DataError


def table(path: Path, number: int = 20, **columns: Any) -> Path:
    rows = {"image": [png(pixels(i)) for i in range(number)], "label": ["a", "b"] * (number // 2)}
    pd.DataFrame(rows | columns).to_parquet(path)
    return path


def data(path: Path | str, **options: Any) -> ImageData:
    return ImageData(path=str(path), size=12, **options)


def test_a_folder_a_class(tmp_path: Path) -> None:
    source = data(folder(tmp_path / "pets"))
    train, test = source.split("train"), source.split("test")
    assert source.schema["classes"] == ["cat", "dog"]
    assert (len(train), len(source.split("validation")), len(test)) == (14, 2, 4)
    assert not {*train.ids} & {*test.ids}
    assert isinstance(train, DecodedImages)
    first = Path(tmp_path / "pets" / str(train.ids[0]))
    assert torch.equal(train.images[0, 0], torch.from_numpy(np.array(Image.open(first))))


def test_folders_named_as_splits_are_splits(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        folder(tmp_path / split, number={"train": 6}.get(split, 2))
    source = data(tmp_path, duplicates="keep")
    sizes = [len(source.split(name)) for name in ("train", "validation", "test")]
    assert sizes == [12, 4, 4]


def test_encoded_pictures_files_beside_a_table_and_pixels_as_text_are_the_same(
    tmp_path: Path,
) -> None:
    images = [pixels(i) for i in range(20)]
    labels = ["a", "b"] * 10
    encoded = tmp_path / "encoded.parquet"
    pd.DataFrame({"image": [{"bytes": png(i), "path": None} for i in images], "label": labels}
                 ).to_parquet(encoded)  # fmt: skip
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    named = tmp_path / "named.csv"
    pd.DataFrame({"image": [f"{i}.png" for i in range(20)], "label": labels}).to_csv(named)
    kaggle = tmp_path / "kaggle.csv"
    text = [" ".join(map(str, image.ravel())) for image in images]
    pd.DataFrame({"image": text, "label": labels}).to_csv(kaggle)
    splits = [data(path).split("train") for path in (encoded, named, kaggle)]
    for split in splits[1:]:
        assert torch.equal(split.images, splits[0].images)
        assert torch.equal(split.labels, splits[0].labels)


def test_what_does_not_fit_in_memory_is_decoded_when_needed(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets")
    whole, lazy = data(root).split("train"), data(root, memory_gib=0).split("train")
    assert type(lazy) is ImageDataset
    key = Key(0, 0, 0, [0, 3, 5])
    one, other = Fetcher(whole)[key], Fetcher(lazy)[key]
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_colour_and_size_are_what_is_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "wide"
    for name in ("x", "y"):
        (root / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (40, 20), (10 * i, 200, 30)).save(root / name / f"{i}.jpg")
    source = ImageData(
        path=str(root),
        size=16,
        channels=3,
        duplicates="keep",
        test_fraction=0,
        validation_fraction=0,
    )
    assert source.split("train").images.shape[1:] == (3, 16, 16)
    assert source.schema["channels"] == 3


def test_fitting_crops_the_middle_or_squashes() -> None:
    image = np.zeros((10, 30), np.uint8)
    image[:, 10:20] = 255
    assert fitted(image, 10, "crop").min() == 255
    squashed = fitted(image, 10, "squash")
    assert squashed[:, 0].max() == 0
    assert squashed[5, 5] == 255


def test_repeats_are_dropped_before_a_cut_and_counted_between_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = [png(pixels(i // 2)) for i in range(20)]
    path = table(tmp_path / "twice.parquet", image=twice, label=["a", "a", "b", "b"] * 5)
    source = data(path, validation_fraction=0)
    assert source.schema["num_examples"] + len(source.split("test")) == 10
    assert "10 of 20 images repeat an earlier one and were dropped." in capsys.readouterr().out
    train, test = table(tmp_path / "train.parquet"), table(tmp_path / "test.parquet", number=4)
    data(train, test=str(test), duplicates="keep").split("test")
    assert "4 images of the test split are in the training split too" in capsys.readouterr().out
    left = data(train, test=str(test), exclude=[str(test)], validation_fraction=0)
    assert left.schema["num_examples"] == 16


VOTES = {
    "sad": [0, 9, 3, 0, 2] * 4,
    "happy": [9, 1, 3, 0, 1] * 4,
    "blank": [1, 0, 4, 10, 0] * 4,
}


def test_votes_are_labels_by_majority_and_shares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path / "votes.parquet", **VOTES)
    source = ImageData(
        path=str(path),
        test=str(path),
        size=12,
        label=None,
        votes=["sad", "happy"],
        rejects=["blank"],
        min_votes=2,
        majority=0.5,
        validation_fraction=0,
    )
    assert source.schema["classes"] == ["sad", "happy"]  # in the order given
    assert source.schema["class_counts"] == [8, 4]
    assert "8 images are dropped by their votes: {'blank': 8}" in capsys.readouterr().out
    train = source.split("train")
    assert train.votes[:3].tolist() == [[0, 1], [1, 0], [1, 0]]  # a single vote is an outlier
    assert (train.votes.sum(1) <= 1).all()
    assert len(source.split("test")) == 12


def test_a_split_vote_trains_but_does_not_test(tmp_path: Path) -> None:
    path = table(tmp_path / "v.parquet", sad=[5, 5, 9, 1] * 5, happy=[5, 4, 0, 9] * 5)
    source = data(
        path,
        test=str(path),
        label=None,
        votes=["sad", "happy"],
        majority=0.5,
        validation_fraction=0,
    )
    assert len(source.split("train")) == 20
    assert len(source.split("test")) == 15


def test_votes_beside_labels_are_columns_of_their_own(tmp_path: Path) -> None:
    source = data(table(tmp_path / "both.parquet", **VOTES), votes=[*VOTES])
    assert source.schema["classes"] == ["a", "b"]
    assert source.schema["votes"] == [*VOTES]
    assert source.split("train").votes.shape[1] == 3


def broken(root: Path) -> Path:
    folder(root, 6)
    whole = png(pixels(0, 64))
    (root / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "dog" / "nothing.jpg").write_bytes(b"")
    (root / "dog" / "words.png").write_bytes(b"not a picture at all")
    return root


def test_broken_files_are_named_or_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = broken(tmp_path / "pets")
    with pytest.raises(DataError, match=r"3 of 15 rows are bad: .*cut\.png .*nothing\.jpg"):
        data(root).split("train")
    source = data(root, on_bad="skip", test_fraction=0, validation_fraction=0)
    assert len(source.split("train")) == 12
    assert "Skipped" in capsys.readouterr().out


def test_a_broken_file_that_is_decoded_late_is_named_then(tmp_path: Path) -> None:
    root = broken(tmp_path / "pets")
    train = data(root, memory_gib=0, test_fraction=0, validation_fraction=0).split("train")
    with pytest.raises(DataError, match=r"cut.png"):
        Fetcher(train)[Key(0, 0, 0, list(range(len(train))))]


@pytest.mark.parametrize("channels", [1, 3])
def test_odd_pictures_are_read_like_any_other(tmp_path: Path, channels: int) -> None:
    """Of 16 bits, of print colours, of palettes, animated, and of a single pixel."""
    root = folder(tmp_path / "pets", 4)
    light = Image.new("L", (8, 8), 200)
    Image.fromarray(np.full((9, 7), 200 * 256 + 9, np.uint16)).save(root / "cat" / "a_deep.png")
    Image.new("CMYK", (9, 9), (0, 0, 0, 55)).save(root / "cat" / "b_print.jpg")
    light.convert("P").save(root / "cat" / "c_palette.png")
    still = Image.new("L", (8, 8), 10)
    light.save(root / "cat" / "d_moves.gif", save_all=True, append_images=[still])
    Image.new("L", (1, 1), 200).save(root / "cat" / "e_dot.png")
    Image.new("L", (40, 1), 200).save(root / "cat" / "f_line.png")
    whole = {"test_fraction": 0, "validation_fraction": 0, "duplicates": "keep"}
    train = data(root, channels=channels, **whole).split("train")
    assert train.images.shape == (14, channels, 12, 12)
    odd = [image for image, name in zip(train.images, train.ids, strict=True) if "_" in str(name)]
    assert len(odd) == 6
    assert torch.stack(odd).float().sub(200).abs().max() <= 2


def test_broken_rows_of_a_table_are_named_or_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With their labels: what is left keeps its own."""
    images: list[Any] = [png(pixels(i)) for i in range(20)]
    images[3], images[5], images[8] = None, images[5][:60], bomb()
    labels: list[Any] = ["a", "b"] * 10
    labels[6] = None
    path = table(tmp_path / "t.parquet", image=images, label=labels)
    whole = {"test_fraction": 0, "validation_fraction": 0}
    with pytest.raises(DataError, match=r"4 of 20 rows are bad: row 4 \(is null") as error:
        data(path, **whole).split("train")
    for reason in ("row 6 (is damaged", "row 9 (says that it has more", "row 7 (label is null)"):
        assert reason in str(error.value)
    train = data(path, on_bad="skip", **whole).split("train")
    assert "4 of 20 rows are bad" in capsys.readouterr().out
    assert train.ids == [row for row in range(1, 21) if row not in (4, 6, 7, 9)]
    assert train.labels.tolist() == [(row - 1) % 2 for row in train.ids]
    assert torch.equal(train.images[3, 0], torch.from_numpy(pixels(4)))  # row 5


@pytest.mark.parametrize("memory_gib", [0.0, 2.0])
def test_broken_files_of_a_test_split_are_named_or_skipped(
    tmp_path: Path, memory_gib: float
) -> None:
    train, test = folder(tmp_path / "train"), broken(tmp_path / "test")
    options: dict[str, Any] = {"test": str(test), "memory_gib": memory_gib, "duplicates": "keep"}
    skipping = data(train, on_bad="skip", **options)
    assert len(skipping.split("train")) == 18  # the rest validates
    assert len(skipping.split("test")) == 12
    assert data(train, **options).schema["num_examples"] == 18  # training does not read them
    with pytest.raises(DataError, match=r"cut\.png"):
        Fetcher(data(train, **options).split("test"))[Key(0, 0, 0, [6])]


def test_a_file_that_a_table_names_and_nobody_has(tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    pd.DataFrame({"image": ["here.png", "gone.png"], "label": ["a", "b"]}).to_csv(path)
    Image.fromarray(pixels(0)).save(tmp_path / "here.png")
    with pytest.raises(DataError, match=r"1 of 2 rows are bad: .*gone\.png \(does not exist"):
        data(path).split("train")


@pytest.mark.parametrize("labels", [["a"] * 20, [None] * 20])
def test_one_class_is_none(tmp_path: Path, labels: list[Any]) -> None:
    path = table(tmp_path / "t.parquet", label=labels)
    with pytest.raises(DataError, match=r"has one class only \(a\)|no usable row: all 20 are bad"):
        data(path, on_bad="skip").schema["classes"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1 2 3", r"row 2 \(3 pixels make no square"),
        ("1 2 3 x", r"row 2 \(pixels are whole numbers"),
        ("1 2 3 256", r"row 2 \(pixels lie between 0 and 255; found 1 to 256"),
        ("", r"row 2 \(is null"),
    ],
)
def test_pixels_in_a_row_are_checked(tmp_path: Path, cell: str, message: str) -> None:
    path = tmp_path / "k.csv"
    cells = ["0 1 2 3", cell, *["4 5 6 7"] * 6]
    pd.DataFrame({"image": cells, "label": ["a", "b"] * 4}).to_csv(path)
    with pytest.raises(DataError, match=message):
        data(path).split("train")


def test_mistakes_are_named(tmp_path: Path) -> None:
    path, root = table(tmp_path / "t.parquet", **VOTES), folder(tmp_path / "pets")
    with pytest.raises(DataError, match=r"no column 'img' \(data.image\). Did you mean 'image'"):
        data(path, image="img").split("train")
    with pytest.raises(DataError, match=r"no column 'happi' \(data.votes\). Did you mean 'happy'"):
        data(path, votes=["happi"]).split("train")
    with pytest.raises(DataError, match=r"column 'label' .* holds text, not numbers of votes"):
        data(path, votes=["label"], label=None).split("train")
    (root / "fish").mkdir()
    with pytest.raises(DataError, match="fish holds no photo"):
        data(root).split("train")
    with pytest.raises(DataError, match="holds no folders"):
        data(root / "cat").split("train")
    with pytest.raises(DataError, match=r"labels that training never saw: \{'dgo': 2\}.*'dog'"):
        data(folder(tmp_path / "a"), test=str(folder(tmp_path / "b", 2, ("dgo",)))).split("test")
    for options in (
        *({"channels": 4}, {"fit": "stretch"}, {"find_faces": "yes"}),
        *({"on_bad": "ignore"}, {"duplicates": "twice"}),
    ):
        with pytest.raises(DataError, match=f"data.{next(iter(options))}"):
            data(path, **options)


def test_inputs_are_a_picture_a_folder_or_a_table(tmp_path: Path) -> None:
    root, source = folder(tmp_path / "pets", 3), data("nowhere")
    assert len(source.inputs(str(root))) == 6
    one = source.inputs(str(root / "cat" / "0.png"))
    assert one.ids == [str(root / "cat" / "0.png")]
    assert one.labels is None
    assert len(source.inputs(str(table(tmp_path / "t.parquet")))) == 20
    with pytest.raises(DataError, match=r"cta does not exist|does not exist"):
        source.inputs(str(root / "cta"))


def test_the_fingerprint_is_of_what_is_trained_on(tmp_path: Path) -> None:
    one, same = table(tmp_path / "1.parquet"), table(tmp_path / "2.parquet")
    other = table(tmp_path / "3.parquet", label=["b", "a"] * 10)
    assert data(one).fingerprint() == data(same).fingerprint() != data(other).fingerprint()


def test_kaggles_usage_column_gives_the_splits(tmp_path: Path) -> None:
    usage = ["Training"] * 8 + ["PublicTest"] * 4 + ["PrivateTest"] * 4
    rows = [f"{i % 2},{' '.join([str(9 * i)] * 16)},{use}" for i, use in enumerate(usage)]
    (tmp_path / "fer.csv").write_text("emotion,pixels,Usage\n" + "\n".join(rows))
    data = ImageData(
        path=str(tmp_path / "fer.csv"), image="pixels", label="emotion", split="Usage", size=4
    )
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [8, 4, 4]


def test_what_is_no_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """Even where pictures are decoded later, as they do not fit in memory."""
    path = tmp_path / "t.jsonl"
    path.write_text('{"image": 3, "label": "a"}\n{"image": null, "label": "b"}\n')
    wrong = r"t\.jsonl: 2 of 2 rows are bad: row 1 \(holds int.*row 2 \(is null\)"
    with pytest.raises(DataError, match=wrong):
        _ = ImageData(path=str(path), memory_gib=0.0).schema
    path.write_text('{"image": "gone.png", "label": "a"}\n{"image": "gone.png", "label": "b"}\n')
    with pytest.raises(DataError, match=r"gone\.png does not exist"):
        _ = ImageData(path=str(path), memory_gib=0.0).schema


def test_a_split_in_which_nobody_agrees_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    rows = [f"{'9 ' * 16},{split},{5},{5 * (i % 2)}" for split in ("train", "test") for i in (0, 1)]
    path.write_text("\n".join(["image,split,joy,anger", *rows]))
    data = ImageData(
        path=str(path), label=None, votes=["joy", "anger"], split="split", majority=1.0
    )
    with pytest.raises(DataError, match=r"No image of the test split has more than 1 of the votes"):
        data.split("test")


@pytest.mark.parametrize("values", ["abc", 1.0, [1]])
def test_scores_that_are_no_numbers_by_class_are_refused(values: Any) -> None:
    with pytest.raises(DataError, match=r"data\.scores\.valence is .* expected numbers by class"):
        ImageData(path="p", scores={"valence": values})
