"""How fast training is: against the Hugging Face Trainer, and against a bare PyTorch loop.

    python scripts/benchmark/text.py [rounds=4] [steps=40] [engine_rounds=10] [engine_steps=80]
                                     [data_dir=DIR] [device=cpu] [only=throughput|engine]
                                     [clock=wall|cpu]

*Throughput.* One BERT (4 layers, width 256, random weights, dropout 0.1) is trained on the same
texts, with the same batch size, loss, AdamW, learning rate and clipping, by our Trainer as it
comes (length-batched, precision auto) and by `transformers.Trainer` as it comes (fp32), and with
bf16=True. The texts are the embedded reviews or, with ``data_dir``, the sentences of SST-2.

*Engine.* The model of experiment=sentiment, trained by `Trainer.fit` and by twenty lines of plain
PyTorch: same initial weights, batches in the same order, precision, AdamW, clipping and schedule.
The bare loop does not seed, log or check for NaN, so the ratio is the price of all that.

Timed are steps alone: each round builds anew, runs five steps of warm-up, and the clock is read
after the fifth and after the last step, before anything is evaluated or saved. Examples are
counted where they enter the encoder. Sides take turns (see `rounds`); only ratios count.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from hf_trainer import save_checkpoint, train_with_trainer
from rounds import CLOCKS, WARM_UP, Meter, Side, Speed, alternate, fit, ratios, summary

from marketorch import Task, Trainer, build, build_task, compose
from marketorch.command_line import split_option
from marketorch.data.synthetic.review_data import SyntheticReviews
from marketorch.data.text import TextData
from marketorch.engine import loading, optim
from marketorch.engine.distributed import resolve_device
from marketorch.engine.evaluation import autocast, resolve_precision
from marketorch.engine.tracking import say, table
from marketorch.errors import ConfigError, guard
from marketorch.models.pretrained_text import PretrainedText
from marketorch.tasks.text_classification import TextClassification

BATCH_SIZE, LR, MAX_LENGTH = 64, 1e-4, 128
DEFAULTS = {
    "rounds": "4",
    "steps": "40",
    "engine_rounds": "10",
    "engine_steps": "80",
    "data_dir": "",
    "device": "cpu",
    "only": "",
    "clock": "wall",
}


# -- throughput -------------------------------------------------------------------------------


def throughput_sides(checkpoint: Path, data: Any, device: torch.device) -> dict[str, Side]:
    """Our Trainer and the Hugging Face Trainer, on one checkpoint and one training split."""
    train = data.split("train")

    def ours(seed: int, steps: int) -> Speed:
        torch.manual_seed(seed)
        model = partial(PretrainedText, name=str(checkpoint), max_length=MAX_LENGTH)
        task = TextClassification(model=model, schema=data.schema)
        meter = Meter(task.model.backbone, device)
        trainer = partial(Trainer, device=str(device), seed=seed, batch_size=BATCH_SIZE)
        optimizer = partial(optim.adamw, lr=LR)
        return fit(trainer, task, train, optimizer, meter, WARM_UP + steps)

    def theirs(seed: int, steps: int, bf16: bool) -> Speed:
        return train_with_trainer(
            checkpoint,
            train.texts,
            train.labels.tolist(),
            batch_size=BATCH_SIZE,
            lr=LR,
            steps=steps,
            seed=seed,
            device=device,
            bf16=bf16,
        )

    return {
        "marketorch": ours,
        "HF Trainer, fp32": partial(theirs, bf16=False),
        "HF Trainer, bf16": partial(theirs, bf16=True),
    }


def compare_throughput(data_dir: str, device: torch.device, rounds: int, steps: int) -> None:
    """Prints examples a second of the three sides and how many times ours is faster."""
    path = Path(data_dir) / "sentiment/sst2/train.parquet"
    source = TextData(path=str(path), validation_fraction=0, test_fraction=0)
    data = source if data_dir else SyntheticReviews()
    texts = data.split("train").texts
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(texts, Path(folder), MAX_LENGTH)
        sides = throughput_sides(Path(folder), data, device)
        speeds = alternate(sides, rounds=rounds, steps=steps)
    ours, fp32, bf16 = speeds.values()
    rows: list[tuple[Any, ...]] = [("marketorch", *summary(ours), "", "", "")]
    for name, other, target in (("fp32", fp32, "≥ 4"), ("bf16", bf16, "≥ 2")):
        rows.append((f"HF Trainer, {name}", *summary(other), *ratios(ours, other), target))
    columns = ("side", "examples/s", "tokens each", "ours ×", "min–max", "target")
    name = "SST-2 sentences" if data_dir else "embedded reviews"
    table(f"training throughput · {len(texts):,} {name}", columns, rows)


# -- engine -----------------------------------------------------------------------------------


def bare_loop(task: Task, train: Any, config: Any, seed: int, meter: Meter, last: int) -> Speed:
    """What a researcher would write by hand; compare with `Trainer.fit`."""
    device, settings = meter.device, config.trainer
    task.prepare(train)
    encoded = task.to(device).train().encode(train)
    optimizers = build(config.optim)(task)
    dtype = resolve_precision(settings.precision, device)
    factor = optim.schedule(settings.schedule, warmup=settings.warmup, total_steps=last)
    epochs = (
        loading.epoch_keys(encoded, settings.batch_size, seed=seed, epoch=e)
        for e in itertools.count()
    )
    keys = list(itertools.islice(itertools.chain.from_iterable(epochs), last))
    batches = loading.load(encoded, keys, device=device)
    for number, (_, batch) in enumerate(batches):
        with autocast(device, dtype):
            step = task(batch)
        (step.loss_sum / step.weight).backward()
        if settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(task.parameters(), settings.clip_norm)
        optim.set_lr(optimizers, factor(number))
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        meter.stamp(number + 1, last)
    return meter.speed()


def compare_engine(device: torch.device, rounds: int, steps: int) -> None:
    """Prints the time of a step in `Trainer.fit` over that of the bare loop."""
    config = compose(["experiment=sentiment", f"trainer.device={device}"])
    data = build(config.data)
    train = data.split("train")

    def side(seed: int, steps: int, bare: bool) -> Speed:
        torch.manual_seed(seed)
        task, last = build_task(config, data.schema), WARM_UP + steps
        meter = Meter(task.model, device)
        if bare:
            return bare_loop(task, train, config, seed, meter, last)
        trainer = partial(build, config.trainer, seed=seed)
        return fit(trainer, task, train, build(config.optim), meter, last)

    sides = {"Trainer.fit": partial(side, bare=False), "bare loop": partial(side, bare=True)}
    fitted, bare = alternate(sides, rounds=rounds, steps=steps).values()
    rows = [
        ("Trainer.fit", summary(fitted)[0], *ratios(bare, fitted), "≤ 1.03"),
        ("bare loop", summary(bare)[0], "", "", ""),
    ]
    columns = ("side", "examples/s", "step time / bare", "min–max", "target")
    table("cost of the engine · model and data of experiment=sentiment", columns, rows)


def parse(arguments: list[str]) -> dict[str, str]:
    """The options, checked. ConfigError for one that does not exist."""
    options: dict[str, str] = {}
    for name, default in DEFAULTS.items():
        value, arguments = split_option(arguments, name)
        options[name] = value or default
    if arguments:
        raise ConfigError(f"{arguments[0]}: unknown option. Options: {', '.join(DEFAULTS)}.")
    for name, known in (("clock", CLOCKS), ("only", ("", "throughput", "engine"))):
        if options[name] not in known:
            raise ConfigError(f"{name}={options[name]}: expected one of {', '.join(known)}.")
    return options


def main(arguments: list[str]) -> None:
    """Runs both comparisons, or the one that ``only`` names."""
    options = parse(arguments)
    Meter.clock = options["clock"]
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    device = resolve_device(options["device"])
    precision = resolve_precision("auto", device)
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    say(f"{device}, {threads} threads, auto is {precision}, load {load:.1f}, {Meter.clock} clock")
    if options["only"] in ("", "throughput"):
        rounds, steps = int(options["rounds"]), int(options["steps"])
        compare_throughput(options["data_dir"], device, rounds, steps)
    if options["only"] in ("", "engine"):
        compare_engine(device, int(options["engine_rounds"]), int(options["engine_steps"]))


if __name__ == "__main__":
    with guard():
        main(sys.argv[1:])
