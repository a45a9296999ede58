"""Drawn faces: a function of their place, fair in what they show, and learnable but not trivial."""

from __future__ import annotations

import pytest
import torch

from marketorch.data.synthetic.face_data import SyntheticFaces
from marketorch.data.synthetic.faces import CLASSES, HAPPY, draw, generate_faces
from marketorch.errors import DataError

FACES = generate_faces(1500)


def test_a_face_is_a_function_of_its_place_alone() -> None:
    again = generate_faces(1500)
    part = generate_faces(300, start=170)
    for name in ("images", "labels", "true", "smiles", "votes"):
        whole = getattr(FACES, name)
        assert torch.equal(whole, getattr(again, name)), name
        assert torch.equal(whole[170:470], getattr(part, name)), name
    assert not torch.equal(generate_faces(50, seed=1).images, FACES.images[:50])
    assert len(generate_faces(0).images) == 0


def test_shapes_and_ranges() -> None:
    assert FACES.images.shape == (1500, 1, 48, 48)
    assert FACES.images.dtype == torch.uint8
    assert FACES.images.float().std() > 40
    assert generate_faces(2, size=64).images.shape == (2, 1, 64, 64)
    with pytest.raises(ValueError, match="number=-1"):
        generate_faces(-1)
    with pytest.raises(ValueError, match="label_noise"):
        generate_faces(1, label_noise=1.0)


def test_classes_are_even_and_labels_as_wrong_as_said() -> None:
    shares = FACES.true.bincount(minlength=len(CLASSES)) / len(FACES.true)
    assert (shares - 1 / 7).abs().max() < 0.04
    assert (FACES.labels != FACES.true).float().mean() == pytest.approx(0.04, abs=0.015)
    assert FACES.best_accuracy == pytest.approx(0.96)
    assert torch.equal(generate_faces(50, label_noise=0).labels, generate_faces(50).true)


def test_annotators_mostly_agree_with_the_truth() -> None:
    torch.testing.assert_close(FACES.votes.sum(1), torch.ones(1500))
    assert (FACES.votes.argmax(1) == FACES.true).float().mean() > 0.9
    assert FACES.votes.max(1).values.mean() < 0.95


def test_who_smiles_is_happy_and_about_half_mean_it() -> None:
    assert torch.equal(FACES.smiles >= 0, FACES.true == HAPPY)
    genuine = FACES.smiles[FACES.smiles >= 0].float().mean()
    assert genuine == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("unit", "rows"), [("AU12", (60, 88)), ("AU1", (18, 45)), ("AU26", (60, 92)), ("AU6", (30, 70))]
)
def test_an_action_unit_moves_its_part_of_the_face(unit: str, rows: tuple[int, int]) -> None:
    plain, moved = (draw(units, size=96).float() for units in ({}, {unit: 1.0}))
    change = (plain - moved).abs().sum(1)
    top, bottom = rows
    assert change.sum() > 0
    assert change[top:bottom].sum() > 0.6 * change.sum()


def test_the_lip_corner_puller_lifts_the_corners() -> None:
    def height(unit: str) -> float:
        mouth = 255 - draw({unit: 1.0}, size=192).float()[115:180]
        corners = torch.cat([mouth[:, 55:75], mouth[:, 117:137]], 1)
        dark = (corners - corners.mean()).clamp_min(0)
        return float((dark.sum(1) * torch.arange(len(dark))).sum() / dark.sum())

    assert height("AU12") < height("AU15")


def test_the_data_source_has_disjoint_splits_and_says_what_is_reachable() -> None:
    data = SyntheticFaces(num_train=60, num_validation=20, num_test=20)
    parts = {name: data.split(name) for name in ("train", "validation", "test")}
    assert [len(part) for part in parts.values()] == [60, 20, 20]
    assert {*parts["train"].ids}.isdisjoint({*parts["test"].ids})
    assert torch.equal(parts["test"].images, FACES.images[80:100])
    assert data.schema["best_reachable"]["test"] == {"accuracy": pytest.approx(0.96)}
    assert sum(data.schema["class_counts"]) == 60
    smiles = SyntheticFaces(target="smile", num_train=200, num_validation=50, num_test=50)
    assert smiles.schema["classes"] == ["posed", "genuine"]
    assert len(smiles.split("train")) == sum(smiles.schema["class_counts"]) < 60
    with pytest.raises(DataError, match=r"data\.target is 'smiles'"):
        SyntheticFaces(target="smiles")
    with pytest.raises(DataError, match="no dev split"):
        data.split("dev")
