"""The other side of the detection benchmark: SSDlite in torchvision's reference loop.

The loop is a script outside torchvision's wheel (pytorch/vision, references/detection/train.py), so
its equivalent is written here: the transforms of its ``ssd`` augmentation on one photo after the
other in a DataLoader, boxes sanitised, batches without the ragged last one, and the loss read out
and checked in every step. Only printing, evaluating and saving are off, which would cost it time.
The network is ``ssdlite320_mobilenet_v3_large`` from random weights. AdamW takes the place of SGD,
as on our side.

``plain`` is this as it comes: fp32, and photos read from their files. ``tuned``, for a processor,
is autocast to the dtype of our side, channels_last, and photos that are decoded and 320 pixels
large before training begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rounds import WARM_UP, Meter, Speed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import tv_tensors
from torchvision.transforms import v2

from marketorch.data.boxes.dataset import DecodedBoxes, to_photo
from marketorch.engine.evaluation import autocast, resolve_precision
from marketorch.errors import UserError
from marketorch.models.boxes.torchvision_detector import TorchvisionDetector
from marketorch.optim import optimizers as optim

SIZE = 320  # pixels of the side that the network reads
CPU = torch.device("cpu")
WEIGHT_DECAY = 0.05  # as on our side
FILL = [123.0, 117.0, 104.0]  # around a photo that is made smaller, the reference's own
TRANSFORM = v2.Compose(
    [
        v2.RandomPhotometricDistort(),
        v2.RandomZoomOut(fill=FILL),
        v2.RandomIoUCrop(),
        v2.RandomHorizontalFlip(),
        v2.Resize((SIZE, SIZE)),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.SanitizeBoundingBoxes(),
        v2.ToPureTensor(),
    ]
)
Target = dict[str, Tensor]


@dataclass(frozen=True)
class Photos(Dataset):
    """Photos with boxes, varied one by one.

    Args:
        images: files or decoded photos.
        boxes: of each photo ``(n, 4)``, x1 y1 x2 y2 in its pixels.
        labels: of each photo ``(n,)``, from 0 on; the network's class 0 is the background.
    """

    images: Sequence[Path | Image.Image]
    boxes: Sequence[Tensor]
    labels: Sequence[Tensor]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[Tensor, Target]:
        image = self.images[place]
        if isinstance(image, Path):
            with Image.open(image) as file:
                image = file.convert("RGB")
        frame = {"format": "XYXY", "canvas_size": (image.height, image.width)}
        boxes = tv_tensors.BoundingBoxes(self.boxes[place], **frame)
        varied: tuple[Tensor, Target] = TRANSFORM(
            image, {"boxes": boxes, "labels": self.labels[place] + 1}
        )
        return varied


def squares(train: DecodedBoxes) -> Photos:
    """The squares that our side trains on, decoded."""
    assert train.labels is not None
    pixels = train.images.permute(0, 2, 3, 1).numpy()
    return Photos([Image.fromarray(image) for image in pixels], train.boxes, train.labels)


def files(train: DecodedBoxes, folder: Path) -> Photos:
    """The same photos as files in ``folder``, of their own size."""
    assert train.labels is not None
    assert train.ids is not None
    boxes = [to_photo(own, frame) for own, frame in zip(train.boxes, train.frames, strict=True)]
    return Photos([folder / name for name in train.ids], boxes, train.labels)


@dataclass(frozen=True)
class Work:
    """How the peer trains.

    Args:
        workers: processes of the DataLoader; 0: none, the loop itself reads and varies photos.
        lr: peak learning rate.
        tuned: bf16 where our side has it, and channels_last.
    """

    batch_size: int
    workers: int
    lr: float
    tuned: bool

    @property
    def dtype(self) -> torch.dtype:
        """What the forward pass computes in."""
        return resolve_precision("auto" if self.tuned else "fp32", CPU)

    def loader(self, photos: Photos) -> Iterable[Any]:
        """Batches as tuples of photos and of targets."""
        return DataLoader(
            photos,
            batch_size=self.batch_size,
            sampler=RandomSampler(photos),
            num_workers=self.workers,
            drop_last=True,
            collate_fn=together,
        )


def together(examples: Sequence[tuple[Tensor, Target]]) -> list[tuple[Any, ...]]:
    """The reference's collate function."""
    return list(zip(*examples, strict=True))


def endless(loader: Iterable[Any]) -> Iterator[Any]:
    """Epoch after epoch."""
    return chain.from_iterable(repeat(loader))


def train(
    network: nn.Module,
    photos: Photos,
    work: Work,
    *,
    factor: Callable[[], float],
    finished: Callable[[int], bool],
) -> int:
    """Trains until ``finished(steps done)``; returns that number of steps.

    Args:
        factor: on the peak learning rate, asked for before each step.
    """
    network.train()
    if work.tuned:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    group = {"params": list(network.parameters()), "peak_lr": work.lr}
    optimizer = torch.optim.AdamW([group], lr=work.lr, weight_decay=WEIGHT_DECAY)
    number = 0
    for number, (images, targets) in enumerate(endless(work.loader(photos)), 1):
        with autocast(CPU, work.dtype):
            losses = sum(network(list(images), list(targets)).values())
        if not math.isfinite(losses.item()):
            raise UserError(f"SSDlite's loss is {losses.item()} in step {number}.")
        optim.set_lr([optimizer], factor())
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()
        if finished(number):
            break
    return number


def train_for_speed(photos: Photos, num_classes: int, work: Work, seed: int, steps: int) -> Speed:
    """One round: the speed over ``steps`` steps after the warm-up."""
    torch.manual_seed(seed)
    network = TorchvisionDetector(num_classes=num_classes).network
    meter, last = Meter(network.backbone, CPU), WARM_UP + steps

    def finished(step: int) -> bool:
        meter.stamp(step, last)
        return step == last

    train(network, photos, work, factor=lambda: 1.0, finished=finished)
    return meter.speed()
