"""Networks on tables: shapes, gradients, eight rows by heart, layers against written-out maths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_tables import Rows, rows
from torch import nn

from marketorch.errors import ConfigError
from marketorch.models.tables.dcn import DCN, CrossLayer
from marketorch.models.tables.features import LevelTable, TableFeatures, level_dim
from marketorch.models.tables.ft_transformer import FTTransformer
from marketorch.models.tables.mlp import TableMLP
from marketorch.models.tables.tabm import TabM, random_scales
from marketorch.optim.optimizers import sparse_parameters

NETWORKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "mlp": (TableMLP, {"width": 32}),
    "mlp without embeddings": (TableMLP, {"width": 32, "number_dim": 0, "one_hot": 10}),
    "tabm": (TabM, {"width": 32, "members": 4, "variant": "tabm"}),
    "tabm mini": (TabM, {"width": 32, "members": 4, "variant": "mini"}),
    "tabm with vectors": (TabM, {"width": 32, "members": 4, "one_hot": 0, "signs": True}),
    "dcn": (DCN, {"width": 32, "rank": 0}),
    "dcn of low rank": (DCN, {"width": 32, "rank": 4}),
    "ft_transformer": (FTTransformer, {"dim": 32, "depth": 2, "num_heads": 4}),
    "ft_transformer without bins": (FTTransformer, {"dim": 32, "depth": 1, "bins": 0}),
}
SHAPES = {
    "both": (3, (4, 3)),
    "numbers alone": (3, ()),
    "categories alone": (0, (4, 3)),
    "one level": (1, (1, 1)),
}


def build(name: str, data: Rows, level_counts: Sequence[int], num_classes: int = 2) -> nn.Module:
    """The network, fitted, without dropout."""
    kind, options = NETWORKS[name]
    torch.manual_seed(0)
    sizes = {"num_numbers": data.numbers.shape[1], "level_counts": level_counts}
    network: Any = kind(**sizes, num_classes=num_classes, dropout=0.0, **options)
    network.fit(data)
    return network


def loss_of(network: nn.Module, data: Rows) -> torch.Tensor:
    """Mean cross-entropy over rows and members."""
    logits = network(data.numbers, data.categories.long())
    members = logits if logits.ndim == 3 else logits[:, None]
    labels = data.labels[:, None].expand(-1, members.shape[1])
    return F.cross_entropy(members.flatten(0, 1), labels.flatten())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_gradients(name: str, shape: str) -> None:
    num_numbers, level_counts = SHAPES[shape]
    sizes = {"num_numbers": num_numbers, "level_counts": level_counts, "num_classes": 3}
    data = rows(24, **sizes)
    network = build(name, data, level_counts, 3)
    logits = network(data.numbers, data.categories.long())
    members = (4,) if name.startswith("tabm") else ()
    assert logits.shape == (24, *members, 3)
    assert getattr(network, "num_members", None) == (4 if members else None)
    loss_of(network, data).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", NETWORKS)
def test_eight_rows_are_learnt_by_heart(name: str) -> None:
    data = rows(8)
    data.labels = torch.arange(8) % 2
    network = build(name, data, (4, 3))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(150):
        loss = loss_of(network, data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    logits = network.eval()(data.numbers, data.categories.long())
    mean = logits.mean(1) if logits.ndim == 3 else logits
    assert (mean.argmax(1) == data.labels).all()
    assert loss < 0.1


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_run_in_mixed_precision_and_survive_a_round_trip(name: str) -> None:
    data = rows(40)
    network, copy = build(name, data, (4, 3)).eval(), build(name, rows(40, seed=1), (4, 3)).eval()
    exact = network(data.numbers, data.categories.long())
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(data.numbers, data.categories.long())
    torch.testing.assert_close(rough.float(), exact, rtol=0.05, atol=0.05)
    copy.load_state_dict(network.state_dict())
    assert torch.equal(copy(data.numbers, data.categories.long()), exact)


@pytest.mark.parametrize("variant", ["tabm", "mini"])
def test_members_that_are_all_alike_are_the_plain_network(variant: str) -> None:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_numbers": 3, "level_counts": (4, 3), "num_classes": 2}
    sizes |= {"width": 16, "depth": 3, "one_hot": 3, "dropout": 0.0}
    plain, ensemble = TableMLP(**sizes), TabM(**sizes, variant=variant, members=5)
    data = rows(50)
    plain.fit(data)
    nn.init.normal_(plain.features.numbers.bends)
    ensemble.features.load_state_dict(plain.features.state_dict())
    with torch.no_grad():
        for key, parameter in ensemble.named_parameters():
            if key.endswith(("before_adapter", "after_adapter", "input_adapter")):
                parameter.fill_(1.0)
        for own, other in zip(ensemble.network, plain.network, strict=True):
            if isinstance(other, nn.Linear):
                linear = own if variant == "mini" else own.shared
                linear.weight.copy_(other.weight)
                (own.bias if variant == "mini" else own.bias_adapter).copy_(other.bias)
        ensemble.head.weight.copy_(plain.head.weight.T)
        ensemble.head.bias.copy_(plain.head.bias)
    expected = plain(data.numbers, data.categories.long())[:, None].expand(-1, 5, -1)
    torch.testing.assert_close(ensemble(data.numbers, data.categories.long()), expected)


@pytest.mark.parametrize("variant", ["tabm", "mini"])
def test_a_member_is_a_network_with_scaled_matrices(variant: str) -> None:
    data = rows(20)
    name = "tabm" if variant == "tabm" else "tabm mini"
    network = build(name, data, (4, 3))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    logits = network(data.numbers, data.categories.long())
    for member in range(4):
        x = network.features(data.numbers, data.categories.long())
        if variant == "mini":
            x = x * network.input_adapter[member]
        for layer in network.network[::3]:
            if variant == "mini":
                x = F.relu(x @ layer.weight.T + layer.bias)
                continue
            own = torch.diag(layer.after_adapter[member]) @ layer.shared.weight
            own = own @ torch.diag(layer.before_adapter[member])
            x = F.relu(x @ own.T + layer.bias_adapter[member])
        expected = x @ network.head.weight[member] + network.head.bias[member]
        torch.testing.assert_close(logits[:, member], expected, rtol=1e-4, atol=1e-4)


def test_members_begin_apart_column_by_column() -> None:
    torch.manual_seed(0)
    scales = random_scales(6, [3, 1, 4], signs=False)
    assert scales.shape == (6, 8)
    for part in scales.split([3, 1, 4], dim=1):
        assert (part == part[:, :1]).all()
    assert len(scales.unique()) == 18
    assert random_scales(50, [2, 2], signs=True).unique().tolist() == [-1.0, 1.0]


def test_a_cross_layer_is_the_formula_of_the_paper() -> None:
    torch.manual_seed(0)
    first, x = torch.randn(7, 5), torch.randn(7, 5)
    whole, low = CrossLayer(5, 0), CrossLayer(5, 2)
    matrices = [(whole, whole.up.weight), (low, low.up.weight @ low.down.weight)]
    for layer, matrix in matrices:
        expected = torch.stack(
            [f * (matrix @ row + layer.up.bias) + row for f, row in zip(first, x, strict=True)]
        )
        torch.testing.assert_close(layer(first, x), expected)


def test_columns_with_vectors_of_one_width_share_a_table() -> None:
    counts = (3, 100_000, 5, 90_000, 4)
    features = TableFeatures(
        num_numbers=2, level_counts=counts, number_dim=0, bins=0, one_hot=3, max_dim=16, sparse=True
    )
    assert [len(table.offsets) for table in features.tables] == [2, 2]
    assert features.widths == [1, 1, 3, 16, 16, 8, 8]
    levels = torch.tensor([[2, 99_999, 1, 7, 3]])
    found = features(torch.tensor([[0.5, -1.0]]), levels)[0]
    assert found[:5].tolist() == [0.5, -1.0, 0.0, 0.0, 1.0]
    wide, narrow = (table.table.weight for table in features.tables)
    expected = [wide[99_999], wide[100_000 + 7], narrow[1], narrow[5 + 3]]
    torch.testing.assert_close(found[5:], torch.cat(expected))
    found.sum().backward()
    assert len(sparse_parameters(features)) == 2
    assert wide.grad.is_sparse
    assert wide.grad.coalesce().indices()[0].tolist() == [99_999, 100_007]


def test_a_level_that_training_has_not_seen_says_nothing() -> None:
    table = LevelTable([4, 3], 8)
    assert (table(torch.tensor([[0, 0]])) == 0).all()
    assert (table(torch.tensor([[1, 2]])) != 0).all()
    data = rows(30)
    data.categories = data.categories.clamp_min(1)
    features = TableFeatures(
        num_numbers=3, level_counts=(4, 3), number_dim=0, bins=0, one_hot=9, max_dim=8
    )
    features.fit(data)
    ones = features(torch.zeros(1, 3), torch.tensor([[0, 2]]))[0, 3:]
    assert ones.tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_vectors_are_wider_for_columns_of_more_levels() -> None:
    widths = [level_dim(count, 64) for count in (1, 3, 20, 100, 1000, 100_000)]
    assert widths == [8, 8, 16, 16, 32, 64]


def test_columns_of_an_ft_transformer_have_no_order() -> None:
    data = rows(10, level_counts=(5, 5))
    network = build("ft_transformer", data, (5, 5)).eval()
    exact = network(data.numbers, data.categories.long())
    order = [2, 0, 1]
    with torch.no_grad():
        for key in ("weight", "bias", "bends"):
            parameter = getattr(network.numbers, key)
            parameter.copy_(parameter[order].clone())
        network.numbers.pieces.edges.copy_(network.numbers.pieces.edges[order].clone())
    turned = network(data.numbers[:, order], data.categories.long())
    torch.testing.assert_close(turned, exact)


def test_a_misspelt_variant_is_said() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'mini'"):
        TabM(num_numbers=1, level_counts=(), num_classes=2, variant="mimi")
