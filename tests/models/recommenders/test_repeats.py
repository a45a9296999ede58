"""The transformer's repeats: a distribution, deaf to padding, whose loss is the written-out one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.data.events.catalogue import Sizes
from marketorch.models.recommenders.base import Positives, VectorRecommender
from marketorch.models.recommenders.sequential_transformer import SequentialTransformer
from marketorch.tasks.catalogue_loss import full_softmax


def model() -> SequentialTransformer:
    torch.manual_seed(0)
    return SequentialTransformer(sizes=Sizes(9), dim=16, num_heads=2, repeats=True).eval()


ITEMS = torch.tensor([[1, 2, 1, 4, 5], [6, 7, 6, 0, 0]])


def test_what_is_scored_is_a_distribution_that_padding_does_not_change() -> None:
    network = model()
    scores = network({"items": ITEMS})
    torch.testing.assert_close(scores.exp().sum(1), torch.ones(2))
    assert (scores[:, 0] < -80).all()
    torch.testing.assert_close(network({"items": ITEMS[1:, :3]}), scores[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("number", [5, 1500])
def test_the_softmax_in_chunks_with_repeats_is_the_written_out_one(number: int) -> None:
    torch.manual_seed(0)
    queries, output = torch.randn(number, 8, requires_grad=True), torch.nn.Linear(8, 12)
    gate, repeated = (torch.randn(2 * number, requires_grad=True) for _ in range(2))
    rows = torch.randint(0, number, (2 * number,)).sort().values
    targets = torch.randint(1, 12, (2 * number,))
    chances = F.logsigmoid(gate), F.logsigmoid(-gate) - repeated.abs()

    class Model(VectorRecommender):
        def catalogue(self, items: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
            return output.weight, output.bias

    wanted = [queries, output.weight, output.bias, gate, repeated]
    loss = full_softmax(Model(), Positives(queries, rows, targets, torch.stack(chances, 1)))
    actual = torch.autograd.grad(2 * loss, wanted, retain_graph=True)
    scores = output(queries)[rows].index_fill(1, torch.tensor([0]), -torch.inf)
    own = scores.log_softmax(1).gather(1, targets[:, None])[:, 0]
    reference = -torch.logaddexp(chances[0] + own, chances[1]).sum()
    torch.testing.assert_close(loss, reference, rtol=1e-5, atol=1e-3)
    for gradient, other in zip(actual, torch.autograd.grad(2 * reference, wanted), strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-4)
