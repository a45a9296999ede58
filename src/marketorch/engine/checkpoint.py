"""Saving without fear: written beside, flushed, renamed (`files`); the one before is kept.

``last.pt`` continues a run, ``previous.pt`` is its predecessor, ``best.safetensors`` is what
evaluation and prediction load: weights, vocabulary and, in its metadata, the schema. Nothing
here can execute code from a file: ``torch.load`` runs with ``weights_only=True``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from marketorch.engine.files import write_atomically
from marketorch.errors import CheckpointError, UserError

LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.safetensors"


def save_last(folder: Path, state: dict[str, Any]) -> None:
    """Writes ``last.pt`` and keeps the former one as ``previous.pt``."""
    write_atomically(folder / LAST, lambda file: torch.save(state, file), keep=folder / PREVIOUS)


def is_in(folder: Path) -> bool:
    """Whether there is a checkpoint to continue from."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def load_last(folder: Path, warn: Callable[[str], None] = print) -> dict[str, Any]:
    """Loads ``last.pt`` or, where that one is damaged, ``previous.pt``.

    Raises:
        CheckpointError: neither can be read.
    """
    problems = []
    for name in (LAST, PREVIOUS):
        if not (folder / name).exists():
            continue
        try:
            state = load_state(folder / name)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            warn(f"{problem} Falling back to {folder / name}.")
        return state
    raise CheckpointError(" ".join(problems) or f"There is no checkpoint in {folder}.")


def load_state(path: Path) -> dict[str, Any]:
    """Reads one resume checkpoint. Raises CheckpointError, with its name, if it is damaged."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds here, depending on the cut
        raise CheckpointError(
            f"{path} is damaged or incomplete ({path.stat().st_size:,} bytes): "
            f"{type(error).__name__}."
        ) from error
    if not isinstance(state, dict) or "position" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of a marketorch run.")
    return state


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Says that a checkpoint does not fit, where torch would say what it stumbled over.

    Raises:
        CheckpointError: names, shapes or kinds in ``path`` are not those of the run.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a tokenizer raises this very class
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path} does not fit the run's config: {type(error).__name__}: {reason}. Was it "
            "written by another version, or changed?"
        ) from error


def save_best(folder: Path, task: nn.Module, metadata: dict[str, Any]) -> None:
    """Writes ``best.safetensors``: the task's state, with ``metadata`` as JSON beside it."""
    # A plain copy each: safetensors refuses tensors that share memory (tied weights) and tensors
    # in another order than the plain one (convolutions in channels_last).
    plain = {"memory_format": torch.contiguous_format}
    tensors = {name: v.detach().cpu().clone(**plain) for name, v in task.state_dict().items()}
    header = {name: json.dumps(value) for name, value in metadata.items()}
    data = to_safetensors(tensors, header)
    write_atomically(folder / BEST, lambda file: file.write(data))


def load_best(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns (state dict, metadata) of a ``best.safetensors``.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist: has this run saved anything yet?")
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = file.metadata() or {}
        return state, {name: json.loads(value) for name, value in header.items()}
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged or incomplete: {error}") from error


def load_matching(task: nn.Module, state: dict[str, Tensor]) -> tuple[list[str], list[str]]:
    """Starts ``task`` from another run: copies what agrees in name and shape.

    Returns:
        The names that were copied and those of ``task`` that were not.

    Raises:
        CheckpointError: nothing agrees.
    """
    own = task.state_dict()
    taken = {
        name: value
        for name, value in state.items()
        if name in own and (name.endswith("_extra_state") or value.shape == own[name].shape)
    }
    if not any(name in dict(task.named_parameters()) for name in taken):
        raise CheckpointError(
            "init_from: no weight of that run has the name and shape of one here. "
            f"There: {_some(state)}. Here: {_some(own)}."
        )
    task.load_state_dict(taken, strict=False)
    return sorted(taken), sorted(set(own) - set(taken))


def _some(state: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {tuple(getattr(v, 'shape', ()))}" for name, v in list(state.items())[:3]
    )


@contextmanager
def swapped(task: nn.Module, weights: dict[str, Tensor] | None) -> Iterator[None]:
    """Lends ``weights`` (the EMA) to the task for the duration; ``None`` changes nothing."""
    if weights is None:
        yield
        return
    own = {**dict(task.named_parameters()), **dict(task.named_buffers())}
    kept = {name: own[name].detach().clone() for name in weights}
    _copy(own, weights)
    try:
        yield
    finally:
        _copy(own, kept)


@torch.no_grad()
def _copy(targets: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    for name, value in values.items():
        targets[name].copy_(value)
