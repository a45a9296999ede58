"""Any classifier of torchvision by its name, from random or pretrained weights.

``weights`` is a name of torchvision's (``DEFAULT``, ``IMAGENET1K_V2``: downloaded once) or a file
on disk. The first convolution is fitted to grey images by adding up its colours, and the last
linear layer is replaced by one for the classes at hand.
"""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import get_model

from marketorch.models.images.torchvision_weights import check_name, fit, is_file, named, read


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

    starts_from = "weights"

    def __init__(
        self,
        *,
        num_classes: int,
        num_channels: int = 3,
        name: str = "resnet18",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        check_name(name, torchvision.models)
        file = is_file(weights)
        self.network = get_model(name, weights=None if file else named(name, weights))
        if file:
            fit(self.network, read(str(weights)), str(weights))
        replace_head(self.network, num_classes)
        if num_channels != 3:
            fit_stem(self.network, num_channels)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, K)``; of two outputs, as Inception and GoogLeNet have, the main one."""
        output = self.network(images)
        logits: Tensor = output if isinstance(output, Tensor) else output[0]
        return logits


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
