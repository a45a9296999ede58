"""Any classifier of torchvision by its name, from random or pretrained weights.

``weights`` is a name of torchvision's (``DEFAULT``, ``IMAGENET1K_V2``: downloaded once) or a file
on disk. The first convolution is fitted to grey images by adding up its colours, and the last
linear layer is replaced by one for the classes at hand.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights, list_models

from marketorch.errors import ConfigError, closest


class TorchvisionClassifier(nn.Module):
    """Logits ``(B, K)`` of images ``(B, C, S, S)``.

    Args:
        num_classes: K.
        num_channels: C, 1 or 3.
        name: of a classifier, see ``torchvision.models.list_models()``.
        weights: name of pretrained weights, or a .pt, .pth or .safetensors file; None: random.

    Raises:
        ConfigError: there is no such model or weights, or the file does not fit.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_channels: int = 3,
        name: str = "resnet18",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        known = list_models(module=torch_models())
        if name not in known:
            raise ConfigError(
                f"model.name is '{name}'; torchvision has none.{closest(name, known)}"
            )
        file = (
            weights if weights and Path(weights).suffix in (".pt", ".pth", ".safetensors") else None
        )
        self.network = get_model(name, weights=None if file else named(name, weights))
        if file:
            load(self.network, file)
        replace_head(self.network, num_classes)
        if num_channels != 3:
            fit_stem(self.network, num_channels)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, K)``; of two outputs, as Inception and GoogLeNet have, the main one."""
        output = self.network(images)
        logits: Tensor = output if isinstance(output, Tensor) else output[0]
        return logits


def torch_models() -> object:
    """The module whose models classify whole images, and nothing else."""
    import torchvision.models

    return torchvision.models


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


def load(network: nn.Module, path: str) -> None:
    """Loads weights from a file, but for tensors of another shape (a head of other classes)."""
    if not Path(path).exists():
        raise ConfigError(f"model.weights: {path} does not exist.")
    if path.endswith(".safetensors"):
        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state.get("model", state))
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    if len(fitting) < len(own) / 2:
        raise ConfigError(f"model.weights: {path} fits {len(fitting)} of {len(own)} tensors only.")
    network.load_state_dict(fitting, strict=False)


def replace_head(network: nn.Module, num_classes: int) -> None:
    """Puts a fresh last linear layer (or 1 × 1 convolution, as SqueezeNet has) in its place."""
    last = [n for n, m in network.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1]
    old = network.get_submodule(last)
    fresh: nn.Module
    if isinstance(old, nn.Linear):
        fresh = nn.Linear(old.in_features, num_classes, old.bias is not None)
    else:
        assert isinstance(old, nn.Conv2d)
        fresh = nn.Conv2d(old.in_channels, num_classes, old.kernel_size)  # type: ignore[arg-type]
    network.set_submodule(last, fresh)


def fit_stem(network: nn.Module, num_channels: int) -> None:
    """Makes the first convolution read ``num_channels`` instead of three colours."""
    first = next(n for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    old = network.get_submodule(first)
    assert isinstance(old, nn.Conv2d)
    fresh = nn.Conv2d(
        num_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    with torch.no_grad():
        fresh.weight.copy_(old.weight.sum(1, keepdim=True).expand_as(fresh.weight) / num_channels)
        if old.bias is not None and fresh.bias is not None:
            fresh.bias.copy_(old.bias)
    network.set_submodule(first, fresh)
