"""Texts from users' files: what is read, how it is split, and what is said of a broken file."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from marketorch.data.ragged import Ragged
from marketorch.data.texts.source import TextData, read_inputs
from marketorch.data.texts.tokens import TokenDataset
from marketorch.errors import DataError

Rows = Sequence[dict[str, Any]]


def write_csv(path: Path, rows: Rows, delimiter: str = ",", encoding: str = "utf-8") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


WRITERS: dict[str, Callable[[Path, Rows], object]] = {
    ".csv": write_csv,
    ".tsv": lambda path, rows: write_csv(path, rows, "\t"),
    ".jsonl": write_jsonl,
    ".parquet": lambda path, rows: pq.write_table(pa.Table.from_pylist(list(rows)), path),
}


def rows_of(num: int, labels: Sequence[Any] = ("good", "bad"), word: str = "text") -> Rows:
    return [{"text": f"{word} {i}", "label": labels[i % len(labels)]} for i in range(num)]


def source(path: Path, rows: Rows, **options: Any) -> TextData:
    WRITERS[path.suffix](path, rows)
    return TextData(path=str(path), **options)


WHOLE: dict[str, Any] = {"validation_fraction": 0.0, "test_fraction": 0.0}
"""Everything is for training."""


# -- formats ----------------------------------------------------------------------------------

AWKWARD = ["plain", 'with "quotes", and commas', "two\nlines", "naïve café ☕", " spaces ", "a|b"]


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_back_what_was_written(tmp_path: Path, suffix: str) -> None:
    rows = [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(AWKWARD)]
    train = source(tmp_path / f"data{suffix}", rows, **WHOLE).split("train")
    assert train.texts == AWKWARD
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert train.ids == [1, 2, 3, 4, 5, 6]  # rows, as errors name them


def test_a_byte_order_mark_is_no_part_of_a_column_name(tmp_path: Path) -> None:
    write_csv(tmp_path / "excel.csv", rows_of(4), encoding="utf-8-sig")
    assert len(TextData(path=str(tmp_path / "excel.csv"), **WHOLE).split("train")) == 4


@pytest.mark.parametrize(
    ("raw", "classes", "names"),
    [
        ([10, 9], ["9", "10"], ["9", "10"]),
        ([True, False], ["0", "1"], ["0", "1"]),
        (["spam", "ham"], ["ham", "spam"], ["ham", "unwanted"]),
        ([1.0, 0.0], ["0", "1"], ["0", "1"]),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_labels_of_any_kind_become_classes(
    tmp_path: Path, suffix: str, raw: list[Any], classes: list[str], names: list[str]
) -> None:
    data = source(
        tmp_path / f"d{suffix}", rows_of(6, raw), class_names={"spam": "unwanted"}, **WHOLE
    )
    assert data.schema["raw_classes"] == classes
    assert data.schema["classes"] == names
    assert data.schema["class_counts"] == [3, 3]
    labels = data.split("train").labels
    assert labels is not None
    assert labels.tolist() == [1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_words_that_pandas_takes_for_nothing_are_words(tmp_path: Path, suffix: str) -> None:
    rows = [{"text": "n/a", "label": "None"}, {"text": "null", "label": "NA"}]
    data = source(tmp_path / f"d{suffix}", rows, **WHOLE)
    assert data.split("train").texts == ["n/a", "null"]
    assert data.schema["classes"] == ["NA", "None"]


def test_columns_have_any_name_and_labels_may_be_missing(tmp_path: Path) -> None:
    rows = [{"body": f"t {i}", "stars": i % 5} for i in range(20)]
    data = source(tmp_path / "d.csv", rows, text="body", label="stars", **WHOLE)
    assert data.schema["classes"] == ["0", "1", "2", "3", "4"]
    unlabelled = TextData(path=str(tmp_path / "d.csv"), text="body", label=None, **WHOLE)
    assert unlabelled.split("train").labels is None
    assert unlabelled.schema == {"classes": [], "num_examples": 20}


def test_several_files_are_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_csv(tmp_path / f"{name}.csv", rows_of(4, word=name))
    data = TextData(path=[str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], **WHOLE)
    assert len(data.split("train")) == 8


def test_constructing_reads_nothing() -> None:
    TextData(path="nowhere.csv")


# -- what is wrong with a file ----------------------------------------------------------------


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", [{"review_text": "a", "label": 1}], text="review_txt")
    with pytest.raises(DataError) as caught:
        data.split("train")
    message = str(caught.value)
    assert "d.csv has no column 'review_txt' (data.text)" in message
    assert "Did you mean 'review_text'?" in message
    assert "Columns found: review_text, label." in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    write_csv(tmp_path / "reviews.csv", rows_of(4))
    with pytest.raises(
        DataError, match=r"reviws\.csv does not exist\. Did you mean .*reviews\.csv"
    ):
        TextData(path=str(tmp_path / "reviws.csv")).split("train")
    with pytest.raises(DataError, match=r"folder .* does not exist either"):
        TextData(path=str(tmp_path / "no" / "such" / "reviews.csv")).split("train")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", r"empty\.csv is empty \(0 bytes\)"),
        ("empty.jsonl", b"", r"empty\.jsonl is empty \(0 bytes\)"),
        ("header.csv", b"text,label\n", r"header\.csv has a header but no rows"),
        ("data.xlsx", b"PK", r"data\.xlsx: unknown format; expected one of \.csv"),
        ("cut.jsonl", b'{"text": "a", "label": 1}\n{"text": ', r"cut\.jsonl could not be read"),
        ("cut.parquet", b"PAR1 and no more", r"cut\.parquet could not be read"),
        ("ragged.csv", b"text,label\na,1\nb,2,3,4\n", r"ragged\.csv could not be read: .*line 3"),
        (
            "latin.csv",
            "text,label\na,1\ncafé,2\n".encode("latin-1"),
            r"latin\.csv, line 3: byte 0xe9",
        ),
    ],
)
def test_broken_files_say_what_is_broken(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        TextData(path=str(tmp_path / name)).split("train")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt"])
def test_other_encodings_can_be_named(tmp_path: Path, encoding: str, suffix: str) -> None:
    lines = {
        ".csv": "text,label\ncafé,1\nthé,0\n",
        ".jsonl": '{"text": "café", "label": 1}\n{"text": "thé", "label": 0}\n',
        ".txt": "café\nthé\n",
    }
    path = tmp_path / f"data{suffix}"
    path.write_text(lines[suffix], encoding=encoding)
    label = None if suffix == ".txt" else "label"
    data = TextData(path=str(path), label=label, encoding=encoding, **WHOLE)
    assert data.split("train").texts == ["café", "thé"]


def test_an_unknown_encoding(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", rows_of(4), encoding="utf-88")
    with pytest.raises(DataError, match=r"data\.encoding 'utf-88' is unknown"):
        data.split("train")


def test_one_class_is_too_few(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", rows_of(30, ["good"]))
    with pytest.raises(DataError, match=r"column 'label' has one class only \(good\)"):
        data.split("train")


BAD = [
    {"text": "fine", "label": "a"},
    {"text": None, "label": "a"},
    {"text": "  ", "label": "b"},
    {"text": "fine, too", "label": None},
    {"text": "also fine", "label": "b"},
]


def test_bad_rows_are_refused_and_named(tmp_path: Path) -> None:
    data = source(tmp_path / "d.jsonl", BAD, **WHOLE)
    with pytest.raises(DataError) as caught:
        data.split("train")
    message = str(caught.value)
    assert "3 of 5 rows are bad: row 2 (text is null), row 3 (text is empty)" in message
    assert "row 4 (label is null)" in message
    assert "data.on_bad=skip" in message


def test_bad_rows_are_skipped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = source(tmp_path / "d.jsonl", BAD, on_bad="skip", **WHOLE).split("train")
    assert train.texts == ["fine", "also fine"]
    assert train.ids == [1, 5]
    assert "3 of 5 rows are bad: row 2" in capsys.readouterr().out


def test_texts_that_are_numbers_are_refused(tmp_path: Path) -> None:
    data = source(tmp_path / "d.jsonl", [{"text": i, "label": i % 2} for i in range(9)], **WHOLE)
    with pytest.raises(DataError, match=r"row 1 \(text is int, not a string\).* and 4 more"):
        data.split("train")
    data.on_bad = "skip"
    with pytest.raises(DataError, match="has no usable row"):
        data.split("train")


def test_on_bad_is_checked() -> None:
    with pytest.raises(DataError, match="on_bad is 'ignore'; expected error or skip"):
        TextData(path="d.csv", on_bad="ignore")


# -- splits -----------------------------------------------------------------------------------


def test_the_cut_is_disjoint_stratified_and_seeded(tmp_path: Path) -> None:
    rows = rows_of(200, ["a", "a", "a", "b"])
    data = source(tmp_path / "d.csv", rows)
    parts = {name: data.split(name) for name in ("train", "validation", "test")}
    texts = [text for part in parts.values() for text in part.texts]
    assert sorted(texts) == sorted(row["text"] for row in rows)  # all, and each once
    assert [len(part) for part in parts.values()] == [144, 16, 40]
    for part in parts.values():
        assert part.labels is not None
        assert part.labels.float().mean().item() == pytest.approx(0.25, abs=0.01)
    again = TextData(path=data.paths[0]).split("test")
    other = TextData(path=data.paths[0], seed=1).split("test")
    assert again.texts == parts["test"].texts != other.texts


def test_repeated_texts_are_in_one_split_only(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", [*rows_of(50), *rows_of(50)])
    texts = [t for name in ("train", "validation", "test") for t in data.split(name).texts]
    assert Counter(texts).most_common(1)[0][1] == 1
    assert len(texts) == 50


def test_repeated_texts_can_be_kept(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", [*rows_of(50), *rows_of(50)], duplicates="keep")
    assert sum(len(data.split(name)) for name in ("train", "validation", "test")) == 100
    with pytest.raises(DataError, match=r"data\.duplicates is 'kept'; expected drop or keep"):
        source(tmp_path / "e.csv", rows_of(9), duplicates="kept")


def test_texts_of_a_test_file_that_were_trained_on_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "test.csv"
    write_csv(path, [*rows_of(3), *rows_of(2, word="other")])
    data = source(tmp_path / "d.csv", rows_of(60), test=str(path), validation_fraction=0.0)
    assert len(data.split("test")) == 5
    said = " ".join(capsys.readouterr().out.split())
    assert f"3 texts of the test split are in the training split too; data.exclude=[{path}]" in said


def test_a_column_can_name_the_splits(tmp_path: Path) -> None:
    names = ["train", "train", "train", "dev", "test", "train"]
    rows = [row | {"part": names[i % 6]} for i, row in enumerate(rows_of(60))]
    data = source(tmp_path / "d.csv", rows, split="part")
    sizes = [len(data.split(name)) for name in ("train", "validation", "test")]
    assert sizes == [40, 10, 10]
    unlabelled = TextData(path=data.paths[0], label=None, split="part")
    assert len(unlabelled.split("train")) == 40
    with pytest.raises(DataError, match=r"column 'label' has no 'train' rows; found bad, good"):
        TextData(path=data.paths[0], split="label").split("train")


def test_files_of_their_own_are_read_when_asked_for(tmp_path: Path) -> None:
    """Training reads neither test labels nor even whether there is a test file."""
    write_csv(tmp_path / "validation.csv", rows_of(6, word="other"))
    data = source(
        tmp_path / "train.csv",
        rows_of(20),
        validation=str(tmp_path / "validation.csv"),
        test=str(tmp_path / "test.csv"),
    )
    assert len(data.split("train")) == 20  # nothing is cut off
    assert len(data.split("validation")) == 6
    with pytest.raises(DataError, match=r"test\.csv does not exist"):
        data.split("test")


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", rows_of(20), test_fraction=0.0)
    with pytest.raises(DataError, match=r"no test split \(found: train, validation\)"):
        data.split("test")


def test_labels_that_training_never_saw(tmp_path: Path) -> None:
    write_csv(tmp_path / "test.csv", rows_of(4, ["good", "godo"]))
    data = source(tmp_path / "train.csv", rows_of(20), test=str(tmp_path / "test.csv"))
    with pytest.raises(DataError) as caught:
        data.split("test")
    message = str(caught.value)
    assert "The test split has labels that training never saw: {'godo': 2}" in message
    assert "first at row 2" in message
    assert "Did you mean 'good'? Training has: bad, good." in message


def test_too_few_examples_to_cut(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", [*rows_of(20), {"text": "only one", "label": "rare"}])
    with pytest.raises(
        DataError,
        match=r"cannot cut a stratified test split from 21 rows .rare: 1, bad: 10, good: 10",
    ):
        data.split("train")


def test_num_labelled_hides_the_other_labels(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", rows_of(100), num_labelled=10, **WHOLE)
    labels = data.split("train").labels
    assert labels is not None
    assert Counter(labels.tolist()) == {-1: 90, 0: 5, 1: 5}
    assert torch.equal(labels, TextData(**vars_of(data)).split("train").labels)
    everything = TextData(**vars_of(data) | {"num_labelled": 1000}).split("train").labels
    assert everything is not None
    assert int(everything.min()) == 0


@pytest.mark.parametrize("number", [1, 99])
def test_num_labelled_that_cannot_be_stratified(tmp_path: Path, number: int) -> None:
    data = source(tmp_path / "d.csv", rows_of(100), num_labelled=number, **WHOLE)
    with pytest.raises(DataError, match=f"num_labelled is {number}"):
        data.split("train")


def vars_of(data: TextData) -> dict[str, Any]:
    return {"path": data.paths[0], "num_labelled": data.num_labelled, **WHOLE}


def test_the_fingerprint_follows_the_training_data(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    first = source(path, rows_of(20)).fingerprint()
    assert TextData(path=str(path)).fingerprint() == first
    assert source(path, rows_of(20, ["good", "worse"])).fingerprint() != first  # a label
    assert source(path, rows_of(20, word="word")).fingerprint() != first  # a text
    assert source(path, rows_of(20), seed=1).fingerprint() != first  # the cut


# -- inputs to predict on ---------------------------------------------------------------------


def test_inputs_are_a_file_or_a_text(tmp_path: Path) -> None:
    write_csv(tmp_path / "new.csv", [{"text": "a b"}, {"text": "c"}])  # no labels, and none needed
    (tmp_path / "new.txt").write_text("one\ntwo\n", encoding="utf-8")
    assert read_inputs(str(tmp_path / "new.csv")).texts == ["a b", "c"]
    assert read_inputs(str(tmp_path / "new.txt"), text="body").texts == ["one", "two"]
    assert read_inputs("I like it").texts == ["I like it"]
    with pytest.raises(DataError, match=r"nwe\.csv does not exist\. Did you mean .*new\.csv"):
        read_inputs(str(tmp_path / "nwe.csv"))


# -- ragged sequences -------------------------------------------------------------------------


def test_ragged_pads_to_the_longest_of_a_batch() -> None:
    sequences = [[1, 2, 3], [], [4], list(range(1, 20)), [7, 8]]
    ragged = Ragged.of(sequences)
    assert len(ragged) == 5
    assert ragged.lengths.tolist() == [3, 0, 1, 19, 2]
    for indices in ([0, 2], [4, 1, 0], [3], [1], [2, 2, 3]):
        padded = ragged.pad(torch.tensor(indices))
        longest = max(len(sequences[i]) for i in indices)
        assert padded.dtype == torch.int64
        assert padded.shape == (len(indices), max(1, longest))
        for row, i in zip(padded.tolist(), indices, strict=True):
            assert row == sequences[i] + [0] * (padded.shape[1] - len(sequences[i]))


def test_ragged_of_nothing() -> None:
    assert len(Ragged.of([])) == 0
    assert Ragged.of([[], []]).pad(torch.tensor([0, 1])).sum() == 0


def test_a_token_data_set_gives_whole_batches() -> None:
    data = TokenDataset(Ragged.of([[1], [2, 3], [4]]), torch.tensor([0, 1, 0]))
    batch = data.__getitems__([2, 1])
    assert batch["tokens"][:, :2].tolist() == [[4, 0], [2, 3]]
    assert batch["labels"].tolist() == [0, 1]
    assert batch["index"].tolist() == [2, 1]


def test_a_class_that_is_a_digit_but_no_number_is_a_word(tmp_path: Path) -> None:
    data = source(tmp_path / "d.csv", rows_of(40, labels=("²", "--5", "10", "9")), **WHOLE)
    assert data.schema["classes"] == ["9", "10", "--5", "²"]


def test_a_label_that_python_has_no_value_for_is_refused(tmp_path: Path) -> None:
    labels = pa.array([2**50, 2**51], pa.timestamp("s"))
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "label": labels}), path)
    with pytest.raises(DataError, match=r"d\.parquet: column 'label' \(data\.label\) cannot be"):
        _ = TextData(path=str(path)).schema


def test_parquet_whose_text_is_none_is_refused(tmp_path: Path) -> None:
    texts = pa.array([b"fine", b"\xec\xff"]).view(pa.string())
    pq.write_table(pa.table({"text": texts}), tmp_path / "d.parquet")
    with pytest.raises(DataError, match=r"d\.parquet: column 'text' is damaged: .*Invalid UTF8"):
        read_inputs(str(tmp_path / "d.parquet"))


def test_neighbours_of_a_block_stay_on_one_side_of_the_cut(tmp_path):
    """Reviews of one film stand together and are nearly repeats: none may be on both sides."""
    rows = rows_of(400, ["good"] * 200 + ["bad"] * 200)
    own = {"validation_fraction": 0.25, "test_fraction": 0.25, "block": 10}
    data = source(tmp_path / "d.csv", rows, **own)
    side = {
        text: name for name in ("train", "validation", "test") for text in data.split(name).texts
    }
    assert len(side) == 400
    for start in range(0, 400, 10):
        assert len({side[row["text"]] for row in rows[start : start + 10]}) == 1
