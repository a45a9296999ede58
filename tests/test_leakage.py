"""Nothing of validation or test reaches training: no text, word, pixel, box, cell or class."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from drawings import pixels, png, squares
from PIL import Image
from safetensors.torch import load_file
from toy import differing

from marketorch import build, compose, load_run, train
from marketorch.config import tiny
from marketorch.data.boxes.source import DetectionData
from marketorch.data.images.source import ImageData
from marketorch.data.scenes.source import SceneData
from marketorch.data.synthetic.customer_data import SyntheticCustomers
from marketorch.data.synthetic.face_data import SyntheticFaces
from marketorch.data.synthetic.review_data import SyntheticReviews
from marketorch.data.synthetic.setting_data import SyntheticSettings
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.data.tables.source import CustomerData
from marketorch.data.texts.source import TextData
from marketorch.engine.evaluation import predict_all
from marketorch.metrics.detection import best_threshold, presence

SPLITS = ("train", "validation", "test")
TINY = ["trainer.precision=fp32", "trainer.max_steps=3", "trainer.batch_size=16"]
TINY += ["trainer.device=cpu", "trainer.num_workers=0"]
SOURCES: dict[str, Any] = {
    "texts": TextData,
    "images": ImageData,
    "photos": DetectionData,
    "customers": CustomerData,
}
NEEDED = {"images": {"size": 24}, "photos": {"size": 24}, "customers": {"target": "left"}}
OWN = {  # a run on files of one's own
    "texts": tiny("sentiment", "data=text_file"),
    "images": tiny("emotion", "data=image_files", "data.size=12", "data.channels=1"),
    "photos": tiny("logo", "data=detection_files", "data.size=64"),
    "customers": tiny("churn_telco", "data=customer_table", "data.target=left"),
}
EMBEDDED = {
    "texts": tiny("sentiment"),
    "images": tiny("emotion", "data.size=16"),
    "photos": tiny("logo"),
    "customers": tiny("propensity"),
}
ADJECTIVES = {"bad": ["awful", "poor", "sad"], "good": ["fine", "great", "lovely"]}
kinds = pytest.mark.parametrize("kind", list(OWN))


def write_texts(path: Path, number: int, word: str = "thing") -> Path:
    rows = [
        {"text": f"{word} {i} is {words[i % 3]}", "label": label}
        for i in range(number)
        for label, words in ADJECTIVES.items()
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def write_images(path: Path, number: int, seed: int = 0) -> Path:
    """Noise, half of it lighter in the second class; for other seeds darker, in other shares."""
    rows = []
    for i in range(2 * number):
        image, second = pixels(1000 * seed + i) // (2 + seed), i % (2 + 2 * seed) == 1
        image[:6] += 60 * second
        rows.append({"image": png(image), "label": "light" if second else "dark"})
    pd.DataFrame(rows).to_parquet(path)
    return path


def write_customers(path: Path, number: int, seed: int = 0) -> Path:
    """Those with a high bill leave; for other seeds with other bills, cities, gaps and shares."""
    draw = np.random.default_rng(seed)
    left = np.arange(2 * number) % (2 + 2 * seed) == 1
    bill = np.round(draw.gamma(2.0 + 3 * seed, 20.0, 2 * number) + 40 * left, 2)
    city = draw.choice(["Arlen", "Brim", f"Cove {seed}"], 2 * number)
    since = np.datetime64("2024-01-01") - draw.integers(400 * seed, 900, 2 * number)
    rows = pd.DataFrame({"bill": bill, "city": city, "since": since, "left": left})
    rows["left"] = rows["left"].map({True: "yes", False: "no"})
    rows.loc[::9, ["bill", "since", "city"][: 3 * seed]] = None
    rows.to_csv(path, index=False)
    return path


def write(kind: str, folder: Path, split: str, number: int, *variant: Any) -> Path:
    """A file of ``2 * number`` examples of two classes."""
    if kind == "texts":
        return write_texts(folder / f"{split}.csv", number, *variant)
    if kind == "photos":
        return squares(folder / f"{split}.json", 2 * number, *variant)
    if kind == "customers":
        return write_customers(folder / f"{split}.csv", number, *variant)
    return write_images(folder / f"{split}.parquet", number, *variant)


def own_files(kind: str, folder: Path, *overrides: str) -> list[str]:
    """Overrides of a run on a file with a validation file of its own, which is still to write."""
    path = write(kind, folder, "train", 40)
    files = [f"data.path={path}", f"data.validation={folder / f'validation{path.suffix}'}"]
    return [*OWN[kind], *files, *TINY, *overrides]


def learnt(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(run_dir / "checkpoints" / "best.safetensors")


def contents(dataset: Any) -> list[Any]:
    """The texts, the bytes of the images, or the cells of each customer."""
    if isinstance(dataset, CustomerDataset):
        return [tuple(dataset.row(i).values()) for i in range(len(dataset))]
    return (
        dataset.texts if hasattr(dataset, "texts") else [bytes(i.numpy()) for i in dataset.images]
    )


# -- splits -----------------------------------------------------------------------------------


def assert_disjoint(data: Any, total: int) -> None:
    ids = {name: list(data.split(name).ids) for name in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not set(ids[one]) & set(ids[other]), (one, other)
    assert len(set().union(*ids.values())) == sum(map(len, ids.values())) == total


SYNTHETIC = [SyntheticReviews, SyntheticFaces, SyntheticSettings, SyntheticCustomers]


@pytest.mark.parametrize("source", SYNTHETIC)
def test_splits_of_the_embedded_data_are_disjoint(source: Any) -> None:
    data = source(num_train=300, num_validation=100, num_test=100)
    assert_disjoint(data, 500)
    one, other = (contents(data.split(name)) for name in ("validation", "test"))
    assert one != other


@kinds
def test_an_automatic_split_is_disjoint_and_complete(tmp_path: Path, kind: str) -> None:
    path = str(write(kind, tmp_path, "all", 100))
    data = SOURCES[kind](path=path, **NEEDED.get(kind, {}))
    assert_disjoint(data, 200)
    examples = [example for name in SPLITS for example in contents(data.split(name))]
    assert len(set(examples)) == 200


@pytest.mark.parametrize("duplicates", ["drop", "keep"])
def test_a_repeated_image_is_in_one_split_only(tmp_path: Path, duplicates: str) -> None:
    """Even where it is written another way, unless repeats are to be kept."""

    def bmp(image: np.ndarray) -> bytes:
        Image.fromarray(image).save(stream := io.BytesIO(), "BMP")
        return stream.getvalue()

    twice = [kind(pixels(i)) for i in range(40) for kind in (png, bmp)]
    path = tmp_path / "twice.parquet"
    pd.DataFrame({"image": twice, "label": ["a", "a", "b", "b"] * 20}).to_parquet(path)
    data = ImageData(path=str(path), size=12, duplicates=duplicates)
    found = {name: contents(data.split(name)) for name in SPLITS}
    shared = set(found["train"]) & {*found["validation"], *found["test"]}
    assert (sum(map(len, found.values())), bool(shared)) == {
        "drop": (40, False),
        "keep": (80, True),
    }[duplicates]


# -- train.py and the test split --------------------------------------------------------------


@kinds
def test_a_test_file_that_is_not_there_does_not_disturb_training(tmp_path: Path, kind: str) -> None:
    write(kind, tmp_path, "validation", 10)
    missing = f"data.test={tmp_path / 'test.csv'}"
    train(compose(own_files(kind, tmp_path, missing, f"run_dir={tmp_path}/run")))
    assert (tmp_path / "run" / "DONE").exists()


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        *(("texts", SyntheticReviews), ("texts", TextData)),
        *(("images", SyntheticFaces), ("images", ImageData)),
        *(("photos", SceneData), ("photos", DetectionData)),
        *(("customers", SyntheticCustomers), ("customers", CustomerData)),
    ],
)
def test_training_asks_for_train_and_validation_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, source: type
) -> None:
    asked: list[str] = []
    split = source.split  # type: ignore[attr-defined]
    monkeypatch.setattr(source, "split", lambda self, name: asked.append(name) or split(self, name))
    sizes = [f"data.num_{name}={12 if kind == 'photos' else 64}" for name in SPLITS]
    write(kind, tmp_path, "validation", 10)
    own = source is SOURCES[kind]
    overrides = own_files(kind, tmp_path) if own else [*EMBEDDED[kind], *sizes, *TINY]
    train(compose([*overrides, f"run_dir={tmp_path}/run"]))
    assert set(asked) == {"train", "validation"}


# -- what is learnt from the validation split: nothing ----------------------------------------


PLAIN = ["trainer.monitor=last", "task.calibration=false"]
"""Weights and vocabulary come from training examples; the best step and the calibration do not."""
VARIANTS: dict[str, tuple[Any, Any]] = {
    "texts": ("thing", "zebra zebra zebra"),
    "images": (0, 1),
    "photos": (1, 2),
    "customers": (1, 2),
}
LEARNS = {
    "texts": ["+model.ngrams={max_order: 2}"],
    "images": ["task.balance=1.0", "trainer.ema_decay=0.9", "optim=muon"],
    "photos": ["trainer.ema_decay=0.9", "task.augment.mosaic=0.5"],
    # Whom to contact is chosen on validation, if a value is given.
    "customers": ["task.balance=1.0", "trainer.ema_decay=0.9", "task.value=null"],
}


@kinds
def test_changing_what_is_held_out_changes_nothing(tmp_path: Path, kind: str) -> None:
    weights, known = [], []
    for number, variant in enumerate(VARIANTS[kind]):
        for split in ("validation", "test"):
            held_out = write(kind, tmp_path, split, 10, variant)
        options = [*PLAIN, *LEARNS[kind], f"data.test={held_out}", f"run_dir={tmp_path}/{number}"]
        config = compose(own_files(kind, tmp_path, *options))
        train(config)
        known.append((build(config.data).schema, build(config.data).fingerprint()))
        weights.append(learnt(tmp_path / str(number)))
    assert known[0] == known[1]
    assert not differing(*weights)
    if kind == "texts":
        assert b"zebra" not in bytes(weights[0]["model.tokenizer._extra_state"].tolist())


def test_scenes_are_the_same_whatever_photos_they_are_measured_on(tmp_path: Path) -> None:
    weights, known = [], []
    for seed in VARIANTS["photos"]:
        path = squares(tmp_path / "held_out.json", 8, seed, ("Ardovel", "Hestrum"))
        options = [*PLAIN, "data.num_train=12", f"data.validation={path}", f"data.test={path}"]
        config = compose([*EMBEDDED["photos"], *TINY, *options, f"run_dir={tmp_path}/{seed}"])
        train(config)
        known.append((build(config.data).schema, build(config.data).fingerprint()))
        weights.append(learnt(tmp_path / str(seed)))
    assert known[0] == known[1]
    assert not differing(*weights)


def test_the_score_that_counts_is_chosen_on_the_validation_split_alone(tmp_path: Path) -> None:
    write("photos", tmp_path, "validation", 10, 1)
    missing = f"data.test={tmp_path / 'test.json'}"
    train(compose(own_files("photos", tmp_path, missing, f"run_dir={tmp_path}/run")))
    run = load_run(tmp_path / "run")
    validation: Any = run.data.split("validation")
    found = predict_all(run.task, validation, **run.loop)
    there = torch.tensor([[n in labels for n in (0, 1)] for labels in validation.labels])
    expected = best_threshold(presence(found["scores"], found["labels"], 2), there)
    assert run.task.threshold.equal(expected)
    assert run.task.threshold != 0.3  # which it was


def test_pixels_and_classes_are_measured_on_the_training_split_alone(tmp_path: Path) -> None:
    """Also where all splits are cut from one file."""
    path = write_images(tmp_path / "all.parquet", 30, 1)
    options = [f"data.path={path}", "task.balance=0.5", f"run_dir={tmp_path}/run"]
    config = compose([*OWN["images"], *TINY, *options])
    train(config)
    weights = learnt(tmp_path / "run")
    data = build(config.data).split("train")
    shades = data.images.float() / 255
    counts = torch.bincount(data.labels).float()
    torch.testing.assert_close(weights["mean"].squeeze(), shades.mean())
    torch.testing.assert_close(weights["std"].squeeze(), shades.std())
    torch.testing.assert_close(weights["log_weights"], -0.5 * (counts / counts.mean()).log())
    whole = ImageData(path=str(path), size=12, validation_fraction=0, test_fraction=0)
    every = whole.split("train").images.float() / 255
    assert (weights["mean"] - every.mean()).abs() > 1e-5  # that would have been another number
