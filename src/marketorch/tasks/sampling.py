"""Random numbers for answers that are sampled: a function of the example, not of its batch."""

from __future__ import annotations

import torch
from torch import Tensor

from marketorch.engine.loading import derive_seed


def uniform(positions: Tensor, number: int, *, seed: int = 0) -> Tensor:
    """Random numbers ``(B, number)`` in [0, 1) that depend on seed and position alone.

    For answers that are sampled: those of an example are the same in any batch, on any rank and
    device. They are rounds of SplitMix64 (Steele, Lea & Flood 2014) on a counter.

    Args:
        positions: of the examples ``(B,)`` int64, ``batch["index"]``.
    """
    base = derive_seed(seed)
    steps = torch.arange(1, number + 1, device=positions.device)
    state = (positions[:, None] * number + steps) * _signed(0x9E3779B97F4A7C15) + base
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ _shifted(state, shift)) * _signed(factor)
    state = state ^ _shifted(state, 31)
    numbers: Tensor = _shifted(state, 40).double() / 2**24
    return numbers


def _signed(value: int) -> int:
    """64 bits as a signed number, which wraps as an unsigned one does."""
    return value - 2**64 if value >= 2**63 else value


def _shifted(state: Tensor, bits: int) -> Tensor:
    """A logical shift to the right."""
    shifted: Tensor = (state >> bits) & (2 ** (64 - bits) - 1)
    return shifted
