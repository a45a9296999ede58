"""Any detector of torchvision by its name, from random or pretrained weights.

``ssdlite320_mobilenet_v3_large``, ``retinanet_resnet50_fpn_v2``, ``fcos_resnet50_fpn``,
``fasterrcnn_mobilenet_v3_large_320_fpn`` and the others, with their own losses and decoding.
``weights`` is a name of torchvision's (``DEFAULT``, ``COCO_V1``: downloaded once) or a file; the
tensors of its head, which are for other classes, are left out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from marketorch.models.boxes.compact_detector import Detections
from marketorch.models.images.torchvision_weights import check_name, fit, is_file, named, read


class TorchvisionDetector(nn.Module):
    """Detects K classes in images ``(B, 3, S, S)`` between 0 and 1.

    Args:
        num_classes: K; torchvision adds one for the background.
        name: of a detector, ``list_models(module=torchvision.models.detection)`` lists them.
        weights: name of pretrained weights, or a .pt, .pth or .safetensors file; None: random.
        size: S; torchvision's own resizing is set to it.
        num_detections: D, at most so many an image.

    Raises:
        ConfigError: there is no such model or weights, or the file does not fit.
    """

    starts_from = "weights"

    def __init__(
        self,
        *,
        num_classes: int,
        name: str = "ssdlite320_mobilenet_v3_large",
        weights: str | None = None,
        size: int = 320,
        num_detections: int = 100,
    ) -> None:
        super().__init__()
        check_name(name, torchvision.models.detection)
        self.num_detections = num_detections
        options = {"weights": None, "weights_backbone": None, "num_classes": num_classes + 1}
        sides = {} if name.startswith("ssd") else {"min_size": size, "max_size": size}
        self.network = get_model(name, **options, **sides)
        if is_file(weights):
            fit(self.network, read(str(weights)), str(weights))
        elif named(name, weights):
            known = get_model_weights(name)
            state = known[str(weights)].get_state_dict(progress=True, check_hash=True)
            fit(self.network, state, str(weights))

    def losses(self, images: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The network's own losses, summed over the batch, and the number of images."""
        real = labels >= 0
        targets = [
            {"boxes": b[kept], "labels": n[kept] + 1}
            for b, n, kept in zip(boxes, labels, real, strict=True)
        ]
        parts: dict[str, Tensor] = self.network(list(images), targets)
        number = torch.tensor(float(len(images)), device=images.device)
        return torch.stack(list(parts.values())).sum() * number, number

    def detections(self, images: Tensor) -> Detections:
        """What is found in images ``(B, 3, S, S)``, padded to the most of any image."""
        found = self.network(list(images))
        most = self.num_detections

        def padded(name: str, value: float) -> Tensor:
            rows = [part[name][:most] for part in found]
            missing = [(0, 0) * (rows[0].ndim - 1) + (0, most - len(row)) for row in rows]
            return torch.stack(
                [F.pad(row, m, value=value) for row, m in zip(rows, missing, strict=True)]
            )

        return Detections(padded("boxes", 0), padded("scores", 0), padded("labels", 0) - 1)
