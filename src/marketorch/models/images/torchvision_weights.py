"""Names of torchvision's models and weights, checked, and weights from a file, fitted."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import get_model_weights, list_models

from marketorch.errors import ConfigError, closest

SUFFIXES = (".pt", ".pth", ".safetensors")


def check_name(name: str, module: ModuleType) -> None:
    """Raises ConfigError if ``module`` of torchvision has no model of this name."""
    known = list_models(module=module)
    if name not in known:
        raise ConfigError(f"model.name is '{name}'; torchvision has none.{closest(name, known)}")


def is_file(weights: str | None) -> bool:
    """Whether ``weights`` is a file, not a name."""
    return weights is not None and Path(weights).suffix in SUFFIXES


def named(name: str, weights: str | None) -> str | None:
    """Checks the name of pretrained weights. ConfigError names those there are."""
    if weights is None:
        return None
    known = [*get_model_weights(name).__members__, "DEFAULT"]
    if weights not in known:
        raise ConfigError(
            f"model.weights is '{weights}'; {name} has {', '.join(known)}, or give a .pt, .pth or "
            f".safetensors file.{closest(weights, known)}"
        )
    return weights


def read(path: str) -> dict[str, Tensor]:
    """The tensors in a file; nothing in it is executed.

    Raises:
        ConfigError: there is no such file, it is damaged or holds something else.
    """
    if not Path(path).exists():
        raise ConfigError(f"model.weights: {path} does not exist.")
    try:
        if path.endswith(".safetensors"):
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds here, depending on the damage
        raise ConfigError(
            f"model.weights: {path} is damaged, or no file of weights: {type(error).__name__}."
        ) from error
    if isinstance(state, dict):
        state = state.get("state_dict", state.get("model", state))
    if not isinstance(state, dict) or not all(isinstance(own, Tensor) for own in state.values()):
        raise ConfigError(f"model.weights: {path} holds a {type(state).__name__}, not tensors.")
    return state


def fit(network: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Loads tensors but for those of another shape (a head of other classes).

    Raises:
        ConfigError: less than half of them fit.
    """
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    if len(fitting) < len(own) / 2:
        raise ConfigError(
            f"model.weights: {source} fits {len(fitting)} of {len(own)} tensors only."
        )
    network.load_state_dict(fitting, strict=False)
