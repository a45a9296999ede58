"""Changes of a whole batch of images at once, on the device that trains.

One affine map an image (flip, turn, zoom, shift) is one resampling of the batch; light and erased
patches are one product each. Per-image pipelines that do the same in worker processes are slower
by far, and here the random numbers are a function of the batch's place in the run.

Images are ``(B, C, S, S)`` floats between 0 and 1; targets are class shares ``(B, K)``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Beta


class Augmentation:
    """What is varied while training. Everything off: images pass as they are.

    Args:
        flip: chance to mirror.
        rotate: largest turn in degrees, either way.
        zoom: largest relative change of size, either way.
        stretch: largest relative change of width against height.
        shift: largest shift as a share of the side.
        crop: side in pixels of the part that is kept, around the shifted centre; None: all.
        brightness, contrast: largest change, of the mean and of the spread around it.
        erase: chance to fill a patch with noise (random erasing, Zhong et al. 2020).
        erase_area: smallest and largest share of the picture such a patch covers.
        mixup: Beta parameter of mixing pairs (Zhang et al. 2018); 0: off.
        cutmix: Beta parameter of pasting patches between pairs (Yun et al. 2019); 0: off. With
            both, each batch takes one of the two.
        mix: chance that a batch is mixed at all.
    """

    def __init__(
        self,
        *,
        flip: float = 0.0,
        rotate: float = 0.0,
        zoom: float = 0.0,
        stretch: float = 0.0,
        shift: float = 0.0,
        crop: int | None = None,
        brightness: float = 0.0,
        contrast: float = 0.0,
        erase: float = 0.0,
        erase_area: tuple[float, float] = (0.02, 0.25),
        mixup: float = 0.0,
        cutmix: float = 0.0,
        mix: float = 1.0,
    ) -> None:
        self.flip, self.rotate, self.zoom, self.stretch = flip, rotate, zoom, stretch
        self.shift, self.crop = shift, crop
        self.brightness, self.contrast = brightness, contrast
        self.erase, self.erase_area = erase, erase_area
        self.mixup, self.cutmix, self.mix = mixup, cutmix, mix

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Varied images and the shares of the classes in them."""
        images = self._moved(images)
        images = lit(images, self.brightness, self.contrast)
        images = self._erased(images)
        return self._mixed(images, targets)

    def _moved(self, images: Tensor) -> Tensor:
        """One affine map an image, resampled bilinearly; the border is continued."""
        side = images.shape[-1]
        crop = min(self.crop or side, side)
        if crop == side and not (
            self.flip or self.rotate or self.zoom or self.stretch or self.shift
        ):
            return images
        number, device = len(images), images.device

        def between(limit: float) -> Tensor:
            return limit * (2 * torch.rand(number, device=device) - 1)

        mirror = 1 - 2 * (torch.rand(number, device=device) < self.flip).float()
        angle = between(math.radians(self.rotate))
        size = (crop / side) * torch.exp(between(math.log1p(self.zoom)))
        aspect = torch.exp(between(math.log1p(self.stretch)) / 2)
        cos, sin = angle.cos() * size, angle.sin() * size
        shifts = [between(2 * self.shift) for _ in range(2)]
        rows = [
            torch.stack([mirror * cos * aspect, -sin / aspect, shifts[0]], 1),
            torch.stack([mirror * sin * aspect, cos / aspect, shifts[1]], 1),
        ]
        grid = F.affine_grid(torch.stack(rows, 1), [number, 1, crop, crop], align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _erased(self, images: Tensor) -> Tensor:
        if not self.erase:
            return images
        number, device = len(images), images.device
        low, high = self.erase_area
        area = low + (high - low) * torch.rand(number, device=device)
        area = area * (torch.rand(number, device=device) < self.erase)
        patch = inside(patches(area, images.shape[-1]), images.shape[-1])
        return torch.where(patch, torch.rand_like(images), images)

    def _mixed(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs of images and, by the share of each in the picture, of their classes."""
        kinds = [kind for kind in ("mixup", "cutmix") if getattr(self, kind)]
        if not kinds or torch.rand(()) >= self.mix:
            return images, targets
        kind = kinds[int(torch.randint(len(kinds), ()))]
        draw = float(Beta(getattr(self, kind), getattr(self, kind)).sample())
        share = max(draw, 1 - draw)  # of the image itself; the rest is its neighbour's
        if kind == "mixup":
            images = images.lerp(images.roll(1, 0), 1 - share)
        else:
            side = images.shape[-1]
            patch = inside(patches(torch.tensor([1 - share]), side), side)
            share = 1 - float(patch.float().mean())  # known without waiting for a GPU
            images = torch.where(patch.to(images.device), images.roll(1, 0), images)
        return images, targets.lerp(targets.roll(1, 0), 1 - share)


def lit(images: Tensor, brightness: float, contrast: float, colour: float = 0.0) -> Tensor:
    """Images ``(B, C, H, W)`` in another light.

    Args:
        brightness, contrast: largest change, of the mean and of the spread around it.
        colour: largest relative change of one channel against the others.
    """
    if brightness or contrast:
        draws = 2 * torch.rand(2, len(images), 1, 1, 1, device=images.device) - 1
        mean = images.mean((1, 2, 3), keepdim=True)
        spread = 1 + contrast * draws[0]
        images = (images - mean).mul_(spread).add_(mean).add_(brightness * draws[1]).clamp_(0, 1)
    if colour:
        gains = 2 * torch.rand(*images.shape[:2], 1, 1, device=images.device) - 1
        images = (images * (1 + colour * gains)).clamp_(0, 1)
    return images


def patches(area: Tensor, side: int) -> Tensor:
    """Rectangles ``(B, 4)`` as first and last row, first and last column, of random place.

    Args:
        area: share of the picture that each covers ``(B,)``; 0: nothing.
    """
    stretch = torch.exp((2 * torch.rand(len(area), device=area.device) - 1) * math.log(2.0))
    height = (area * stretch).sqrt().clamp_max(1) * side
    width = (area / stretch).sqrt().clamp_max(1) * side
    top = torch.rand(len(area), device=area.device) * (side - height)
    left = torch.rand(len(area), device=area.device) * (side - width)
    return torch.stack([top, top + height, left, left + width], 1)


def inside(boxes: Tensor, side: int) -> Tensor:
    """Whether a pixel's centre lies in its image's rectangle ``(B, 1, S, S)``."""
    centre = torch.arange(side, device=boxes.device) + 0.5
    top, bottom, left, right = boxes[:, :, None].unbind(1)
    rows = (centre >= top) & (centre < bottom)
    columns = (centre >= left) & (centre < right)
    return (rows[:, :, None] & columns[:, None, :])[:, None]
