"""The open-set detector: embeddings, the loss on what marks are, and what it does without any."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from marketorch.models import open_set_detector
from marketorch.models.open_set_detector import Asked, OpenSetDetector, cosine, directions

TINY = {"widths": (8, 8, 16, 16), "depth": (1, 1, 1), "neck": 16, "embedding": 8}
BOXES = torch.tensor([[[8.0, 8, 40, 40], [20, 30, 60, 50]], [[4, 4, 30, 60], [0, 0, 0, 0]]])
LABELS = torch.tensor([[7, 3], [5, -1]])


def asked_for(labels: tuple[int, ...] = (3, 5, 7, 9)) -> Asked:
    """One print of each mark, two on a sheet."""
    boxes = torch.tensor([[4.0, 4, 28, 28], [36, 36, 60, 60]]).repeat(2, 1, 1)
    marks = torch.arange(4).view(2, 2)
    return Asked(torch.rand(2, 3, 64, 64), boxes, marks, torch.tensor(labels))


@pytest.fixture
def model() -> OpenSetDetector:
    torch.manual_seed(0)
    return OpenSetDetector(**TINY)  # type: ignore[arg-type]


def test_an_embedding_is_a_direction_a_box(model: OpenSetDetector) -> None:
    images = torch.rand(2, 3, 64, 64)
    whole = model.eval().embedded(model.pyramid(images), BOXES)
    assert whole.shape == (2, 2, 8)
    torch.testing.assert_close(whole.norm(dim=2), torch.ones(2, 2))
    alone = model.embedded(model.pyramid(images[1:]), BOXES[1:, :1])
    torch.testing.assert_close(alone[0, 0], whole[1, 0])
    assert (cosine(whole[0], whole[0]).diagonal() - 1).abs().max() < 1e-5


def test_the_loss_is_a_softmax_over_what_is_asked_for(
    model: OpenSetDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_set_detector, "JITTER", 0.0)
    maps, asked = model.eval().pyramid(torch.rand(2, 3, 64, 64)), asked_for()
    known, expected = model.known(asked), torch.zeros(())
    for image, place, mark in ((0, 0, 2), (0, 1, 0), (1, 0, 1)):
        own = model.embedded([m[[image]] for m in maps], BOXES[[image], place : place + 1])[0, 0]
        logits = 16 * F.cosine_similarity(own, known, dim=1)
        logits[mark] -= 16 * 0.1
        expected = expected - logits.log_softmax(0)[mark]
    found = model.match_loss(maps, BOXES, LABELS, known, asked.labels)
    torch.testing.assert_close(found, expected)


def test_padding_and_photos_without_boxes_teach_nothing_about_marks(
    model: OpenSetDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, asked = torch.rand(2, 3, 64, 64), asked_for()
    for there in (
        (torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.long)),
        (torch.zeros(2, 3, 4), torch.full((2, 3), -1)),
    ):
        model.zero_grad()
        loss, weight = model.losses(images, *there, asked)
        loss.backward()
        assert torch.isfinite(loss)
        assert float(weight) == 1.0
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        assert all(not p.grad.any() for p in model.embedding.parameters() if p.grad is not None)
    monkeypatch.setattr(open_set_detector, "JITTER", 0.0)
    wide = F.pad(BOXES, (0, 0, 0, 2)), F.pad(LABELS, (0, 2), value=-1)
    more = asked._replace(boxes=F.pad(asked.boxes, (0, 0, 0, 1)))
    more = more._replace(marks=F.pad(asked.marks, (0, 1), value=-1))
    one = model.losses(images, BOXES, LABELS, asked)
    other = model.losses(images, *wide, more)
    torch.testing.assert_close(one, other)


def test_a_mark_points_where_its_prints_do_on_average(model: OpenSetDetector) -> None:
    asked = asked_for()._replace(marks=torch.tensor([[0, 1], [1, -1]]), labels=torch.tensor([4, 2]))
    found = model.eval().known(asked)
    each = model.embedded(model.pyramid(asked.images), asked.boxes)
    torch.testing.assert_close(found[0], each[0, 0])
    torch.testing.assert_close(found[1], F.normalize(each[0, 1] + each[1, 0], dim=0))
    assert directions(each, asked.marks, 2).equal(found)


def test_what_is_found_is_of_one_class_and_has_a_direction(model: OpenSetDetector) -> None:
    found, own = model.eval().found(torch.rand(2, 3, 64, 64))
    assert set(found.labels.unique().tolist()) <= {-1, 0}
    assert own.shape == (*found.scores.shape, 8)
    assert own.isfinite().all()


def test_marks_that_it_never_saw_are_told_apart() -> None:
    """Trained on squares of four colours, it tells two others apart by pictures of them."""
    torch.manual_seed(0)
    colours = torch.tensor(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=torch.float32
    )
    box = torch.tensor([8.0, 8, 40, 40])

    def squares(marks: list[int]) -> torch.Tensor:
        images = torch.rand(len(marks), 3, 1, 1).expand(-1, -1, 64, 64).clone()
        images[:, :, 8:40, 8:40] = colours[marks][:, :, None, None]
        return images

    def asked(marks: list[int]) -> Asked:
        number = len(marks)
        order = torch.arange(number)[:, None]
        return Asked(squares(marks), box.expand(number, 1, 4), order, torch.tensor(marks))

    model = OpenSetDetector(**TINY)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    marks = [0, 1, 2, 3] * 2
    for _ in range(60):
        there = box.expand(8, 1, 4), torch.tensor(marks)[:, None]
        loss, weight = model.losses(squares(marks), *there, asked([3, 1, 0, 2]))
        optimizer.zero_grad()
        (loss / weight).backward()
        optimizer.step()
    known = model.eval().known(asked([4, 5]))
    own = model.embedded(model.pyramid(squares([4, 5, 4, 5])), box.expand(4, 1, 4))[:, 0]
    assert cosine(own, known).argmax(1).tolist() == [0, 1, 0, 1]
