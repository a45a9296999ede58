"""Muon (Jordan et al. 2024): momentum whose update of a matrix is made nearly orthogonal.

torch.optim.Muon works in bf16, which a processor without bf16 units emulates: an update of two
blocks of width 128 took half as long as their forward and backward pass. This one takes the
matrices' own precision on a CPU, and all matrices of a shape in one product.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration in the paper
STEPS = 5


class Muon(Optimizer):
    """Nesterov momentum, orthogonalised, and decoupled weight decay.

    Args:
        params: matrices, or groups of them; a kernel ``(m, n, k, k)`` is a matrix ``(m, n k k)``.
        lr: learning rate; the singular values of an ``(m, n)`` matrix's update are about
            ``lr √max(1, m/n)``.
        momentum: of the gradients' average.
        weight_decay: times ``lr``, taken off the weights at each step.
    """

    def __init__(
        self, params: Any, *, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Updates every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes[matrix.shape].append(matrix)
            for shape, matrices in shapes.items():
                updates = orthogonal(self._directions(matrices, group["momentum"]))
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                scale = -group["lr"] * math.sqrt(max(1.0, shape[0] / shape[1:].numel()))
                whole = [update.view(shape) for update in updates.to(matrices[0].dtype)]
                torch._foreach_add_(matrices, whole, alpha=scale)

    def _directions(self, matrices: list[Tensor], momentum: float) -> Tensor:
        """Nesterov's directions ``(n, rows, columns)``."""
        gradients: list[Any] = [matrix.grad for matrix in matrices]
        for matrix in matrices:
            if not self.state[matrix]:
                self.state[matrix]["momentum"] = torch.zeros_like(matrix)
        averages = [self.state[matrix]["momentum"] for matrix in matrices]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        directions = torch._foreach_lerp(gradients, averages, momentum)
        return torch.stack([direction.flatten(1) for direction in directions])


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly the nearest orthogonal matrices to ``(n, rows, columns)``, by Newton–Schulz steps."""
    first, second, third = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    if x.device.type != "cpu":
        x = x.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(
            x, torch.baddbmm(gram, gram, gram, beta=second, alpha=third), x, beta=first
        )
    return x.mT if tall else x
