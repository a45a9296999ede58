"""Nothing of validation or test reaches training: not a text, not a word, not a class."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.torch import load_file

from marketorch import build, compose, train
from marketorch.data.synthetic.review_data import SyntheticReviews
from marketorch.data.text import TextData

SPLITS = ("train", "validation", "test")
TINY = ["model.dim=16", "model.vocab_size=200", "model.depth=1", "trainer.precision=fp32"]
TINY += ["trainer.max_steps=3", "trainer.batch_size=16", "trainer.device=cpu"]
ADJECTIVES = {"bad": ["awful", "poor", "sad"], "good": ["fine", "great", "lovely"]}


def write_texts(path: Path, number: int, word: str = "thing") -> Path:
    rows = [
        {"text": f"{word} {i} is {words[i % 3]}", "label": label}
        for i in range(number)
        for label, words in ADJECTIVES.items()
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def own_file(folder: Path, *overrides: str) -> list[str]:
    """Overrides of a run on a CSV with a validation file of its own."""
    path = write_texts(folder / "train.csv", 40)
    files = [f"data.path={path}", f"data.validation={folder / 'validation.csv'}"]
    return ["data=text_file", *files, *TINY, *overrides]


# -- splits -----------------------------------------------------------------------------------


def assert_disjoint(data: Any, total: int) -> None:
    ids = {name: list(data.split(name).ids) for name in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not set(ids[one]) & set(ids[other]), (one, other)
    assert len(set().union(*ids.values())) == sum(map(len, ids.values())) == total


def test_splits_of_the_embedded_data_are_disjoint() -> None:
    data = SyntheticReviews(num_train=500, num_validation=100, num_test=100)
    assert_disjoint(data, 700)
    one, other = (data.split(name).texts[:100] for name in ("validation", "test"))
    assert one != other


def test_an_automatic_split_is_disjoint_and_complete(tmp_path: Path) -> None:
    data = TextData(path=str(write_texts(tmp_path / "all.csv", 100)))
    assert_disjoint(data, 200)
    texts = [text for name in SPLITS for text in data.split(name).texts]
    assert len(set(texts)) == 200


# -- train.py and the test split --------------------------------------------------------------


def test_a_test_file_that_is_not_there_does_not_disturb_training(tmp_path: Path) -> None:
    write_texts(tmp_path / "validation.csv", 10)
    overrides = own_file(tmp_path, f"data.test={tmp_path / 'test.csv'}", f"run_dir={tmp_path}/run")
    train(compose(overrides))
    assert (tmp_path / "run" / "DONE").exists()


@pytest.mark.parametrize("source", [SyntheticReviews, TextData])
def test_training_asks_for_train_and_validation_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: type
) -> None:
    asked: list[str] = []
    split = source.split  # type: ignore[attr-defined]
    monkeypatch.setattr(source, "split", lambda self, name: asked.append(name) or split(self, name))
    sizes = [f"data.num_{name}=64" for name in SPLITS]
    write_texts(tmp_path / "validation.csv", 10)
    overrides = own_file(tmp_path) if source is TextData else [*sizes, *TINY]
    train(compose([*overrides, f"run_dir={tmp_path}/run"]))
    assert set(asked) == {"train", "validation"}


# -- what is learnt from the validation split: nothing ----------------------------------------


def test_changing_the_validation_texts_changes_nothing(tmp_path: Path) -> None:
    """Weights and vocabulary come from training texts; the best step and the calibration do not."""
    plain = ["trainer.monitor=last", "task.calibration=false", "+model.ngrams={max_order: 2}"]
    weights, schemas = [], []
    for word in ("thing", "zebra zebra zebra"):
        write_texts(tmp_path / "validation.csv", 10, word)
        config = compose(own_file(tmp_path, *plain, f"run_dir={tmp_path}/{word[:5]}"))
        train(config)
        schemas.append(build(config.data).schema)
        weights.append(load_file(tmp_path / word[:5] / "checkpoints" / "best.safetensors"))
    assert schemas[0] == schemas[1]
    one, other = weights
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.equal(other[name]), name
    assert b"zebra" not in bytes(one["model.tokenizer._extra_state"].tolist())
