"""Changes of a whole batch of photos with boxes at once, on the device that trains.

One affine map a photo zooms in (a crop), out (smaller things on grey), turns, stretches and shifts;
of a mosaic (Bochkovskiy et al. 2020) four photos make one. Boxes go through the same map, are cut
at the edge, and are dropped where little of them is left. Marks are never mirrored unless asked
for: a mirrored logo is another one.

Shapes: B photos ``(B, 3, S, S)`` between 0 and 1, boxes ``(B, G, 4)`` in pixels, labels ``(B, G)``
with -1 for padding.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.data.images.augmentation import lit

GREY = 114 / 255  # what the letterbox is filled with
SMALLEST = 4.0  # pixels; what is left of a box below this is nothing to learn from


class BoxAugmentation:
    """What is varied while training. Everything off: photos pass as they are.

    Args:
        flip: chance to mirror.
        zoom: smallest and largest factor on the size of things; drawn log-uniformly.
        stretch: largest relative change of width against height.
        rotate: largest turn in degrees. Boxes stay upright and grow, so keep it small.
        mosaic: share of the photos that are made of four.
        mosaic_zoom: as ``zoom``, of these; at 0.5 four whole photos are seen.
        brightness, contrast, colour: see `marketorch.data.images.augmentation.lit`.
        visible: share of a box that must be left in the picture; below, it is dropped.
    """

    def __init__(
        self,
        *,
        flip: float = 0.0,
        zoom: tuple[float, float] = (1.0, 1.0),
        stretch: float = 0.0,
        rotate: float = 0.0,
        mosaic: float = 0.0,
        mosaic_zoom: tuple[float, float] = (0.4, 1.0),
        brightness: float = 0.0,
        contrast: float = 0.0,
        colour: float = 0.0,
        visible: float = 0.4,
    ) -> None:
        self.flip, self.zoom, self.stretch, self.rotate = flip, tuple(zoom), stretch, rotate
        self.mosaic, self.mosaic_zoom = mosaic, tuple(mosaic_zoom)
        self.brightness, self.contrast, self.colour = brightness, contrast, colour
        self.visible = visible

    def __call__(
        self, images: Tensor, boxes: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Varied photos with their boxes and labels; G may grow."""
        number = round(self.mosaic * len(images))
        parts = []
        if number:
            four = mosaic(images, boxes, labels, number)
            parts.append(self._moved(*four, images.shape[-1], self.mosaic_zoom))
        if number < len(images):
            rest = images[number:], boxes[number:], labels[number:]
            parts.append(self._moved(*rest, images.shape[-1], self.zoom))
        most = max(part[2].shape[1] for part in parts)
        boxes = torch.cat([F.pad(b, (0, 0, 0, most - b.shape[1])) for _, b, _ in parts])
        labels = torch.cat([F.pad(n, (0, most - n.shape[1]), value=-1) for *_, n in parts])
        images = torch.cat([part[0] for part in parts])
        return lit(images, self.brightness, self.contrast, self.colour), boxes, labels

    def _moved(
        self,
        images: Tensor,
        boxes: Tensor,
        labels: Tensor,
        size: int,
        zoom: tuple[float, ...],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A window of each image ``(N, 3, H, H)``, resampled to ``size``."""
        side = images.shape[-1]
        still = (self.flip, self.stretch, self.rotate, math.log(zoom[0]), math.log(zoom[1]))
        if side == size and not any(still):
            return images, boxes, labels
        matrix, centre = self._windows(len(images), side, size, zoom, images.device)
        theta = torch.cat([matrix * size / side, (2 * centre / side - 1)[:, :, None]], 2)
        grid = F.affine_grid(theta, [len(images), 1, size, size], align_corners=False)
        seen = F.grid_sample(images - GREY, grid, align_corners=False).add_(GREY)
        moved = self._mapped(boxes, matrix, centre, size)
        return seen, *visible(moved, labels, size, self.visible)

    def _windows(
        self, number: int, side: int, size: int, zoom: tuple[float, ...], device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """From places in the picture to places in the source: matrices and the window's centre.

        The window lies within the source where it is smaller, and around it where it is larger.
        """

        def between(limit: float) -> Tensor:
            return limit * (2 * torch.rand(number, device=device) - 1)

        low, high = (math.log(factor) for factor in zoom)
        size_of_things = torch.exp((low + high) / 2 + between((high - low) / 2))
        aspect = torch.exp(between(math.log1p(self.stretch)) / 2)
        angle = between(math.radians(self.rotate))
        mirror = 1 - 2 * (torch.rand(number, device=device) < self.flip).float()
        across, down = mirror / (size_of_things * aspect), aspect / size_of_things
        rows = [
            torch.stack([angle.cos() * across, -angle.sin() * down], 1),
            torch.stack([angle.sin() * across, angle.cos() * down], 1),
        ]
        windows = torch.stack([across.abs(), down], 1) * size
        free = (side - windows).abs() / 2
        centre = side / 2 + free * (2 * torch.rand(number, 2, device=device) - 1)
        return torch.stack(rows, 1), centre

    def _mapped(self, boxes: Tensor, matrix: Tensor, centre: Tensor, size: int) -> Tensor:
        """Boxes of the source as upright boxes of the picture, before they are cut."""
        x1, y1, x2, y2 = boxes.unbind(2)
        corners = torch.stack([x1, y1, x2, y1, x2, y2, x1, y2], 2).unflatten(2, (4, 2))
        inverse = torch.linalg.inv(matrix)
        places = (corners - centre[:, None, None]) @ inverse.transpose(1, 2)[:, None] + size / 2
        return torch.cat([places.amin(2), places.amax(2)], 2)


def mosaic(
    images: Tensor, boxes: Tensor, labels: Tensor, number: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The first ``number`` images each with the next three in a square of side 2 S.

    Args:
        images: ``(B, 3, S, S)``.
        boxes, labels: ``(B, G, 4)`` in pixels and ``(B, G)``.

    Returns:
        ``(number, 3, 2 S, 2 S)``, ``(number, 4 G, 4)`` and ``(number, 4 G)``.
    """
    side = images.shape[-1]

    def neighbours(values: Tensor) -> list[Tensor]:
        return [values.roll(-k, 0)[:number] for k in range(4)]

    four = neighbours(images)
    rows = [torch.cat(four[:2], 3), torch.cat(four[2:], 3)]
    shifts = boxes.new_tensor([[0, 0], [side, 0], [0, side], [side, side]]).repeat(1, 2)
    placed = [part + shift for part, shift in zip(neighbours(boxes), shifts, strict=True)]
    return torch.cat(rows, 2), torch.cat(placed, 1), torch.cat(neighbours(labels), 1)


def visible(moved: Tensor, labels: Tensor, size: int, least: float) -> tuple[Tensor, Tensor]:
    """Boxes cut at the picture's edge; one of which less than ``least`` is left becomes padding.

    Args:
        moved, labels: ``(B, G, 4)`` in pixels and ``(B, G)``.
        size: side of the picture in pixels.
        least: share of a box's area.
    """
    cut = moved.clamp(0, size)
    sides, whole = cut[..., 2:] - cut[..., :2], moved[..., 2:] - moved[..., :2]
    left = sides.prod(-1) / whole.prod(-1).clamp_min(1e-6)
    kept = (labels >= 0) & (left >= least) & (sides.amin(-1) >= SMALLEST)
    return cut * kept[..., None], labels.masked_fill(~kept, -1)
