"""Augmentation of a batch: what it must not change, and what each part of it does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from marketorch.data.images.augmentation import Augmentation, inside, patches


def batch(number: int = 6, side: int = 24) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.rand(number, 1, side, side), torch.eye(number)[:, :3]


def test_nothing_is_changed_by_default() -> None:
    images, targets = batch()
    same, kept = Augmentation()(images, targets)
    assert same is images
    assert kept is targets


def test_a_flip_is_the_mirror_image() -> None:
    images, targets = batch()
    flipped, _ = Augmentation(flip=1.0)(images, targets)
    torch.testing.assert_close(flipped, images.flip(3), rtol=0, atol=1e-5)


def test_a_crop_without_a_shift_is_the_middle() -> None:
    images, targets = batch()
    middle, _ = Augmentation(crop=16)(images, targets)
    torch.testing.assert_close(middle, images[:, :, 4:20, 4:20], rtol=0, atol=1e-5)


def test_a_turn_keeps_the_middle_and_moves_the_rim() -> None:
    images = torch.zeros(8, 1, 33, 33)
    images[:, :, 16, 16], images[:, :, 16, 30] = 1.0, 1.0
    torch.manual_seed(1)
    turned, _ = Augmentation(rotate=45)(images, torch.ones(8, 1))
    assert (turned[:, 0, 16, 16] > 0.5).all()
    assert (turned[:, 0, 16, 30] < 0.5).sum() >= 6


def test_light_changes_are_of_each_image_and_bounded() -> None:
    images, targets = batch()
    lit, _ = Augmentation(brightness=0.3, contrast=0.3)(images, targets)
    assert lit.min() >= 0
    assert lit.max() <= 1
    shifts = (lit - images).mean((1, 2, 3))
    assert shifts.std() > 0.01


def test_erased_patches_have_about_the_area_asked_for() -> None:
    images = torch.full((200, 1, 24, 24), 0.5)
    erased, _ = Augmentation(erase=1.0, erase_area=(0.2, 0.2))(images, torch.ones(200, 1))
    share = (erased != 0.5).float().mean((1, 2, 3))
    assert share.mean() == pytest.approx(0.2, abs=0.02)
    untouched, _ = Augmentation(erase=0.0001)(images, torch.ones(200, 1))
    assert torch.equal(untouched[0], images[0])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_shares_classes_as_it_shares_pixels(kind: str) -> None:
    number = 4
    images = torch.arange(number, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 20, 20)
    targets = torch.eye(number)
    for seed in range(10):
        torch.manual_seed(seed)
        mixed, shares = Augmentation(**{kind: 1.0})(images, targets)
        torch.testing.assert_close(shares.sum(1), torch.ones(number))
        means = mixed.mean((1, 2, 3))
        torch.testing.assert_close(shares @ torch.arange(number).float(), means, atol=1e-4, rtol=0)
        assert (shares.argmax(1) == torch.arange(number)).all()


def test_a_batch_is_mixed_only_so_often() -> None:
    images, targets = batch()
    times = 0
    for seed in range(100):
        torch.manual_seed(seed)
        _, shares = Augmentation(mixup=1.0, mix=0.3)(images, targets)
        times += not torch.equal(shares, targets)
    assert 15 < times < 45


def test_patches_lie_inside_and_cover_what_was_asked() -> None:
    torch.manual_seed(0)
    boxes = patches(torch.full((500,), 0.25), 40)
    assert boxes.min() >= 0
    assert boxes.max() <= 40
    assert inside(boxes, 40).float().mean() == pytest.approx(0.25, abs=0.01)
