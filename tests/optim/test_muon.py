"""Muon against torch's, and that its updates are nearly orthogonal."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from marketorch.optim.muon import Muon, orthogonal
from marketorch.optim.optimizers import muon


@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (16, 16)])
def test_updates_are_nearly_orthogonal(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    updates = orthogonal(torch.randn(3, *shape))
    assert updates.shape == (3, *shape)
    values = torch.linalg.svdvals(updates)
    assert values.min() > 0.4  # the iteration stops near one, on purpose
    assert values.max() < 1.3


def test_steps_are_those_of_torch_but_for_its_rounding() -> None:
    torch.manual_seed(0)
    own = [nn.Parameter(torch.randn(shape)) for shape in ((24, 8), (8, 8), (24, 8))]
    other = [nn.Parameter(p.detach().clone()) for p in own]
    options = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    optimizers = Muon(own, **options), torch.optim.Muon(other, **options)
    for _ in range(4):
        for p, q in zip(own, other, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(own, other, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=5e-3)  # theirs is bf16


def test_what_has_no_gradient_stays() -> None:
    matrix, other = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))
    matrix.grad = torch.eye(4)
    Muon([matrix, other], weight_decay=0.5).step()
    assert torch.equal(other, torch.ones(4, 4))
    assert not torch.equal(matrix, torch.ones(4, 4))


def test_a_kernel_is_the_matrix_of_its_outputs() -> None:
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last))
    matrix = nn.Parameter(kernel.detach().flatten(1).clone())
    kernel.grad = torch.randn(8, 4, 3, 3)
    matrix.grad = kernel.grad.flatten(1).clone()
    for parameter in (kernel, matrix):
        Muon([parameter], lr=0.1).step()
    torch.testing.assert_close(kernel.flatten(1), matrix)


def test_kernels_are_orthogonalised_but_for_the_stem() -> None:
    network = nn.Sequential()
    network.stem = nn.Conv2d(1, 4, 3)
    network.conv = nn.Conv2d(4, 4, 3)
    network.head = nn.Linear(4, 2)
    first, second = muon(network)
    assert [p.shape for g in first.param_groups for p in g["params"]] == [(4, 4, 3, 3)]
    assert sum(len(g["params"]) for g in second.param_groups) == 5
