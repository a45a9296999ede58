"""Drawn settings: a function of their place, fair in what they show, and not told by colours."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression

from marketorch.data.synthetic.drawn_settings.canvas import Canvas, Space
from marketorch.data.synthetic.setting_data import SyntheticSettings
from marketorch.data.synthetic.settings import CLASSES, MISTAKEN, draw, generate_settings
from marketorch.errors import DataError

SETTINGS = generate_settings(900)


def test_a_picture_is_a_function_of_its_place_alone() -> None:
    part = generate_settings(40, start=30)
    for name in ("images", "labels", "true"):
        assert torch.equal(getattr(SETTINGS, name)[30:70], getattr(part, name)), name
    assert not torch.equal(generate_settings(20, seed=1).images, SETTINGS.images[:20])
    assert len(generate_settings(0).images) == 0


def test_shapes_and_ranges() -> None:
    assert SETTINGS.images.shape == (900, 3, 64, 64)
    assert SETTINGS.images.dtype == torch.uint8
    assert SETTINGS.images.float().std() > 50
    with pytest.raises(ValueError, match="number=-1"):
        generate_settings(-1)
    with pytest.raises(ValueError, match="label_noise"):
        generate_settings(1, label_noise=1.0)


def test_a_larger_picture_is_the_same_in_finer_lines() -> None:
    small, large = SETTINGS.images[:30].float(), generate_settings(30, size=128).images.float()
    apart = (F.avg_pool2d(large, 2) - small).abs().mean((1, 2, 3))
    others = (small.roll(1, 0) - small).abs().mean((1, 2, 3))
    assert (apart < 0.5 * others.mean()).all()


def test_classes_are_even_and_labels_as_wrong_as_said() -> None:
    shares = SETTINGS.true.bincount(minlength=len(CLASSES)) / len(SETTINGS.true)
    assert (shares - 1 / 9).abs().max() < 0.04
    noisy = generate_settings(900, size=8, label_noise=0.1)
    wrong = noisy.labels != noisy.true
    assert wrong.float().mean() == pytest.approx(0.1, abs=0.03)
    assert noisy.best_accuracy == pytest.approx(0.9)
    for true, label in zip(noisy.true[wrong], noisy.labels[wrong], strict=True):
        assert CLASSES[label] in MISTAKEN[CLASSES[true]]


def test_noise_changes_labels_and_nothing_else() -> None:
    clean = generate_settings(60, label_noise=0)
    assert torch.equal(clean.labels, clean.true)
    assert torch.equal(clean.true, SETTINGS.true[:60])
    assert torch.equal(clean.images, SETTINGS.images[:60])


@pytest.mark.parametrize("setting", CLASSES)
def test_no_two_pictures_of_a_setting_are_alike(setting: str) -> None:
    pictures = np.stack([draw(setting, Random(i), 32) for i in range(40)]).astype(int)
    apart = np.abs(pictures[:, None] - pictures[None]).mean((2, 3, 4))
    assert apart[~np.eye(40, dtype=bool)].min() > 8


def test_colours_tell_little_of_the_setting() -> None:
    """Nine classes, so .11 is chance; nearly all are told by eye."""
    bins = (SETTINGS.images.permute(0, 2, 3, 1).reshape(900, -1, 3) // 64).long()
    codes = bins @ torch.tensor([16, 4, 1])
    histograms = F.one_hot(codes, 64).float().mean(1).sqrt().numpy()
    told = LogisticRegression(C=10, max_iter=500).fit(histograms[:600], SETTINGS.true[:600])
    assert 0.15 < told.score(histograms[600:], SETTINGS.true[600:]) < 0.6


def test_what_is_farther_is_smaller_and_nearer_to_the_vanishing_point() -> None:
    space = Space(0.4, 0.5)
    assert space.at(0.9, 1.1, 1) == (0.9, 1.1)
    assert space.at(0.9, 1.1, 2) == pytest.approx((0.65, 0.8))
    (left, top), _, (right, bottom), _ = space.walls()[1].patch(0, 0, 1, 1)
    assert (right - left, bottom - top) == pytest.approx((0.6, 0.6))


def test_what_lies_outside_of_the_canvas_is_cut() -> None:
    canvas, rng, red = Canvas(16), Random(0), (255, 0, 0)
    before = canvas.pixels.copy()
    canvas.box(1.1, 0, 1.4, 1, red)
    canvas.ellipse(-1, 0.5, 0.2, 0.2, red)
    canvas.polygon([(1.2, 0), (1.4, 0), (1.3, 1)], red)
    canvas.blend([(0, -0.5), (1, -0.5), (0.5, -0.2)], red, 0.5)
    canvas.mottle(rng, (0, 1.1, 1, 1.3), (2, 2), 1.0)
    canvas.fade(-0.4, -0.1, red, red)
    assert (canvas.pixels == before).all()
    canvas.box(0.5, 0.5, 2, 2, red)
    assert (canvas.pixels[16:, 16:] == red).all()
    assert (canvas.pixels[:16] == before[:16]).all()


# -- the data source --------------------------------------------------------------------------


def test_the_data_source_has_disjoint_splits_and_says_what_is_reachable() -> None:
    data = SyntheticSettings(num_train=60, num_validation=20, num_test=20)
    parts = {name: data.split(name) for name in ("train", "validation", "test")}
    assert [len(part) for part in parts.values()] == [60, 20, 20]
    assert {*parts["train"].ids}.isdisjoint({*parts["test"].ids})
    assert torch.equal(parts["test"].images, SETTINGS.images[80:100])
    assert data.schema["classes"] == list(CLASSES)
    assert data.schema["best_reachable"]["test"] == {"accuracy": pytest.approx(0.97)}
    assert sum(data.schema["class_counts"]) == 60
    with pytest.raises(DataError, match="no dev split"):
        data.split("dev")


def test_photos_of_any_size_are_read_whole_and_no_face_is_looked_for(tmp_path: Path) -> None:
    for name, size in {"tall": (30, 200), "wide": (400, 90), "small": (9, 12)}.items():
        Image.new("RGB", size, (200, 40, 90)).save(tmp_path / f"{name}.jpg")
    for fit in ("crop", "squash"):
        photos = SyntheticSettings(fit=fit).inputs(str(tmp_path))
        assert [Path(str(name)).stem for name in photos.ids or ()] == ["small", "tall", "wide"]
        images = torch.stack([photos.images[i] for i in range(3)])
        assert images.shape == (3, 3, 64, 64)
        assert (images.float().mean((0, 2, 3)) - torch.tensor([200, 40, 90])).abs().max() < 4
