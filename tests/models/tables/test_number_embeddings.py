"""Piecewise-linear encoding against the formula of the paper, written out number by number."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from marketorch.errors import ConfigError
from marketorch.models.tables.number_embeddings import (
    NumberEmbeddings,
    PiecewiseLinear,
    quantile_edges,
)


def written_out(number: float, edges: list[float]) -> list[float]:
    """Equation 1 of Gorishniy et al. 2022 for one number and the edges of its column."""
    last = len(edges) - 2
    found = []
    for bin_, (left, right) in enumerate(pairwise(edges)):
        if number < left and bin_ > 0:
            found.append(0.0)
        elif number >= right and bin_ < last:
            found.append(1.0)
        else:
            found.append((number - left) / (right - left))
    return found


def fitted(column: torch.Tensor, bins: int) -> PiecewiseLinear:
    encoding = PiecewiseLinear(column.shape[1], bins)
    encoding.fit(column)
    return encoding


def test_encoding_is_that_of_the_paper_also_out_of_range() -> None:
    torch.manual_seed(0)
    train = torch.randn(500, 2) * torch.tensor([1.0, 30.0])
    encoding = fitted(train, 7)
    for column, edges in enumerate(encoding.edges.tolist()):
        inside = [*train[:10, column].tolist(), *edges]
        for number in [*inside, edges[0] - 5, edges[-1] + 5, -1e3, 1e3]:
            row = torch.zeros(1, 2)
            row[0, column] = number
            own = written_out(row[0, column].item(), edges)
            torch.testing.assert_close(encoding(row)[0, column], torch.tensor(own))


def test_bins_hold_about_as_many_rows() -> None:
    torch.manual_seed(0)
    values = torch.randn(10_000).exp()
    edges = quantile_edges(values, 20)
    assert edges[0] == values.min()
    assert edges[-1] == values.max()
    counts = torch.histogram(values, edges).hist
    assert len(counts) == 20
    assert (counts - 500).abs().max() < 3


def test_a_frequent_value_takes_one_edge() -> None:
    values = torch.cat([torch.zeros(900), torch.linspace(1, 2, 100)])
    edges = quantile_edges(values, 10)
    assert (edges == 0).sum() == 1
    counts = torch.histogram(values[900:], edges[1:]).hist
    assert len(counts) == 9
    assert (counts - 11).abs().max() < 3


def test_few_values_are_an_edge_each() -> None:
    values = torch.tensor([3.0] * 50 + [-1.0] * 3 + [7.5])
    assert quantile_edges(values, 4).tolist() == [-1.0, 3.0, 7.5]
    assert quantile_edges(torch.tensor([1.0, 1.0 + 1e-6, 2.0]), 4).tolist() == [1.0, 2.0]


def test_a_column_with_fewer_bins_leaves_the_others_at_zero() -> None:
    train = torch.stack([torch.arange(80) % 4, torch.arange(80)], 1).float()
    encoding = fitted(train, 8)
    for number in (-1.0, 0.0, 0.3, 1.0, 2.0, 3.0, 5.0):
        own = torch.tensor(written_out(number, [0.0, 1.0, 2.0, 3.0]) + [0.0] * 5)
        torch.testing.assert_close(encoding(torch.tensor([[number, 0.0]]))[0, 0], own)


def test_a_column_of_zeros_and_ones_has_one_bin_and_keeps_its_value() -> None:
    encoding = fitted((torch.arange(20) % 4 == 0).float()[:, None], 6)
    values = torch.tensor([[0.0], [1.0], [0.5], [2.0], [-1.0]])
    found = encoding(values)[:, 0]
    torch.testing.assert_close(found[:, :1], values)
    assert (found[:, 1:] == 0).all()


def test_a_constant_column_says_nothing() -> None:
    encoding = fitted(torch.full((10, 1), 3.0), 4)
    assert (encoding(torch.tensor([[3.0], [7.0], [-1e30]])) == 0).all()


def test_columns_do_not_touch_each_other() -> None:
    torch.manual_seed(0)
    train = torch.stack([torch.randn(100), torch.ones(100), torch.arange(100) % 2], 1)
    together = fitted(train, 5)
    alone = [fitted(train[:, [i]], 5)(train[:9, [i]]) for i in range(3)]
    torch.testing.assert_close(together(train[:9]), torch.cat(alone, 1))


def test_large_tables_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketorch.models.tables.number_embeddings.SAMPLE", 101)
    encoding = fitted(torch.arange(10_001.0)[:, None], 4)
    torch.testing.assert_close(encoding.edges[0], torch.linspace(0, 10_000, 5), atol=100, rtol=0)


def test_an_embedding_begins_straight_and_learns_to_bend() -> None:
    torch.manual_seed(0)
    numbers = torch.rand(300, 1)
    target = (numbers > 0.5).float()
    embedding = NumberEmbeddings(1, 1, 16)
    embedding.fit(numbers)
    straight = embedding.weight * numbers + embedding.bias
    torch.testing.assert_close(embedding(numbers)[..., 0], straight)
    optimizer = torch.optim.Adam(embedding.parameters(), lr=0.05)
    for _ in range(200):
        loss = (embedding(numbers)[..., 0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02  # the best straight line leaves .06


def test_bins_survive_a_round_trip() -> None:
    source, copy = NumberEmbeddings(2, 4, 5), NumberEmbeddings(2, 4, 5)
    source.fit(torch.randn(50, 2))
    copy.load_state_dict(source.state_dict())
    assert torch.equal(copy.pieces.edges, source.pieces.edges)


def test_no_bins_are_an_error() -> None:
    with pytest.raises(ConfigError, match="0 bins"):
        PiecewiseLinear(3, 0)


def test_a_quantile_between_two_values_is_settled_exactly():
    """Of 30 values, every other 20th lies on a tie: rounding there would choose by processor."""
    inner = [-(-(3 * k - 1) // 2) for k in range(1, 20)]
    assert quantile_edges(torch.arange(30.0), 20).tolist() == [0, *inner, 29]
