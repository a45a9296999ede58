"""The filter against matrices written out in full, for those it knows and those it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from marketorch.data.events.catalogue import Catalogue, Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import Ragged
from marketorch.engine import checkpoint
from marketorch.engine.trainer import Trainer
from marketorch.models.recommenders.graph_filter import GraphFilter
from marketorch.tasks.recommendation import Recommendation

ITEMS, USERS = 12, 20  # item 12 was never taken
SIZES = Sizes(num_items=ITEMS, num_users=USERS)


def random_rows() -> list[list[int]]:
    """Histories of one to six of the first eleven items, some of them twice."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 7, (USERS,), generator=generator).tolist()
    return [torch.randint(1, ITEMS, (n,), generator=generator).tolist() for n in lengths]


ROWS = random_rows()


def dataset(rows: list[list[int]]) -> EventDataset:
    names = Catalogue([f"item {i}" for i in range(1, ITEMS + 1)], list(range(len(rows))))
    return EventDataset(Ragged.of(rows), names, users=torch.arange(1, len(rows) + 1))


def padded(rows: list[list[int]]) -> dict[str, Tensor]:
    return {"items": Ragged.of(rows).pad(torch.arange(len(rows)))}


def table(rows: list[list[int]]) -> Tensor:
    """Who took what, in full."""
    taken = torch.zeros(len(rows), ITEMS + 1)
    for user, row in enumerate(rows):
        taken[user, row] = 1
    return taken


def fitted(
    rank: int, low_pass: float, powers: tuple[float, float], sharpen: float = 0.9
) -> GraphFilter:
    torch.manual_seed(0)
    a, b = powers
    model = GraphFilter(
        sizes=SIZES, rank=rank, low_pass=low_pass, sharpen=sharpen, user_power=a, item_power=b
    ).eval()
    model.fit(dataset(ROWS))
    return model


def written_out(
    histories: list[list[int]],
    rank: int,
    low_pass: float,
    powers: tuple[float, float],
    sharpen: float,
) -> Tensor:
    taken, (a, b) = table(ROWS), powers
    busy, popular = taken.sum(1).clamp_min(1), taken.sum(0).clamp_min(1)
    normal = taken * busy[:, None] ** -a * popular**-b
    vectors = torch.linalg.svd(normal)[2][:rank].T
    smooth = (vectors @ vectors.T) * popular[:, None] ** -0.5 * popular**0.5
    steps = normal.T @ normal
    steps = steps / torch.linalg.eigvalsh(steps)[-1]
    return table(histories) @ (steps + low_pass * smooth) @ (torch.eye(ITEMS + 1) - sharpen * steps)


@pytest.mark.parametrize("powers", [(0.5, 0.5), (0.4, 0.45), (0.0, 1.0)])
@pytest.mark.parametrize(
    ("rank", "low_pass", "sharpen"), [(3, 0.3, 0.9), (8, 0.2, 0.0), (3, 0.0, 0.5)]
)
def test_scores_are_those_of_the_matrices_in_full(
    rank: int, low_pass: float, sharpen: float, powers: tuple[float, float]
) -> None:
    strangers = [[1, 2, 3], [7], [12, 4], []]
    for histories in (ROWS, strangers):
        torch.testing.assert_close(
            fitted(rank, low_pass, powers, sharpen)(padded(histories)),
            written_out(histories, rank, low_pass, powers, sharpen),
            rtol=1e-3,
            atol=1e-4,
        )


def test_singular_vectors_are_orthonormal_and_no_more_than_there_are() -> None:
    vectors = fitted(1000, 0.3, (0.5, 0.5)).vectors
    assert vectors.shape == (ITEMS + 1, ITEMS)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(ITEMS), rtol=0, atol=1e-5)


def test_nobody_is_recommended_what_was_never_taken() -> None:
    scores = fitted(3, 0.3, (0.4, 0.45))(padded([[1, 2], []]))
    assert scores[0, 1:ITEMS].max() > 0
    assert scores[:, ITEMS].abs().max() < 1e-5
    assert not scores[1].any()


def test_similar_items_are_those_of_a_history_of_one() -> None:
    model = fitted(3, 0.3, (0.4, 0.45))
    scores = model.similar(torch.tensor([1, 5]))
    torch.testing.assert_close(scores, model(padded([[1], [5]])))


def test_a_checkpoint_restores_the_edges(tmp_path: Path) -> None:
    def built() -> Recommendation:
        return Recommendation(
            model=lambda sizes: GraphFilter(sizes=sizes, rank=3), schema=SIZES._asdict(), at=(3,)
        )

    task, again = built(), built()
    trainer = Trainer(run_dir=tmp_path, device="cpu", precision="fp32", epochs=1)
    trainer.fit(task, dataset(ROWS), None, lambda module: [])
    state, _ = checkpoint.load_best(tmp_path / "checkpoints" / checkpoint.BEST)
    again.load_state_dict(state)
    torch.testing.assert_close(again.model(padded(ROWS)), task.model(padded(ROWS)))
