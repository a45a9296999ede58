"""The other sides of the image benchmark: torchvision's reference loop and timm's train loop.

Both loops are scripts outside their wheels (pytorch/vision, references/classification/train.py;
huggingface/pytorch-image-models, train.py), so their equivalents are written here: per-image
transforms in a DataLoader, and the numbers that each reads out of every step. Only printing,
evaluating and saving are off, which would cost them time. Images lie decoded in memory as PIL
images, so neither pays for a file or a JPEG. Loss, optimizer and learning rate are those of all
sides.

torchvision varies an image as `AUGMENT` says. timm's loader offers part of it: mirror, light and
erased patches, and for zoom and shift a random crop that is resized, so never a zoom out; it does
not rotate, it erases up to a third of the picture, and it is the cheaper for that.

``plain`` is each as it comes, in fp32; torchvision with transforms v2 on PIL images, timm without
its prefetcher on a CPU. ``tuned`` is what their flags offer: autocast to the dtype of our side,
transforms v1 (the reference's default, a tenth cheaper), timm's prefetcher (its default) and
channels_last.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from types import ModuleType
from typing import Any

import torch
from PIL import Image
from rounds import WARM_UP, Meter, Speed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, default_collate
from torchvision.models import resnet18
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms import transforms as v1

from marketorch.engine.evaluation import autocast, resolve_precision
from marketorch.errors import ConfigError

try:
    import timm
except ImportError:
    timm = None  # only the benchmark needs it, see `check_timm`

LR, MOMENTUM, WEIGHT_DECAY = 0.05, 0.9, 1e-4
AUGMENT: dict[str, float] = {
    "flip": 0.5,
    "rotate": 15,
    "zoom": 0.15,
    "shift": 0.06,
    "brightness": 0.1,
    "contrast": 0.3,
    "erase": 0.3,
}
ERASE_AREA = (0.02, 0.25)
Transform = Callable[[Image.Image], Tensor]


@dataclass
class Pictures(Dataset):
    """Decoded pictures, varied one by one. Both torchvision and timm set ``transform``."""

    images: list[Image.Image]
    labels: list[int]
    transform: Transform | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        assert self.transform is not None
        return self.transform(self.images[place]), self.labels[place]


@dataclass(frozen=True)
class Work:
    """What a peer trains on, and how.

    Args:
        images: ``(N, 1, S, S)`` uint8.
        labels: ``(N,)``.
        network: builds the model that all sides train; None: the ResNet-18 of each.
        workers: processes of the DataLoader; 0: none, the loop itself varies the images.
        tuned: with what the peer's flags offer, see above.
    """

    images: Tensor
    labels: Tensor
    num_classes: int
    network: Callable[[], nn.Module] | None
    batch_size: int
    workers: int
    device: torch.device
    tuned: bool

    def pictures(self) -> Pictures:
        """The images as PIL images."""
        decoded = [Image.fromarray(image) for image in self.images[:, 0].numpy()]
        return Pictures(decoded, self.labels.tolist())

    @property
    def mean_and_std(self) -> tuple[tuple[float], tuple[float]]:
        """Of the pixels, between 0 and 1."""
        pixels = self.images[:5000].float() / 255
        return (float(pixels.mean()),), (float(pixels.std()),)

    @property
    def dtype(self) -> torch.dtype:
        """What the peer's forward pass computes in."""
        return resolve_precision("auto" if self.tuned else "fp32", self.device)


def check_timm() -> None:
    """ConfigError if timm is not installed."""
    if timm is None:
        raise ConfigError(
            "The image benchmark trains with timm too, which is not installed. Install it with "
            "`pip install timm`, or measure only=inference."
        )


def endless(loader: Iterable[Any]) -> Iterator[Any]:
    """Epoch after epoch."""
    return chain.from_iterable(repeat(loader))


# -- torchvision ------------------------------------------------------------------------------


def torchvision_transform(work: Work) -> Transform:
    """`AUGMENT` for one PIL image, in the order of the reference's training preset."""
    kit: ModuleType = v1 if work.tuned else v2
    to_float = kit.ConvertImageDtype if work.tuned else v2.ToDtype
    scale = 1 + AUGMENT["zoom"]
    mean, std = work.mean_and_std
    transform: Transform = kit.Compose(
        [
            kit.RandomHorizontalFlip(AUGMENT["flip"]),
            kit.RandomAffine(
                AUGMENT["rotate"],
                translate=(AUGMENT["shift"], AUGMENT["shift"]),
                scale=(1 / scale, scale),
                interpolation=InterpolationMode.BILINEAR,
            ),
            kit.ColorJitter(AUGMENT["brightness"], AUGMENT["contrast"]),
            kit.PILToTensor(),
            to_float(torch.float32, **({} if work.tuned else {"scale": True})),
            kit.Normalize(mean, std),
            kit.RandomErasing(AUGMENT["erase"], ERASE_AREA, (0.5, 2.0), value="random"),
        ]
    )
    return transform


def train_with_torchvision(work: Work, seed: int, steps: int) -> Speed:
    """One round of the reference loop: its speed over ``steps`` steps after the warm-up."""
    torch.manual_seed(seed)
    pictures = work.pictures()
    pictures.transform = torchvision_transform(work)
    loader = DataLoader(
        pictures,
        batch_size=work.batch_size,
        sampler=RandomSampler(pictures),
        num_workers=work.workers,
        pin_memory=work.device.type == "cuda",
        collate_fn=default_collate,
    )
    model = grey_resnet18(work.num_classes) if work.network is None else work.network()
    model.to(work.device).train()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    meter, last = Meter(model, work.device), WARM_UP + steps
    logged: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=20))
    for number, (images, labels) in enumerate(endless(loader), 1):
        started = time.time()
        images, labels = images.to(work.device), labels.to(work.device)
        with autocast(work.device, work.dtype):
            output = model(images)
            loss = criterion(output, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        top1, top5 = top_accuracies(output, labels, (1, 5))
        logged["loss"].append(loss.item())
        logged["lr"].append(optimizer.param_groups[0]["lr"])
        logged["acc1"].append(top1.item())
        logged["acc5"].append(top5.item())
        logged["img/s"].append(len(images) / (time.time() - started))
        meter.stamp(number, last)
        if number == last:
            break
    return meter.speed()


def grey_resnet18(num_classes: int) -> nn.Module:
    """torchvision's ResNet-18 with a first convolution that reads one channel."""
    model = resnet18(num_classes=num_classes)
    model.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    return model


@torch.no_grad()
def top_accuracies(output: Tensor, labels: Tensor, ranks: tuple[int, ...]) -> list[Tensor]:
    """Percentages of images whose label is among the likeliest so many classes."""
    most = min(max(ranks), output.shape[1])
    right = output.topk(most, 1).indices.t() == labels
    return [right[:rank].flatten().sum(dtype=torch.float32) * 100 / len(labels) for rank in ranks]


# -- timm -------------------------------------------------------------------------------------


def timm_loader(work: Work) -> Iterable[Any]:
    """timm's loader, which sets the transform of the pictures."""
    from timm.data import create_loader

    mean, std = work.mean_and_std
    size = work.images.shape[-1]
    return create_loader(
        work.pictures(),
        input_size=(1, size, size),
        batch_size=work.batch_size,
        is_training=True,
        use_prefetcher=work.tuned or work.device.type == "cuda",
        scale=((1 + AUGMENT["zoom"]) ** -2, 1.0),  # of the area
        ratio=(1.0, 1.0),
        hflip=AUGMENT["flip"],
        color_jitter=(AUGMENT["brightness"], AUGMENT["contrast"], 0.0),
        re_prob=AUGMENT["erase"],
        re_mode="pixel",
        interpolation="bilinear",
        mean=mean,
        std=std,
        num_workers=work.workers,
        pin_memory=work.device.type == "cuda",
        device=work.device,
    )


def train_with_timm(work: Work, seed: int, steps: int) -> Speed:
    """One round of timm's loop: its speed over ``steps`` steps after the warm-up."""
    from timm.optim import create_optimizer_v2
    from timm.utils import AverageMeter

    torch.manual_seed(seed)
    loader = timm_loader(work)
    if work.network is None:
        model = timm.create_model("resnet18", in_chans=1, num_classes=work.num_classes)
    else:
        model = work.network()
    model.to(work.device).train()
    if work.tuned:
        model.to(memory_format=torch.channels_last)
    optimizer = create_optimizer_v2(  # its "sgd" has Nesterov's momentum, "momentum" has not
        model, opt="momentum", lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    loss_fn = nn.CrossEntropyLoss()
    meter, last = Meter(model, work.device), WARM_UP + steps
    losses, data_time, update_time = AverageMeter(), AverageMeter(), AverageMeter()
    started = time.time()
    optimizer.zero_grad()
    for number, (images, labels) in enumerate(endless(loader), 1):
        images, labels = images.to(work.device), labels.to(work.device)
        if work.tuned:
            images = images.contiguous(memory_format=torch.channels_last)
        data_time.update(time.time() - started)
        with autocast(work.device, work.dtype):
            loss = loss_fn(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.update(loss.item(), len(images))
        optimizer.zero_grad()
        update_time.update(time.time() - started)
        meter.stamp(number, last)
        if number == last:
            break
        started = time.time()
    return meter.speed()
