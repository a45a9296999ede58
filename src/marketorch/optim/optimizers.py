"""Optimizers and the learning-rate schedule.

A schedule is a function of the step, not an object with state, so a resumed run cannot be off by
one. Each optimizer factory takes a module and returns a list of optimizers. Tables with
``sparse=True`` get an Adam that touches the rows of a batch alone, and no decay, which would touch
them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from marketorch.errors import ConfigError, check_choice
from marketorch.optim.muon import Muon

Named = tuple[str, nn.Parameter]
Group = dict[str, Any]  # parameters, and how they are updated
OptimizerFactory = Callable[[nn.Module], list[Optimizer]]


def adamw(
    module: nn.Module,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.05,
    betas: tuple[float, float] = (0.9, 0.98),
    eps: float = 1e-8,
    lr_scale: Mapping[str, float] | None = None,
    no_decay: Iterable[str] = (),
) -> list[Optimizer]:
    """AdamW (Loshchilov & Hutter 2019) that decays matrices only: no biases, norms or gains.

    Args:
        lr: peak learning rate.
        lr_scale: factors for the parameters whose name contains the key, e.g. ``{"ngram": 10}``.
        no_decay: parts of names that are not decayed either, e.g. ``["embedding"]``.
    """
    named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    if not named:
        return []
    _check_scale(lr_scale or {}, named)
    dense, sparse = _split(module, named)
    groups = _groups(dense, lr, weight_decay, lr_scale or {}, tuple(no_decay))
    tables = _groups(sparse, lr, 0.0, lr_scale or {}, ())
    return _adams(groups, tables, lr=lr, betas=betas, eps=eps)


def muon(
    module: nn.Module,
    *,
    lr: float = 0.02,
    momentum: float = 0.95,
    weight_decay: float = 0.05,
    adamw_lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.98),
    lr_scale: Mapping[str, float] | None = None,
) -> list[Optimizer]:
    """Muon (Jordan et al. 2024) on the hidden matrices, AdamW on everything else.

    Hidden matrices are the weights of linear layers and of convolutions, whose kernels are taken
    as matrices with a row an output, but for those named ``head`` or ``stem``.
    """
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    inner = {f"{name}.weight" for name, m in module.named_modules() if isinstance(m, kinds)}
    named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    hidden = [(n, p) for n, p in named if n in inner and "head" not in n and "stem" not in n]
    _check_scale(lr_scale or {}, named)
    names = {n for n, _ in hidden}
    others = [(n, p) for n, p in named if n not in names]
    optimizers: list[Optimizer] = []
    if hidden:
        groups = _groups(hidden, lr, weight_decay, lr_scale or {}, ())
        optimizers.append(Muon(groups, lr=lr, momentum=momentum))
    dense, sparse = _split(module, others)
    groups = _groups(dense, adamw_lr, weight_decay, lr_scale or {}, ())
    tables = _groups(sparse, adamw_lr, 0.0, lr_scale or {}, ())
    return optimizers + _adams(groups, tables, lr=adamw_lr, betas=betas)


def sparse_parameters(module: nn.Module) -> list[Tensor]:
    """The trainable tables of ``module`` whose gradients are sparse: rows of a batch alone."""
    tables = [m for m in module.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))]
    return [table.weight for table in tables if table.sparse and table.weight.requires_grad]


def _split(module: nn.Module, named: list[Named]) -> tuple[list[Named], list[Named]]:
    """Parameters with dense gradients, and those with sparse ones."""
    tables = set(map(id, sparse_parameters(module)))
    dense = [(n, p) for n, p in named if id(p) not in tables]
    return dense, [(n, p) for n, p in named if id(p) in tables]


def _adams(
    groups: list[Group],
    tables: list[Group],
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float = 1e-8,
) -> list[Optimizer]:
    """AdamW for ``groups`` and SparseAdam for ``tables``, each only where there are any."""
    first, second = betas
    optimizers: list[Optimizer] = []
    if groups:
        parameters = [p for group in groups for p in group["params"]]
        fused = all(p.device.type == "cuda" or p.dtype == torch.float32 for p in parameters)
        adam = torch.optim.AdamW(groups, lr=lr, betas=(first, second), eps=eps, fused=fused)
        optimizers.append(adam)
    if tables:
        optimizers.append(torch.optim.SparseAdam(tables, lr=lr, betas=(first, second), eps=eps))
    return optimizers


def _check_scale(lr_scale: Mapping[str, float], named: list[Named]) -> None:
    unused = [key for key in lr_scale if not any(key in name for name, _ in named)]
    if unused and named:
        raise ConfigError(
            f"optim.lr_scale names {unused}, but no trainable parameter's name contains it."
        )


def _groups(
    named: list[Named],
    lr: float,
    weight_decay: float,
    lr_scale: Mapping[str, float],
    no_decay: tuple[str, ...],
) -> list[Group]:
    """Parameter groups by (learning rate, decay), so that a group is one fused update."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        scale = math.prod(factor for key, factor in lr_scale.items() if key in name)
        exempt = parameter.ndim < 2 or any(part in name for part in no_decay)
        groups.setdefault((lr * scale, 0.0 if exempt else weight_decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay, "peak_lr": rate}
        for (rate, decay), parameters in groups.items()
    ]


def schedule(
    kind: str, *, warmup: float, total_steps: int, final: float = 0.0
) -> Callable[[int], float]:
    """Returns the factor on the peak learning rate as a function of the step (0-based).

    Args:
        kind: ``cosine``, ``linear`` or ``constant`` after the warm-up.
        warmup: share of the steps if below 1, else a number of steps.
        final: factor at the last step; ``constant`` has none.

    Raises:
        ConfigError: ``kind`` is none of the three.
    """
    check_choice("trainer.schedule", kind, ("cosine", "linear", "constant"), ConfigError)
    warm = int(warmup * total_steps) if warmup < 1 else int(warmup)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        progress = min(1.0, (step - warm) / max(1, total_steps - warm))
        if kind == "constant":
            return 1.0
        shape = 0.5 * (1 + math.cos(math.pi * progress)) if kind == "cosine" else 1 - progress
        return final + (1 - final) * shape

    return factor


def set_lr(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Sets every group's learning rate to ``factor`` times its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
