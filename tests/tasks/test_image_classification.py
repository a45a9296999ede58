"""The image task on tiny data: it learns, corrects for what it weighs, and shows where it looks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy import Killed, differing, everything, fit, kill_after_saving

from marketorch.data.cuts import UNLABELLED
from marketorch.data.images.dataset import DecodedImages, ImageDataset
from marketorch.engine.evaluation import predict_all
from marketorch.engine.trainer import Trainer
from marketorch.errors import ConfigError
from marketorch.models.images.compact_cnn import CompactCNN
from marketorch.models.images.linear_pixels import LinearPixels
from marketorch.models.texts.ngrams import Majority
from marketorch.optim import optimizers as optim
from marketorch.tasks.image_classification import ImageClassification, soft_cross_entropy

SCHEMA = {"classes": ["left", "right"], "class_counts": [4, 4], "channels": 1, "size": 16}
LOOP = {"batch_size": 8, "device": torch.device("cpu")}


def halves(number: int = 8, side: int = 16, seed: int = 0) -> DecodedImages:
    """Noise that is brighter in its left or in its right half."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 120, (number, 1, side, side), generator=generator, dtype=torch.uint8)
    labels = torch.arange(number) % 2
    images[labels == 0, :, :, : side // 2] += 120
    images[labels == 1, :, :, side // 2 :] += 120
    return DecodedImages(images, labels)


def small(num_classes: int, num_channels: int) -> CompactCNN:
    return CompactCNN(
        num_classes=num_classes, num_channels=num_channels, width=4, depth=(1, 1), dropout=0.0
    )


def task_of(model: Any = small, schema: dict[str, Any] = SCHEMA, **options: Any) -> Any:
    torch.manual_seed(0)
    return ImageClassification(model=model, schema=schema, **options)


def fitted(tmp_path: Path, task: Any, data: DecodedImages, epochs: int = 40) -> dict[str, Any]:
    trainer = Trainer(run_dir=tmp_path, device="cpu", precision="fp32", epochs=epochs, batch_size=8)
    return trainer.fit(task, data, data, lambda module: optim.adamw(module, lr=1e-2))


def test_overfits_eight_examples(tmp_path: Path) -> None:
    report = fitted(tmp_path, task_of(), halves())
    assert report["metrics"]["val/accuracy"] == 1.0
    assert report["metrics"]["val/log_loss"] < 0.1


# -- resuming ---------------------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    **{"flip": 0.5, "rotate": 15, "zoom": 0.1, "stretch": 0.1, "shift": 0.1, "brightness": 0.1},
    **{"contrast": 0.3, "erase": 0.5, "mixup": 0.4, "cutmix": 1.0, "mix": 0.7},
}
HARD: dict[str, Any] = {
    "task": lambda: task_of(
        partial(CompactCNN, width=4, depth=(1, 1), dropout=0.2, skip=0.3),
        augment=EVERYTHING,
        label_smoothing=0.1,
        balance=0.5,
        views="flip",
    ),
    "optimizer": partial(optim.muon, lr=0.05, adamw_lr=0.01),
    **{"batch_size": 4, "accumulate": 2, "ema_decay": 0.9, "save_every": 1, "channels_last": True},
}
"""All that is random or kept from step to step. 18 images: 5 batches and 3 steps an epoch, 6 in
all; the last batch of an epoch has two images and is a step by itself."""


def one_by_one(data: DecodedImages) -> ImageDataset:
    """The same images as `DecodedImages` holds, read as those are that do not fit in memory."""
    return ImageDataset(data.images, data.labels)


def hard_run(run_dir: Path, train: ImageDataset, **options: Any) -> Trainer:
    return fit(run_dir, train=train, validation=halves(12, seed=1), **HARD | options)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return everything(hard_run(tmp_path_factory.mktemp("whole"), halves(18)))


@pytest.mark.parametrize("steps", [[1], [3], [5], [1, 2, 4]], ids=str)
def test_a_resumed_run_is_bit_equal(
    tmp_path: Path, uninterrupted: dict[str, Tensor], steps: list[int]
) -> None:
    for number, step in enumerate(steps):
        kill = kill_after_saving(step)
        with pytest.raises(Killed):
            hard_run(tmp_path, halves(18), resume=number > 0, on_event=kill)
    resumed = hard_run(tmp_path, halves(18), resume=True)
    assert resumed.position.step == 6
    assert not differing(everything(resumed), uninterrupted)


def test_it_may_resume_with_workers_that_decode(
    tmp_path: Path, uninterrupted: dict[str, Tensor]
) -> None:
    images = one_by_one(halves(18))
    with pytest.raises(Killed):
        hard_run(tmp_path, images, on_event=kill_after_saving(2))
    resumed = hard_run(tmp_path, images, resume=True, num_workers=2)
    assert not differing(everything(resumed), uninterrupted)


# -- what it learns from ----------------------------------------------------------------------


def test_prepare_measures_the_training_pixels() -> None:
    task, data = task_of(), halves(64)
    task.prepare(data)
    normal = task.inputs(data.__getitems__(list(range(64))))
    assert normal.mean().abs() < 1e-4
    assert normal.std() == pytest.approx(1.0, abs=1e-3)


def test_unlabelled_images_weigh_nothing() -> None:
    task, data = task_of().eval(), halves()
    assert data.labels is not None
    data.labels[4:] = UNLABELLED
    some, every = data.__getitems__([0, 1, 2, 3]), data.__getitems__(list(range(8)))
    few, all_ = task(some), task(every)
    assert few.weight == all_.weight == 4
    torch.testing.assert_close(few.loss_sum, all_.loss_sum)


def test_soft_cross_entropy_is_torchs() -> None:
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    shares = torch.nn.functional.one_hot(labels, 4).float()
    for smoothing in (0.0, 0.1):
        expected = torch.nn.functional.cross_entropy(
            logits, labels, label_smoothing=smoothing, reduction="sum"
        )
        torch.testing.assert_close(soft_cross_entropy(logits, shares, smoothing), expected)


def overlapping(number: int, share: float, seed: int) -> DecodedImages:
    """Two classes that overlap; ``share`` of the images are of the second."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(number, generator=generator) < share).long()
    noise = torch.randn(number, 1, 8, 8, generator=generator) * 8
    shift = torch.randn(number, generator=generator) + labels
    images = (100 + noise + 20 * shift[:, None, None, None]).clamp(0, 255).to(torch.uint8)
    return DecodedImages(images, labels)


class Brightness(torch.nn.Module):
    """A logistic regression on the mean, trained by gradient."""

    def __init__(self, num_classes: int, num_channels: int) -> None:
        super().__init__()
        self.head = torch.nn.Linear(num_channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.mean((2, 3)))


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_weighing_classes_leaves_probabilities_those_of_the_data(
    tmp_path: Path, balance: float
) -> None:
    data = overlapping(3000, 0.1, seed=0)
    counts = torch.bincount(data.labels).tolist()
    schema = SCHEMA | {"class_counts": counts}
    task = task_of(Brightness, schema, balance=balance, calibration=False)
    trainer = Trainer(run_dir=tmp_path, device="cpu", precision="fp32", epochs=8, batch_size=64)
    trainer.fit(task, data, data, lambda module: optim.adamw(module, lr=3e-2, weight_decay=0.0))
    shares = predict_all(task, overlapping(3000, 0.1, seed=1), **LOOP)["probabilities"]
    assert shares[:, 1].mean() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("model", [Majority, partial(LinearPixels, side=8)], ids=["shares", "fit"])
def test_what_weighs_all_images_the_same_needs_no_correction(model: Any) -> None:
    """A sceptic is fitted without weights, so ``balance`` must not bend its probabilities."""
    data = overlapping(2000, 0.2, seed=0)
    counts = torch.bincount(data.labels).tolist()
    answers = []
    for balance in (0.0, 1.0):
        task = task_of(model, SCHEMA | {"class_counts": counts}, balance=balance)
        task.prepare(data)
        answers.append(predict_all(task, data, **LOOP)["probabilities"])
    assert torch.equal(*answers)
    assert answers[0][:, 1].mean() == pytest.approx(counts[1] / 2000, abs=0.01)


def test_votes_that_are_the_labels_are_the_targets() -> None:
    schema = SCHEMA | {"votes": ["l", "r"], "raw_classes": ["l", "r"]}
    task, data = task_of(schema=schema), halves()
    data.votes = torch.tensor([[0.75, 0.25]] * 4 + [[0.0, 1.0]] * 4)
    batch = data.__getitems__(list(range(8)))
    torch.testing.assert_close(task.targets(batch), data.votes)
    del batch["votes"]  # a split without them falls back to its labels
    assert task.targets(batch).sum() == 8


def test_votes_beside_labels_are_a_second_lesson_and_no_answer() -> None:
    schema = SCHEMA | {"votes": ["a", "b", "c"], "raw_classes": ["left", "right"]}
    data = halves()
    data.votes = torch.full((8, 3), 1 / 3)
    batch = data.__getitems__(list(range(8)))
    task = task_of(schema=schema, votes=0.5)
    assert task.model.head.out_features == 5
    assert task.eval().predict(batch)["probabilities"].shape == (8, 2)
    without = task_of(schema=schema, votes=0.0)
    assert without.model.head.out_features == 2
    loss = task.train()(batch)
    loss.loss_sum.backward()
    assert task.model.head.weight.grad[2:].abs().sum() > 0
    assert loss.weight == 8


def test_two_views_are_the_mean_of_the_image_and_its_mirror_image() -> None:
    task, data = task_of(views="flip").eval(), halves()
    batch = data.__getitems__([0, 1])
    mirrored = batch | {"images": batch["images"].flip(3)}
    torch.testing.assert_close(
        task.predict(batch)["probabilities"], task.predict(mirrored)["probabilities"]
    )
    with pytest.raises(ConfigError, match=r"task\.views is 'ten'"):
        task_of(views="ten")


def test_saliency_finds_the_patch_that_the_answer_hangs_on(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(80, 140, (64, 1, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.arange(64) % 2
    images[labels == 1, :, 2:6, 10:14] = 255
    data = DecodedImages(images, labels)
    task = task_of(lambda **sizes: LinearPixels(side=16, **sizes))
    task.prepare(data)
    maps = task.eval().saliency(images[1:2], labels[1:2], patch=4)
    assert maps.shape == (1, 16, 16)
    row, column = divmod(int(maps[0].argmax()), 16)
    assert 1 <= row <= 6
    assert 9 <= column <= 14


@pytest.mark.parametrize("model", [Majority, LinearPixels])
def test_sceptics_are_tenants_of_the_task(model: Any) -> None:
    sizes = {"side": 16} if model is LinearPixels else {}
    task, data = task_of(lambda **own: model(**own, **sizes)), halves(40)
    task.prepare(data)
    shares = predict_all(task, halves(20, seed=5), **LOOP)["probabilities"]
    right = (shares.argmax(1) == torch.arange(20) % 2).float().mean()
    assert right == (1.0 if model is LinearPixels else 0.5)


def test_rows_name_the_image_and_the_expected_scores() -> None:
    schema = SCHEMA | {"scores": {"valence": {"left": -1.0, "right": 1.0}}}
    task, data = task_of(schema=schema), halves()
    data.ids, data.about = [f"{i}.jpg" for i in range(8)], [{"face": i} for i in range(8)]
    shares = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    rows = task.rows({"index": torch.tensor([3, 5]), "probabilities": shares}, data)
    assert rows[0] == {
        "image": "3.jpg",
        "face": 3,
        "label": "right",
        "probability": 0.75,
        "p_left": 0.25,
        "p_right": 0.75,
        "valence": 0.5,
    }
    assert rows[1]["valence"] == -1.0


def test_pictures_of_mistakes_and_of_what_was_looked_at(tmp_path: Path) -> None:
    task, data = task_of(), halves()
    task.prepare(data)
    collected = predict_all(task, data, **LOOP)
    drawn = {path.name for path in task.figures(collected, data, tmp_path)}
    assert drawn >= {"confusion.png", "reliability.png", "saliency.png"}
    assert all((tmp_path / name).stat().st_size > 1000 for name in drawn)
