"""How fast and how well a logo detector trains from scratch, against torchvision's SSDlite.

    python scripts/benchmark/detection.py data_dir=DIR [only=training,quality,inference,scenes]
                                          [rounds=4] [steps=20] [workers=2] [minutes=15]
                                          [split=test|validation] [data=photos|scenes]
                                          [peer=plain|tuned] [peer_lr=1e-3] [calls=50] [seed=0]
                                          [clock=wall|cpu] [trainer.ema_decay=.99 …]

Ours is the recipe of experiment=logo_flickrlogos27 (precision auto) without the stage before it,
the peer torchvision's ``ssdlite320_mobilenet_v3_large`` from random weights in its reference loop;
see `detection_peer`. Both learn FlickrLogos-27's training photos and these alone, 320 pixels large,
in batches of the same size. Options with a dot change the recipe.

*training* counts photos a second where they enter the network, against the peer as it comes and
tuned. Each round builds anew, and the clock is read after five steps of warm-up and after the last.
The peer's photos are varied in ``workers`` processes that have a few batches ready when the clock
starts; take steps enough.

*quality* trains each side once for ``minutes``, the peer first, and measures both by our metric
on our squares; the peer trains on these squares too, decoded, and pays for no file. ``peer=tuned``
adds bf16 and channels_last; ``data=scenes`` gives our side the data of its experiment, the same
photos among scenes. On both sides the same cosine follows the clock, so that it ends with
the time whatever the machine does meanwhile. Our moving average of weights is part of the recipe.

*inference* is one photo, one thread, fp32, suppression included, with what *quality* has trained
or, without it, from initial weights. How long suppression takes depends on the weights: SSDlite's
initial ones let everything pass, so the peer is also timed with a background so sure that nothing
is left to suppress; no weights can make it faster than that.

*scenes* is how fast two worker processes draw the scenes of experiment=logo_from_marks, through our
loader, against our side of *training*; and one process alone.

Sides take turns (see `rounds`); only ratios count. clock=cpu sees one process, so it takes
workers=0 and neither quality nor scenes.
"""

from __future__ import annotations

import copy
import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from detection_peer import CPU, SIZE, Work, files, squares, train_for_speed
from detection_peer import train as train_peer
from rounds import (
    CLOCKS,
    NEVER,
    WARM_UP,
    Meter,
    Row,
    Side,
    Speed,
    alternate,
    announce,
    fit,
    middle,
    ratios,
)
from torch import Tensor, nn

from marketorch import Task, build, build_task, check, compose
from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.console import say, table
from marketorch.data.boxes.dataset import BoxDataset
from marketorch.engine import loading
from marketorch.engine.evaluation import evaluate
from marketorch.engine.hardware import lay_out
from marketorch.errors import ConfigError, guard
from marketorch.models.boxes.torchvision_detector import TorchvisionDetector
from marketorch.optim import optimizers as optim
from marketorch.tasks.detection import Detection

EXPERIMENT, SCENES = "logo_flickrlogos27", "logo_from_marks"
PARTS = ("training", "quality", "inference", "scenes")
OURS, PEER, NO_NMS = "marketorch", "SSDlite", "SSDlite, nothing to suppress"
SURE = 20.0  # added to the background's logits, nothing else passes then
DRAWERS = 2  # worker processes that draw scenes
FINE = 1_000_000  # steps in which the schedule is asked for a share of the time
NUMBERS = {"rounds": 4, "steps": 20, "workers": 2, "calls": 50, "seed": 0}
DECIMALS = {"minutes": 15.0, "peer_lr": 1e-3}
CHOICES = {
    "split": ("test", "validation"),
    "data": ("photos", "scenes"),
    "peer": ("plain", "tuned"),
    "clock": tuple(CLOCKS),
}
TEXTS = {"data_dir": "", "only": ",".join(PARTS)}


@dataclass
class Setting:
    """What all parts share: our recipe on photos alone, these photos, and the options."""

    config: Any
    data: Any
    options: dict[str, Any]

    @classmethod
    def of(cls, options: dict[str, Any]) -> Setting:
        """Composes the recipe."""
        config = composed(options, EXPERIMENT, "data=flickrlogos27", "trainer.num_workers=0")
        return cls(config, build(config.data), options)

    @property
    def train(self) -> Any:
        """The training photos."""
        return self.data.split("train")

    @property
    def num_classes(self) -> int:
        """Brands to find."""
        return len(self.data.schema["classes"])

    @property
    def batch_size(self) -> int:
        """Photos of a step, on both sides."""
        return int(self.config.trainer.batch_size)

    def task(self, seed: int) -> Any:
        """Our detector, untrained."""
        torch.manual_seed(seed)
        return build_task(self.config, self.data.schema)

    def with_scenes(self) -> Setting:
        """The recipe on the data of its experiment."""
        config = composed(self.options, EXPERIMENT)
        return Setting(config, build(config.data), self.options)

    def peer_task(self, seed: int) -> Detection:
        """The peer's network, untrained, in our task, which measures it."""
        torch.manual_seed(seed)
        return Detection(model=TorchvisionDetector, schema=self.data.schema)

    def work(self, tuned: bool) -> Work:
        """How the peer trains."""
        workers, lr = self.options["workers"], self.options["peer_lr"]
        return Work(batch_size=self.batch_size, workers=workers, lr=lr, tuned=tuned)


def composed(options: dict[str, Any], experiment: str, *more: str) -> Any:
    """The config of an experiment."""
    given = [f"experiment={experiment}", f"data_dir={options['data_dir']}", "trainer.device=cpu"]
    config = compose([*given, *more, *options["overrides"]])
    check(config)
    return config


# -- training ---------------------------------------------------------------------------------


def train_with_ours(setting: Setting, seed: int, steps: int) -> Speed:
    """One round of our recipe: its speed over ``steps`` steps after the warm-up."""
    config, task = setting.config, setting.task(seed)
    trainer, meter = partial(build, config.trainer, seed=seed), Meter(task.model.stem, CPU)
    return fit(trainer, task, setting.train, build(config.optim), meter, WARM_UP + steps)


def compare_training(setting: Setting) -> list[Row]:
    """Prints photos a second of the sides and how many times ours is faster."""
    options, train = setting.options, setting.train
    folder = Path(setting.config.data.images)
    peers = {
        "SSDlite as it comes": (files(train, folder), setting.work(tuned=False)),
        "SSDlite tuned": (squares(train), setting.work(tuned=True)),
    }
    sides: dict[str, Side] = {OURS: partial(train_with_ours, setting)}
    for name, (photos, work) in peers.items():
        sides[name] = partial(train_for_speed, photos, setting.num_classes, work)
    speeds = alternate(sides, rounds=options["rounds"], steps=options["steps"])
    lines: list[tuple[Any, ...]] = [(OURS, f"{middle(speeds[OURS]):.1f}", "", "", "")]
    rows = []
    for name, target in zip(peers, ("≥ 3", ""), strict=True):
        other = speeds[name]
        rows.append(Row.of(f"training, over {name}", ratios(speeds[OURS], other), target))
        lines.append((name, f"{middle(other):.1f}", *rows[-1].cells))
    columns = ("side", "photos/s", "ours ×", "min–max", "target")
    sizes = f"{millions(setting.task(0)):.2f} M and {millions(setting.peer_task(0)):.2f} M weights"
    about = f"{len(train):,} photos, batches of {setting.batch_size}, {options['workers']} workers"
    table(f"training · {sizes} · {about}", columns, lines)
    return rows


def millions(module: nn.Module) -> float:
    """Millions of parameters."""
    return sum(p.numel() for p in module.parameters()) / 1e6


# -- quality ----------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a side reached.

    Args:
        task: with its final weights.
        photos, seconds: trained on, and how long that took.
        metrics: see `marketorch.tasks.detection.Detection.metrics`.
    """

    task: Any
    photos: int
    seconds: float
    metrics: dict[str, float]

    @property
    def rate(self) -> float:
        """Photos a second."""
        return self.photos / self.seconds


def compare_quality(setting: Setting) -> dict[str, Outcome]:
    """Trains each side for the same time and prints how well each finds the logos."""
    train = {PEER: train_peer_for, OURS: train_ours_for}
    found = {name: run(setting) for name, run in train.items()}
    ours, peer = found[OURS], found[PEER]
    rows = []
    for name, side in found.items():
        spent = (f"{side.seconds / 60:.1f}", f"{side.photos:,}")
        scores = (f"{side.metrics[key]:.4f}" for key in ("map_50", "map"))
        rows.append((name, *spent, f"{side.rate:.1f}", *scores))
    times = [(ours.metrics[key], peer.metrics[key]) for key in ("map_50", "map")]
    better = [f"{own / other:.2f}" if other else "–" for own, other in times]
    rows.append(("ours ×", "", "", f"{ours.rate / peer.rate:.2f}", *better))
    rows.append(("target", "", "", "≥ 3", "≥ 2", ""))
    options = setting.options
    about = f"{options['data']}, {options['peer']} peer with lr {options['peer_lr']:g}"
    columns = ("side", "minutes", "photos", "photos/s", "mAP50", "mAP")
    number = len(setting.data.split(options["split"]))
    table(f"quality · {options['split']} split, {number:,} photos · {about}", columns, rows)
    return found


def train_ours_for(setting: Setting) -> Outcome:
    """Our recipe, its schedule by the clock."""
    if setting.options["data"] == "scenes":
        setting = setting.with_scenes()
    config, options = setting.config, setting.options
    task, minutes = setting.task(options["seed"]), options["minutes"]
    shape = by_share(config.trainer)

    def follow(name: str, trainer: Any) -> None:
        if name == "start":
            trainer.factor = lambda step: shape(trainer.position.seconds / (60 * minutes))

    with tempfile.TemporaryDirectory() as folder:
        ends = {"epochs": NEVER, "max_minutes": minutes, "eval_every": NEVER}
        how = {"run_dir": folder, "seed": options["seed"], "on_event": follow}
        trainer = build(config.trainer, **ends, **how)
        trainer.fit(task, setting.train, None, build(config.optim))
    spent = trainer.position
    metrics = measured(setting, task, config.trainer.precision)
    return Outcome(task, spent.examples, spent.seconds, metrics)


def train_peer_for(setting: Setting) -> Outcome:
    """The peer, on our squares, by the same schedule."""
    options = setting.options
    task, seconds = setting.peer_task(options["seed"]), 60 * options["minutes"]
    shape, started = by_share(setting.config.trainer), time.perf_counter()

    def spent() -> float:
        return time.perf_counter() - started

    steps = train_peer(
        task.model.network,
        squares(setting.train),
        setting.work(tuned=options["peer"] == "tuned"),
        factor=lambda: shape(spent() / seconds),
        finished=lambda step: spent() >= seconds,
    )
    trained = spent()
    precision = "auto" if options["peer"] == "tuned" else "fp32"
    return Outcome(task, steps * setting.batch_size, trained, measured(setting, task, precision))


def by_share(trainer: Any) -> Callable[[float], float]:
    """The recipe's schedule as a function of the share of the time that is over."""
    factor = optim.schedule(trainer.schedule, warmup=trainer.warmup, total_steps=FINE)
    return lambda share: factor(int(share * FINE))


def measured(setting: Setting, task: Task, precision: str) -> dict[str, float]:
    """The metrics of a trained side."""
    dataset: BoxDataset = setting.data.split(setting.options["split"])
    size = setting.config.trainer.eval_batch_size
    metrics = evaluate(task, dataset, batch_size=size, device=CPU, precision=precision)
    say(f"mAP50 {metrics['map_50']:.4f}   mAP {metrics['map']:.4f}")
    return metrics


# -- inference --------------------------------------------------------------------------------


def compare_inference(setting: Setting, trained: dict[str, Outcome]) -> list[Row]:
    """Prints milliseconds a photo of both sides, one photo after the other on one thread."""
    options = setting.options
    ours = trained[OURS].task if trained else setting.task(options["seed"])
    peer = trained[PEER].task if trained else setting.peer_task(options["seed"])
    lay_out(ours, CPU, setting.config.trainer.channels_last)
    networks = {OURS: ours.model, PEER: peer.model.network, NO_NMS: sure(peer.model.network)}
    photos = setting.data.split(options["split"]).images
    sides: dict[str, Side] = {
        name: partial(detect_with, network.eval(), photos) for name, network in networks.items()
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    speeds = alternate(sides, rounds=options["rounds"], steps=options["calls"])
    torch.set_num_threads(threads)
    weights = f"weights of {options['minutes']:g} minutes" if trained else "initial weights"
    lines: list[tuple[Any, ...]] = [(OURS, f"{1e3 / middle(speeds[OURS]):.1f}", "", "", "")]
    rows = []
    for name in (PEER, NO_NMS):
        title = f"detecting in one photo, {weights}, over {name}"
        rows.append(Row.of(title, ratios(speeds[OURS], speeds[name]), "≥ 2"))
        lines.append((name, f"{1e3 / middle(speeds[name]):.1f}", *rows[-1].cells))
    columns = ("side", "ms a photo", "ours ×", "min–max", "target")
    table(f"inference · one photo of {SIZE} pixels, one thread, fp32 · {weights}", columns, lines)
    return rows


@torch.inference_mode()
def detect_with(network: Any, photos: Tensor, seed: int, calls: int) -> Speed:
    """Detects in one photo after the other, a few of them as warm-up, from place ``seed`` on."""
    detect = getattr(network, "detections", None) or (lambda images: network(list(images)))
    clock = CLOCKS[Meter.clock]
    for number in range(WARM_UP + calls):
        if number == WARM_UP:
            started = clock()
        detect(photos[(seed * calls + number) % len(photos)][None].float() / 255)
    return Speed(clock() - started, calls, 0)


def sure(network: Any) -> Any:
    """SSDlite with a background that is sure everywhere."""
    network = copy.deepcopy(network)
    head = network.head.classification_head
    for block in head.module_list:
        block[-1].bias.data.view(-1, head.num_columns)[:, 0] += SURE
    return network


# -- scenes -----------------------------------------------------------------------------------


def compare_scenes(setting: Setting) -> list[Row]:
    """Prints scenes a second by two processes and by one, and training on photos beside them."""
    options = setting.options
    scenes = build(composed(options, SCENES).data).split("train")
    one, two = "one process", f"{DRAWERS} workers"
    sides: dict[str, Side] = {
        two: partial(draw, scenes, setting.batch_size, DRAWERS),
        one: partial(draw, scenes, setting.batch_size, 0),
        "training": partial(train_with_ours, setting),
    }
    speeds = alternate(sides, rounds=options["rounds"], steps=options["steps"])
    training = speeds["training"]
    lines, rows = [], []
    for name, side in speeds.items():
        rate, target = middle(side), "≥ 1" if name == two else ""
        row = Row.of(f"drawing scenes by {name}, over training", ratios(side, training), target)
        rows += [row] if side is not training else []
        against = row.cells if side is not training else ("", "", "")
        lines.append((name, f"{rate:.1f}", f"{1e3 / rate:.1f}", *against))
    columns = ("side", "a second", "ms each", "over training", "min–max", "target")
    table(f"scenes · {scenes.stock.size} pixels · {SCENES}", columns, lines)
    return rows


def draw(scenes: Any, batch_size: int, workers: int, seed: int, steps: int) -> Speed:
    """Draws scenes in batches: the speed over ``steps`` of them after the warm-up."""
    keys = loading.epoch_keys(scenes, batch_size, seed=seed, epoch=0)[: WARM_UP + steps]
    loaded = loading.load(scenes, keys, device=CPU, num_workers=workers)
    clock = CLOCKS[Meter.clock]
    for _ in itertools.islice(loaded, WARM_UP):
        pass
    started = clock()
    drawn = sum(len(batch["images"]) for _, batch in loaded)
    return Speed(clock() - started, drawn, 0)


# -- options ----------------------------------------------------------------------------------


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options, checked. ConfigError for one that does not exist or does not fit."""
    defaults = NUMBERS | DECIMALS | {name: known[0] for name, known in CHOICES.items()} | TEXTS
    overrides = [a for a in arguments if "." in a.partition("=")[0]]
    options: dict[str, Any] = {"overrides": overrides}
    arguments = [a for a in arguments if a not in overrides]
    for name, default in defaults.items():
        value, arguments = split_option(arguments, name)
        options[name] = value or str(default)
    if arguments:
        raise ConfigError(f"{arguments[0]}: unknown option. Options: {', '.join(defaults)}.")
    options["only"] = options["only"].split(",")
    chosen = [(name, options[name], known) for name, known in CHOICES.items()]
    for name, value, known in chosen + [("only", part, PARTS) for part in options["only"]]:
        if value not in known:
            raise ConfigError(f"{name}={value}: expected {' or '.join(known)}.")
    for name in NUMBERS:
        options[name] = whole_number(name, options[name])
        if name not in ("workers", "seed") and not options[name]:
            raise ConfigError(f"{name}=0: expected at least 1.")
    for name in DECIMALS:
        options[name] = positive(name, options[name])
    if not options["data_dir"]:
        raise ConfigError("data_dir is missing: the folder in which logo/flickrlogos27 lies.")
    if options["clock"] == "cpu":
        several = {"quality", "scenes"} | ({"training"} if options["workers"] else set())
        if unseen := sorted(several & set(options["only"])):
            raise ConfigError(f"clock=cpu sees one process, too little of {' and '.join(unseen)}.")
    return options


def positive(name: str, text: str) -> float:
    """Reads a number above 0. ConfigError if it is none."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ConfigError(f"{name}={text}: expected a number above 0.")
    return number


def measure(options: dict[str, Any]) -> list[Row]:
    """Makes the comparisons that ``only`` names, in the order of `PARTS`, and prints them.

    Returns:
        The rows of those that have rounds; *quality* is one training each.
    """
    announce(options["clock"], CPU)
    setting, only = Setting.of(options), options["only"]
    rows = compare_training(setting) if "training" in only else []
    trained = compare_quality(setting) if "quality" in only else {}
    rows += compare_inference(setting, trained) if "inference" in only else []
    return rows + (compare_scenes(setting) if "scenes" in only else [])


if __name__ == "__main__":
    with guard():
        measure(parse(arguments_or_help(__doc__ or "")))
