"""A problem that marketorch does not know: two kinds of points in the plane.

All a new problem takes is here: a data set and a `Task`. The tests of the engine train, resume and
evaluate it, so they also prove that no part of the engine has to be told about it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassAveragePrecision,
)

from marketorch.engine.task import Batch, Dataset, Predictions, Step, Task
from marketorch.engine.trainer import Trainer
from marketorch.metrics.probabilities import LogLoss
from marketorch.optim import optimizers as optim


class Points:
    """Points ``(N, 2)`` in memory; a batch is one index, the fast way."""

    def __init__(self, num: int, *, seed: int = 0, weights: Tensor | None = None) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.points = torch.randn(num, 2, generator=generator) * 3 + 5
        self.labels = (self.points.sub(5).prod(1) > 0).long()  # XOR: no line separates them
        self.weights = torch.ones(num) if weights is None else weights
        self.ids = [f"point-{i}" for i in range(num)]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: list[int]) -> Batch:
        index = torch.tensor(indices)
        return {
            "points": self.points[index],
            "labels": self.labels[index],
            "weights": self.weights[index],
            "index": index,
        }


class JitteredPoints:
    """The same points one at a time, each moved a little anew, as augmented images would be."""

    def __init__(self, num: int, *, seed: int = 0) -> None:
        self.still = Points(num, seed=seed)
        self.points = self.still.points

    def __len__(self) -> int:
        return len(self.still)

    def __getitem__(self, index: int) -> Batch:
        jitter = torch.randn(2) + random.random() + float(np.random.rand())
        return {
            "points": self.still.points[index] + 0.1 * jitter,
            "labels": self.still.labels[index],
            "weights": torch.ones(()),
            "index": torch.tensor(index),
        }


class PointTask(Task):
    """Tells the two kinds apart. Dropout, noise and BatchNorm make resuming it hard."""

    main_metric = "accuracy"

    def __init__(
        self,
        *,
        width: int = 16,
        dropout: float = 0.0,
        noise: float = 0.0,
        batch_norm: bool = False,
        standardise: bool = True,
    ) -> None:
        super().__init__()
        self.schema = {"classes": ["unlike", "like"]}
        self.noise, self.standardise = noise, standardise
        self.hidden = nn.Linear(2, width)
        self.norm = nn.BatchNorm1d(width) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.inner = nn.Linear(width, width)
        self.head = nn.Linear(width, 2)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("std", torch.ones(2))
        self.seen = 0  # plain state, kept as extra state: a vocabulary would be kept so

    def prepare(self, train: Any) -> None:
        self.seen = len(train)
        if self.standardise:
            self.mean.copy_(train.points.mean(0))
            self.std.copy_(train.points.std(0))

    def get_extra_state(self) -> Tensor:
        return torch.tensor(list(json.dumps({"seen": self.seen}).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        self.seen = json.loads(bytes(state.tolist()))["seen"]

    def logits(self, points: Tensor) -> Tensor:
        x = (points - self.mean) / self.std
        if self.training:
            x = x + self.noise * torch.randn_like(x)
        x = self.dropout(self.norm(self.hidden(x)).relu())
        return self.head(self.inner(x).relu())

    def forward(self, batch: Batch) -> Step:
        logits, weights = self.logits(batch["points"]), batch["weights"]
        losses = nn.functional.cross_entropy(logits, batch["labels"], reduction="none")
        correct = logits.argmax(1) == batch["labels"]
        return Step(
            (losses * weights).sum(), weights.sum(), {"accuracy": (correct * weights).sum()}
        )

    def predict(self, batch: Batch) -> Predictions:
        probabilities = self.logits(batch["points"]).float().softmax(1)
        return {"index": batch["index"], "probabilities": probabilities}

    def metrics(self) -> MetricCollection:
        return MetricCollection(
            {
                "accuracy": MulticlassAccuracy(num_classes=2, average="micro"),
                "auroc": MulticlassAUROC(num_classes=2),
                "auprc": MulticlassAveragePrecision(num_classes=2),
                "log_loss": LogLoss(),
            }
        )

    def update(self, metrics: MetricCollection, predictions: Predictions, batch: Batch) -> None:
        metrics.update(predictions["probabilities"], batch["labels"])


HARD = {"dropout": 0.2, "noise": 0.1, "batch_norm": True}
"""Options of `PointTask` that draw random numbers and keep running statistics."""


ADAMW = partial(optim.adamw, lr=0.01)


class Killed(BaseException):
    """What kill -9 would be, if a test could survive it."""


def kill_after_saving(step: int) -> Callable[[str, Trainer], None]:
    """An ``on_event`` that ends the process, so to speak, right after step ``step`` was saved."""

    def on_event(name: str, trainer: Trainer) -> None:
        if name == "save" and trainer.position.step == step:
            raise Killed

    return on_event


def fit(
    run_dir: Path,
    *,
    train: Dataset | None = None,
    validation: Dataset | None = None,
    task: dict[str, Any] | Callable[[], Task] | None = None,
    optimizer: Callable[..., Any] = ADAMW,
    resume: bool = False,
    on_event: Callable[[str, Trainer], None] | None = None,
    **options: Any,
) -> Trainer:
    """Trains the toy and returns the Trainer, whose ``task`` then holds the best weights.

    Args:
        task: arguments of `PointTask`, or what makes another task.
    """

    def remember(name: str, trainer: Trainer) -> None:
        if name in ("start", "save"):
            trainer.tensors = snapshot(trainer)  # type: ignore[attr-defined]
        if on_event:
            on_event(name, trainer)

    torch.manual_seed(1)
    settings: dict[str, Any] = {"device": "cpu", "precision": "fp32", "batch_size": 8, "epochs": 2}
    trainer = Trainer(run_dir=run_dir, on_event=remember, **settings | options)
    trainer.fit(
        task() if callable(task) else PointTask(**task or {}),
        Points(60) if train is None else train,
        Points(30, seed=1) if validation is None else validation,
        optimizer,
        resume=resume,
    )
    return trainer


def snapshot(trainer: Trainer) -> dict[str, Tensor]:
    """All tensors of a run as it stands: weights, buffers, averaged weights, optimizer state."""
    tensors = {f"task {name}": value for name, value in trainer.task.state_dict().items()}
    tensors |= {f"ema {name}": value for name, value in (trainer.update.ema or {}).items()}
    for which, optimizer in enumerate(trainer.update.optimizers):
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer {which} {number} {name}": v for name, v in state.items()}
    return {name: value.detach().clone() for name, value in tensors.items()}


def everything(trainer: Trainer) -> dict[str, Tensor]:
    """The tensors after the last step, on this rank, before the best weights are put back."""
    return trainer.tensors  # type: ignore[attr-defined]


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not bit-equal."""
    assert set(one) == set(other)
    return [name for name, value in one.items() if not torch.equal(value, other[name])]


def logged(run_dir: Path, name: str) -> list[float]:
    """All values of ``name`` in a run's metrics.jsonl."""
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line[name] for line in map(json.loads, lines) if name in line]
