"""One update: gradients of sums become exact means, are clipped, applied and averaged over time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from marketorch import distributed
from marketorch.errors import ConfigError
from marketorch.optim import optimizers as optim


class Update:
    """The optimizers of a run and, if asked for, the moving average of its weights (EMA).

    With the weights, the running statistics of batch norms are averaged.

    Args:
        task: whose trainable parameters are updated; already on its device.
        factory: makes the optimizers.
        clip_norm: largest gradient norm, or None.
        ema_decay: decay of the averaged weights; 0: there are none.
    """

    def __init__(
        self,
        task: nn.Module,
        factory: optim.OptimizerFactory,
        *,
        clip_norm: float | None = None,
        ema_decay: float = 0.0,
    ) -> None:
        if tables := optim.sparse_parameters(task):
            check_sparse(tables[0].device, ema_decay)
        named = {n: p for n, p in task.named_parameters() if p.requires_grad}
        self.parameters = list(named.values())
        self.optimizers = factory(task) if named else []
        # What a batch norm has measured of its inputs belongs to the weights it was measured with.
        self.statistics = running_statistics(task)
        self.ema: dict[str, Tensor] | None = None
        if ema_decay:
            averaged = named | self.statistics
            self.ema = {name: value.detach().clone() for name, value in averaged.items()}
        self.clip_norm, self.ema_decay = clip_norm, ema_decay
        self.weights: list[Tensor] = []

    def add(self, weight: Tensor) -> None:
        """Notes the weight of a batch whose gradients have been added."""
        self.weights.append(weight.to(torch.float32))

    def apply(self, lr_factor: float, step: int) -> Tensor:
        """Steps every optimizer without a sync; ``step`` updates were done before this one.

        Sparse gradients are the exception on a GPU: how many rows they have is waited for.

        Returns:
            The gradient norm times this rank's summed weight, before clipping.
        """
        own = torch.stack(self.weights).sum()
        self.weights.clear()
        scale = distributed.world_size() / distributed.reduce_sum(own.clone()).clamp_min(1e-12)
        gradients = [values(p) for p in self.parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients) * scale
        if self.clip_norm is not None:
            scale = scale * (self.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_(gradients, scale)
        optim.set_lr(self.optimizers, lr_factor)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            decay = min(self.ema_decay, (2 + step) / (11 + step))  # short at first
            with torch.no_grad():
                current = [*self.parameters, *self._measured()]
                torch._foreach_lerp_(list(self.ema.values()), current, 1 - decay)
        return norm * own

    def evaluated(self) -> dict[str, Tensor] | None:
        """What is evaluated and kept instead of the task's own values: the moving average, if any.

        Without it, each rank's batch norms have measured other inputs, and their mean is taken.
        """
        if self.ema is not None or distributed.world_size() == 1:
            return self.ema
        return dict(zip(self.statistics, self._measured(), strict=True))

    def _measured(self) -> list[Tensor]:
        """The running statistics of batch norms, their mean over ranks."""
        own = list(self.statistics.values())
        if not own or distributed.world_size() == 1:
            return own
        flat = distributed.reduce_sum(torch.cat(own)) / distributed.world_size()
        return list(flat.split([len(values) for values in own]))

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {"optimizers": [o.state_dict() for o in self.optimizers], "ema": self.ema}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `state` returned.

        Raises:
            ConfigError: the recipe is another one.
            ValueError: what an optimizer keeps of a parameter has another shape.
        """
        same_ema = (self.ema is None) == (state["ema"] is None)
        if not same_ema or len(self.optimizers) != len(state["optimizers"]):
            raise ConfigError(
                "resume: this run was trained with another kind of optimizer or ema_decay; "
                "continue it with its own, or start anew from its weights with init_from."
            )
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
            check_shapes(optimizer)
        if self.ema is not None:
            for name, value in state["ema"].items():
                self.ema[name].copy_(value)


def check_shapes(optimizer: torch.optim.Optimizer) -> None:
    """Raises ValueError for averages of another shape than their parameter; torch takes any."""
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(
                    f"an optimizer's {name} has the shape {tuple(value.shape)}, "
                    f"its parameter {tuple(parameter.shape)}"
                )


def running_statistics(module: nn.Module) -> dict[str, Tensor]:
    """The running means and variances of all batch norms, by name."""
    norms = [(n, m) for n, m in module.named_modules() if isinstance(m, _BatchNorm)]
    return {
        f"{name}.{kind}": getattr(norm, kind)
        for name, norm in norms
        if norm.track_running_stats
        for kind in ("running_mean", "running_var")
    }


def values(parameter: nn.Parameter) -> Tensor:
    """The gradient itself; of a sparse one its rows, each once, which may be changed in place."""
    gradient = parameter.grad
    assert gradient is not None
    if not gradient.is_sparse:
        return gradient
    gradient = parameter.grad = gradient.coalesce()  # a row that came twice has one norm
    rows: Tensor = gradient.values()
    return rows


def check_sparse(device: torch.device, ema_decay: float) -> None:
    """ConfigError for what tables with sparse gradients cannot do."""
    if ema_decay:
        raise ConfigError(
            f"trainer.ema_decay={ema_decay:g} would average every row of the tables at each step, "
            "which sparse gradients (model.sparse=true) are there to avoid. Set "
            "trainer.ema_decay=0 or model.sparse=false."
        )
    if device.type == "cuda" and distributed.world_size() > 1:
        raise ConfigError(
            "Several GPUs (NCCL) cannot exchange sparse gradients. Set model.sparse=false, or "
            "train on one GPU, or on CPUs with trainer.device=cpu."
        )
