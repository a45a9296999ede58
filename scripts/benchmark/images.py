"""How fast images are trained on, against torchvision's and timm's loops, and how fast predicted.

    python scripts/benchmark/images.py [rounds=4] [steps=40] [batch_size=128] [workers=2]
                                       [model=resnet18|compact|small] [peers=plain|tuned]
                                       [images=512] [data_dir=DIR] [device=cpu]
                                       [only=training|inference] [clock=wall|cpu]

*Training.* Grey faces of 48 pixels, seven classes: the embedded ones or, with ``data_dir``, those
of FER2013. The same network, batch size, loss, SGD and learning rate in our Trainer as it comes
(batches varied at once, channels_last, precision auto, gradients clipped), in torchvision's
reference loop and in timm's; see `image_peers` for what they are and where their augmentation is
less. ``resnet18`` is the one of torchvision and timm, ``compact`` the network of
experiment=emotion_fer2013 and ``small`` that of experiment=emotion: the smaller the network, the
more the loop and the loader count. Of a large one on a CPU, the network is nearly all. Without
``model``, all three are trained.

The peers' images are varied in ``workers`` processes, which use cores of their own where there are
any: so all sides are timed by the clock on the wall, and clock=cpu, which sees one process, needs
workers=0. Workers have a few batches ready when the clock starts; take steps enough.

*Inference.* Images a second of `predict_loop`, one at a time and 256 at once, in fp32 and in bf16,
from initial weights, laid out as a loaded run is (not channels_last). Where the hardware has no
bf16, it is emulated, and that is said; then it is so slow that ``images=64`` is enough to see it.

Timed are steps alone: each round builds anew, and the clock is read after five steps (predicting:
one batch) of warm-up and after the last, before anything is evaluated or saved. Images are counted
where they enter the network. Sides take turns (see `rounds`); only ratios count.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from image_peers import (
    AUGMENT,
    LR,
    MOMENTUM,
    WEIGHT_DECAY,
    Work,
    check_timm,
    train_with_timm,
    train_with_torchvision,
)
from rounds import (
    CLOCKS,
    WARM_UP,
    Meter,
    Row,
    Side,
    Speed,
    alternate,
    announce,
    fit,
    ratios,
    read_options,
    summary,
)
from torch import nn
from torch.optim import Optimizer

from marketorch import Trainer, build, compose, predict_loop
from marketorch.command_line import arguments_or_help
from marketorch.console import table
from marketorch.data.images.dataset import DecodedImages
from marketorch.data.synthetic.face_data import SyntheticFaces
from marketorch.distributed import resolve_device
from marketorch.engine.evaluation import has_bf16
from marketorch.errors import ConfigError, guard
from marketorch.models.images.compact_cnn import CompactCNN
from marketorch.models.images.torchvision_classifier import TorchvisionClassifier
from marketorch.tasks.image_classification import ImageClassification

FACES = 8192  # embedded ones, drawn in seconds
INFERENCE_BATCHES = (1, 256)
MODELS = {
    "resnet18": partial(TorchvisionClassifier, name="resnet18"),
    "compact": CompactCNN,
    "small": partial(CompactCNN, width=16, depth=(1, 1, 1)),
}
NUMBERS = {"rounds": 4, "steps": 40, "batch_size": 128, "workers": 2, "images": 512}
CHOICES = {
    "model": ("", *MODELS),
    "peers": ("plain", "tuned"),
    "only": ("", "training", "inference"),
    "clock": tuple(CLOCKS),
}
TEXTS = {"data_dir": "", "device": "cpu"}


# -- training ---------------------------------------------------------------------------------


def sgd(module: nn.Module) -> list[Optimizer]:
    """The optimizer of all sides, with the peak learning rate that our schedule asks for."""
    groups = [{"params": list(module.parameters()), "peak_lr": LR}]
    return [torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)]


def train_with_ours(
    model: str, schema: dict[str, Any], train: DecodedImages, work: Work, seed: int, steps: int
) -> Speed:
    """One round of `Trainer.fit`: its speed over ``steps`` steps after the warm-up."""
    torch.manual_seed(seed)
    task = ImageClassification(model=MODELS[model], schema=schema, augment=AUGMENT)
    trainer = partial(
        Trainer,
        seed=seed,
        device=str(work.device),
        batch_size=work.batch_size,
        channels_last=True,
    )
    return fit(trainer, task, train, sgd, Meter(task.model, work.device), WARM_UP + steps)


def compare_training(model: str, data: Any, name: str, options: dict[str, Any]) -> list[Row]:
    """Prints images a second of the three sides and how many times ours is faster."""
    train, schema, device = data.split("train"), data.schema, options["device"]
    classes, batch_size, workers = len(schema["classes"]), options["batch_size"], options["workers"]
    if not 0 < batch_size <= len(train):
        raise ConfigError(f"batch_size={batch_size}: expected 1 to {len(train):,}, all images.")
    own = partial(MODELS[model], num_classes=classes, num_channels=schema["channels"])
    work = Work(
        images=train.images,
        labels=train.labels,
        num_classes=classes,
        network=None if model == "resnet18" else own,
        batch_size=batch_size,
        workers=workers,
        device=device,
        tuned=options["peers"] == "tuned",
    )
    sides: dict[str, Side] = {
        "marketorch": partial(train_with_ours, model, schema, train, work),
        "torchvision": partial(train_with_torchvision, work),
        "timm": partial(train_with_timm, work),
    }
    speeds = alternate(sides, rounds=options["rounds"], steps=options["steps"])
    ours = speeds["marketorch"]
    lines: list[tuple[Any, ...]] = [("marketorch", summary(ours)[0], "", "", "")]
    rows = []
    for peer in ("torchvision", "timm"):
        title = f"training {model} on {name}, over {peer}'s loop ({options['peers']})"
        rows.append(Row.of(title, ratios(ours, speeds[peer]), "≥ 2"))
        lines.append((f"{peer}'s loop", summary(speeds[peer])[0], *rows[-1].cells))
    columns = ("side", "images/s", "ours ×", "min–max", "target")
    count = f"{parameters(own()):.2g} M parameters"
    setting = f"batches of {batch_size}, {options['peers']} peers, {workers} workers"
    table(f"training · {model}, {count} · {len(train):,} {name}, {setting}", columns, lines)
    return rows


def parameters(module: nn.Module) -> float:
    """Millions of parameters."""
    return sum(p.numel() for p in module.parameters()) / 1e6


# -- inference --------------------------------------------------------------------------------


def predict_with(
    task: ImageClassification,
    train: DecodedImages,
    batch_size: int,
    precision: str,
    device: torch.device,
    seed: int,
    images: int,
) -> Speed:
    """Speed of `predict_loop` on ``images`` images in whole batches, after one of warm-up."""
    batches = 1 + -(-images // batch_size)
    places = torch.arange(batches * batch_size) % len(train)
    meter = Meter(task.model, device)
    loop = predict_loop(
        task,
        DecodedImages(train.images[places]),
        batch_size=batch_size,
        device=device,
        precision=precision,
    )
    for number, _ in enumerate(loop, 1):
        if number in (1, batches):
            meter.mark()
    return meter.speed()


def compare_inference(models: list[str], data: Any, options: dict[str, Any]) -> list[Row]:
    """Prints images a second of every model, one by one and in batches, in fp32 and in bf16."""
    train, schema, device = data.split("train"), data.schema, options["device"]
    lines: list[tuple[Any, ...]] = []
    rows = []
    for model in models:
        task = ImageClassification(model=MODELS[model], schema=schema)
        task.prepare(train)
        task.to(device)
        for batch_size in INFERENCE_BATCHES:
            sides: dict[str, Side] = {
                f"{model} × {batch_size}, {precision}": partial(
                    predict_with, task, train, batch_size, precision, device
                )
                for precision in ("fp32", "bf16")
            }
            speeds = alternate(sides, rounds=options["rounds"], steps=options["images"])
            fp32, bf16 = speeds.values()
            rates = summary(fp32)[0], summary(bf16)[0]
            title = f"predicting with {model}, {batch_size} at once, bf16 over fp32"
            rows.append(Row.of(title, ratios(bf16, fp32)))
            lines.append((model, batch_size, *rates, *rows[-1].cells[:2]))
    columns = ("model", "batch", "fp32 images/s", "bf16 images/s", "bf16 / fp32", "min–max")
    how = "bf16 in hardware" if has_bf16(device) else "bf16 emulated: this hardware has none"
    table(f"inference · {schema['size']} × {schema['size']} pixels · {how}", columns, lines)
    return rows


# -- options ----------------------------------------------------------------------------------


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options, checked. ConfigError for one that does not exist or does not fit."""
    options = read_options(arguments, NUMBERS, CHOICES, TEXTS)
    if options["clock"] == "cpu" and options["workers"] and options["only"] != "inference":
        raise ConfigError("clock=cpu does not see worker processes: add workers=0, or clock=wall.")
    return options


def measure(options: dict[str, Any]) -> list[Row]:
    """Makes both comparisons, or the one that ``only`` names; prints them, returns their rows."""
    device = options["device"] = resolve_device(options["device"])
    announce(options["clock"], device)
    training, inference = (options["only"] in ("", name) for name in ("training", "inference"))
    if training:
        check_timm()
    folder = options["data_dir"]
    if folder:
        data = build(compose(["~experiment", "data=fer2013", f"data_dir={folder}"]).data)
    else:
        data = SyntheticFaces(num_train=FACES)
    name = "faces of FER2013" if folder else "embedded faces"
    models = [options["model"]] if options["model"] else list(MODELS)
    rows = []
    for model in models if training else ():
        rows += compare_training(model, data, name, options)
    return rows + (compare_inference(models, data, options) if inference else [])


if __name__ == "__main__":
    with guard():
        measure(parse(arguments_or_help(__doc__ or "")))
