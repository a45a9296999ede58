"""Sampled answers repeat."""

from __future__ import annotations

import torch

from marketorch.tasks.sampling import uniform


def test_random_numbers_of_an_example_depend_on_its_position_alone() -> None:
    whole = uniform(torch.arange(10_000), 3)
    parts = [uniform(torch.arange(10_000)[i::7], 3) for i in range(7)]
    assert all(torch.equal(whole[i::7], part) for i, part in enumerate(parts))
    assert not torch.equal(uniform(torch.arange(10_000), 3, seed=1), whole)
    assert 0 <= whole.min() < 0.001 < 0.999 < whole.max() < 1
    assert (whole.mean(0) - 0.5).abs().max() < 0.01
    assert whole.T.corrcoef().fill_diagonal_(0).abs().max() < 0.04
    assert torch.stack([whole[:-1, 0], whole[1:, 0]]).corrcoef()[0, 1].abs() < 0.04
    counts = (whole.flatten() * 10).long().bincount()
    assert ((counts - 3000).abs() < 250).all()
