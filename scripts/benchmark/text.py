"""How fast training is: against the Hugging Face Trainer, and against a bare PyTorch loop.

    python scripts/benchmark/text.py [rounds=4] [steps=40] [engine_rounds=10] [engine_steps=80]
                                     [batch_size=64] [data_dir=DIR] [device=cpu]
                                     [only=throughput|engine] [clock=wall|cpu]

*Throughput.* One BERT (4 layers, width 256, random weights, dropout 0.1) is trained on the same
texts, with the same batch size, loss, AdamW, learning rate and clipping, by our Trainer as it
comes (length-batched, precision auto) and by `transformers.Trainer` as it comes (fp32), and with
bf16=True where the hardware has bf16. The texts are the embedded reviews or, with ``data_dir``,
the sentences of SST-2.

*Engine.* The whole of experiment=sentiment, trained by `Trainer.fit` and by a bare loop: see
`engine.py`, which does it for every task.

Timed are steps alone: each round builds anew, runs five steps of warm-up, and the clock is read
after the fifth and after the last step, before anything is evaluated or saved. Examples are
counted where they enter the encoder. Sides take turns (see `rounds`); only ratios count.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import engine
import torch
import transformers
from hf_trainer import save_checkpoint, train_with_trainer
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

from marketorch import Trainer, compose
from marketorch.command_line import arguments_or_help
from marketorch.console import say, table
from marketorch.data.synthetic.review_data import SyntheticReviews
from marketorch.data.texts.source import TextData
from marketorch.distributed import resolve_device
from marketorch.engine.evaluation import has_bf16
from marketorch.errors import guard
from marketorch.models.texts.pretrained_text import PretrainedText
from marketorch.optim import optimizers as optim
from marketorch.tasks.text_classification import TextClassification

LR, MAX_LENGTH = 1e-4, 128
NUMBERS = {"rounds": 4, "steps": 40, "engine_rounds": 10, "engine_steps": 80, "batch_size": 64}
CHOICES = {"only": ("", "throughput", "engine"), "clock": tuple(CLOCKS)}
TEXTS = {"data_dir": "", "device": "cpu"}
TARGETS = {"HF Trainer, fp32": "≥ 4", "HF Trainer, bf16": "≥ 2"}


# -- throughput -------------------------------------------------------------------------------


def throughput_sides(
    checkpoint: Path, data: Any, device: torch.device, batch_size: int
) -> dict[str, Side]:
    """Our Trainer and the Hugging Face Trainer, on one checkpoint and one training split."""
    train = data.split("train")

    def ours(seed: int, steps: int) -> Speed:
        torch.manual_seed(seed)
        model = partial(PretrainedText, name=str(checkpoint), max_length=MAX_LENGTH)
        task = TextClassification(model=model, schema=data.schema)
        meter = Meter(task.model.backbone, device)
        trainer = partial(Trainer, device=str(device), seed=seed, batch_size=batch_size)
        optimizer = partial(optim.adamw, lr=LR)
        return fit(trainer, task, train, optimizer, meter, WARM_UP + steps)

    def theirs(seed: int, steps: int, bf16: bool) -> Speed:
        return train_with_trainer(
            checkpoint,
            train.texts,
            train.labels.tolist(),
            batch_size=batch_size,
            lr=LR,
            steps=steps,
            seed=seed,
            device=device,
            bf16=bf16,
        )

    peers = {"HF Trainer, fp32": partial(theirs, bf16=False)}
    if has_bf16(device):
        peers["HF Trainer, bf16"] = partial(theirs, bf16=True)
    else:
        say("HF Trainer, bf16 is left out: this hardware has none and would emulate it")
    return {"marketorch": ours, **peers}


def compare_throughput(options: dict[str, Any], device: torch.device) -> list[Row]:
    """Prints examples a second of the sides and how many times ours is faster than each peer."""
    data_dir = options["data_dir"]
    path = Path(data_dir) / "sentiment/sst2/train.parquet"
    source = TextData(path=str(path), validation_fraction=0, test_fraction=0)
    data = source if data_dir else SyntheticReviews()
    texts = data.split("train").texts
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(texts, Path(folder), MAX_LENGTH)
        sides = throughput_sides(Path(folder), data, device, options["batch_size"])
        speeds = alternate(sides, rounds=options["rounds"], steps=options["steps"])
    ours = speeds.pop("marketorch")
    what = "SST-2 sentences" if data_dir else "embedded reviews"
    lines: list[tuple[Any, ...]] = [("marketorch", *summary(ours), "", "", "")]
    rows = []
    for name, other in speeds.items():
        title = f"training a BERT of 4 × 256 on {what}, over {name}"
        rows.append(Row.of(title, ratios(ours, other), TARGETS[name]))
        lines.append((name, *summary(other), *rows[-1].cells))
    columns = ("side", "examples/s", "tokens each", "ours ×", "min–max", "target")
    table(f"training throughput · {len(texts):,} {what}", columns, lines)
    return rows


# -- engine -----------------------------------------------------------------------------------


def compare_engine(device: torch.device, rounds: int, steps: int) -> list[Row]:
    """Prints the time of a step in `Trainer.fit` over that of the bare loop."""
    config = compose(["experiment=sentiment", f"trainer.device={device}"])
    row, line = engine.cost("experiment=sentiment", engine.Work(config), rounds, steps)
    table("cost of the engine · model and data of experiment=sentiment", engine.COLUMNS, [line])
    return [row]


# -- options ----------------------------------------------------------------------------------


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options, checked. ConfigError for one that does not exist or does not fit."""
    return read_options(arguments, NUMBERS, CHOICES, TEXTS)


def measure(options: dict[str, Any]) -> list[Row]:
    """Makes both comparisons, or the one that ``only`` names; prints them, returns their rows."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    device, rows = resolve_device(options["device"]), []
    announce(options["clock"], device)
    if options["only"] != "engine":
        rows += compare_throughput(options, device)
    if options["only"] != "throughput":
        rows += compare_engine(device, options["engine_rounds"], options["engine_steps"])
    return rows


if __name__ == "__main__":
    with guard():
        measure(parse(arguments_or_help(__doc__ or "")))
